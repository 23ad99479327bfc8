"""Killed while dbt builds or while it tests, a build publishes nothing, and a rerun equals an undisturbed one."""

import multiprocessing
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from platform_assets.data.catalog.catalog import Catalog, read_manifest
from platform_assets.data.catalog.pointer import MartStore
from platform_assets.data.engines.bigquery.connection import BigQuery
from platform_assets.data.engines.bigquery.preparing import prepare
from platform_assets.data.engines.bigquery.versions import BigQueryVersions
from platform_assets.data.marts.build import Transform, build
from platform_assets.data.marts.graph import ProjectGraph
from platform_assets.data.marts.opening import open_transform
from platform_assets.environment import Environment, environment_from_variables
from tests.data.dbt_on_bigquery.raw_tables import load_export, make_raw_tables
from tests.data.engines.in_bigquery import connected
from tests.emulators.killing_proxy import NEVER, Counted, killing_proxy
from tests.tiers import Draw

MARTS = ["customers", "orders"]
FIRST = datetime(1998, 2, 1, tzinfo=UTC)
SOON = 2.0


def transform_of(environment: Environment) -> Transform:
    """As the platform opens it, but that a killed build is waited for no longer than two seconds."""
    assert environment.cloud is not None
    manifest = read_manifest(environment.dbt_manifest)
    transform = open_transform(environment, ProjectGraph.from_manifest(manifest), Catalog.from_nodes(manifest))
    return replace(transform, versions=BigQueryVersions(BigQuery(environment.cloud), environment.marts, SOON))


def build_in_child(variables: dict[str, str]) -> None:
    """In a group of its own, so that dbt dies with it, as in a pod."""
    os.setsid()
    os.environ.update(variables)
    build(transform_of(environment_from_variables(variables)), MARTS)


def export(bigquery: BigQuery, number: int) -> None:
    """An export of `number` customers with an order each."""
    at = FIRST + timedelta(days=number)
    customers = [{"customer_id": n, "created_at": datetime(1997, 1, 1)} for n in range(number)]
    orders = [
        {"order_id": n, "customer_id": n, "ordered_at": datetime(1998, 1, n + 1), "quantity": 1, "amount": "9.99"}
        for n in range(number)
    ]
    tables: Mapping[str, Sequence[dict]] = {"customers": customers, "orders": orders}
    for table, rows in tables.items():
        load_export(bigquery.client, bigquery.cloud.stage, "shop", table, rows, at)


def makes_version(change: str) -> bool:
    """Whether a change makes a table without dbt, which builds and tests by jobs."""
    return "POST" in change and "/tables" in change


def tests_of(marts: Sequence[str]) -> Counted:
    """Jobs once dbt has begun to describe all of these marts: some are of models still, those after them of tests."""
    described: set[str] = set()

    def counted(change: str) -> bool:
        described.update(mart for mart in marts if f"_build/tables/{mart}?" in change)
        return len(described) == len(marts) and "/jobs" in change

    return counted


def published(environment: Environment) -> dict[str, tuple[str, int]]:
    return {name: (table.content_hash, table.rows) for name, table in MartStore(environment.marts).read().items()}


@pytest.mark.slow
@pytest.mark.emulator_only
def test_killed_in_the_build_or_the_audit_nothing_changes_and_the_rerun_completes(
    cloud_variables: dict[str, str], cloud_environment: Environment, draw: Draw
) -> None:
    places = {
        "PLATFORM_DATA": str(cloud_environment.data),
        "PLATFORM_DBT_PROJECT": str(cloud_environment.dbt_project),
    }
    bigquery = connected(cloud_environment)
    make_raw_tables(bigquery.client, bigquery.cloud.stage)
    assert all(made.good for made in prepare(bigquery))
    export(bigquery, 1)
    processes = multiprocessing.get_context("forkserver")
    with killing_proxy(cloud_variables["BIGQUERY_EMULATOR_HOST"]) as proxy:
        through_proxy = cloud_variables | places | {"BIGQUERY_EMULATOR_HOST": proxy.url}

        def run(kill_at: int, counted: Counted = lambda change: True) -> int | None:
            child = processes.Process(target=build_in_child, args=(through_proxy,))
            return proxy.run(child, kill_at, "after", True, counted)

        assert run(NEVER) == 0
        before_versions = next(at for at, change in enumerate(proxy.changes) if makes_version(change))
        moments = [lambda: run(1), lambda: run(before_versions // 3), lambda: run(4, tests_of(MARTS))]
        for rows, moment in enumerate(draw(range(len(moments)), 1), start=2):
            before = published(cloud_environment)
            export(bigquery, rows)
            assert moments[moment]() == -signal.SIGKILL, proxy.changes
            assert not any(map(makes_version, proxy.changes))
            assert published(cloud_environment) == before
            build(transform_of(cloud_environment), MARTS)
            after = published(cloud_environment)
            assert {name: count for name, (_, count) in after.items()} == {"customers": rows, "orders": rows}
