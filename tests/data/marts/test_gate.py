"""An export that differs too much from those before reaches no mart: what is stopped, what goes on, and how it begins again."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from platform_assets.data.catalog.catalog import read_manifest
from platform_assets.data.catalog.pointer import MartRefused
from platform_assets.data.exports.spec import Accepted, ExportSourceSpec
from platform_assets.data.marts.assets import transform_assets
from platform_assets.data.marts.gate import ExportsDiffer, Gate, build
from platform_assets.data.marts.opening import open_gate
from platform_assets.data.raw.discover import load_source
from samples.aurora_export import write_aurora_export
from samples.dynamodb_export import export_id, write_dynamodb_export
from tests.data.marts.conftest import SOURCES, World
from tests.data.marts.raw import MOVIES_EXPORTED_AT, SHOP_EXPORTED_AT, viewer

Load = Callable[[str, str], Any]


def days_later(at: datetime, days: int) -> datetime:
    return at + timedelta(days=days)


@pytest.fixture
def load(world: World, tmp_path: Path) -> Iterator[Load]:
    """Loads an export as the platform does, for this test alone."""
    there = set(world.environment.raw.glob("*/*/*"))
    yield lambda source, table: load_source(SOURCES[source], source, tmp_path, world.transform.raw, [table])
    for path in set(world.environment.raw.glob("*/*/*")) - there:
        shutil.rmtree(path)
    shutil.rmtree(world.environment.comparisons, ignore_errors=True)
    build(world.transform, gate_of(world), world.transform.graph.models)


@pytest.fixture
def orders(load: Load, tmp_path: Path) -> Callable[..., str]:
    """Loads an export of orders, some columns left out; its id."""

    def write(day: int, without: Sequence[str] = ()) -> str:
        rows = {
            "order_id": pa.array([1, 2], pa.int64()),
            "customer_id": pa.array([1, 2], pa.int64()),
            "ordered_at": pa.array([datetime(1998, 1, 5)] * 2, pa.timestamp("us")),
            "quantity": pa.array([1, 1], pa.int32()),
            "amount": pa.array(["1.00", "2.00"]).cast(pa.decimal128(10, 2)),
        }
        kept = pa.table({name: column for name, column in rows.items() if name not in without})
        name = f"orders-{day}"
        write_aurora_export(tmp_path / "shop", name, "shop", {"shop.orders": kept}, days_later(SHOP_EXPORTED_AT, day))
        load("shop", "orders")
        return name

    return write


@pytest.fixture
def viewers(load: Load, tmp_path: Path) -> Callable[..., str]:
    """Loads an export of viewers, some attributes left out; its id."""

    def write(day: int, without: Sequence[str] = ()) -> str:
        at = days_later(MOVIES_EXPORTED_AT, day)
        items: list[dict[str, Any]] = [
            {name: value for name, value in viewer(number).items() if name not in without} for number in range(1, 13)
        ]
        name = export_id("viewers", at)
        write_dynamodb_export(tmp_path, "viewers", name, items, at, prefix="movies")
        load("movies", "viewers")
        return name

    return write


def gate_of(world: World, **changed: ExportSourceSpec) -> Gate:
    return open_gate(world.environment, world.transform.graph, SOURCES | changed)


@pytest.mark.usefixtures("no_dbt")
def test_a_column_that_vanished_stops_the_marts_that_read_its_table_and_no_other(
    world: World, orders: Callable[..., str]
) -> None:
    published = world.transform.marts.read()
    bad = orders(1, without=["quantity"])
    with pytest.raises(ExportsDiffer) as stopped:
        build(world.transform, gate_of(world), ["orders", "films"])
    said = str(stopped.value)
    assert (
        f"orders: shop.orders: column quantity is not in export {bad}; in export 19980701T000000 4 of 4 rows had"
        in said
    )
    assert f'{{export: "{bad}", table: orders, because: …}}' in said
    assert set(stopped.value.outcomes) == {"films"}
    assert world.transform.marts.read() == published
    with pytest.raises(MartRefused, match="column quantity is not in export"):
        world.transform.marts.require("orders")
    world.transform.marts.require("films")


@pytest.mark.usefixtures("no_dbt")
def test_the_dagster_run_fails_with_the_sentence_after_it_materialised_the_others(
    world: World, orders: Callable[..., str]
) -> None:
    orders(1, without=["amount"])
    keys = [dg.AssetKey(["marts", name]) for name in ("orders", "films")]
    result = dg.materialize([transform_assets(world.environment, SOURCES)], selection=keys, raise_on_error=False)
    assert not result.success
    assert [event.asset_key for event in result.get_asset_materialization_events()] == [keys[1]]
    failure = next(event for event in result.all_events if event.is_step_failure).step_failure_data
    assert failure.user_failure_data is not None
    assert "shop.orders: column amount is not in export orders-1" in str(failure.user_failure_data.description)


def test_an_accepted_export_passes_and_so_does_a_mended_one(world: World, orders: Callable[..., str]) -> None:
    bad = orders(1, without=["quantity"])
    assert set(gate_of(world).stopped(["orders", "films"])) == {"orders"}
    accepted = [Accepted(export=bad, table="orders", because="Every order is one article.")]
    shop = SOURCES["shop"].model_copy(update={"accept": accepted})
    assert gate_of(world, shop=shop).stopped(["orders"]) == {}
    orders(2)
    assert gate_of(world).stopped(["orders"]) == {}


def test_a_model_of_every_export_is_stopped_by_one_of_the_past_and_one_of_the_newest_is_not(
    world: World, viewers: Callable[..., str], orders: Callable[..., str]
) -> None:
    viewers(1)
    bad = viewers(2, without=["occupation"])
    viewers(3)
    orders(1, without=["quantity"])
    orders(2)
    stopped = gate_of(world).stopped(["viewers", "films", "orders", "customers"])
    assert set(stopped) == {"viewers"}
    assert f"attribute occupation has a value in 0 of 12 items of export {bad}" in stopped["viewers"]


def test_every_staging_model_that_picks_exports_does_it_by_one_of_two_macros(world: World) -> None:
    nodes = read_manifest(world.environment.dbt_manifest)["nodes"].values()
    macros = {
        node["name"]: {macro.rpartition(".")[2] for macro in node["depends_on"]["macros"]}
        for node in nodes
        if node["resource_type"] == "model" and node["name"].startswith(("stg_shop", "stg_movies"))
    }
    picking = {"is_in_latest_export", "is_in_loaded_export"}
    assert macros
    assert all(len(names & picking) == 1 for names in macros.values()), macros
