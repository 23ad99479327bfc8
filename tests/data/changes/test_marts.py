"""Marts that rest on incremental exports: what they cover, when they are built, and what of it Dagster shows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from platform_assets.data.catalog.catalog import Catalog, read_manifest
from platform_assets.data.engines.opening import open_engine, open_warehouse
from platform_assets.data.features.derived.groups import DerivedGroup
from platform_assets.data.features.registry import find_holdings
from platform_assets.data.features.spine import Spine
from platform_assets.data.features.tables import compute_features
from platform_assets.data.marts.assets import transform_assets
from platform_assets.data.marts.build import ModelOutcome, Transform, build
from platform_assets.data.marts.dbt import parse_project
from platform_assets.data.marts.graph import ProjectGraph
from platform_assets.data.marts.opening import open_gate, open_transform
from platform_assets.data.raw.assets import export_assets
from platform_assets.data.raw.discover import load_source
from platform_assets.environment import Environment, local_environment
from samples.dynamodb_export import change, export_id, window_id, write_dynamodb_export, write_incremental_export
from tests.data.changes import shop
from tests.data.changes.worlds import spec_of, write_project
from tests.data.exports.histories import at
from tests.data.features.conftest import each_as_of

SPEC = spec_of("both")
MART = """
-- The first written values of an event.
select id, value as status, valid_from as known_from
from {{ ref('stg_both_versions') }}
qualify valid_from = min(valid_from) over (partition by id)
"""
VERSIONS = "{{ merged_versions(ref('stg_both_versions'), 'id', ['value']) }}"


def item(key: str, status: str) -> dict[str, dict[str, str]]:
    return {"history": {"N": "1"}, "id": {"S": key}, "value": {"S": status}}


def keys(key: str) -> dict[str, dict[str, str]]:
    return {"history": {"N": "1"}, "id": {"S": key}}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("events")
    project = write_project(folder / "project", ["both"])
    marts = project / "models" / "marts"
    marts.mkdir()
    (marts / "events.sql").write_text(MART)
    (marts / "stages.sql").write_text(VERSIONS)
    meta = {"config": {"meta": {"platform": {"role": "none"}}}}
    instants = [{"name": name, "data_type": "timestamptz", **meta} for name in ("valid_from", "valid_to")]
    texts = [{"name": name, "data_type": "varchar", **meta} for name in ("id", "value", "status")]
    text = {column["name"]: column for column in texts}
    known = {"name": "known_from", "data_type": "timestamptz", **meta}

    def declared(kind: dict[str, str]) -> dict[str, object]:
        return {"labels": {}, "meta": {"platform": kind}}

    models = [
        {
            "name": "events",
            "config": declared({"kind": "dimension", "key": "id", "history": "immutable"}),
            "columns": [text["id"], text["status"], known],
        },
        {
            "name": "stages",
            "config": declared({"kind": "dimension", "key": "id", "history": "immutable"}),
            "columns": [text["id"], text["value"], *instants],
        },
    ]
    (marts / "marts.yml").write_text(json.dumps({"version": 2, "models": models}))
    shop.write_models(project)
    found = local_environment(folder / "data", dbt_project=project)
    parse_project(open_engine(found).dbt)
    lake = Path(found.exports)
    write_dynamodb_export(lake, "both", export_id("both", at(0)), [item("a", "placed")], at(0), prefix="histories")
    first, second = shop.order(1, 1, -30, 10), shop.order(2, 2, -20, 20)
    people = [shop.customer(number, "basic") for number in (1, 2)]
    shop.write_full(lake, orders=[first, second], customers=people)
    shop.write_window(lake, 0, 12, orders=[shop.written("orders", 3, shop.order(3, 1, 3, 30))])
    shop.write_window(lake, 12, 24)
    return found


def load(environment: Environment) -> None:
    raw = open_engine(environment).raw
    load_source(SPEC, "histories", environment.exports, raw)
    load_source(shop.SPEC, "shop", environment.exports, raw)


def transform_of(environment: Environment) -> Transform:
    manifest = read_manifest(environment.dbt_manifest)
    return open_transform(environment, ProjectGraph.from_manifest(manifest), Catalog.from_nodes(manifest))


def write_window(environment: Environment, start: float, end: float, *lines: dict[str, Any]) -> Path:
    window = (at(start), at(end))
    return write_incremental_export(Path(environment.exports), "both", lines, window, prefix="histories")


def rows(environment: Environment, mart: str) -> list[tuple[str, str, datetime]]:
    with duckdb.connect(str(environment.dbt_database), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        return connection.execute(f"select * from marts.{mart} order by all").fetchall()


MARTS = ("events", "stages")
SHOP = (*shop.EVENTS, "customers")
SPINES = ("all as of one instant", "each as of their own")
KNOWN = at(24)
Features = dict[tuple[str, str], Any]


def features(environment: Environment, as_of: datetime = KNOWN) -> Features:
    """(mart, what is asked) → the features that the project's YAML derives from it: of all people, and of rows with an as-of each."""
    catalog = Catalog.from_manifest(environment.dbt_manifest)
    groups = find_holdings(environment.dbt_project, catalog).groups["customer"]
    customer = catalog.entity("customer")
    rows = [(1, as_of), (2, as_of), (1, as_of - timedelta(hours=8)), (1, at(2)), (2, at(1))]
    spines = dict(
        zip(
            SPINES,
            (Spine.of_population(customer, as_of), Spine.of_rows(customer, each_as_of("customer_id", rows))),
            strict=True,
        )
    )
    warehouse = open_warehouse(environment, catalog)
    found: Features = {}
    for group in groups.values():
        assert isinstance(group, DerivedGroup)
        for asked, spine in spines.items():
            table = compute_features(group, spine, warehouse).to_pylist()
            found.setdefault((group.marts[0], asked), []).append((group.name, table))
    return found


@dataclass(frozen=True)
class Moment:
    """What a build made of the exports there were: marts, and features of what was known at the end of the first day."""

    marts: Mapping[str, ModelOutcome]
    stages: list[tuple[Any, ...]]
    features: Features

    @classmethod
    def of(cls, environment: Environment, transform: Transform) -> "Moment":
        load(environment)
        outcomes = build(transform, [*MARTS, *SHOP, "stg_both_contradictions", "stg_orders_first_items"])
        return cls(outcomes, rows(environment, "stages"), features(environment))

    def covered(self, *marts: str) -> set[datetime]:
        return {table.watermark for mart in marts if (table := self.marts[mart].table) is not None}


@pytest.fixture(scope="module")
def moments(environment: Environment) -> tuple[Moment, Moment]:
    """A build from a full export and some windows, and another after later windows."""
    transform = transform_of(environment)
    before = Moment.of(environment, transform)
    # An update long after the order, an order that is new, and one that is gone again.
    write_window(
        environment,
        0,
        12,
        change(keys("b"), at(5), new=item("b", "placed")),
        change(keys("c"), at(6), new=item("c", "placed")),
    )
    write_window(
        environment,
        12,
        24,
        change(keys("a"), at(20), new=item("a", "returned"), old=item("a", "placed")),
        change(keys("c"), at(21), old=item("c", "placed")),
        # Its old image is none that an export tells of.
        change(keys("b"), at(22), new=item("b", "sent"), old=item("b", "packed")),
    )
    # What changed meanwhile is in no export, so that nothing is known by this one.
    write_window(environment, 30, 40, change(keys("a"), at(31), new=item("a", "lost")))
    # An order returned at another amount, one taken back, one that becomes another customer's, a late one, and another plan.
    written = shop.written
    shop.write_window(
        Path(environment.exports),
        24,
        36,
        orders=[
            written("orders", 30, shop.order(1, 1, -30, 999, "returned"), shop.order(1, 1, -30, 10)),
            written("orders", 31, None, shop.order(2, 2, -20, 20)),
            written("orders", 32, shop.order(3, 2, 3, 1), shop.order(3, 1, 3, 30)),
            # Written eight hours after it was placed.
            written("orders", 34, shop.order(4, 2, 26, 5)),
        ],
        customers=[written("customers", 33, shop.customer(1, "gold"), shop.customer(1, "basic"))],
    )
    return before, Moment.of(environment, transform)


def test_what_arrives_late_changes_nothing_that_was_known_before(
    environment: Environment, moments: tuple[Moment, Moment]
) -> None:
    before, after = moments
    assert before.covered(*MARTS) == {at(0)}
    assert before.stages == [("a", "placed", at(0), None)]
    assert after.covered(*MARTS) == {at(24)}
    assert rows(environment, "events") == [("a", "placed", at(0)), ("b", "placed", at(5)), ("c", "placed", at(6))]
    assert after.stages == [
        ("a", "placed", at(0), at(20)),
        ("a", "returned", at(20), None),
        ("b", "placed", at(5), at(22)),
        ("b", "sent", at(22), None),
        ("c", "placed", at(6), at(21)),
    ]


def test_an_old_image_that_an_item_never_had_is_told_and_stops_no_build(moments: tuple[Moment, Moment]) -> None:
    (told,) = moments[1].marts["stg_both_contradictions"].checks
    assert (told.name, told.status, told.failures, told.blocks) == ("old_images_of_both_agree", "warn", 1, False)


def test_no_mart_stands_on_an_export_that_is_no_link(moments: tuple[Moment, Moment]) -> None:
    stood = {mart: str(moments[1].marts[mart].stands_on) for mart in MARTS}
    assert all(window_id("both", at(12), at(24)) in text for text in stood.values())
    assert not [mart for mart, text in stood.items() if window_id("both", at(30), at(40)) in text]


def test_no_feature_knows_a_value_before_it_arrived(environment: Environment, moments: tuple[Moment, Moment]) -> None:
    before, after = moments
    assert (before.covered(*SHOP), after.covered(*SHOP)) == ({KNOWN}, {at(36)})
    assert before.features.keys() == after.features.keys() == {(mart, spine) for mart in SHOP for spine in SPINES}
    moved = {place for place, values in after.features.items() if values != before.features[place]}
    # Of items as they are today, features as of yesterday tell what came after: so any that knew it would show it.
    assert moved == {("orders_today", spine) for spine in SPINES}

    later = features(environment, at(36))
    for spine in SPINES:
        assert 999 in values(later["order_versions", spine])
        assert 999 not in values(later["orders", spine])
        assert later["customers", spine] != after.features["customers", spine]


def test_an_event_that_arrives_later_than_its_mart_says_is_told(moments: tuple[Moment, Moment]) -> None:
    told = [moment.marts["stg_orders_first_items"].checks for moment in moments]
    assert [[(check.name, check.status, check.failures) for check in checks] for checks in told] == [
        [("orders_arrive", "pass", 0)],
        [("orders_arrive", "warn", 1)],
    ]


def values(tables: list[Any]) -> set[Any]:
    return {value for _, table in tables for row in table for value in row.values()}


@pytest.mark.usefixtures("moments")
def test_dagster_shows_where_the_chain_of_a_table_ends(environment: Environment) -> None:
    (assets,) = export_assets(SPEC, "histories", environment)
    result = dg.materialize([assets], raise_on_error=False)
    (event,) = result.asset_materializations_for_node("raw_histories")[:1]
    assert event.asset_key == dg.AssetKey(["raw", "histories", "both"])
    assert event.metadata["known_until"] == dg.MetadataValue.timestamp(at(24))
    told = {
        (check.asset_key.path[-1], check.severity): check.description
        for check in result.get_asset_check_evaluations()
        if check.check_name == "exports_are_usable" and not check.passed
    }
    assert "leaves a gap: what is known ends at 2026-01-02T00:00:00Z" in str(told["both", dg.AssetCheckSeverity.WARN])
    assert str(event.metadata["no_links"].value) in str(told["both", dg.AssetCheckSeverity.WARN])


def test_the_models_of_changes_rest_on_the_asset_of_their_table(environment: Environment) -> None:
    model = transform_of(environment).graph.models["stg_both_items"]
    assert model.sources == {("histories", "both"), ("histories", "both__changes")}
    definition = transform_assets(environment, {"histories": SPEC})
    spec = definition.specs_by_key[dg.AssetKey(["staging", "stg_both_items"])]
    assert dg.AssetKey(["raw", "histories", "both"]) in {dep.asset_key for dep in spec.deps}
    assert not any("__changes" in dep.asset_key.to_user_string() for dep in spec.deps)


def test_a_window_that_types_an_attribute_otherwise_stops_what_reads_it_until_a_full_export_begins_anew(
    environment: Environment,
) -> None:
    def items(value: dict[str, str]) -> list[dict[str, Any]]:
        return [{**item(f"k{number}", "sent"), "value": value} for number in range(12)]

    def stopped() -> dict[str, str]:
        load(environment)
        return open_gate(environment, graph, {"histories": SPEC}).stopped(["stg_both_items", "events", "stages"])

    graph = ProjectGraph.from_manifest(read_manifest(environment.dbt_manifest))
    for start, value in ((24, {"S": "sent"}), (25, {"N": "7"})):
        lines = [change(keys(one["id"]["S"]), at(start), new=one) for one in items(value)]
        bad = write_window(environment, start, start + 1, *lines)
    reasons = stopped()
    assert set(reasons) == {"stg_both_items", "events", "stages"}
    for reason in reasons.values():
        assert (
            f"histories.both__changes: of the 12 items of export {bad.name} with attribute value, 0 have it" in reason
        )
    lake = Path(environment.exports)
    everything = [item("a", "lost"), item("b", "sent"), *items({"S": "sent"})]
    write_dynamodb_export(lake, "both", export_id("both", at(48)), everything, at(48), prefix="histories")
    # Versions tell of the past too.
    assert set(stopped()) == {"events", "stages"}
