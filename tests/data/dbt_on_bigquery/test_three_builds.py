"""Three successive exports, each built on top of the one before: what the marts hold, and what was written for it."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.data.dbt_on_bigquery.conftest import KEYS, Built, Dbt, rows_in_bigquery
from tests.data.dbt_on_bigquery.raw_tables import load_export
from tests.data.dbt_on_bigquery.running import Node, replace_in
from tests.data.dbt_on_bigquery.three_exports import SECOND, THIRD, THREE
from tests.data.marts.raw import INEXACT, INEXACT_ARRAYS, TYPED_JSON
from tests.emulators.clients import rows
from tests.emulators.namespaces import STAGE

if TYPE_CHECKING:
    from google.cloud import bigquery

EVENTS = ("orders", "ratings")


def rows_written(client: "bigquery.Client", node: Node) -> tuple[int, int]:
    """How many rows the MERGE statements of a node's job deleted and inserted."""
    statistics = [job.dml_stats for job in client.list_jobs(parent_job=node.job) if job.statement_type == "MERGE"]
    assert statistics, "the job holds no MERGE"
    return sum(each.deleted_row_count for each in statistics), sum(each.inserted_row_count for each in statistics)


def same(left: Any, right: Any) -> bool:
    if isinstance(left, float):
        return left == pytest.approx(right, rel=1e-9, abs=1e-9)
    return left == right


@pytest.mark.parametrize("export", [0, 1, 2])
def test_a_build_runs_every_model_and_test_of_the_project(built: Built, on_bigquery: Dbt, export: int) -> None:
    manifest = on_bigquery.artifact("manifest.json")
    ran = built.nodes[export]
    nodes = manifest["nodes"].values()
    if export in built.tested:
        assert len(ran) == len(nodes) + len(manifest["unit_tests"])
    else:
        assert ran.keys() == {node["name"] for node in nodes if node["resource_type"] == "model"}
    unhappy = {name: node.status for name, node in ran.items() if node.status not in ("success", "pass")}
    # Film 12 is rated before it is exported: shown, and published.
    assert unhappy == ({"ratings_have_a_film": "warn"} if export == 0 else {})


@pytest.mark.parametrize("mart", KEYS)
@pytest.mark.parametrize("export", [0, 1, 2])
def test_marts_equal_those_built_whole_on_duckdb(built: Built, export: int, mart: str) -> None:
    there, here = built.bigquery[export][mart], built.duckdb[export][mart]
    assert there.keys() == here.keys()
    assert there
    for key, row in here.items():
        assert list(there[key]) == list(row)
        assert [name for name in row if not same(there[key][name], row[name])] == [], key


@pytest.mark.parametrize("mart", EVENTS)
@pytest.mark.parametrize(("export", "exports"), [(1, SECOND), (2, THIRD)])
def test_exactly_the_days_that_differ_are_overwritten(
    built: Built, client: "bigquery.Client", export: int, exports: Any, mart: str
) -> None:
    node = built.nodes[export][mart]
    assert node.days == exports.changed[mart]
    assert rows_written(client, node) == (exports.deleted[mart], exports.inserted[mart])


def test_a_build_without_a_new_export_writes_no_event(
    built: Built, client: "bigquery.Client", on_bigquery: Dbt
) -> None:
    again = on_bigquery("run", "--select", *EVENTS)
    for mart in EVENTS:
        assert again[mart].days == []
        assert rows_written(client, again[mart]) == (0, 0)
        assert rows_in_bigquery(client, mart) == built.bigquery[-1][mart]


def test_what_is_loaded_after_a_build_is_left_to_the_next(built: Built, client: "bigquery.Client") -> None:
    counted = f"select count(*) from {STAGE}_staging.stg_exports"
    later = datetime(1998, 5, 1, tzinfo=UTC)
    load_export(client, STAGE, "shop", "orders", [], later)
    try:
        assert rows(client, counted) == [(len(THREE) * len(THIRD.tables),)]
    finally:
        client.query_and_wait(
            f"delete from {STAGE}_raw._exports where exported_at = timestamp '{later:%F} 00:00:00+00'"
        )


def test_the_latest_export_is_read_from_its_partition_alone(built: Built) -> None:
    compiled = built.nodes[-1]["stg_shop__orders"].compiled
    assert "timestamp_trunc(_exported_at, day) = timestamp '1998-04-01 00:00:00+00'" in compiled


def test_an_event_without_a_time_stops_the_build_and_leaves_the_mart(
    built: Built, client: "bigquery.Client", changed_project: Dbt
) -> None:
    events = changed_project.project / "models" / "marts" / "orders.sql"
    replace_in(
        events,
        "customer_id, ordered_at,",
        "customer_id, nullif(ordered_at, timestamp '1998-01-03 12:00:00+00') as ordered_at,",
    )
    failed = changed_project("run", "--select", "orders", fails=True)["orders"]
    assert failed.status == "error"
    assert "ordered_at" in failed.message
    assert rows_in_bigquery(client, "orders") == built.bigquery[-1]["orders"]


def test_a_contract_that_changes_rebuilds_every_day(
    built: Built, client: "bigquery.Client", changed_project: Dbt, on_bigquery: Dbt
) -> None:
    marts = changed_project.project / "models" / "marts"
    replace_in(marts / "orders.sql", "quantity, amount", "quantity, amount, amount * quantity as total")
    column = "      - name: quantity\n"
    replace_in(
        marts / "marts.yml", column, "      - {name: total, data_type: numeric, description: All paid.}\n" + column
    )
    changed_project("run", "--select", "orders")
    assert {key: row["total"] for key, row in rows_in_bigquery(client, "orders").items()} == {
        key: row["amount"] * row["quantity"] for key, row in built.bigquery[-1]["orders"].items()
    }
    on_bigquery("run", "--select", "orders")
    assert rows_in_bigquery(client, "orders") == built.bigquery[-1]["orders"]


def test_typed_json_reads_exactly(built: Built, client: "bigquery.Client") -> None:
    (found,) = client.query_and_wait(f"select * from {STAGE}_staging.stg_probe")
    assert dict(found) == TYPED_JSON | {
        # More than 64 bits hold; BigQuery takes 38 digits here, the emulator 20.
        "large": Decimal("12345678901234567890"),
        "datetime_is_right": True,
        "timestamp_is_right": True,
        "epoch": 888710400,
        "figures": [Decimal("9.5"), Decimal("10.0")],
        "absent_visits": 0,
    }


@pytest.mark.parametrize("column", INEXACT)
def test_a_value_that_its_type_cannot_hold_stops_instead_of_being_rounded(
    built: Built, client: "bigquery.Client", column: str
) -> None:
    from google.api_core.exceptions import BadRequest

    with pytest.raises(BadRequest, match=f"(attribute|column) {column} holds a number that"):
        client.query_and_wait(f"select {column} from {STAGE}_staging.stg_probe_inexact")


@pytest.mark.parametrize("probe", INEXACT_ARRAYS)
def test_an_element_that_its_type_cannot_hold_stops_as_well(
    built: Built, client: "bigquery.Client", probe: str
) -> None:
    from google.api_core.exceptions import BadRequest

    with pytest.raises(BadRequest, match=INEXACT_ARRAYS[probe]):
        client.query_and_wait(f"select * from {STAGE}_staging.{probe}")
