"""The small platform on DuckDB and on BigQuery: the same marts, features and audiences; policy tags where declared."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from platform_assets.data.catalog.catalog import read_manifest
from platform_assets.data.catalog.pointer import MartStore
from platform_assets.data.engines.bigquery.connection import BigQuery
from platform_assets.data.engines.bigquery.preparing import prepare
from platform_assets.data.marts.graph import ProjectGraph
from platform_assets.environment import Environment, environment_from_variables
from platform_assets.foundation.storage import files_at
from samples import demo
from samples.exports import copy_exports
from samples.teachers import SCIFI_FILE
from tests.emulators import namespaces
from tests.emulators.servers import Emulators
from tests.parity.comparing import Compared, compare, compared
from tests.support.answered import QUESTIONS, Answered, Ran, ask

pytestmark = pytest.mark.slow

TAG = "projects/p/locations/us/taxonomies/1/policyTags/2"


@dataclass(frozen=True)
class Both:
    """One platform on either engine, after the same runs, and what was found in comparing them.

    Attributes:
        questions: one of the demo's, which the seed decides; with --deep each.
        ran: what was run in the cloud.
    """

    local: Environment
    cloud: Environment
    questions: tuple[demo.Question, ...]
    ran: Ran
    found: dict[str, Compared]


@pytest.fixture(scope="module")
def both(
    answered: Answered,
    emulators: Emulators | None,
    pytestconfig: pytest.Config,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Both]:
    local = answered.environment
    with namespaces.opened(pytestconfig, emulators) as variables, pytest.MonkeyPatch.context() as patch:
        places = {
            "PLATFORM_DATA": str(tmp_path_factory.mktemp("parity") / "cloud"),
            "PLATFORM_DBT_PROJECT": str(local.dbt_project),
            "PLATFORM_CAMPAIGNS_DIR": str(local.campaigns),
            "PLATFORM_POLICY_TAGS": f"personal={TAG}",
        }
        for name, value in variables.items():
            patch.setenv(name, value)
        cloud = environment_from_variables(variables | places)
        assert cloud.cloud is not None
        assert all(made.good for made in prepare(BigQuery(cloud.cloud)))
        copy_exports(Path(local.exports), str(cloud.exports))
        files_at(cloud.teachers).put_file(Path(local.teachers) / SCIFI_FILE, SCIFI_FILE)
        option = pytestconfig.option
        questions = QUESTIONS if option.deep else (QUESTIONS[option.seed % len(QUESTIONS)],)
        with dg.DagsterInstance.ephemeral() as instance:
            ran = ask(cloud, instance, questions)
        dates = sorted({(question.entity, question.as_of) for question in questions})
        audiences = [(question.campaign, question.as_of) for question in questions]
        found = {table.table: table for table in compare(local, cloud, dates, audiences)}
        yield Both(local, cloud, questions, ran, found)


def test_no_row_of_any_mart_feature_table_or_audience_differs(both: Both) -> None:
    assert [table for table in both.found.values() if table.differing] == []
    # Five marts, and of each question four groups and an audience at least.
    assert len(both.found) >= 5 + (4 + 1) * len(both.questions)
    assert all(table.rows for table in both.found.values())


def test_policy_tags_are_on_every_column_so_declared_and_nowhere_else(both: Both) -> None:
    manifest = read_manifest(both.local.dbt_manifest)
    declared = {
        (model.name, column.name)
        for model in ProjectGraph.from_manifest(manifest).models.values()
        for column in model.columns
        if column.policy_tags
    }
    assert declared
    assert both.cloud.cloud is not None
    bigquery = BigQuery(both.cloud.cloud)
    published = {name: table.location for name, table in MartStore(both.cloud.marts).read().items()}
    built = {name: bigquery.name("build", name) for name in published}
    for places in (built, published):
        tagged = {
            (name, field.name): field.policy_tags.names
            for name, place in places.items()
            for field in bigquery.client.get_table(place).schema
            if field.policy_tags and field.policy_tags.names
        }
        assert tagged == dict.fromkeys(declared, (TAG,))


def test_what_is_published_in_bigquery_is_described_partitioned_and_guarded(both: Both) -> None:
    assert both.cloud.cloud is not None
    client = BigQuery(both.cloud.cloud).client
    tables = {name: client.get_table(table.location) for name, table in MartStore(both.cloud.marts).read().items()}
    assert all(field.description for table in tables.values() for field in table.schema)
    assert all(table.description and table.labels["environment"] == "dev" for table in tables.values())
    assert {name for name, table in tables.items() if table.require_partition_filter} == {"orders", "ratings"}
    assert tables["orders"].time_partitioning.field == "ordered_at"
    assert tables["orders"].clustering_fields == ["customer_id"]


def test_the_audience_is_a_table_in_bigquery_with_the_same_rows(both: Both) -> None:
    assert both.cloud.cloud is not None
    bigquery = BigQuery(both.cloud.cloud)
    for question in both.questions:
        table = bigquery.name("audiences", question.campaign)
        rows = bigquery.ask(f"select * from `{table}`", "test").table
        stored = files_at(both.local.audiences).read(f"{question.campaign}/{question.as_of}/audience.parquet")
        assert stored is not None
        local = pq.read_table(pa.BufferReader(stored.content))
        told = compared(question.campaign, local, rows.select(local.column_names), [local.column_names[0]])
        assert told.differing == 0, told


def test_asked_again_the_cloud_finds_everything_and_fits_nothing(both: Both) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        again = ask(both.cloud, instance, both.questions)
    assert demo.fits(again) == 0
    missed = [
        (run, step) for run, found in again.items() for step, metadata in found.metadata.items()
        if metadata.get("cache") == "miss"
    ]  # fmt: skip
    assert missed == []


def test_what_reading_costs_is_in_the_metadata(both: Both) -> None:
    (asked, *_) = both.questions
    scored = both.ran[f"score {asked.entity} {asked.as_of}"]
    read = [metadata for (key, _), metadata in scored.metadata.items() if "features/" in key]
    assert read
    assert all("estimated_bytes_scanned" in metadata for metadata in read)
