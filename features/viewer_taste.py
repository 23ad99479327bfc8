"""How a viewer rates: how high, how evenly, and what share they think well of."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from platform_assets.data.features.group import FeatureGroup, window_features
from platform_assets.data.features.windows import AsOfRows, mean, share, spread, windows

if TYPE_CHECKING:
    import ibis.expr.types as ir

DAYS = (28, None)
DISLIKED, LIKED = 2, 4
LOWEST, HIGHEST = 1, 5


def build(marts: Mapping[str, Any], spine: AsOfRows) -> "ir.Table":
    """Moments and shares of ratings over the windows."""
    return windows(
        marts["ratings"],
        spine,
        DAYS,
        {
            "mean_rating": mean("rating"),
            "std_rating": spread("rating"),
            "liked_share": share(lambda t: t.rating >= LIKED),
            "best_share": share(lambda t: t.rating == HIGHEST),
            "disliked_share": share(lambda t: t.rating <= DISLIKED),
        },
    )


GROUP = FeatureGroup(
    name="taste",
    entity="viewer",
    description="How a viewer rates: how high, how evenly, and what share they think well of",
    marts=("ratings",),
    features={
        **window_features({"mean_rating": "average rating"}, DAYS, minimum=LOWEST, maximum=HIGHEST, nullable=True),
        **window_features({"std_rating": "how much ratings vary"}, DAYS, maximum=HIGHEST - LOWEST, nullable=True),
        **window_features(
            {
                "liked_share": "share of ratings of 4 or better",
                "best_share": "share of ratings of 5",
                "disliked_share": "share of ratings of 2 or worse",
            },
            DAYS,
            maximum=1,
            nullable=True,
        ),
    },
    build=build,
    module=__name__,
    monotone=(("best_share_28d", "liked_share_28d"), ("best_share_all", "liked_share_all")),
)
