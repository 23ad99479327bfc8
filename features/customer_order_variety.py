"""What a customer's orders look like: how many items, how many with several, how many different days and values."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from platform_assets.data.features.group import Feature, FeatureGroup, window_features
from platform_assets.data.features.windows import AsOfRows, Distinct, joined, largest, mean, share, so_far, windows

if TYPE_CHECKING:
    import ibis.expr.types as ir

DAYS = (90, None)


def build(marts: Mapping[str, Any], spine: AsOfRows) -> "ir.Table":
    """Baskets so far, and shares and distinct counts over the windows."""
    orders = marts["orders"].dated("order_day")
    baskets = so_far(
        orders,
        spine,
        {"mean_order_quantity": mean("quantity"), "largest_order_quantity": largest("quantity")},
    )
    recent = windows(
        orders,
        spine,
        DAYS,
        {
            "multi_item_share": share(lambda t: t.quantity > 1),
            "visits": Distinct("order_day"),
            "order_values": Distinct("amount"),
        },
    )
    return joined(spine, recent, baskets)


GROUP = FeatureGroup(
    name="order_variety",
    entity="customer",
    description="What a customer's orders look like",
    marts=("orders",),
    features={
        "mean_order_quantity": Feature("average items in an order", nullable=True),
        "largest_order_quantity": Feature("most items in one order", nullable=True),
        **window_features({"multi_item_share": "share of orders with several items"}, DAYS, maximum=1, nullable=True),
        **window_features({"visits": "different days with an order", "order_values": "different order values"}, DAYS),
    },
    build=build,
    module=__name__,
    monotone=(("visits_90d", "visits_all"), ("order_values_90d", "order_values_all")),
)
