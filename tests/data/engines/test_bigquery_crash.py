"""Killed at any request of a swap, publishing leaves the old marts or the new ones, and a rerun completes it."""

import multiprocessing
import os
import signal
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from platform_assets.data.catalog.pointer import MartStore
from platform_assets.data.engines.bigquery.connection import BigQuery
from platform_assets.data.engines.bigquery.versions import BigQueryVersions
from platform_assets.environment import Environment, environment_from_variables
from tests.data.engines.in_bigquery import build_table, connected, make_datasets
from tests.data.small_catalog import CUSTOMERS, ORDERS, WATERMARKS
from tests.emulators.killing_proxy import NEVER, When, killing_proxy
from tests.tiers import Draw

MARTS = [CUSTOMERS, ORDERS]
FEW = 1
ORDER = pa.schema([("order_id", pa.int64()), ("customer_id", pa.int64()), ("ordered_at", pa.timestamp("us", "UTC"))])


def publish(environment: Environment) -> None:
    """What a build does once its audit passed."""
    versions, store = BigQueryVersions(connected(environment), environment.marts), MartStore(environment.marts)
    tables = versions.write(MARTS, WATERMARKS)
    store.publish(tables)
    versions.published(tables)


def publish_in_child(variables: dict[str, str]) -> None:
    os.environ.update(variables)
    publish(environment_from_variables(variables))


def built(bigquery: BigQuery, number: int) -> None:
    """Both marts with `number` rows each, so that a mixture of two publications shows."""
    build_table(bigquery, CUSTOMERS, pa.table({"customer_id": pa.array(range(number), pa.int64())}))
    days = pa.array([datetime(1998, 1, n + 1, tzinfo=UTC) for n in range(number)], pa.timestamp("us", "UTC"))
    ids = pa.array(range(number), pa.int64())
    build_table(bigquery, ORDERS, pa.table([ids, ids, days], schema=ORDER))


def rows_read(environment: Environment) -> dict[str, int]:
    """Rows of every published mart, counted where the pointer leads."""
    bigquery, found = connected(environment), {}
    for name, table in MartStore(environment.marts).read().items():
        found[name] = bigquery.values(f"select count(*) from `{table.location}`", "test")[0][0]
        assert found[name] == table.rows
    return found


@pytest.mark.slow
@pytest.mark.emulator_only
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_anywhere_in_a_swap_readers_see_the_old_marts_or_the_new(
    when: When, cloud_variables: dict[str, str], cloud_environment: Environment, draw: Draw
) -> None:
    bigquery = connected(cloud_environment)
    make_datasets(bigquery)
    built(bigquery, 1)
    publish(cloud_environment)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.data.engines.test_bigquery_crash", "google.cloud.bigquery"])
    with killing_proxy(cloud_variables["BIGQUERY_EMULATOR_HOST"]) as proxy:
        through_proxy = cloud_variables | {"BIGQUERY_EMULATOR_HOST": proxy.url}

        def swap(rows: int, kill_at: int) -> int | None:
            built(bigquery, rows)
            return proxy.run(processes.Process(target=publish_in_child, args=(through_proxy,)), kill_at, when)

        assert swap(2, NEVER) == 0
        changes = len(proxy.changes)
        assert changes > 5, "a table made, filled and marked for each mart, and a view"
        for rows, kill_at in enumerate(draw(range(1, changes + 1), FEW), start=3):
            old, new = ({"customers": number, "orders": number} for number in (rows - 1, rows))
            assert swap(rows, kill_at) == -signal.SIGKILL
            assert rows_read(cloud_environment) in (old, new), proxy.changes
            publish(cloud_environment)
            assert rows_read(cloud_environment) == new, proxy.changes
    views = {name: bigquery.values(f"select count(*) from `{bigquery.name('marts', name)}`", "x") for name in new}
    assert views == {name: [(rows,)] for name, rows in new.items()}
