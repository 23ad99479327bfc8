"""Derived groups stand beside written ones, and are confused with none."""

from dataclasses import replace

import pytest

from platform_assets.data.features.derived.groups import derived_groups
from platform_assets.data.features.derived.joining import GroupsClash, with_derived
from tests.data.features.conftest import GROUPS
from tests.data.features.derived.test_groups import RATED, VIEWER
from tests.data.features.derived.worlds import CATALOG, said


def test_an_entity_without_a_written_group_gets_derived_ones() -> None:
    assert "visits_activity" in with_derived(CATALOG, {}, {})["shopper"]


def test_an_entity_with_written_groups_gets_derived_ones_only_when_its_file_says_so() -> None:
    assert with_derived(RATED, GROUPS, {}) == GROUPS
    both = with_derived(RATED, GROUPS, {"viewer": VIEWER})
    assert both["customer"] == GROUPS["customer"]
    assert set(both["viewer"]) > set(GROUPS["viewer"])


def test_a_name_that_is_written_and_derived_is_refused() -> None:
    derived = {group.name: group for group in derived_groups(CATALOG, "shopper", said())}
    with pytest.raises(GroupsClash, match="group visits_activity of shopper is derived from mart visits too; rename"):
        with_derived(CATALOG, {"shopper": {"visits_activity": derived["visits_activity"]}}, {"shopper": said()})
    with pytest.raises(GroupsClash, match="feature visits_count_7d of mine of shopper is derived from mart visits too"):
        with_derived(
            CATALOG, {"shopper": {"mine": replace(derived["visits_activity"], name="mine")}}, {"shopper": said()}
        )
