"""What is known of items some of whose rows are broken: nothing older than the broken row, until a later row tells of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.raw.discover import LoadedSource, load_source
from tests.data.changes.worlds import hours
from tests.data.dbt_on_bigquery.running import Dbt, Node
from tests.data.engines.source_in_bigquery import Source
from tests.data.quarantine.states import JOINTS, BrokenHistories, shown_at, write_models
from tests.emulators import namespaces

Rows = Callable[[str, str], list[tuple[Any, ...]]]


class World:
    """Broken histories, loaded and folded."""

    def __init__(self, histories: BrokenHistories, loaded: LoadedSource, nodes: dict[str, Node], rows: Rows) -> None:
        self.histories, self.loaded, self.nodes, self.rows = histories, loaded, nodes, rows

    def check(self) -> None:
        table = self.loaded.tables["both"]
        assert self.loaded.set_aside == ()
        quarantined = [raw.quarantined for raw in (*table.exports, *table.changes) if raw.quarantined]
        assert sum(one.rows for one in quarantined) == self.histories.broken
        assert sum(one.keyless for one in quarantined) == self.histories.keyless
        items = self.rows("history, id, value", "stg_both_items")
        assert {(number, key): value for number, key, value in items} == self.histories.known[JOINTS[-1]]
        assert len(items) == len(self.histories.known[JOINTS[-1]])
        spans = self.rows("history, id, value, valid_from, valid_to", "stg_both_versions")
        versions = [(number, key, value, hours(begin), end and hours(end)) for number, key, value, begin, end in spans]
        for hour in JOINTS[1:]:
            assert shown_at(versions, hour) == self.histories.known[hour]
        # A row whose item is not known before contradicts nothing.
        assert self.nodes["old_images_of_both_agree"].status == "pass"


@pytest.fixture(scope="module")
def on_duckdb(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("broken")
    histories, database = BrokenHistories(40, folder / "lake"), folder / "dbt.duckdb"
    loaded = load_source(histories.spec, "histories", folder / "lake", FolderTables(folder / "raw"))
    variables = {"PLATFORM_ENV": "local", "PLATFORM_RAW": str(folder / "raw"), "PLATFORM_DBT_DATABASE": str(database)}
    nodes = Dbt(write_models(folder / "project"), folder / "target", variables)("build")

    def rows(columns: str, model: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(database), read_only=True) as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(f"select {columns} from staging.{model}").fetchall()

    return World(histories, loaded, nodes, rows)


def test_nothing_older_than_a_broken_row_is_shown_of_its_item(on_duckdb: World) -> None:
    on_duckdb.check()


@pytest.fixture
def deep(pytestconfig: pytest.Config) -> None:
    if not pytestconfig.option.deep:
        pytest.skip("takes minutes: with --deep")


def test_nothing_older_than_a_broken_row_is_shown_of_its_item_in_bigquery(
    deep: None, prepared: Any, variables: dict[str, str], tmp_path: Path
) -> None:
    histories = BrokenHistories(3, tmp_path / "lake")
    source = Source(prepared, histories.spec, "histories")
    loaded = source.load(tmp_path / "lake")
    nodes = Dbt(write_models(tmp_path / "project"), tmp_path / "target", variables)("build")

    def rows(columns: str, model: str) -> list[tuple[Any, ...]]:
        found = source.query(f"select {columns} from {namespaces.STAGE}_staging.{model}")
        return [tuple(row.values()) for row in found]

    World(histories, loaded, nodes, rows).check()
