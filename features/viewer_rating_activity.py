"""When a viewer was active: last, first, over how long, on how many days."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from platform_assets.data.features.group import Feature, FeatureGroup
from platform_assets.data.features.windows import (
    AsOfRows,
    Distinct,
    count,
    days_since_first,
    days_since_last,
    ratio,
    so_far,
)

if TYPE_CHECKING:
    import ibis.expr.types as ir


def build(marts: Mapping[str, Any], spine: AsOfRows) -> "ir.Table":
    """Everything over all ratings known."""
    ratings = marts["ratings"].dated("rating_day")
    known = so_far(
        ratings,
        spine,
        {
            "days_since_last_rating": days_since_last(ratings.time),
            "days_since_first_rating": days_since_first(ratings.time),
            "rating_days": Distinct("rating_day"),
            "number": count(),
        },
    )
    return known.mutate(
        rating_span_days=known.days_since_first_rating - known.days_since_last_rating,
        ratings_per_day=ratio(known.number, known.rating_days),
    )


GROUP = FeatureGroup(
    name="rating_activity",
    entity="viewer",
    description="When a viewer was active: last, first, over how long, on how many days",
    marts=("ratings",),
    features={
        "days_since_last_rating": Feature("days since the last rating", nullable=True),
        "days_since_first_rating": Feature("days since the first rating", nullable=True, ageing=True),
        "rating_span_days": Feature("days between the first and the last rating", nullable=True, ageing=True),
        "rating_days": Feature("different days with a rating"),
        "ratings_per_day": Feature("films rated on a day with ratings", minimum=1, nullable=True),
    },
    build=build,
    module=__name__,
)
