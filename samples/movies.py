"""MovieLens 100K as three DynamoDB tables: viewers, films and ratings.

Belongs here: how the data set becomes typed items, and the export of them as they stood at a time.
Does not belong here: the DynamoDB layout, and campaigns.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.compute as pc

from samples.datasets import movielens_films, movielens_ratings, movielens_viewers
from samples.dynamodb_export import Item, export_id, write_dynamodb_export

PREFIX = "movies"
UNTIL = datetime(1998, 4, 23, tzinfo=UTC)
TABLES = ("viewers", "films", "ratings")


def rating_items(cache: Path, until: datetime = UNTIL) -> Iterator[Item]:
    """Ratings strictly before `until`: viewer_id, film_id, rating and rated_at (epoch seconds), all N."""
    ratings = movielens_ratings(cache)
    for row in ratings.filter(pc.less(ratings["rated_at"], int(until.timestamp()))).to_pylist():
        yield {name: {"N": str(value)} for name, value in row.items()}


def viewer_items(cache: Path, until: datetime = UNTIL) -> Iterator[Item]:
    """The viewers who had rated before `until`: viewer_id and age N; gender, occupation, zip_code S."""
    ratings = movielens_ratings(cache)
    before = ratings.filter(pc.less(ratings["rated_at"], int(until.timestamp())))
    known = {str(viewer) for viewer in before["viewer_id"].unique().to_pylist()}
    for row in movielens_viewers(cache).to_pylist():
        if row["viewer_id"] in known:
            yield {name: {"N" if name in ("viewer_id", "age") else "S": row[name]} for name in row}


def film_items(cache: Path) -> Iterator[Item]:
    """All films: film_id N, title S, released N (NULL when no year), genres SS (absent when unknown)."""
    for row in movielens_films(cache).to_pylist():
        released = row["released"]
        item: dict[str, dict[str, object]] = {
            "film_id": {"N": row["film_id"]},
            "title": {"S": row["title"]},
            "released": {"N": released} if released.isdigit() else {"NULL": True},
        }
        if genres := [genre for genre in row["genres"].split() if genre != "unknown"]:
            item["genres"] = {"SS": sorted(genres)}
        yield item


def write_movies_exports(exports_root: Path, cache: Path, until: datetime = UNTIL) -> dict[str, Path]:
    """Writes the full exports of `until` below `<exports_root>/movies/`; table name to export folder."""
    folders = {}
    for table in TABLES:
        identity = export_id(table, until)
        folder = Path(exports_root) / PREFIX / "AWSDynamoDB" / identity
        if not folder.exists():
            items = {"viewers": viewer_items, "ratings": rating_items}.get(table)
            rows = items(cache, until) if items else film_items(cache)
            write_dynamodb_export(exports_root, table, identity, rows, until, prefix=PREFIX)
        folders[table] = folder
    return folders
