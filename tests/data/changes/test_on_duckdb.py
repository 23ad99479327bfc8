"""Current items and versions of random histories, folded from full and incremental exports on DuckDB."""

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.exports.chain import chain_of
from platform_assets.data.raw.discover import LoadedSource, load_source
from tests.data.changes.worlds import JOINTS, Histories, assert_left_out, hours, spec_of, write_exports, write_project
from tests.data.dbt_on_bigquery.running import Dbt, Node
from tests.data.exports.test_chain import Some, full, window

A_FEW, MANY = 40, 2000
TABLES = ("both", "new")


@dataclass(frozen=True)
class World:
    histories: Histories
    loaded: LoadedSource
    nodes: dict[str, Node]
    database: Path

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.database), read_only=True) as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(statement).fetchall()


def random_cases(count: int) -> list[list[Some]]:
    """Exports of all kinds, of which a chain is to be picked."""
    chance = random.Random(1)
    cases = []
    for _ in range(count):
        some = [
            full(chance.randrange(8), f"f{number}", chance.choice(["t", "u", None]))
            for number in range(chance.randrange(4))
        ]
        for number in range(chance.randrange(10)):
            start, end = sorted(chance.sample(range(9), 2))
            some.append(window(start, end, f"w{number}", chance.choice(["t", "t", "t", "u"])))
        cases.append(some)
    return cases


CASES = random_cases(150)


@pytest.fixture(scope="module")
def world(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("histories")
    histories = Histories.random(MANY if pytestconfig.option.deep else A_FEW)
    write_exports(folder / "lake", histories, TABLES)
    loaded = load_source(spec_of(*TABLES), "histories", folder / "lake", FolderTables(folder / "raw"))
    plain = [
        [{"id": one.export_id, "at": one.end, "start": one.start, "table": one.table_id} for one in case]
        for case in CASES
    ]
    database = folder / "dbt.duckdb"
    variables = {"PLATFORM_ENV": "local", "PLATFORM_RAW": str(folder / "raw"), "PLATFORM_DBT_DATABASE": str(database)}
    dbt = Dbt(write_project(folder / "project", TABLES, plain), folder / "target", variables)
    return World(histories, loaded, dbt("build"), database)


def test_each_export_that_does_not_tile_is_left_out_by_name(world: World) -> None:
    for table in TABLES:
        assert not world.loaded.faults(table)
        apart = world.loaded.tables[table].chain.apart.values()
        assert sum("once more" in reason for reason in apart) == len(JOINTS) - 1
        assert sum("overlaps with" in reason for reason in apart) == 2
        assert sum("in the midst of" in reason for reason in apart) == 1


@pytest.mark.parametrize("table", TABLES)
def test_current_items_are_what_the_table_holds(world: World, table: str) -> None:
    found = world.rows(f"select history, id, value from staging.stg_{table}_items")
    assert {(history, key): value for history, key, value in found} == world.histories.state(JOINTS[-1])
    assert len(found) == len(world.histories.state(JOINTS[-1]))


@pytest.mark.parametrize("table", TABLES)
def test_versions_are_what_the_table_held_whenever_a_window_ends(world: World, table: str) -> None:
    found = world.rows(f"select history, id, value, valid_from, valid_to from staging.stg_{table}_versions")
    spans = [(history, key, value, hours(begin), end and hours(end)) for history, key, value, begin, end in found]
    for hour in JOINTS[1:]:
        # What is written at an instant is not yet seen at it.
        held = [(history, key, value) for history, key, value, begin, end in spans if _shows(begin, end, hour)]
        assert len(held) == len({one[:2] for one in held})
        assert {(history, key): value for history, key, value in held} == world.histories.state(hour)


def _shows(begin: float, end: float | None, hour: float) -> bool:
    just_before = hour - 1e-7
    return begin <= just_before and (end is None or just_before < end)


def test_nothing_is_known_before_it_was_written(world: World) -> None:
    written = world.histories.written()
    found = world.rows("select history, value, valid_from, _written_at from staging.stg_both_versions")
    for history, value, begin, at in found:
        hour = written[history, value]
        assert hours(begin) >= hour - 1e-8
        assert at is None or abs(hours(at) - hour) < 1e-8


def test_versions_of_an_item_do_not_overlap(world: World) -> None:
    overlapping = """
        select count(*) from (
            select valid_to, lead(valid_from) over (partition by history, id order by valid_from) as following
            from staging.stg_both_versions
        ) where following < coalesce(valid_to, 'infinity')
    """
    assert world.rows(overlapping) == [(0,)]


def test_an_old_image_that_an_item_never_had_is_told_and_no_other(world: World) -> None:
    assert [world.nodes[f"old_images_of_{table}_agree"].status for table in TABLES] == ["warn", "pass"]
    assert world.rows("select contradictions from staging.stg_both_contradictions") == [(1,)]


def test_a_key_that_is_left_out_is_read_from_no_export_by_any_fold(world: World) -> None:
    columns = "history, id, value, valid_from, valid_to"
    versions = world.rows(f"select {columns} from staging.stg_both_versions")
    items = world.rows("select history, id, value, null, null from staging.stg_both_items")
    assert_left_out(world.rows(f"select fold, {columns} from staging.stg_left_out"), items, versions)


def test_dbt_picks_the_links_that_the_platform_picks(world: World) -> None:
    [(said,)] = world.rows("select said from staging.stg_segments")
    for case, segments in zip(CASES, json.loads(said), strict=True):
        expected = [
            [segment.base.export_id, *(link.export_id for link in segment.windows)]
            for segment in chain_of(case).segments
        ]
        assert [[segment["base"], *segment["windows"]] for segment in segments] == expected
