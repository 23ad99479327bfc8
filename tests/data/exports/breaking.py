"""Small exports of both layouts, and the ways in which tests break them."""

import gzip
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from platform_assets.data.engines.raw_tables import RawTable, RawTables
from platform_assets.data.exports.export import Export
from platform_assets.data.exports.lake import Lake
from platform_assets.data.exports.spec import ExportSourceSpec, ExportTableSpec
from samples.aurora_export import write_aurora_export
from samples.dynamodb_export import Item, export_id, write_dynamodb_export, write_manifest

AT = datetime(2026, 1, 5, tzinfo=UTC)
LATER = datetime(2026, 1, 12, tzinfo=UTC)

SHOP = ExportSourceSpec(
    description="A shop.",
    owner="team:shop",
    format="aurora_snapshot",
    path="shop",
    database="shop",
    tables=[
        ExportTableSpec(name="customers", export_table="shop.customers", key=["customer_id"]),
        ExportTableSpec(name="orders", export_table="shop.orders", key=["order_id"]),
    ],
)
FILMS = ExportSourceSpec(
    description="Films.",
    owner="team:films",
    format="dynamodb",
    path="films",
    tables=[ExportTableSpec(name="films", export_table="Films", key=["film_id"])],
)


def shop_tables(orders: int = 20) -> dict[str, pa.Table]:
    numbers = list(range(1, orders + 1))
    return {
        "shop.customers": pa.table({"customer_id": pa.array([1, 2, 3], pa.int64())}),
        "shop.orders": pa.table(
            {
                "order_id": pa.array(numbers, pa.int64()),
                "customer_id": pa.array([1 + number % 3 for number in numbers], pa.int64()),
                "ordered_at": pa.array([AT.replace(tzinfo=None)] * orders, pa.timestamp("us")),
                "amount": pa.array(["12.30"] * orders).cast(pa.decimal128(10, 2)),
            }
        ),
    }


def write_shop(
    root: Path | str,
    at: datetime = AT,
    tables: Mapping[str, pa.Table] | None = None,
    export_id: str | None = None,
    **options: Any,
) -> Path:
    """A shop export below `root`; its folder."""
    name = export_id or f"snapshot-{at:%Y%m%d}"
    return write_aurora_export(Path(root) / "shop", name, "shop", tables or shop_tables(), at, **options)


def load_one(export: Export, table: str, raw: RawTables) -> RawTable:
    """Loads one table of an export."""
    (loaded,) = raw.load([(export, table)])
    return loaded


def film(number: int) -> dict[str, Any]:
    return {"film_id": {"N": str(number)}, "title": {"S": f"Film {number}"}}


def write_films(root: Path | str, items: Iterable[Item] | None = None, at: datetime = AT, **options: Any) -> Path:
    """A films export below `root`; its folder."""
    rows = [film(number) for number in range(20)] if items is None else items
    return write_dynamodb_export(Path(root), "Films", export_id("Films", at), rows, at, prefix="films", **options)


def edit_json(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def edit_summary(export: Path, **changes: Any) -> None:
    """Changes keys of a DynamoDB summary manifest, keeping its checksum right."""
    path = export / "manifest-summary.json"
    write_manifest(path, json.dumps(json.loads(path.read_text()) | changes))


def edit_files(export: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    """Changes the lines of a DynamoDB files manifest, keeping its checksum right."""
    path = export / "manifest-files.json"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    write_manifest(path, "".join(json.dumps(line) + "\n" for line in lines))


def tables_info(export: Path) -> Path:
    return next(export.glob("export_tables_info_*.json"))


def export_info(export: Path) -> Path:
    return next(export.glob("export_info_*.json"))


def data_file(export: Path) -> Path:
    """The first data file that has rows."""
    return next(path for path in sorted(export.glob("data/*.json.gz")) if gzip.decompress(path.read_bytes()))


def part(export: Path, table: str = "shop.orders") -> Path:
    return min(export.glob(f"shop/{table}/1/*.parquet"))


def truncate(path: Path, size: int | None = None) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 if size is None else size])


def rewrite_data(export: Path, content: bytes) -> Path:
    """Writes the only data file of a DynamoDB export anew, and its checksum into the manifest; the file."""
    (path,) = export.glob("data/*.json.gz")
    path.write_bytes(content)
    checksum = Lake(path.parent).md5(path.name)
    edit_files(export, lambda lines: lines[0].update(md5Checksum=checksum))
    return path
