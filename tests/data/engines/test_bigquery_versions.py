"""Versions of marts in BigQuery: what is declared is kept, half a version is nobody's, and readers see old or new."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.catalog.pointer import MartStore, PublishedTable
from platform_assets.data.engines.bigquery.connection import BigQuery
from platform_assets.data.engines.bigquery.reading import BigQueryWarehouse
from platform_assets.data.engines.bigquery.versions import BigQueryVersions
from platform_assets.environment import Environment
from tests.data.engines.in_bigquery import TAG, build_table, connected, make_datasets
from tests.data.small_catalog import CATALOG, CUSTOMERS, FIRST, ORDERS, WATERMARK, Order

DESCRIBED = replace(
    ORDERS, description="One row per order.", descriptions={"order_id": "The order."}, require_partition_filter=True
)
MARTS = Catalog(CATALOG.entities, {"customers": CUSTOMERS, "orders": DESCRIBED})
LATER = (*FIRST, (4, 2, "1998-06-30 23:59:59+00"))
Write = Callable[..., PublishedTable]
SINCE_EVER = "ordered_at >= timestamp '1990-01-01 00:00:00+00'"


@pytest.fixture
def bigquery(cloud_environment: Environment) -> BigQuery:
    connection = connected(cloud_environment)
    make_datasets(connection)
    return connection


@pytest.fixture
def versions(bigquery: BigQuery, cloud_environment: Environment) -> BigQueryVersions:
    return BigQueryVersions(bigquery, cloud_environment.marts)


@pytest.fixture
def write(bigquery: BigQuery, versions: BigQueryVersions) -> Write:
    """Builds `orders` with these rows and writes the version of it."""

    def built(orders: tuple[Order, ...] = FIRST) -> PublishedTable:
        schema = pa.schema(
            [("order_id", pa.int64()), ("customer_id", pa.int64()), ("ordered_at", pa.timestamp("us", "UTC"))]
        )
        rows = [
            {"order_id": number, "customer_id": person, "ordered_at": at and datetime.fromisoformat(at)}
            for number, person, at in orders
        ]
        build_table(bigquery, DESCRIBED, pa.Table.from_pylist(rows, schema), tagged=["customer_id"])
        return versions.write([DESCRIBED], {"orders": WATERMARK})[0]

    return built


def test_a_version_keeps_everything_declared(write: Write, bigquery: BigQuery) -> None:
    table = bigquery.client.get_table(write().location)
    tags = {field.name: field.policy_tags.names for field in table.schema if field.policy_tags}
    assert tags == {"customer_id": (TAG,)}
    assert {field.name: field.description for field in table.schema}["order_id"] == "The order."
    assert table.description == "One row per order."
    assert (table.time_partitioning.field, table.time_partitioning.type_) == ("ordered_at", "DAY")
    assert (table.clustering_fields, table.require_partition_filter) == (["customer_id"], True)
    assert table.labels == {"environment": "dev", "source": "orders", "complete": "true"}
    assert table.expires is None


def test_equal_rows_in_any_order_have_one_version(write: Write) -> None:
    assert write() == write(FIRST[::-1])


def test_a_changed_row_changes_its_days_hash_and_no_other(write: Write) -> None:
    before, after = write(), write((FIRST[0], FIRST[1], (3, 1, FIRST[2][2])))
    changed = {day for day in before.days if before.days[day] != after.days[day]}
    assert changed == {"1998-03-09"}
    assert before.version != after.version


def test_a_repeated_row_does_not_cancel_out(write: Write) -> None:
    assert write().content_hash != write((*FIRST, FIRST[0], FIRST[0])).content_hash


def test_rows_without_event_time_are_refused(write: Write) -> None:
    with pytest.raises(ValueError, match="mart orders: 1 rows have no ordered_at"):
        write(((1, 1, None),))


def test_a_version_half_written_is_made_again(write: Write, versions: BigQueryVersions, bigquery: BigQuery) -> None:
    table = write()
    half = bigquery.client.get_table(table.location)
    half.labels = {**half.labels, "complete": None}
    bigquery.client.update_table(half, ["labels"])
    bigquery.run(f"delete from `{table.location}` where order_id = 1 and {SINCE_EVER}", "a crash")
    assert not versions.is_written(table)
    assert write() == table
    assert versions.is_written(table)
    assert bigquery.values(f"select count(*) from `{table.location}` where {SINCE_EVER}", "x") == [(3,)]


def test_the_view_follows_the_pointer_and_repairs_itself(
    write: Write, versions: BigQueryVersions, bigquery: BigQuery
) -> None:
    def shown() -> int:
        view = bigquery.name("marts", "orders")
        return bigquery.values(f"select count(*) from `{view}` where {SINCE_EVER}", "x")[0][0]

    old, new = write(), write(LATER)
    versions.published([old])
    assert shown() == 3
    versions.published([new])
    versions.published([new])
    assert shown() == 4
    bigquery.client.delete_table(bigquery.name("marts", "orders"))
    versions.published([new])
    assert shown() == 4


def test_a_superseded_version_expires_and_a_returning_one_stays(
    write: Write, versions: BigQueryVersions, bigquery: BigQuery
) -> None:
    old, new = write(), write(LATER)
    versions.published([new])
    expires = bigquery.client.get_table(old.location).expires
    assert timedelta(days=29) < expires - datetime.now(UTC) < timedelta(days=31)
    versions.published([old])
    assert bigquery.client.get_table(old.location).expires is None
    assert bigquery.client.get_table(new.location).expires is not None


def test_a_reader_sees_one_consistent_set_whatever_is_published_meanwhile(
    write: Write, bigquery: BigQuery, cloud_environment: Environment
) -> None:
    store = MartStore(cloud_environment.marts)
    store.publish([write()])
    early = BigQueryWarehouse(MARTS, store, bigquery)
    assert early.published("orders").rows == 3
    store.publish([write(LATER)])

    def rows(warehouse: BigQueryWarehouse) -> int:
        orders = warehouse.table("orders")
        return warehouse.value(orders.filter(orders.ordered_at >= "1990-01-01").count())

    late = BigQueryWarehouse(MARTS, store, bigquery)
    assert (rows(early), rows(late)) == (3, 4)
    assert late.cost() == {"estimated_bytes_scanned": 0}, "the emulator estimates nothing"
