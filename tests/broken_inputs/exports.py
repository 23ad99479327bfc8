"""Exports that arrive broken, beside the one that is loaded."""

import gzip
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from platform_assets.data.exports.lake import Lake
from samples.dynamodb_export import Item
from samples.movies import PREFIX, UNTIL
from samples.shop import UNTIL as SHOP_UNTIL
from tests.broken_inputs.world import MARK, Broken, World, cut, flip, removed
from tests.data.exports.breaking import data_file, edit_files, edit_json, edit_summary, export_info, part, tables_info
from tests.support.small_exports import small_movies, small_shop, write_movies, write_shop

LATER = timedelta(days=7)
Tables = dict[str, pa.Table]
ORDERS, FILMS = "raw/shop/orders", "raw/movies/films"


@cache
def shop() -> Tables:
    return small_shop()


@cache
def films() -> list[Item]:
    return small_movies()["films"]


def aurora(
    what: str,
    break_it: Callable[[Path], Any],
    *names: str,
    change: Callable[[Tables], Tables] = dict,
    said: str = ORDERS,
) -> Broken:
    """A later export of the shop, its tables changed or its folder broken; `break_it` returns the broken file, if any."""

    def arrive(world: World) -> Path | None:
        folder = write_shop(Path(world.environment.exports), change(shop()), SHOP_UNTIL + LATER)
        broken = break_it(folder)
        return broken if isinstance(broken, Path) else None

    return Broken(what, arrive, lambda world: world.said_by_run(said), names)


def dynamodb(what: str, break_it: Callable[[Path], Any], *names: str) -> Broken:
    """A later export of the films."""

    def arrive(world: World) -> Path | None:
        exports = Path(world.environment.exports)
        before = set((exports / PREFIX / "AWSDynamoDB").iterdir())
        write_movies(exports, {"films": films()}, UNTIL + LATER)
        (folder,) = set((exports / PREFIX / "AWSDynamoDB").iterdir()) - before
        broken = break_it(folder)
        return broken if isinstance(broken, Path) else None

    return Broken(what, arrive, lambda world: world.said_by_run(FILMS), names)


def allowing(share: float, row: Broken) -> Broken:
    """The same, where the source says that so many rows may be broken."""

    def allowed(world: World) -> Path | None:
        path = world.environment.sources / "movies" / "defs.yaml"
        path.write_text(
            f"{path.read_text(encoding='utf-8')}  expectations: {{quarantine_at_most: {share}}}\n", encoding="utf-8"
        )
        return row.break_it(world)

    return replace(row, break_it=allowed)


def line_among(folder: Path, text: str) -> Path:
    """A data file with one more line, its checksum, its count and its end right."""
    path = data_file(folder)
    content = gzip.decompress(path.read_bytes()).decode()
    return lines_of(folder, f"{content}{text}\n", content.count("\n") + 1)


def change_of_the_films(line: str) -> Callable[[Path], Path]:
    """The export as one of changes from its own instant on, of one line."""

    def make(folder: Path) -> Path:
        at = UNTIL + LATER
        window = {"exportFromTime": f"{UNTIL:%Y-%m-%dT%H:%M:%SZ}", "exportToTime": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
        for path in sorted(folder.glob("data/*.gz")):
            path.write_bytes(gzip.compress(b"", mtime=0))
        first = min(folder.glob("data/*.gz"))
        first.write_bytes(gzip.compress(f"{line}\n".encode(), mtime=0))

        def correct(lines: list[dict[str, Any]]) -> None:
            for each in lines:
                name = each["dataFileS3Key"].rsplit("/", 1)[-1]
                each.update(itemCount=int(name == first.name), md5Checksum=Lake(first.parent).md5(name))

        edit_files(folder, correct)
        edit_summary(folder, itemCount=1, exportType="INCREMENTAL_EXPORT", outputView="NEW_IMAGE", **window)
        return first

    return make


def nothing(_: Path) -> None:
    """The tables alone are broken."""


def with_orders(change: Callable[[pa.Table], pa.Table]) -> Callable[[Tables], Tables]:
    return lambda tables: {name: change(table) if name == "shop.orders" else table for name, table in tables.items()}


def other_columns(folder: Path) -> None:
    import pyarrow.parquet as pq

    path = part(folder)
    rows = pq.ParquetFile(path).read()
    pq.write_table(rows.rename_columns([f"{name}_" for name in rows.column_names]), path)


def without_parts(folder: Path) -> None:
    for path in folder.glob("shop/shop.orders/1/*.parquet"):
        path.unlink()


def part_twice(folder: Path) -> None:
    path = part(folder)
    shutil.copyfile(path, path.with_name(path.name.replace("part-00000", "part-00001")))


def lines_of(folder: Path, text: str, count: int = 1) -> Path:
    """A data file with other lines, its checksum, its count and its end right."""
    path = data_file(folder)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    checksum, counts = Lake(path.parent).md5(path.name), list[int]()

    def correct(lines: list[dict[str, Any]]) -> None:
        for line in lines:
            if line["dataFileS3Key"].endswith(path.name):
                line.update(md5Checksum=checksum, itemCount=count)
            counts.append(line["itemCount"])

    edit_files(folder, correct)
    edit_summary(folder, itemCount=sum(counts))
    return path


def of_the_summary(folder: Path, **changes: Any) -> Path:
    edit_summary(folder, **changes)
    return folder / "manifest-summary.json"


def of_the_files(folder: Path, **changes: Any) -> Path:
    edit_files(folder, lambda lines: [line.update(changes) for line in lines])
    return folder


def edited(path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    edit_json(path, change)
    return path


ROWS = (
    aurora("an Aurora part that is cut short", lambda folder: cut(part(folder))),
    aurora("an Aurora part with other columns", other_columns, "customer_id"),
    aurora("an Aurora part that is there twice", part_twice, "part-0000"),
    aurora("an Aurora table without its parts", without_parts, "orders", "shop-19980708"),
    aurora(
        "an Aurora export without its list of tables",
        lambda folder: removed(tables_info(folder)) and None,
        "export_tables_info",
    ),
    aurora(
        "an Aurora export that AWS calls failed",
        lambda folder: edited(export_info(folder), lambda info: info.update(status="FAILED")) and None,
        "FAILED",
    ),
    aurora(
        "an Aurora table with a key twice",
        nothing,
        "order_id",
        "orders",
        change=with_orders(lambda rows: pa.concat_tables([rows, rows.slice(0, 3)])),
    ),
    aurora(
        "an Aurora table without a column it had",
        nothing,
        "amount",
        "orders",
        change=with_orders(lambda rows: rows.drop_columns(["amount"])),
    ),
    aurora("an Aurora part that is lost", lambda folder: removed(part(folder)) and None, "orders", "shop-19980708"),
    aurora(
        "an Aurora export in which a table has another name",
        nothing,
        "shop.orders",
        "shop.purchases",
        change=lambda tables: {name.replace("shop.orders", "shop.purchases"): table for name, table in tables.items()},
    ),
    dynamodb("a DynamoDB file that is cut short", lambda folder: cut(data_file(folder))),
    dynamodb("a DynamoDB file with a byte that was turned over", lambda folder: flip(data_file(folder))),
    dynamodb("a DynamoDB file that is absent", lambda folder: removed(data_file(folder))),
    dynamodb(
        "a DynamoDB file with fewer items than its manifest says",
        lambda folder: of_the_files(folder, itemCount=9999) and None,
        "itemCount",
    ),
    dynamodb(
        "a DynamoDB file with a line that is no item", lambda folder: lines_of(folder, f"{MARK}\n"), ".gz:1 (not JSON)"
    ),
    allowing(
        0.1,
        dynamodb(
            "a DynamoDB file with a line that is no item, where the source allows some",
            lambda folder: line_among(folder, MARK),
            "no_row_is_quarantined",
            "1 rows of",
            "source replay movies films",
        ),
    ),
    allowing(
        0.0001,
        dynamodb(
            "a DynamoDB file with more broken lines than the source allows",
            lambda folder: line_among(folder, f'{{"Item":{{"title":{{"S":"{MARK}"}}}}}}'),
            "quarantine_at_most",
            "0.0001",
            "(key absent, null or of no key type)",
        ),
    ),
    dynamodb(
        "a DynamoDB change without the time of its writing",
        change_of_the_films(f'{{"Metadata":{{}},"Keys":{{"film_id":{{"S":"{MARK}"}}}}}}'),
        ".gz:1 (no time of writing)",
    ),
    dynamodb(
        "a DynamoDB change with the key of another item",
        change_of_the_films(
            f'{{"Metadata":{{"WriteTimestampMicros":{{"N":"1"}}}},"Keys":{{"film_id":{{"S":"1"}}}},"NewImage":{{"film_id":{{"S":"{MARK}"}}}}}}'
        ),
        ".gz:1 (a key that is not that of the new image)",
    ),
    dynamodb(
        "a DynamoDB item without its key",
        lambda folder: lines_of(folder, f'{{"Item":{{"title":{{"S":"{MARK}"}}}}}}\n'),
        "film_id",
        ".gz:1",
    ),
    dynamodb(
        "a DynamoDB file of two items with one key",
        lambda folder: lines_of(folder, f'{{"Item":{{"film_id":{{"S":"{MARK}"}}}}}}\n' * 2, 2),
        "film_id",
        ".gz:2",
    ),
    dynamodb("a DynamoDB export without its list of files", lambda folder: removed(folder / "manifest-files.json")),
    dynamodb(
        "a DynamoDB manifest that is not what its checksum says", lambda folder: flip(folder / "manifest-summary.json")
    ),
    dynamodb(
        "a DynamoDB export of changes without its window",
        lambda folder: of_the_summary(folder, exportType="INCREMENTAL_EXPORT"),
        "exportFromTime",
    ),
    dynamodb(
        "a DynamoDB export of a part of the table",
        lambda folder: of_the_summary(folder, filterSpecification={"filterExpression": "released > :year"}),
        "filterSpecification",
    ),
)
