"""What stands around the rows of built tables: partitions, clusters, labels, descriptions and policy tags."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.data.dbt_on_bigquery.conftest import KEYS, Built, Dbt
from tests.emulators.namespaces import STAGE

if TYPE_CHECKING:
    from google.cloud import bigquery

PERSONAL = {"viewers": {"age", "gender", "occupation", "zip_code"}}
CLUSTERS = {
    "customers": "customer_id",
    "orders": "customer_id",
    "viewers": "viewer_id",
    "films": "film_id",
    "ratings": "viewer_id",
}
DAYS = {"orders": "ordered_at", "ratings": "rated_at"}
SOURCES = {"customers": "shop", "orders": "shop", "viewers": "movies", "films": "movies", "ratings": "movies"}


@pytest.fixture
def tables(built: Built, client: "bigquery.Client") -> dict[str, Any]:
    """Mart → its table, as BigQuery describes it after three builds."""
    return {mart: client.get_table(f"{STAGE}_build.{mart}") for mart in KEYS}


def declared(dbt: Dbt) -> dict[str, Any]:
    """Mart → its node in the manifest."""
    nodes = dbt.artifact("manifest.json")["nodes"]
    return {mart: nodes[f"model.audience_platform.{mart}"] for mart in KEYS}


def test_personal_columns_and_no_others_carry_the_policy_tag(tables: dict[str, Any], on_bigquery: Dbt) -> None:
    for mart, table in tables.items():
        tagged = {field.name: field.policy_tags.names for field in table.schema if field.policy_tags.names}
        tag = on_bigquery.variables["PLATFORM_POLICY_TAG_PERSONAL"]
        assert tagged == dict.fromkeys(PERSONAL.get(mart, ()), (tag,))


def test_the_local_manifest_names_the_class_of_personal_columns(built: Built, on_duckdb: Dbt) -> None:
    for mart, node in declared(on_duckdb).items():
        tagged = {name: column["policy_tags"] for name, column in node["columns"].items() if "policy_tags" in column}
        assert tagged == {name: ["personal"] for name in PERSONAL.get(mart, ())}


def test_event_marts_are_partitioned_by_day_and_all_marts_clustered(tables: dict[str, Any]) -> None:
    days = {
        mart: (table.time_partitioning.field, table.time_partitioning.type_)
        for mart, table in tables.items()
        if table.time_partitioning
    }
    assert days == {mart: (field, "DAY") for mart, field in DAYS.items()}
    assert {mart: table.clustering_fields for mart, table in tables.items()} == {
        mart: [field] for mart, field in CLUSTERS.items()
    }


def test_built_tables_can_be_read_whole(tables: dict[str, Any]) -> None:
    assert not [mart for mart, table in tables.items() if table.require_partition_filter]


def test_the_local_manifest_holds_partitions_and_clusters(built: Built, on_duckdb: Dbt) -> None:
    for mart, node in declared(on_duckdb).items():
        day = {"field": DAYS[mart], "data_type": "timestamp", "granularity": "day"} if mart in DAYS else None
        assert node["config"].get("partition_by") == day
        assert node["config"]["cluster_by"] == CLUSTERS[mart]
        assert node["config"]["meta"]["platform"].get("require_partition_filter", False) == (mart in DAYS)


def test_tables_and_columns_are_described_as_declared(tables: dict[str, Any], on_bigquery: Dbt) -> None:
    for mart, node in declared(on_bigquery).items():
        assert tables[mart].description == node["description"]
        described = {field.name: field.description for field in tables[mart].schema}
        assert described == {name: column["description"] for name, column in node["columns"].items()}


def test_tables_and_jobs_are_labelled_for_the_bill(
    tables: dict[str, Any], built: Built, client: "bigquery.Client"
) -> None:
    for mart, table in tables.items():
        assert table.labels == {"source": SOURCES[mart], "environment": STAGE}
    labels = client.get_job(str(built.nodes[-1]["orders"].job)).labels
    expected = {"app": "audience_platform", "environment": STAGE, "layer": "marts", "node": "orders"}
    assert {name: labels[name] for name in expected} == expected


def test_no_temporary_table_is_left(built: Built, client: "bigquery.Client") -> None:
    assert {table.table_id for table in client.list_tables(f"{STAGE}_build")} == set(KEYS)
