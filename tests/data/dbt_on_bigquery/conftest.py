"""A project of the tests' own in BigQuery, a dbt that builds there, and three exports built one after the other.

Building takes minutes, so all tests here share what is built and leave it as they found it.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.data.dbt_on_bigquery.raw_tables import load_export, make_raw_tables
from tests.data.dbt_on_bigquery.running import Dbt, Node, copy_of_project
from tests.data.dbt_on_bigquery.three_exports import THREE
from tests.data.marts.raw import write_export
from tests.emulators import namespaces
from tests.emulators.clients import bigquery_client
from tests.emulators.servers import Emulators

if TYPE_CHECKING:
    from google.cloud import bigquery

HERE = Path(__file__).parent
PROBES = ("stg_probe", "stg_probe_inexact", "stg_probe_list", "stg_probe_set")
# The emulator takes any; BigQuery only one that there is.
POLICY_TAG = "projects/any/locations/us/taxonomies/1/policyTags/2"
KEYS = {
    "customers": "customer_id",
    "orders": "order_id",
    "viewers": "viewer_version_id",
    "films": "film_id",
    "ratings": "rating_id",
}
Rows = dict[Any, dict[str, Any]]


@pytest.fixture(scope="package")
def variables(pytestconfig: pytest.Config, emulators: Emulators | None) -> Iterator[dict[str, str]]:
    """Environment variables of a project of this package's own, with a policy tag for personal data."""
    project = pytestconfig.getoption("--google-project")
    tag = POLICY_TAG if emulators else os.environ.get("PLATFORM_POLICY_TAG_PERSONAL")
    if tag is None:
        pytest.fail(f"set PLATFORM_POLICY_TAG_PERSONAL to a policy tag of project {project}: dbt applies it to columns")
    with namespaces.emulated(emulators) if emulators else namespaces.real(project) as found:
        yield {**found, "PLATFORM_POLICY_TAG_PERSONAL": tag}


@pytest.fixture(scope="package")
def client(variables: dict[str, str]) -> "bigquery.Client":
    """Google's client for that project."""
    return bigquery_client(variables)


@pytest.fixture(scope="package")
def on_bigquery(variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """dbt on a copy of the project, building in that project."""
    folder = tmp_path_factory.mktemp("dbt")
    return Dbt(copy_of_project(folder / "project"), folder / "bigquery", variables)


@pytest.fixture(scope="package")
def on_duckdb(on_bigquery: Dbt) -> Dbt:
    """dbt on the same copy, building in DuckDB."""
    folder = on_bigquery.target.parent
    places = {"PLATFORM_RAW": str(folder / "raw"), "PLATFORM_DBT_DATABASE": str(folder / "dbt.duckdb")}
    return Dbt(on_bigquery.project, folder / "duckdb", {"PLATFORM_ENV": "local", **places})


@dataclass(frozen=True)
class Built:
    """The builds of the three exports, in their order.

    Attributes:
        tested: numbers of those whose tests were run too.
        nodes: what came of each node on BigQuery.
        bigquery, duckdb: mart → its rows by key, on either engine.
    """

    tested: tuple[int, ...]
    nodes: list[dict[str, Node]]
    bigquery: list[dict[str, Rows]]
    duckdb: list[dict[str, Rows]]


@pytest.fixture(scope="package")
def built(pytestconfig: pytest.Config, client: "bigquery.Client", on_bigquery: Dbt, on_duckdb: Dbt) -> Built:
    """Each export loaded and built in turn: on BigQuery as dbt does it day by day, on DuckDB whole."""
    for probe in PROBES:
        (on_bigquery.project / "models" / "staging" / f"{probe}.sql").write_text((HERE / f"{probe}.sql").read_text())
    make_raw_tables(client, namespaces.STAGE)
    # Tests take longer than models: those of the second export with --deep alone.
    made = Built((0, 1, 2) if pytestconfig.option.deep else (0, 2), [], [], [])
    for number, exports in enumerate(THREE):
        for (source, table), rows in exports.tables.items():
            load_export(client, namespaces.STAGE, source, table, rows, exports.exported_at)
            write_export(Path(on_duckdb.variables["PLATFORM_RAW"]), source, table, rows, exports.exported_at)
        made.nodes.append(on_bigquery("build" if number in made.tested else "run"))
        on_duckdb("run", "--exclude", *PROBES)
        made.bigquery.append({mart: rows_in_bigquery(client, mart) for mart in KEYS})
        made.duckdb.append({mart: rows_in_duckdb(on_duckdb, mart) for mart in KEYS})
    return made


def rows_in_bigquery(client: "bigquery.Client", mart: str, stage: str = namespaces.STAGE) -> Rows:
    found = [dict(row) for row in client.query_and_wait(f"select * from {stage}_build.{mart}")]
    return _by_key(mart, found)


def rows_in_duckdb(dbt: Dbt, mart: str) -> Rows:
    import duckdb

    with duckdb.connect(dbt.variables["PLATFORM_DBT_DATABASE"], read_only=True) as connection:
        connection.execute("set timezone='UTC'")
        return _by_key(mart, connection.sql(f"select * from marts.{mart}").to_arrow_table().to_pylist())


def _by_key(mart: str, rows: list[dict[str, Any]]) -> Rows:
    found = {row[KEYS[mart]]: row for row in rows}
    assert len(found) == len(rows), f"{mart}: a key stands in more than one row"
    return found


@pytest.fixture
def another_stage(client: "bigquery.Client") -> Iterator[str]:
    """The name of a stage that holds nothing; its datasets are removed afterwards."""
    stage = "platform_tests"
    yield stage
    for layer in ("raw", "staging", "build"):
        client.delete_dataset(f"{stage}_{layer}", delete_contents=True, not_found_ok=True)


@pytest.fixture
def changed_project(on_bigquery: Dbt, tmp_path: Path) -> Dbt:
    """dbt on a copy of the project of this test's own, with the same probes, to change."""
    project, target = shutil.copytree(on_bigquery.project, tmp_path / "project"), tmp_path / "target"
    # So that dbt parses what is changed alone.
    target.mkdir()
    shutil.copyfile(on_bigquery.target / "partial_parse.msgpack", target / "partial_parse.msgpack")
    return Dbt(project, target, on_bigquery.variables)
