"""What a viewer watches and what they think well of, by genre.

A film counts for each of its genres. Per genre: its share of all ratings, and the share of all ratings that
are of that genre and 4 or better.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from platform_assets.data.features.group import Feature, FeatureGroup
from platform_assets.data.features.windows import AsOfRows, Measure, Where, share, so_far

if TYPE_CHECKING:
    import ibis.expr.types as ir

# The genres of MovieLens 100K, without its "unknown".
GENRES = (
    "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
LIKED = 4


def column_of(genre: str) -> str:
    """The genre as part of a column's name: `Sci-Fi` → `sci_fi`."""
    return genre.lower().replace("'", "").replace("-", "_")


def _of(genre: str) -> Where:
    return lambda t: t.genres.contains(genre)


def _liked(genre: str) -> Where:
    return lambda t: t.genres.contains(genre) & (t.rating >= LIKED)


def build(marts: Mapping[str, Any], spine: AsOfRows) -> "ir.Table":
    """Two shares of all ratings known, by genre."""
    measures: dict[str, Measure] = {}
    for genre in GENRES:
        name = column_of(genre)
        measures |= {f"{name}_share": share(_of(genre)), f"{name}_liked_share": share(_liked(genre))}
    return so_far(marts["ratings"], spine, measures)


def _features() -> dict[str, Feature]:
    features: dict[str, Feature] = {}
    for genre in GENRES:
        said = f"share of ratings that are of {genre} films"
        features[f"{column_of(genre)}_share"] = Feature(said, 0, 1, nullable=True)
        features[f"{column_of(genre)}_liked_share"] = Feature(f"{said} and 4 or better", 0, 1, nullable=True)
    return features


GROUP = FeatureGroup(
    name="genres",
    entity="viewer",
    description="What a viewer watches and what they think well of, by genre",
    marts=("ratings",),
    features=_features(),
    build=build,
    module=__name__,
    monotone=tuple((f"{name}_liked_share", f"{name}_share") for name in map(column_of, GENRES)),
)
