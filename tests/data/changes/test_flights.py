"""A million changes of real flights, in 365 windows, give what full exports give."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.raw.discover import LoadedTable, discover, load_source
from tests.data.changes.flights import SPEC, YEAR, Flights, write_exports, write_models
from tests.data.changes.worlds import write_project
from tests.data.dbt_on_bigquery.running import Dbt

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class World:
    flights: Flights
    lake: Path
    loaded: LoadedTable
    database: Path

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.database), read_only=True) as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(statement, list(values)).fetchall()


@pytest.fixture(scope="module")
def world(pytestconfig: pytest.Config, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    if not pytestconfig.option.deep:
        pytest.skip("takes minutes: with --deep")
    folder = tmp_path_factory.mktemp("flights")
    flights = Flights(cache)
    write_exports(folder / "lake", flights, YEAR)
    loaded = load_source(SPEC, "flights", folder / "lake", FolderTables(folder / "raw")).tables["flights"]
    database = folder / "dbt.duckdb"
    variables = {"PLATFORM_ENV": "local", "PLATFORM_RAW": str(folder / "raw"), "PLATFORM_DBT_DATABASE": str(database)}
    project = write_project(folder / "project", [])
    write_models(project)
    Dbt(project, folder / "target", variables)("build")
    return World(flights, folder / "lake", loaded, database)


def test_a_million_changes_are_what_the_data_holds(world: World) -> None:
    assert world.flights.numbers() == (336_776, 656_584, 8_255)
    assert (len(world.loaded.chain.links), world.loaded.chain.apart, world.loaded.chain.end) == (366, {}, YEAR.end)


@pytest.mark.parametrize("month", YEAR.months, ids=str)
def test_versions_are_a_full_export_at_each_month_s_end(world: World, month: datetime) -> None:
    found = world.rows(
        "select day, flight, dest, status from staging.stg_flights_versions where valid_from < $1 "
        "and coalesce(valid_to >= $1, true) order by all",
        month,
    )
    assert found == world.flights.state(month)


def test_current_items_are_a_full_export_at_the_year_s_end(world: World) -> None:
    found = world.rows("select day, flight, dest, status from staging.stg_flights_items order by all")
    assert found == world.flights.state(YEAR.end)


def test_no_old_image_contradicts_what_was_known(world: World) -> None:
    assert world.rows("select * from staging.stg_flights_contradictions") == []


def test_any_order_of_loading_gives_the_same_data_version(world: World, raw: Path) -> None:
    tables = FolderTables(raw)
    exports = discover(SPEC, "flights", world.lake).complete
    for some in (exports[1::2], exports[::2]):
        tables.load([(export, name) for export in reversed(some) for name in export.tables])
    assert load_source(SPEC, "flights", world.lake, tables).tables["flights"].data_version == world.loaded.data_version
