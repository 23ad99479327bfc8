"""How regularly a customer comes back, and whether they are late by their own measure.

Gaps lie between consecutive days (in UTC) with an order: several orders on a day are one visit.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from platform_assets.data.features.group import Feature, FeatureGroup
from platform_assets.data.features.windows import (
    AsOfRows,
    Events,
    days_since_last,
    largest,
    mean,
    ratio,
    so_far,
    spread,
)

if TYPE_CHECKING:
    import ibis.expr.types as ir


def build(marts: Mapping[str, Any], spine: AsOfRows) -> "ir.Table":
    """Each order is given the gap to the person's previous order day, then gaps are aggregated."""
    orders = _with_gaps(marts["orders"])
    known = so_far(
        orders,
        spine,
        {
            "mean_gap_days": mean("gap"),
            "std_gap_days": spread("gap"),
            "longest_gap_days": largest("gap"),
            "last": days_since_last(orders.time),
        },
    )
    return known.mutate(
        recency_in_mean_gaps=ratio(known["last"], known.mean_gap_days),
        relative_gap_spread=ratio(known.std_gap_days, known.mean_gap_days),
    )


def _with_gaps(orders: Events) -> Events:
    import ibis

    by_person = ibis.window(group_by=orders.person, order_by=orders.time)
    return orders.dated("order_day").derive(gap=lambda t: (t.order_day - t.order_day.lag().over(by_person)).nullif(0))


GROUP = FeatureGroup(
    name="order_regularity",
    entity="customer",
    description="How regularly a customer comes back, and whether they are late by their own measure",
    marts=("orders",),
    features={
        "mean_gap_days": Feature("average days between order days", minimum=1, nullable=True),
        "std_gap_days": Feature("how much the days between order days vary", nullable=True),
        "longest_gap_days": Feature("longest pause between order days", minimum=1, nullable=True),
        "recency_in_mean_gaps": Feature(
            "days since the last order, relative to the customer's average pause", nullable=True
        ),
        "relative_gap_spread": Feature("how irregular the pauses are, relative to their average", nullable=True),
    },
    build=build,
    module=__name__,
)
