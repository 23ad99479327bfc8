"""Slim CI: building what a change touches in a stage of its own, and reading everything else where it stands."""

from typing import TYPE_CHECKING

from tests.data.dbt_on_bigquery.conftest import Built, Dbt, rows_in_bigquery
from tests.data.dbt_on_bigquery.running import replace_in
from tests.emulators.namespaces import STAGE

if TYPE_CHECKING:
    from google.cloud import bigquery

# As `make slim-ci` runs it.
SLIM_CI = ("build", "--select", "state:modified+", "--defer", "--favor-state", "--state")


def test_two_stages_of_one_project_differ_in_nothing(built: Built, on_bigquery: Dbt) -> None:
    other = on_bigquery.elsewhere(
        "other",
        PLATFORM_STAGE="prod",
        PLATFORM_POLICY_TAG_PERSONAL="projects/other/locations/us/taxonomies/3/policyTags/4",
    )
    said = other.say("ls", "--select", "state:modified", "--state", str(on_bigquery.target))
    assert "No nodes selected" in said


def test_a_change_is_built_with_what_stands_downstream_and_reads_the_rest_where_it_is(
    built: Built, client: "bigquery.Client", on_bigquery: Dbt, changed_project: Dbt, another_stage: str
) -> None:
    # A leftover of an earlier change: an empty view that nobody may read.
    client.create_dataset(f"{another_stage}_staging")
    leftover = f"create view {another_stage}_staging.stg_shop__customers as select 0 as customer_id"
    client.query_and_wait(leftover)

    orders = changed_project.project / "models" / "staging" / "stg_shop__orders.sql"
    replace_in(orders, "cast(quantity as bigint)", "cast(abs(quantity) as bigint)")
    ci = changed_project.elsewhere("ci", PLATFORM_STAGE=another_stage, PLATFORM_RAW_STAGE=STAGE)
    ran = ci(*SLIM_CI, str(on_bigquery.target))

    nodes = ci.artifact("manifest.json")["nodes"].values()
    models = {node["name"] for node in nodes if node["resource_type"] == "model"}
    assert models & ran.keys() == {"stg_shop__orders", "orders"}
    assert {node.status for node in ran.values()} == {"success", "pass"}
    assert "orders_have_a_customer" in ran
    assert f"`{STAGE}_staging`.`stg_shop__customers`" in ran["orders_have_a_customer"].compiled
    assert [table.table_id for table in client.list_tables(f"{another_stage}_build")] == ["orders"]
    assert rows_in_bigquery(client, "orders", another_stage) == built.bigquery[-1]["orders"]
