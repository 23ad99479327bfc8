"""The same histories, folded on BigQuery: the raw tables, current items and versions of DuckDB."""

from collections.abc import Callable
from typing import Any

import pytest

from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.raw.discover import load_source
from tests.data.changes.worlds import JOINTS, Histories, hours, spec_of, write_exports, write_project
from tests.data.dbt_on_bigquery.running import Dbt, Node
from tests.data.engines.source_in_bigquery import Source
from tests.emulators import namespaces

A_FEW, MANY = 10, 2000
MakeSource = Callable[[ExportSourceSpec], Source]


class World:
    """Histories in BigQuery, built by dbt."""

    def __init__(self, source: Source, histories: Histories, nodes: dict[str, Node]) -> None:
        self.source, self.histories, self.nodes = source, histories, nodes

    def rows(self, columns: str, model: str) -> list[tuple[Any, ...]]:
        found = self.source.query(f"select {columns} from {namespaces.STAGE}_staging.{model}")
        return [tuple(row.values()) for row in found]


@pytest.fixture(scope="module")
def world(
    pytestconfig: pytest.Config, prepared: Any, variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> World:
    folder = tmp_path_factory.mktemp("histories")
    histories = Histories.random(MANY if pytestconfig.option.deep else A_FEW)
    lake = folder / "lake"
    write_exports(lake, histories, ["mixed"], replays=2)
    source = Source(prepared, spec_of("mixed"), "histories")
    there = source.load(lake)
    here = load_source(source.spec, "histories", lake, FolderTables(folder / "raw"))
    assert there.tables["mixed"].data_version == here.tables["mixed"].data_version
    assert there.tables["mixed"].chain.apart == here.tables["mixed"].chain.apart
    dbt = Dbt(write_project(folder / "project", ["mixed"]), folder / "target", variables)
    return World(source, histories, dbt("build"))


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


def test_old_images_contradict_nothing_and_keys_are_left_out(world: World) -> None:
    assert world.nodes["old_images_of_mixed_agree"].status == "pass"
    assert all((history, key) != (0, "k1") for history, key in world.rows("history, id", "stg_left_out"))
