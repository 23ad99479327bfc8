"""CDNOW as a shop's Aurora database: `shop.customers` and `shop.orders`.

Belongs here: how the purchases become the two tables, and the export of them as they stood at a time.
Does not belong here: the Aurora layout, and campaigns.
"""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from samples.aurora_export import write_aurora_export
from samples.datasets import cdnow

DATABASE = "shop"
UNTIL = datetime(1998, 7, 1, tzinfo=UTC)


def shop_tables(cache: Path, until: datetime = UNTIL) -> dict[str, pa.Table]:
    """The two tables as they stood at `until`: only orders strictly before it, and the customers who placed
    them.

    orders: order_id (minted 1..69,659 in file order, whatever the cut: rows alike in everything else are real
    orders), customer_id, ordered_at, quantity, amount. customers: customer_id, created_at (the first order's
    time).
    """
    purchases = cdnow(cache)
    orders = purchases.add_column(0, "order_id", pa.array(range(1, purchases.num_rows + 1), pa.int64()))
    cut = pa.scalar(until.astimezone(UTC).replace(tzinfo=None), pa.timestamp("us"))
    orders = orders.filter(pc.less(orders["ordered_at"], cut))
    customers = orders.group_by("customer_id").aggregate([("ordered_at", "min")])
    customers = customers.rename_columns(["customer_id", "created_at"]).sort_by("customer_id")
    return {"shop.customers": customers, "shop.orders": orders}


def write_shop_export(exports_root: Path, cache: Path, until: datetime = UNTIL) -> Path:
    """Writes the snapshot of `until` as `<exports_root>/shop/shop-<time>` and returns that folder."""
    export_id = f"shop-{until.astimezone(UTC):%Y%m%dt%H%M%Sz}"
    folder = Path(exports_root) / "shop"
    if (folder / export_id).exists():
        return folder / export_id
    return write_aurora_export(folder, export_id, DATABASE, shop_tables(cache, until), until)
