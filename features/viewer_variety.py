"""How widely a viewer watches: genres, films, and how old the films are when rated."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from platform_assets.data.features.group import Feature, FeatureGroup, rising, window_features
from platform_assets.data.features.windows import AsOfRows, Distinct, joined, mean, so_far, spread, windows

if TYPE_CHECKING:
    import ibis.expr.types as ir

DAYS = (28, None)


def build(marts: Mapping[str, Any], spine: AsOfRows) -> "ir.Table":
    """Distinct counts over the windows, and the age of films so far."""
    time = marts["ratings"].time
    ratings = marts["ratings"].derive(
        film_age=lambda t: t[time].year().cast("int64") - t.released,
        genre_count=lambda t: t.genres.length(),
    )
    distinct = windows(ratings, spine, DAYS, {"genres": Distinct("genres"), "films": Distinct("film_id")})
    ages = so_far(
        ratings,
        spine,
        {
            "mean_film_age": mean("film_age"),
            "std_film_age": spread("film_age"),
            "mean_genres_a_film": mean("genre_count"),
        },
    )
    return joined(spine, distinct, ages)


GROUP = FeatureGroup(
    name="variety",
    entity="viewer",
    description="How widely a viewer watches: genres, films, and how old the films are when rated",
    marts=("ratings",),
    features={
        **window_features({"genres": "different genres rated", "films": "different films rated"}, DAYS),
        # A film may be rated in a year before its listed release: previews, and lists that err.
        "mean_film_age": Feature("average years between a film's release and its rating", minimum=None, nullable=True),
        "std_film_age": Feature("how much the age of rated films varies", nullable=True),
        "mean_genres_a_film": Feature("average number of genres of a rated film", nullable=True),
    },
    build=build,
    module=__name__,
    monotone=rising(("genres", "films"), DAYS),
)
