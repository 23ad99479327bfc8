"""Which groups are derived, what stays out by name, what the audit holds them to, and what makes another fingerprint."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.catalog.column import Column, Role
from platform_assets.data.features.derived.declaration import FeatureDeclaration
from platform_assets.data.features.derived.groups import DerivedGroup, derive, derived_groups
from platform_assets.data.features.group import FeatureGroup
from platform_assets.data.features.spine import Spine
from platform_assets.data.features.tables import audit_rules, feature_group_table, feature_recipe
from platform_assets.data.quality import Bounds, Monotone, NullShare
from platform_assets.foundation.artifacts import ArtifactStore
from tests.data.features.conftest import AS_OF, RATINGS, publish, viewer_version
from tests.data.features.conftest import CATALOG as PUBLISHED
from tests.data.features.derived.worlds import CATALOG, VISITS, Shop, day, person, said, visit

ROLES: dict[str, dict[str, Role]] = {
    "ratings": {"film_id": "identifier", "rating": "measure", "genres": "category"},
    "viewers": {"age": "measure"},
}


def with_roles(catalog: Catalog) -> Catalog:
    marts = {
        name: replace(mart, columns={c: replace(d, role=ROLES.get(name, {}).get(c)) for c, d in mart.columns.items()})
        for name, mart in catalog.marts.items()
    }
    return replace(catalog, marts=marts)


RATED = with_roles(PUBLISHED)
VIEWER = FeatureDeclaration.model_validate(
    {
        "entity": "viewer",
        "features": {
            "ratings": {"categories": {"genres": {"values": ["Drama", "Sci-Fi"], "counted_before": "1998-01-01"}}}
        },
    }
)


def names_of(groups: list[FeatureGroup]) -> set[str]:
    return {name for group in groups for name in group.features}


def plain(**features: Any) -> FeatureDeclaration:
    return FeatureDeclaration.model_validate({"entity": "shopper", "features": features})


def test_without_a_word_of_yaml_an_entity_has_groups() -> None:
    groups = {group.name: group for group in derived_groups(CATALOG, "shopper", plain())}
    assert {"visits_activity", "visits_regularity", "visits_clock", "visits_values", "visits_variety"} <= set(groups)
    assert {"people_age", "people_days_since_born"} == set(groups["people_attributes"].features)


def test_what_may_leak_stays_out_by_name_until_it_is_admitted() -> None:
    derivation = derive(CATALOG, "shopper", plain())
    told = "\n".join(derivation.told)
    for column, why in {
        "visits.returned_at": "is an instant that may lie after the event",
        "visits.status": "may differ from one export to the next",
        "visits.note": "declares no role",
        "people.city": "describes a person",
    }.items():
        assert f"{column} stays out: it {why}" in told
        assert not [name for name in names_of(derivation.groups) if column.replace(".", "_") in name]
    admitted = said(visits={"admit": ["returned_at", "status"], "categories": {"status": {"values": ["sent"]}}})
    names = names_of(derived_groups(CATALOG, "shopper", admitted))
    assert {"visits_returned_at_come_share", "visits_status_sent_share_7d"} <= names


def test_a_category_without_leading_values_says_how_to_get_them() -> None:
    told = derive(CATALOG, "shopper", plain()).told
    command = "platform-assets features suggest shopper --before DATE"
    assert f"visits.kind has no leading values yet; write them by `{command}`" in told


def test_columns_are_bounded_and_what_is_left_out_is_told() -> None:
    whole = names_of(derived_groups(CATALOG, "shopper", said()))
    bounded = derive(CATALOG, "shopper", said().model_copy(update={"at_most": 20}))
    assert len(names_of(bounded.groups)) == 20
    assert "visits_count_all" in names_of(bounded.groups)
    assert (
        f"{len(whole)} columns of shopper can be derived, 20 are: {len(whole) - 20} were left out (" in bounded.told[-1]
    )


def test_a_thousand_values_make_no_more_than_300_columns() -> None:
    kinds = {f"kind_{n}": Column(f"kind_{n}", "varchar", "category") for n in range(20)}
    visits = replace(VISITS, columns={**VISITS.columns, **kinds})
    catalog = replace(CATALOG, marts={**CATALOG.marts, "visits": visits})
    values = {name: {"values": [f"v{n}" for n in range(50)]} for name in kinds}
    derivation = derive(catalog, "shopper", plain(visits={"categories": values}))
    assert len(names_of(derivation.groups)) == 300
    assert "were left out" in derivation.told[-1]


def test_no_two_columns_of_an_entity_have_one_name() -> None:
    values = {"kind": {"values": ["Sci-Fi", "sci fi", "other", "!", "all"]}}
    groups = derived_groups(CATALOG, "shopper", plain(visits={"categories": values}))
    assert len(names_of(groups)) == sum(len(group.features) for group in groups)
    assert len({group.name for group in groups}) == len(groups)
    assert {
        f"visits_kind_{part}_share_all" for part in ("sci_fi", "sci_fi_2", "other_2", "other", "value")
    } <= names_of(groups)


def test_a_condition_and_what_is_left_out_are_honoured() -> None:
    shop = Shop(
        plain(visits={"where": "spent > 5", "leave_out": ["items"], "measures": ["spent"], "windows": [7, "all"]})
    )
    found = shop.features({"visits": [visit(1, 0, spent=3), visit(1, 1, spent=6)]}, [(1, day(20))])[1, day(20)]
    assert (found["visits_count_all"], found["visits_count_7d"], found["visits_spent_min"]) == (1, 0, 6)
    assert not [name for name in found if "items" in name or "28d" in name]


def test_people_are_described_as_they_were() -> None:
    shop = Shop(said())
    versions = [person(1, 0, 10, age=30), person(1, 10, None, age=31, city="Köln"), person(2, 0, None, city=None)]
    found = shop.features({"people": versions}, [(1, day(5)), (1, day(15)), (2, day(5)), (3, day(5))])
    assert [found[1, day(n)]["people_age"] for n in (5, 15)] == [30, 31]
    assert [found[1, day(n)]["people_city_bonn"] for n in (5, 15)] == [1, 0]
    assert found[2, day(5)]["people_city_bonn"] is None
    assert found[3, day(5)]["people_age"] is None


def test_the_audit_follows_from_the_derivation() -> None:
    groups = {group.name: group for group in derived_groups(CATALOG, "shopper", said())}
    activity = audit_rules(groups["visits_activity"], "who")
    assert Monotone(("visits_count_7d", "visits_count_28d", "visits_count_90d", "visits_count_all")) in activity
    assert Bounds("visits_count_7d", 0, None) in activity
    assert NullShare("visits_count_7d") in activity
    assert Bounds("visits_kind_a_share_7d", 0, 1) in audit_rules(groups["visits_by_kind"], "who")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("derived")
    versions = [viewer_version(1, 30, 0, 50), viewer_version(1, 31, 50, None)]
    publish(folder, PUBLISHED, {"ratings": RATINGS, "viewers": versions})
    return folder


def test_derived_tables_are_audited_and_kept_like_any_other(published: Path, tmp_path: Path) -> None:
    warehouse = publish(published, RATED, {"ratings": RATINGS})
    store = ArtifactStore(tmp_path)
    entity = RATED.entity("viewer")
    remarks = {}
    for group in derived_groups(RATED, "viewer", VIEWER):
        artifact = feature_group_table(group, Spine.of_population(entity, AS_OF), warehouse, store)
        assert artifact.metadata["rows"] == 2
        remarks[group.name] = artifact.metadata["remarks"]
    assert "were counted before 1998-01-01T05:00:00+00:00, later than" in remarks["ratings_by_genres"][0]
    late = Spine.of_population(entity, datetime(1998, 6, 1, tzinfo=UTC))
    group = next(group for group in derived_groups(RATED, "viewer", VIEWER) if group.name == "ratings_by_genres")
    assert not [
        one for one in feature_group_table(group, late, warehouse, store).metadata["remarks"] if "counted" in one
    ]


def test_columns_without_any_value_are_told(published: Path, tmp_path: Path) -> None:
    warehouse = publish(published, RATED, {"viewers": [viewer_version(1, 30, 150, None)]})
    group = next(one for one in derived_groups(RATED, "viewer", VIEWER) if one.name == "viewers_attributes")
    spine = Spine.of_population(RATED.entity("viewer"), AS_OF)
    artifact = feature_group_table(group, spine, warehouse, ArtifactStore(tmp_path))
    assert artifact.metadata["remarks"] == [f"without any value at {AS_OF.isoformat()}: viewers_age"]


def test_the_resolved_declaration_is_part_of_the_fingerprint(published: Path) -> None:
    warehouse = publish(published, RATED, {"ratings": RATINGS})
    spine = Spine.of_population(RATED.entity("viewer"), AS_OF)

    def fingerprints(declaration: FeatureDeclaration) -> dict[str, str]:
        groups = derived_groups(RATED, "viewer", declaration)
        return {group.name: feature_recipe(group, spine, warehouse).fingerprint for group in groups}

    def of_ratings(**more: Any) -> FeatureDeclaration:
        return FeatureDeclaration.model_validate({"entity": "viewer", "features": {"ratings": more}})

    before = fingerprints(of_ratings())
    assert before == fingerprints(of_ratings(windows=[7, 28, 90, "all"]))
    moved = fingerprints(of_ratings(where="rating > 2"))
    assert {name for name in before if before[name] != moved[name]} == set(before) - {"viewers_attributes"}


def test_code_of_derived_groups_covers_the_grammar_of_conditions() -> None:
    group = derived_groups(RATED, "viewer", VIEWER)[0]
    assert isinstance(group, DerivedGroup)
    recipe = feature_recipe_code(group)
    assert {
        "platform_assets.data.features.derived.rolling",
        "platform_assets.data.features.windows",
        "platform_assets.data.conditions.meaning",
    } <= set(recipe)
    assert "platform_assets.data.features.derived.groups" not in recipe


def feature_recipe_code(group: FeatureGroup) -> dict[str, str]:
    from platform_assets.foundation.artifacts import code_of

    return code_of(group.module)


def test_hours_are_those_of_the_entity_without_summer_time() -> None:
    berlin = replace(CATALOG, entities={"shopper": replace(CATALOG.entity("shopper"), timezone="Europe/Berlin")})
    shop = Shop(plain(), catalog=berlin)
    found = shop.features({"visits": [visit(1, 23.5 / 24)]}, [(1, day(9))])[1, day(9)]
    assert (found["visits_hour_00_03_share"], found["visits_tuesday_share"]) == (1, 1)
