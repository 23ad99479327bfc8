"""Raw tables as the exports room writes them, from rows given in tests."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SHOP_EXPORTED_AT = datetime(1998, 7, 1, tzinfo=UTC)
MOVIES_EXPORTED_AT = datetime(1998, 4, 23, tzinfo=UTC)

_STAMP = [("_export_id", pa.string()), ("_exported_at", pa.timestamp("us", tz="UTC"))]
SCHEMAS = {
    ("shop", "customers"): pa.schema([("customer_id", pa.int64()), ("created_at", pa.timestamp("us")), *_STAMP]),
    ("shop", "orders"): pa.schema(
        [
            ("order_id", pa.int64()),
            ("customer_id", pa.int64()),
            ("ordered_at", pa.timestamp("us")),
            ("quantity", pa.int32()),
            ("amount", pa.decimal128(10, 2)),
            *_STAMP,
        ]
    ),
    **{("movies", name): pa.schema([("Item", pa.string()), *_STAMP]) for name in ("viewers", "films", "ratings")},
}


def write_export(
    raw: Path,
    source: str,
    table: str,
    rows: Sequence[Mapping[str, Any]],
    exported_at: datetime,
) -> Path:
    """One export of one table: its Parquet part and its record. DynamoDB rows are items in typed JSON."""
    export_id = f"{exported_at:%Y%m%dT%H%M%S}"
    schema = SCHEMAS[source, table]
    stamp = {"_export_id": export_id, "_exported_at": exported_at}
    if "Item" in schema.names:
        rows = [{"Item": json.dumps(row)} for row in rows]
    folder = raw / source / table / export_id
    folder.mkdir(parents=True)
    part = pa.Table.from_pylist([{**row, **stamp} for row in rows], schema)
    pq.write_table(part, folder / "part-00000.parquet")
    record = {
        "source": source,
        "table": table,
        "export_id": export_id,
        "exported_at": exported_at.isoformat(),
        "format": "dynamodb_full" if source == "movies" else "aurora_snapshot",
        "content_hash": hashlib.sha256(json.dumps(rows, default=str).encode()).hexdigest(),
        "rows": len(rows),
    }
    (folder / "_export.json").write_text(json.dumps(record))
    return folder


def customer(customer_id: int, created_at: datetime) -> dict[str, Any]:
    return {"customer_id": customer_id, "created_at": created_at}


def order(
    order_id: int, customer_id: int, ordered_at: datetime, quantity: int = 1, amount: str = "10.00"
) -> dict[str, Any]:

    # A stamp of the export comes after these when it is written.
    values = (order_id, customer_id, ordered_at, quantity, Decimal(amount))
    return dict(zip(SCHEMAS["shop", "orders"].names, values, strict=False))


def viewer(viewer_id: int, age: int = 30, occupation: str = "artist") -> dict[str, Any]:
    return {
        "viewer_id": {"N": str(viewer_id)},
        "age": {"N": str(age)},
        "gender": {"S": "F"},
        "occupation": {"S": occupation},
        "zip_code": {"S": "01234"},
    }


def film(film_id: int, genres: Sequence[str] = (), released: int | None = 1990) -> dict[str, Any]:
    item: dict[str, Any] = {
        "film_id": {"N": str(film_id)},
        "title": {"S": f"Film {film_id}"},
        "released": {"NULL": True} if released is None else {"N": str(released)},
    }
    return {**item, "genres": {"SS": list(genres)}} if genres else item


def rating(viewer_id: int, film_id: int, rated_at: datetime, stars: int = 4) -> dict[str, Any]:
    return {
        "viewer_id": {"N": str(viewer_id)},
        "film_id": {"N": str(film_id)},
        "rating": {"N": str(stars)},
        "rated_at": {"N": str(int(rated_at.timestamp()))},
    }


def write_small_world(raw: Path, orders: Sequence[Mapping[str, Any]] | None = None) -> None:
    """A few rows in every table; two orders agree in everything but their id, viewers come in two exports."""
    day = datetime(1998, 3, 1)
    some_orders = [
        order(1, 1, datetime(1998, 1, 5, 12)),
        order(2, 1, datetime(1998, 1, 5, 12)),
        order(3, 2, datetime(1998, 3, 9), quantity=2, amount="0.00"),
        order(4, 2, datetime(1998, 6, 30, 23, 59, 59), amount="12345678.99"),
    ]
    write_export(raw, "shop", "customers", [customer(1, day.replace(month=1)), customer(2, day)], SHOP_EXPORTED_AT)
    write_export(raw, "shop", "orders", some_orders if orders is None else orders, SHOP_EXPORTED_AT)
    write_export(raw, "movies", "viewers", [viewer(1), viewer(2)], datetime(1998, 2, 1, tzinfo=UTC))
    write_export(raw, "movies", "viewers", [viewer(1, occupation="writer"), viewer(3)], MOVIES_EXPORTED_AT)
    write_export(raw, "movies", "films", [film(10, ["Sci-Fi", "Action"]), film(11, released=None)], MOVIES_EXPORTED_AT)
    write_export(
        raw,
        "movies",
        "ratings",
        [rating(1, 10, day, 5), rating(1, 11, day, 2), rating(2, 10, datetime(1998, 4, 1), 3)],
        MOVIES_EXPORTED_AT,
    )


def leave_a_load_aside(raw: Path) -> None:
    """What a loader has on disk before an export of `shop.orders` becomes visible: a record, hidden."""
    folder = raw / ".aside" / "shop" / "0"
    folder.mkdir(parents=True)
    record = {
        "source": "shop",
        "table": "orders",
        "export_id": "aside",
        "exported_at": "1999-01-01T00:00:00+00:00",
    }
    (folder / "_export.json").write_text(json.dumps(record))


# What both probes of the macros, on DuckDB and on BigQuery, read alike out of one item of every DynamoDB type.
TYPED_JSON = {
    "text_value": "a.b",
    "exact_text": "12345678901234567890123456789012345678",
    "fraction": Decimal("-0.123456789"),
    "small": 7,
    "yes": True,
    "epoch_is_right": True,
    "iso_is_right": True,
    "naive_is_right": True,
    "words": ["a", "b"],
    "plan": "pro",
    "dotted": "dotted",
    "plan_in_map": "pro",
    "first_visit": 1,
    "second_page": "home",
    "visits": 2,
    "has_nothing": True,
    "nothing_is_null": True,
    "has_absent": False,
    "absent_is_null": False,
    "null_text": None,
    "absent_number": None,
    "absent_words": [],
}


def write_empty_world(raw: Path) -> None:
    """Every table exported once, without a row."""
    for source, table in SCHEMAS:
        write_export(raw, source, table, [], SHOP_EXPORTED_AT if source == "shop" else MOVIES_EXPORTED_AT)


# Columns of the probe whose value does not fit the type that is asked for.
INEXACT = ("tenth", "half", "huge", "long", "beyond", "amount")
# Probe → what it is stopped by.
INEXACT_ARRAYS = {
    "stg_probe_list": "attribute words holds a list with an element that is no text",
    "stg_probe_set": "attribute figures holds a number that 9 decimals cannot hold exactly",
}
