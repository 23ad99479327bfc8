"""DuckDB's side of writing mart versions: tables of dbt's database, copied to Parquet and fingerprinted.

Belongs here: the copy, the sums its hash is made of, and the atomic appearance of a version folder. Does not belong here:
when to publish (`marts`), or reading what was published (`reading`). dbt's database admits one process at a time, so it is
opened read-only for the copy and closed at once.

On disk: `<marts>/<mart>/<version>/part-0.parquet` and its checksum beside it. The folder appears by one rename. In a folder that
is there, the part is replaced before its checksum: a kill between the two leaves a part that counts as damaged, which the next
build makes good.
"""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from platform_assets.data.catalog.catalog import Mart
from platform_assets.data.catalog.pointer import PublishedTable
from platform_assets.data.engines.duckdb.checksums import SUMS, damaged, has_sums, write_sums
from platform_assets.data.engines.versions import version_of
from platform_assets.foundation.storage import flush, only_one

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PART = "part-0.parquet"
_ASIDE = ".aside-"


class DuckDBVersions:
    """Versions of marts as Parquet below the marts' folder, copied from dbt's DuckDB file."""

    def __init__(self, marts: Path, database: Path, schema: str = "marts") -> None:
        self.marts = marts
        self.database = database
        self.schema = schema

    def building(self) -> AbstractContextManager[None]:
        """See `Versions.building`. DuckDB itself would refuse a second process instead of letting it wait."""
        return only_one(self.database.with_suffix(".lock"))

    def write(self, marts: Iterable[Mart], watermarks: Mapping[str, datetime]) -> list[PublishedTable]:
        """Write a version of each mart without publishing any.

        Rows are sorted by event time (then key). A version that is there already, whole, is left as it is; one that is damaged or
        has no checksum, as earlier code wrote them, is written anew.

        Args:
            marts: the marts to copy; each is the table `<schema>.<mart name>`.
            watermarks: mart name → UTC instant before which its exports cover everything.

        Raises:
            ValueError: an event mart has rows without an event time.
        """
        import duckdb

        with only_one(self.marts / ".lock"), duckdb.connect(str(self.database), read_only=True) as connection:
            connection.execute("set timezone='UTC'")
            return [
                _write_version(self.marts, connection, mart, f'"{self.schema}"."{mart.name}"', watermarks[mart.name])
                for mart in marts
            ]

    def is_written(self, table: PublishedTable) -> bool:
        """Whether the version is there and is what was written; one without a checksum is taken for whole."""
        return is_whole(mart_file(self.marts, table))

    def where(self, table: PublishedTable) -> str:
        """Where a person finds the version."""
        return str(mart_file(self.marts, table))

    def published(self, tables: Iterable[PublishedTable]) -> None:
        """Nothing follows a publication here: readers go by the pointer."""


def mart_file(marts: Path, table: PublishedTable) -> Path:
    """The Parquet file of a version below the marts' folder."""
    return Path(marts) / table.location / PART


def is_whole(part: Path) -> bool:
    """Whether a version's file is there and is what was written."""
    return part.is_file() and not damaged(part.parent)


def _write_version(
    root: Path, connection: "DuckDBPyConnection", mart: Mart, relation: str, watermark: datetime
) -> PublishedTable:
    table = _version(connection, mart, relation, watermark)
    file = mart_file(root, table)
    # The writers' lock is held, so whatever lies aside belongs to a process that is gone.
    for aside in (root / mart.name).glob(f"{_ASIDE}*"):
        shutil.rmtree(aside)
    if not (is_whole(file) and has_sums(file.parent)):
        _copy(connection, mart, relation, file.parent)
    return table


def _version(connection: "DuckDBPyConnection", mart: Mart, relation: str, watermark: datetime) -> PublishedTable:
    described = connection.execute(f"describe {relation}").fetchall()
    columns = [(str(row[0]), str(row[1])) for row in described]
    engine = connection.execute("select version()").fetchone()
    schema = json.dumps([mart.name, columns, engine])
    row_hash = f"hash({', '.join(_quoted(name) for name, _ in columns)})"
    time = f"{'null' if mart.event_time is None else _quoted(mart.event_time)}::timestamptz"
    sums = connection.execute(
        f"""
        select cast({time} as date) as day, count(*), bit_xor({row_hash}), sum({row_hash}::hugeint),
            epoch_us(min({time})), epoch_us(max({time}))
        from {relation} group by day order by day
        """  # noqa: S608
    ).fetchall()
    instants = [(*row[:4], *map(_instant, row[4:])) for row in sums]
    return version_of(mart, schema, instants, watermark, lambda version: f"{mart.name}/{version}")


def _copy(connection: "DuckDBPyConnection", mart: Mart, relation: str, folder: Path) -> None:
    order = ", ".join(_quoted(column) for column in (mart.event_time, mart.key) if column is not None)
    aside = folder.parent / f"{_ASIDE}{uuid4().hex}"
    aside.mkdir(parents=True)
    part = aside / PART
    target = str(part).replace("'", "''")
    rows = f"select * from {relation} order by {order}"  # noqa: S608
    connection.execute(f"copy ({rows}) to '{target}' (format parquet, compression zstd)")
    for written in (part, write_sums(aside)):
        flush(written)
    if folder.exists():
        # File by file, for readers may hold the version.
        for name in (PART, SUMS):
            os.replace(aside / name, folder / name)
            flush(folder)
        aside.rmdir()
    else:
        os.rename(aside, folder)
    flush(folder.parent)


def _instant(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
