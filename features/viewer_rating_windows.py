"""How much a viewer rated lately and ever."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from platform_assets.data.features.group import FeatureGroup, rising, window_features
from platform_assets.data.features.windows import AsOfRows, count, windows

if TYPE_CHECKING:
    import ibis.expr.types as ir

DAYS = (7, 28, 90, None)
LIKED = 4


def build(marts: Mapping[str, Any], spine: AsOfRows) -> "ir.Table":
    """Counts over the windows."""
    return windows(marts["ratings"], spine, DAYS, {"ratings": count(), "liked": count(lambda t: t.rating >= LIKED)})


GROUP = FeatureGroup(
    name="rating_windows",
    entity="viewer",
    description="How much a viewer rated lately and ever",
    marts=("ratings",),
    features=window_features({"ratings": "films rated", "liked": "films rated 4 or better"}, DAYS),
    build=build,
    module=__name__,
    monotone=(
        *rising(("ratings", "liked"), DAYS),
        ("liked_28d", "ratings_28d"),
        ("liked_all", "ratings_all"),
    ),
)
