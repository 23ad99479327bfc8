"""A small catalog, and DuckDB files as dbt leaves them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from platform_assets.data.catalog.catalog import Catalog, Entity, Mart
from platform_assets.data.catalog.pointer import MartStore

WATERMARK = datetime(1998, 7, 1, tzinfo=UTC)
Order = tuple[int, int, str]

ORDERS = Mart(
    name="orders",
    kind="event",
    entity="customer",
    key="order_id",
    entity_key="customer_id",
    event_time="ordered_at",
    history=None,
    arrival_lag=timedelta(0),
    columns={"order_id": "bigint", "customer_id": "bigint", "ordered_at": "timestamptz"},
    descriptions={},
    description="",
    sources=(("shop", "orders"),),
)
CUSTOMERS = Mart(
    name="customers",
    kind="entity",
    entity="customer",
    key="customer_id",
    entity_key="customer_id",
    event_time=None,
    history="immutable",
    arrival_lag=timedelta(0),
    columns={"customer_id": "bigint"},
    descriptions={},
    description="",
    sources=(("shop", "customers"),),
)
CATALOG = Catalog(
    entities={"customer": Entity("customer", "customers", "customer_id", "UTC", "orders")},
    marts={"customers": CUSTOMERS, "orders": ORDERS},
)
WATERMARKS = {"orders": WATERMARK, "customers": WATERMARK - timedelta(days=1)}
FIRST: tuple[Order, ...] = (
    (1, 1, "1998-01-05 12:00:00+00"),
    (2, 1, "1998-01-05 23:59:59.999999+00"),
    (3, 2, "1998-03-09 00:00:00+00"),
)


@pytest.fixture
def marts(tmp_path: Path) -> MartStore:
    return MartStore(tmp_path / "marts")


@pytest.fixture
def database(tmp_path: Path) -> Callable[..., Path]:
    """Makes a database file with both marts from rows of orders."""

    def make(orders: Sequence[Order] = FIRST, customers: Sequence[int] = (1, 2)) -> Path:
        path = tmp_path / "dbt.duckdb"
        path.unlink(missing_ok=True)
        with duckdb.connect(str(path)) as connection:
            connection.execute("set timezone='UTC'")
            connection.execute("create schema marts")
            connection.execute("create table marts.customers (customer_id bigint)")
            connection.execute(
                "create table marts.orders (order_id bigint, customer_id bigint, ordered_at timestamptz)"
            )
            for customer in customers:
                connection.execute("insert into marts.customers values (?)", [customer])
            for order in orders:
                connection.execute("insert into marts.orders values (?, ?, cast(? as timestamptz))", list(order))
        return path

    return make
