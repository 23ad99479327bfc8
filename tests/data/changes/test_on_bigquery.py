"""The same histories and flights, folded on BigQuery: the raw tables, current items and versions of DuckDB."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.raw.discover import LoadedSource, load_source
from platform_assets.environment import Environment
from tests.data.changes import flights
from tests.data.changes.flights import FEBRUARY, YEAR, Flights, Period
from tests.data.changes.worlds import JOINTS, Histories, assert_left_out, hours, spec_of, write_exports, write_project
from tests.data.dbt_on_bigquery.running import Dbt, Node
from tests.data.engines.in_bigquery import connected
from tests.data.engines.source_in_bigquery import Source
from tests.emulators import namespaces

A_FEW, MANY = 10, 2000
SHARE = 40


@dataclass(frozen=True)
class World:
    """Histories and flights in BigQuery, built by dbt.

    Attributes:
        there, here: table → what is loaded in BigQuery, and in a folder.
    """

    environment: Environment
    histories: Histories
    flights: Flights
    period: Period
    there: Mapping[str, LoadedSource]
    here: Mapping[str, LoadedSource]
    nodes: Mapping[str, Node]

    def rows(self, columns: str, model: str, condition: str = "true") -> list[tuple[Any, ...]]:
        query = f"select {columns} from {namespaces.STAGE}_staging.{model} where {condition}"
        rows = connected(self.environment).client.query_and_wait(query)
        return [tuple(row.values()) for row in rows]


def load_shuffled(source: Source) -> LoadedSource:
    """Loads exports in two goes, as they come; then what there is."""
    exports = [(export, table) for export in source.exports() for table in export.tables]
    random.Random(1).shuffle(exports)
    for some in (exports[::2], exports[1::2]):
        source.tables.load(some)
    return source.load()


@pytest.fixture(scope="module")
def world(
    pytestconfig: pytest.Config,
    prepared: Environment,
    variables: dict[str, str],
    cache: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> World:
    deep = pytestconfig.option.deep
    folder = tmp_path_factory.mktemp("changes")
    histories = Histories.random(MANY if deep else A_FEW)
    write_exports(folder / "histories", histories, ["mixed"], replays=2)
    flown, period = (Flights(cache), YEAR) if deep else (Flights(cache, SHARE), FEBRUARY)
    flights.write_exports(folder / "flights", flown, period)
    sources = {
        "mixed": Source(prepared, spec_of("mixed"), "histories"),
        "flights": Source(prepared, flights.SPEC, "flights"),
    }
    here, there = {}, {}
    for table, source in sources.items():
        lake = folder / source.name
        source.upload(lake)
        here[table] = load_source(source.spec, source.name, lake, FolderTables(folder / "raw"))
        there[table] = load_shuffled(source)
    project = write_project(folder / "project", ["mixed"])
    flights.write_models(project)
    nodes = Dbt(project, folder / "target", variables)("build")
    return World(prepared, histories, flown, period, there, here, nodes)


@pytest.mark.parametrize("table", ["mixed", "flights"])
def test_any_order_of_loading_gives_the_data_version_and_the_chain_of_a_folder(world: World, table: str) -> None:
    there, here = world.there[table].tables[table], world.here[table].tables[table]
    assert there.data_version == here.data_version
    assert (there.chain.end, there.chain.apart) == (here.chain.end, here.chain.apart)


def test_current_items_are_what_the_table_holds(world: World) -> None:
    found = world.rows("history, id, value", "stg_mixed_items")
    assert {(history, key): value for history, key, value in found} == world.histories.state(JOINTS[-1])
    assert len(found) == len(world.histories.state(JOINTS[-1]))


def test_versions_are_what_the_table_held_whenever_a_window_ends(world: World) -> None:
    found = world.rows("history, id, value, valid_from, valid_to", "stg_mixed_versions")
    for hour in JOINTS[1:]:
        before = hour - 1e-7
        held = {
            (history, key): value
            for history, key, value, begin, end in found
            if hours(begin) <= before and (end is None or before < hours(end))
        }
        assert held == world.histories.state(hour)


def test_an_old_image_that_an_item_never_had_is_told_and_no_other(world: World) -> None:
    assert world.nodes["old_images_of_mixed_agree"].status == "warn"
    assert world.rows("contradictions", "stg_mixed_contradictions") == [(1,)]


def test_a_key_that_is_left_out_is_read_from_no_export_by_any_fold(world: World) -> None:
    columns = "history, id, value, valid_from, valid_to"
    items = [(*row, None, None) for row in world.rows("history, id, value", "stg_mixed_items")]
    assert_left_out(world.rows(f"fold, {columns}", "stg_left_out"), items, world.rows(columns, "stg_mixed_versions"))


def test_a_window_a_day_of_real_flights_is_a_full_export_at_each_month_s_end(world: World) -> None:
    assert len(world.there["flights"].tables["flights"].chain.links) == len(world.period.fulls) + len(
        [*world.period.windows()]
    )
    for month in world.period.months:
        assert versions_of_flights(world, month) == world.flights.state(month)
    assert sorted(world.rows("day, flight, dest, status", "stg_flights_items")) == world.flights.state(world.period.end)


def versions_of_flights(world: World, at: datetime) -> list[tuple[Any, ...]]:
    instant = f"timestamp '{at:%F} 00:00:00+00'"
    held = f"valid_from < {instant} and coalesce(valid_to >= {instant}, true)"
    return sorted(world.rows("day, flight, dest, status", "stg_flights_versions", held))


def test_no_old_image_of_real_flights_contradicts_what_was_known(world: World) -> None:
    assert world.rows("contradictions", "stg_flights_contradictions") == []
