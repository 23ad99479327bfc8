"""DuckDB's side of writing mart versions: tables of dbt's database, copied to Parquet and fingerprinted.

Belongs here: the copy, the sums its hash is made of, and the atomic appearance of a version folder. Does not belong here:
when to publish (`marts`), or reading what was published (`reading`). dbt's database admits one process at a time, so it is
opened read-only for the copy and closed at once.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from platform_assets.data.catalog.catalog import Mart
from platform_assets.data.catalog.pointer import PublishedTable
from platform_assets.data.engines.versions import Fingerprint, fingerprint

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

    @contextmanager
    def building(self) -> Iterator[None]:
        """See `Versions.building`. DuckDB itself would refuse a second process instead of letting it wait."""
        self.database.parent.mkdir(parents=True, exist_ok=True)
        with self.database.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def write(self, marts: Iterable[Mart], watermarks: Mapping[str, datetime]) -> list[PublishedTable]:
        """Write a version of each mart without publishing any.

        Rows are sorted by event time (then key). A version that is there already is left as it is.

        Args:
            marts: the marts to copy; each is the table `<schema>.<mart name>`.
            watermarks: mart name → UTC instant before which its exports cover everything.

        Raises:
            ValueError: an event mart has rows without an event time.
        """
        import duckdb

        with self._only_writer(), duckdb.connect(str(self.database), read_only=True) as connection:
            connection.execute("set timezone='UTC'")
            return [
                _write_version(self.marts, connection, mart, f'"{self.schema}"."{mart.name}"', watermarks[mart.name])
                for mart in marts
            ]

    def is_written(self, table: PublishedTable) -> bool:
        """Whether the version is there, whole."""
        return mart_file(self.marts, table).is_file()

    def where(self, table: PublishedTable) -> str:
        """Where a person finds the version."""
        return str(mart_file(self.marts, table))

    def published(self, tables: Iterable[PublishedTable]) -> None:
        """Nothing follows a publication here: readers go by the pointer."""

    @contextmanager
    def _only_writer(self) -> Iterator[None]:
        # The kernel releases the lock when the process ends, however it ends.
        self.marts.mkdir(parents=True, exist_ok=True)
        with (self.marts / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def mart_file(marts: Path, table: PublishedTable) -> Path:
    """The Parquet file of a version below the marts' folder."""
    return Path(marts) / table.location / PART


def _write_version(
    root: Path, connection: "DuckDBPyConnection", mart: Mart, relation: str, watermark: datetime
) -> PublishedTable:
    content = _fingerprint(connection, mart, relation)
    first_event, last_event = _interval(connection, mart, relation)
    table = PublishedTable(
        name=mart.name,
        version=content.version,
        location=f"{mart.name}/{content.version}",
        rows=content.rows,
        watermark=watermark,
        first_event=first_event,
        last_event=last_event,
        days=content.days,
        content_hash=content.content_hash,
    )
    file = mart_file(root, table)
    _remove_abandoned(root / mart.name)
    if not file.is_file():
        _copy(connection, mart, relation, file.parent)
    return table


def _fingerprint(connection: "DuckDBPyConnection", mart: Mart, relation: str) -> Fingerprint:
    described = connection.execute(f"describe {relation}").fetchall()
    columns = [(str(row[0]), str(row[1])) for row in described]
    engine = connection.execute("select version()").fetchone()
    schema = json.dumps([mart.name, columns, engine])
    row_hash = f"hash({', '.join(_quoted(name) for name, _ in columns)})"
    day = "null" if mart.event_time is None else f"cast({_quoted(mart.event_time)} as date)"
    sums = connection.execute(
        f"""
        select {day} as day, count(*), bit_xor({row_hash}), sum({row_hash}::hugeint)
        from {relation} group by day order by day
        """  # noqa: S608
    ).fetchall()
    return fingerprint(mart, schema, sums)


def _interval(connection: "DuckDBPyConnection", mart: Mart, relation: str) -> tuple[datetime | None, datetime | None]:
    if mart.event_time is None:
        return None, None
    time = _quoted(mart.event_time)
    query = f"select epoch_us(min({time})), epoch_us(max({time})) from {relation}"  # noqa: S608
    found = connection.execute(query).fetchone()
    assert found is not None
    first, last = (None if value is None else _instant(value) for value in found)
    return first, last


def _copy(connection: "DuckDBPyConnection", mart: Mart, relation: str, folder: Path) -> None:
    order = ", ".join(_quoted(column) for column in (mart.event_time, mart.key) if column is not None)
    aside = folder.parent / f"{_ASIDE}{uuid4().hex}"
    aside.mkdir(parents=True)
    part = aside / PART
    target = str(part).replace("'", "''")
    rows = f"select * from {relation} order by {order}"  # noqa: S608
    connection.execute(f"copy ({rows}) to '{target}' (format parquet, compression zstd)")
    _flush(part)
    if folder.exists():
        shutil.rmtree(folder)
    os.rename(aside, folder)
    _flush(folder.parent)


def _flush(path: Path) -> None:
    """Make a file's bytes, or a folder's renames, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_abandoned(folder: Path) -> None:
    # The writers' lock is held, so whatever lies aside belongs to a process that is gone.
    for aside in folder.glob(f"{_ASIDE}*"):
        shutil.rmtree(aside)


def _instant(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
