"""A feature table is made once for what it depends on, and only an audited one can be read."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from platform_assets.data.catalog.pointer import MartRefused
from platform_assets.data.features import groups as group_files
from platform_assets.data.features.registry import GroupRefused, find_groups
from platform_assets.data.features.spine import Spine
from platform_assets.data.features.tables import (
    FILE,
    AsOfNotCovered,
    feature_group_table,
    feature_recipe,
    feature_table,
)
from platform_assets.data.quality import AuditFailed
from platform_assets.environment import REPOSITORY
from platform_assets.foundation.artifacts import Artifact, ArtifactStore
from tests.data.features.conftest import AS_OF, CATALOG, GROUPS, ORDERS, WATERMARK, Platform, order, rating

CUSTOMER = CATALOG.entities["customer"]
WINDOWS = GROUPS["customer"]["order_windows"]
REFUNDED = order(50, 2, 99, amount="-40")


def spine() -> Spine:
    return Spine.of_population(CUSTOMER, AS_OF)


def made(platform: Platform, as_of: datetime = AS_OF) -> Artifact:
    return feature_group_table(WINDOWS, Spine.of_population(CUSTOMER, as_of), platform.warehouse, platform.store)


def fingerprint(platform: Platform) -> str:
    return feature_recipe(WINDOWS, spine(), platform.warehouse).fingerprint


def test_a_table_is_built_once_and_then_found(platform: Platform) -> None:
    first = made(platform)
    again = feature_group_table(WINDOWS, spine(), platform.warehouse, ArtifactStore(str(platform.folder / "artifacts")))
    assert (first.hit, again.hit) == (False, True)
    assert again.ref == first.ref
    assert first.metadata["rows"] == 3
    assert first.metadata["audit"]["passed"]
    assert pq.ParquetFile(first.path(FILE)).metadata.num_rows == 3


def test_later_rows_leave_a_past_table_alone_and_late_rows_remake_it(platform: Platform) -> None:
    before = fingerprint(platform)
    platform.publish(orders=[*ORDERS, order(50, 1, 130)])
    assert fingerprint(platform) == before
    platform.publish(orders=[*ORDERS, order(50, 1, 20)])
    assert fingerprint(platform) != before
    platform.publish(orders=ORDERS, ratings=[rating(1, 9, 3)])
    assert fingerprint(platform) == before


def test_an_as_of_beyond_the_exports_is_refused(platform: Platform) -> None:
    with pytest.raises(
        AsOfNotCovered, match=r"order_windows as of 1998-07-02.*orders cover everything before 1998-07-01"
    ):
        made(platform, WATERMARK + timedelta(days=1))
    assert made(platform, WATERMARK).metadata["rows"] == 4


def test_a_failed_audit_publishes_nothing_and_refuses_whoever_reads_next(platform: Platform) -> None:
    old = made(platform)
    platform.publish(orders=[*ORDERS, REFUNDED])
    stored = sorted((platform.folder / "artifacts").rglob("*.*"))
    for _ in range(2):
        with pytest.raises(AuditFailed, match=r"order_windows: .* on 4 of .* amount_7d .*: .*1 of 3 rows fail"):
            feature_table([WINDOWS], spine(), platform.warehouse, platform.store)
    assert sorted((platform.folder / "artifacts").rglob("*.*")) == stored
    platform.publish(orders=ORDERS)
    assert made(platform).ref == old.ref


def test_a_mart_that_failed_its_tests_is_refused_even_when_the_table_is_stored(platform: Platform) -> None:
    made(platform)
    platform.warehouse.marts.refuse(["orders"], "its last build failed dbt test unique_orders_order_id")
    with pytest.raises(MartRefused, match="unique_orders_order_id"):
        made(platform)


def test_groups_join_side_by_side_with_the_hash_of_each(platform: Platform) -> None:
    joined = feature_table(GROUPS["customer"].values(), spine(), platform.warehouse, platform.store)
    names = [name for group in GROUPS["customer"].values() for name in group.features]
    assert joined.table.column_names == ["customer_id", "as_of", *names]
    assert list(joined.content_hashes) == list(GROUPS["customer"])
    assert joined.table.num_rows == 3
    with pytest.raises(ValueError, match="no feature group of customer was asked for"):
        feature_table([], spine(), platform.warehouse, platform.store)
    with pytest.raises(ValueError, match="describes viewer, the spine holds customer"):
        feature_table(GROUPS["viewer"].values(), spine(), platform.warehouse, platform.store)


ADDED = '''"""Added by a file."""

from platform_assets.data.features.group import Feature, FeatureGroup
from platform_assets.data.features.windows import so_far, total

FACTOR = 1


def build(marts, spine):
    """Nothing but a sum."""
    spent = so_far(marts["orders"], spine, {"spent": total("amount")})
    return spent.mutate(spent=spent.spent * FACTOR)


FEATURES = {"spent": Feature("dollars")}
GROUP = FeatureGroup("added", "customer", "Added", ("orders",), FEATURES, build, __name__)
'''


@pytest.fixture
def added(tmp_path: Path) -> Iterator[Path]:
    """A group file in a folder of its own, which the package of groups also looks into."""
    folder = tmp_path / "more"
    folder.mkdir()
    group_files.__path__.append(str(folder))
    file = folder / f"customer_added_{tmp_path.name}.py"
    file.write_text(ADDED)
    yield file
    group_files.__path__.remove(str(folder))


def test_adding_a_file_adds_a_group(added: Path, platform: Platform) -> None:
    group = find_groups(REPOSITORY, CATALOG)["customer"]["added"]
    table = feature_table([group], spine(), platform.warehouse, platform.store).table
    assert table["spent"].to_pylist() == [132.49, 10.0, 10.0]


def test_a_comment_remakes_nothing_and_a_constant_only_its_group(added: Path, platform: Platform) -> None:
    group = find_groups(REPOSITORY, CATALOG)["customer"]["added"]

    def prints() -> tuple[str, str]:
        both = (feature_recipe(g, spine(), platform.warehouse).fingerprint for g in (group, WINDOWS))
        return next(both), next(both)

    own, other = prints()
    added.write_text(ADDED.replace("FACTOR = 1", "FACTOR = 1  # as agreed").replace("Nothing but a sum", "Just a sum"))
    assert prints() == (own, other)
    added.write_text(ADDED.replace("FACTOR = 1", "FACTOR = 2"))
    changed, unchanged = prints()
    assert changed != own
    assert unchanged == other


def test_a_feature_declared_twice_names_both_files(added: Path) -> None:
    added.write_text(ADDED.replace('"spent"', '"orders_7d"').replace("spent=spent.spent", "orders_7d=spent.orders_7d"))
    with pytest.raises(GroupRefused, match=r"customer_added.*: feature orders_7d of customer is declared in .*"):
        find_groups(REPOSITORY, CATALOG)
    added.write_text('"""Nothing here."""\n')


def test_a_groups_code_is_its_file_and_the_windows_it_uses(platform: Platform) -> None:
    code = feature_recipe(WINDOWS, spine(), platform.warehouse).code
    assert [name for name in code if name.startswith("platform_assets")] == [
        "platform_assets.data.features.group",
        "platform_assets.data.features.groups.customer_order_windows",
        "platform_assets.data.features.point_in_time",
        "platform_assets.data.features.windows",
    ]
    assert "ibis-framework" in code
