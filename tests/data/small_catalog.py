"""A catalog of two marts, and rows of one of them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from platform_assets.data.catalog.catalog import Catalog, Entity, Mart
from platform_assets.data.catalog.column import Column

WATERMARK = datetime(1998, 7, 1, tzinfo=UTC)
Order = tuple[int, int, str]


def typed(columns: Mapping[str, str]) -> dict[str, Column]:
    """Columns of these types, without a role."""
    return {name: Column(name, data_type) for name, data_type in columns.items()}


ORDERS = Mart(
    name="orders",
    kind="event",
    entity="customer",
    key="order_id",
    entity_key="customer_id",
    event_time="ordered_at",
    history=None,
    arrival_lag=timedelta(0),
    columns=typed({"order_id": "bigint", "customer_id": "bigint", "ordered_at": "timestamptz"}),
    descriptions={},
    description="",
    sources=(("shop", "orders"),),
)
CUSTOMERS = replace(
    ORDERS,
    name="customers",
    kind="entity",
    key="customer_id",
    event_time=None,
    history="immutable",
    columns=typed({"customer_id": "bigint"}),
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
