"""Recency, frequency and money: when a customer ordered last and first, how often, and what an order is worth."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from platform_assets.data.features.group import Feature, FeatureGroup
from platform_assets.data.features.windows import (
    AsOfRows,
    count,
    days_since_first,
    days_since_last,
    largest,
    mean,
    ratio,
    so_far,
)

if TYPE_CHECKING:
    import ibis.expr.types as ir

DAYS_A_MONTH = 30


def build(marts: Mapping[str, Any], spine: AsOfRows) -> "ir.Table":
    """Everything from one aggregate over all orders known."""
    orders = marts["orders"]
    known = so_far(
        orders,
        spine,
        {
            "days_since_last_order": days_since_last(orders.time),
            "days_since_first_order": days_since_first(orders.time),
            "mean_order_amount": mean("amount"),
            "largest_order_amount": largest("amount"),
            "number": count(),
        },
    )
    return known.mutate(
        ordering_span_days=known.days_since_first_order - known.days_since_last_order,
        orders_per_month=ratio(known.number * DAYS_A_MONTH, known.days_since_first_order),
    )


GROUP = FeatureGroup(
    name="order_value",
    entity="customer",
    description="When a customer ordered last and first, how often, and what an order is worth",
    marts=("orders",),
    features={
        "days_since_last_order": Feature("days since the last order", nullable=True),
        "days_since_first_order": Feature("days since the first order", nullable=True, ageing=True),
        "ordering_span_days": Feature("days between the first and the last order", nullable=True, ageing=True),
        "orders_per_month": Feature("orders per 30 days since the first order", nullable=True),
        "mean_order_amount": Feature("average order value in dollars", nullable=True),
        "largest_order_amount": Feature("largest order in dollars", nullable=True),
    },
    build=build,
    module=__name__,
)
