"""What dbt makes of loads: the objects that there are, and those that were deleted, the same on DuckDB and BigQuery."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from platform_assets.data.exports.spec import Expectations
from platform_assets.data.fetching.load import fetch
from platform_assets.data.fetching.spec import SaasSourceSpec
from tests.data.changes.worlds import write_project
from tests.data.dbt_on_bigquery.running import Dbt
from tests.data.engines.source_in_bigquery import Source
from tests.data.fetching.reading import load_raw
from tests.data.fetching.stripe_server import DAY, START, StripeServer
from tests.data.quarantine.broken import data_files, root_of, with_lines
from tests.emulators import namespaces

_MODELS = {
    "stg_customers": """
{{ dynamodb_select(
    relation=fetched_objects('billing', 'customers', left_out=FIRST),
    columns=[
        {'name': 'email', 'path': ['email'], 'tags': ['S'], 'type': 'text'},
        {'name': 'balance', 'path': ['balance'], 'tags': ['N'], 'type': 'integer'},
        {'name': 'created_at', 'path': ['created'], 'tags': ['N'], 'type': 'epoch_seconds'},
    ],
    where='true', keep=['object_id']
) }}
""",
    "stg_deleted": """
select object_id, {{ dynamodb_integer('Item', 'balance') }} as balance, _exported_at, gone_by
from {{ fetched_deletions('billing', 'customers', left_out=FIRST) }} as deletions
""",
}
Rows = list[tuple[Any, ...]]


class World:
    """An account over four loads, of which each changes something that dbt has to know of."""

    def __init__(self, account: StripeServer, spec: SaasSourceSpec, folder: Path) -> None:
        self.folder = folder
        self.ids = [account.create("customers", email=f"{number}@example.com", balance=number) for number in range(6)]
        for number in range(4):
            account.now = START + (number + 1) * DAY
            fetch(spec, folder / "exports")
            if number < 3:
                account.edit("customers", self.ids[5], balance=-number)
                account.delete("customers", self.ids[number])
        self._break_last_load(self.ids[4])
        self.shown = {(name, one["email"], one["balance"]) for name, one in account.state("customers").items()}
        self.shown = {one for one in self.shown if one[0] != self.ids[4]}
        self.project = write_project(folder / "project", ())
        staging = self.project / "models" / "staging"
        # The first customer of all has asked to be forgotten.
        first = f"(select 'S' || '{self.ids[0]}' as item_key)"
        for name, model in _MODELS.items():
            (staging / f"{name}.sql").write_text(model.replace("FIRST", json.dumps(first)))
        declared = (staging / "sources.yml").read_text().replace("histories", "billing")
        sources = json.loads(declared)
        sources["sources"][0]["tables"] = [{"name": "customers", "identifier": "billing__customers"}]
        (staging / "sources.yml").write_text(json.dumps(sources))

    def _break_last_load(self, name: str) -> None:
        """Of two rows of one object nobody knows which is right: it is there, and not shown."""
        loads = (self.folder / "exports").glob("*/AWSDynamoDB/*-customers/manifest-summary.json")
        load = max(loads, key=lambda path: str(json.loads(path.read_text())["exportTime"])).parent
        files = [gzip.decompress((root_of(load) / key).read_bytes()).splitlines() for key in data_files(load)]
        with_lines(load, [[one for line in lines for one in [line] * (1 + (name.encode() in line))] for lines in files])

    def assert_told(self, shown: Rows, deleted: Rows) -> None:
        assert {row[:3] for row in shown} == self.shown
        assert len(shown) == len(self.shown) == 2
        assert {row[3] for row in shown} == {datetime.fromtimestamp(START, UTC)}
        at = [datetime.fromtimestamp(START + (number + 1) * DAY, UTC) for number in range(4)]
        assert sorted(deleted) == [(self.ids[1], 1, at[1], at[2]), (self.ids[2], 2, at[2], at[3])]


@pytest.fixture(scope="module")
def deep(pytestconfig: pytest.Config) -> None:
    if not pytestconfig.option.deep:
        pytest.skip("with --deep")


@pytest.fixture
def spec(spec: SaasSourceSpec) -> SaasSourceSpec:
    return spec.model_copy(update={"expectations": Expectations(quarantine_at_most=0.9)})


@pytest.fixture
def world(account: StripeServer, spec: SaasSourceSpec, tmp_path: Path) -> World:
    return World(account, spec, tmp_path)


def test_on_duckdb_current_objects_and_deletions_are_those_of_the_service(world: World, spec: SaasSourceSpec) -> None:
    load_raw(spec, world.folder)
    database = world.folder / "dbt.duckdb"
    variables = {
        "PLATFORM_ENV": "local",
        "PLATFORM_RAW": str(world.folder / "raw"),
        "PLATFORM_DBT_DATABASE": str(database),
    }
    Dbt(world.project, world.folder / "target", variables)("build")
    with duckdb.connect(str(database), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        world.assert_told(
            connection.execute("select object_id, email, balance, created_at from staging.stg_customers").fetchall(),
            connection.execute("select object_id, balance, _exported_at, gone_by from staging.stg_deleted").fetchall(),
        )


def test_on_bigquery_they_are_the_same(
    deep: None, world: World, spec: SaasSourceSpec, prepared: Any, variables: dict[str, str]
) -> None:
    source = Source(prepared, spec.exports(), "billing")
    source.load(world.folder / "exports")
    Dbt(world.project, world.folder / "target", variables)("build")

    def rows(columns: str, model: str) -> Rows:
        found = source.query(f"select {columns} from {namespaces.STAGE}_staging.{model}")
        return [tuple(row.values()) for row in found]

    world.assert_told(
        rows("object_id, email, balance, created_at", "stg_customers"),
        rows("object_id, balance, _exported_at, gone_by", "stg_deleted"),
    )
