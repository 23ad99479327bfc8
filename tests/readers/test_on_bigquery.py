"""Readers of marts in BigQuery: the same rows as on DuckDB, and nothing is written there either."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import ibis
import pyarrow as pa
import pytest

from platform_assets import readers
from platform_assets.data.catalog.pointer import MartRefused, MartStore
from platform_assets.data.engines.duckdb.reading import DuckDBWarehouse
from platform_assets.data.engines.reading import QueryFailed
from platform_assets.environment import Environment, environment_from_variables, local_environment
from platform_assets.readers.selection import Asked, selected
from tests.data.engines.in_bigquery import connected, publish_in_bigquery
from tests.emulators import namespaces
from tests.emulators.servers import Emulators
from tests.readers.worlds import WATERMARK, World

PUBLISHED = ("customers", "films", "orders", "viewers")


@pytest.fixture(scope="module")
def local(published: Path, dbt_project: Path) -> World:
    return World(local_environment(published, dbt_project=dbt_project))


@pytest.fixture(scope="module")
def rows(local: World) -> dict[str, pa.Table]:
    warehouse = DuckDBWarehouse(local.catalog, local.store)
    return {name: as_exported(warehouse.to_arrow(warehouse.table(name))) for name in PUBLISHED}


def as_exported(table: pa.Table) -> pa.Table:
    """With lists as Arrow has them: BigQuery says of their elements that none is null, DuckDB calls them otherwise."""
    fields = [
        field.with_type(pa.list_(field.type.value_type)) if pa.types.is_list(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


@pytest.fixture(scope="module")
def cloud(
    emulators: Emulators | None,
    pytestconfig: pytest.Config,
    tmp_path_factory: pytest.TempPathFactory,
    local: World,
    rows: dict[str, pa.Table],
) -> Iterator[Environment]:
    """The same marts in BigQuery, where event marts refuse a query without a time span."""
    with namespaces.entered(pytestconfig, emulators) as variables, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLATFORM_DATA", str(tmp_path_factory.mktemp("cloud")))
        patch.setenv("PLATFORM_DBT_PROJECT", str(local.environment.dbt_project))
        environment = environment_from_variables()
        assert variables["PLATFORM_ENV"] == environment.name
        publish_in_bigquery(environment, local.catalog, rows, WATERMARK)
        yield environment


@pytest.mark.parametrize(
    ("mart", "asked"),
    [
        ("orders", Asked(since="1998-03-31", columns=["amount", "order_id", "ordered_at"])),
        ("orders", Asked(as_of="1998-04-01")),
        ("viewers", Asked()),
        ("viewers", Asked(as_of="1998-04-02", columns=["viewer_version_id", "zip_code", "age"])),
        ("films", Asked(covers="1998-06-01")),
    ],
    ids=str,
)
def test_rows_and_types_are_those_of_duckdb(mart: str, asked: Asked, cloud: Environment, local: World) -> None:
    warehouse = DuckDBWarehouse(local.catalog, local.store)
    key = local.catalog.mart(mart).key
    expected = warehouse.to_arrow(selected(local.catalog.mart(mart), asked, warehouse, "UTC"))
    expected, ours = as_exported(expected), as_exported(readers.open_marts()[mart].arrow(**vars(asked)))
    assert ours.schema.equals(expected.schema)
    assert ours.sort_by(key).equals(expected.sort_by(key))


def test_tables_join_and_an_expression_over_them_is_run_by_the_readers(cloud: Environment) -> None:
    orders, customers = readers.orders(), readers.customers()
    joined = orders.inner_join(customers, "customer_id").group_by("customer_id").aggregate(n=orders.order_id.count())
    assert readers.arrow(joined.order_by("customer_id"))["n"].to_pylist() == [2, 1]


def test_rows_of_one_s_own_are_refused_for_they_would_become_a_table(cloud: Environment) -> None:
    mine = ibis.memtable(pa.table({"order_id": pa.array([1])}))
    with pytest.raises(QueryFailed, match=r"they would become a table there\. Read the marts' rows first"):
        readers.arrow(readers.orders().inner_join(mine, "order_id"))


def test_reading_makes_and_changes_no_table_and_no_file(cloud: Environment) -> None:
    def state() -> list[tuple[str, object]]:
        client = connected(cloud).client
        tables = [table for dataset in client.list_datasets() for table in client.list_tables(dataset.reference)]
        files = MartStore(cloud.marts)._files
        named = [(name, files.written_at(name)) for name in files.names()]
        return [*((table.full_table_id, client.get_table(table.reference).modified) for table in tables), *named]

    before = state()
    readers.orders.arrow()
    readers.viewers.arrow(as_of="1998-04-02")
    assert state() == before


def test_a_refused_mart_is_refused_and_an_open_table_outlives_the_next_version(
    cloud: Environment, local: World, rows: dict[str, pa.Table]
) -> None:
    before = readers.customers()
    publish_in_bigquery(cloud, replace(local.catalog), {"customers": rows["customers"].slice(0, 1)}, WATERMARK)
    assert readers.customers.arrow().num_rows == 1
    assert readers.arrow(before).num_rows == 2
    MartStore(cloud.marts).refuse(["customers"], "its last build failed dbt test x")
    with pytest.raises(MartRefused, match="mart customers: its last build failed dbt test x"):
        readers.customers()
