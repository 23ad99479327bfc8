"""The sample exports cut down to a few people, or to nobody, in AWS's exact layout.

Belongs here: whom to keep, and rows put in on purpose. Does not belong here: the layout, which `samples`
writes.
"""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from platform_assets.environment import Environment
from samples import movies, shop
from samples.aurora_export import write_aurora_export
from samples.datasets import user_cache
from samples.dynamodb_export import Item, export_id, write_dynamodb_export
from samples.teachers import SCIFI_FILE, write_scifi_teacher

EVERY_CUSTOMER = 8
EVERY_VIEWER = 2
NINE_STARS: Item = {
    "viewer_id": {"N": "2"},
    "film_id": {"N": "1682"},
    "rating": {"N": "9"},
    "rated_at": {"N": "880000000"},
}


def small_shop() -> dict[str, pa.Table]:
    """2,946 of the shop's customers and all their orders."""
    return {
        name: rows.filter(pa.array([key % EVERY_CUSTOMER == 0 for key in rows["customer_id"].to_pylist()]))
        for name, rows in shop.shop_tables(user_cache()).items()
    }


def small_movies() -> dict[str, list[Item]]:
    """Half of the viewers and all their ratings; all films."""
    cache = user_cache()
    return {
        "viewers": _kept(movies.viewer_items(cache)),
        "films": list(movies.film_items(cache)),
        "ratings": _kept(movies.rating_items(cache)),
    }


def write_shop(exports: Path, tables: dict[str, pa.Table], at: datetime = shop.UNTIL) -> Path:
    return write_aurora_export(exports / "shop", f"shop-{at:%Y%m%d}", shop.DATABASE, tables, at)


def write_movies(exports: Path, tables: dict[str, list[Item]], at: datetime = movies.UNTIL) -> None:
    for table, items in tables.items():
        write_dynamodb_export(exports, table, export_id(table, at), items, at, prefix=movies.PREFIX)


def write_small_exports(environment: Environment) -> None:
    """Both sources and the teacher file, cut down."""
    write_shop(Path(environment.exports), small_shop())
    write_movies(Path(environment.exports), small_movies())
    teacher = write_scifi_teacher(Path(environment.teachers) / SCIFI_FILE, user_cache())
    header, *rows = teacher.read_text(encoding="utf-8").splitlines()
    kept = [row for row in rows if int(row.split(",")[0]) % EVERY_VIEWER == 0]
    teacher.write_text("\n".join([header, *kept]) + "\n", encoding="utf-8")


def write_empty_exports(environment: Environment) -> None:
    """Both sources and the teacher file with every column and no row."""
    empty = {name: rows.slice(0, 0) for name, rows in shop.shop_tables(user_cache()).items()}
    write_shop(Path(environment.exports), empty)
    write_movies(Path(environment.exports), {table: [] for table in movies.TABLES})
    teachers = Path(environment.teachers)
    teachers.mkdir(parents=True, exist_ok=True)
    (teachers / SCIFI_FILE).write_text("viewer_id,as_of,label\n", encoding="utf-8")


def _kept(items: Iterable[Item]) -> list[Item]:
    return [item for item in items if int(item["viewer_id"]["N"]) % EVERY_VIEWER == 0]
