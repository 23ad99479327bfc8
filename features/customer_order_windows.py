"""How much a customer ordered lately and ever."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from platform_assets.data.features.group import FeatureGroup, rising, window_features
from platform_assets.data.features.windows import AsOfRows, count, total, windows

if TYPE_CHECKING:
    import ibis.expr.types as ir

DAYS = (7, 28, 90, None)


def build(marts: Mapping[str, Any], spine: AsOfRows) -> "ir.Table":
    """Counts and sums over the windows."""
    measures = {"orders": count(), "amount": total("amount"), "quantity": total("quantity")}
    return windows(marts["orders"], spine, DAYS, measures)


GROUP = FeatureGroup(
    name="order_windows",
    entity="customer",
    description="How much a customer ordered lately and ever",
    marts=("orders",),
    features=window_features({"orders": "orders", "amount": "dollars spent", "quantity": "items ordered"}, DAYS),
    build=build,
    module=__name__,
    monotone=rising(("orders", "amount", "quantity"), DAYS),
)
