"""Writing mart versions: tables of dbt's DuckDB database, copied to Parquet and fingerprinted.

Belongs here: the copy, the content hashes, and the atomic appearance of a version folder. Does not belong
here: when to publish (`transform`) or reading what was published. dbt's database admits one process at a
time, so it is opened read-only for the copy and closed at once.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from platform_assets.warehouse.catalog import Mart
from platform_assets.warehouse.published import PART, MartStore, PublishedTable, sync_folder

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_ASIDE = ".aside-"
_VERSION_LENGTH = 16


def publish_from(
    store: MartStore,
    database: Path,
    marts: Iterable[Mart],
    watermarks: Mapping[str, datetime],
    schema: str = "marts",
) -> list[PublishedTable]:
    """Copy marts out of dbt's database, then make all of them current in one step. See `write_versions`."""
    tables = write_versions(store, database, marts, watermarks, schema)
    store.publish(tables)
    return tables


def write_versions(
    store: MartStore,
    database: Path,
    marts: Iterable[Mart],
    watermarks: Mapping[str, datetime],
    schema: str = "marts",
) -> list[PublishedTable]:
    """Write a version of each mart below the store's root without publishing any.

    Rows are sorted by event time (then key). A version that is there already is left as it is.

    Args:
        store: where versions go.
        database: dbt's DuckDB file.
        marts: the marts to copy; each is the table `<schema>.<mart name>`.
        watermarks: mart name → UTC instant before which its exports cover everything.
        schema: the tables' schema in the database.

    Raises:
        ValueError: an event mart has rows without an event time.
    """
    import duckdb

    with store.writing(), duckdb.connect(str(database), read_only=True) as connection:
        connection.execute("set timezone='UTC'")
        return [
            _write_version(store.root, connection, mart, f'"{schema}"."{mart.name}"', watermarks[mart.name])
            for mart in marts
        ]


def _write_version(
    root: Path, connection: "DuckDBPyConnection", mart: Mart, relation: str, watermark: datetime
) -> PublishedTable:
    described = connection.execute(f"describe {relation}").fetchall()
    columns = [(str(row[0]), str(row[1])) for row in described]
    days, content_hash, rows = _fingerprint(connection, mart, relation, columns)
    first_event, last_event = _interval(connection, mart, relation)
    version = content_hash[:_VERSION_LENGTH]
    folder = root / mart.name / version
    _remove_abandoned(folder.parent)
    if not (folder / PART).is_file():
        _copy(connection, mart, relation, folder)
    return PublishedTable(
        name=mart.name,
        version=version,
        location=str(folder),
        rows=rows,
        watermark=watermark,
        first_event=first_event,
        last_event=last_event,
        days=days,
        content_hash=content_hash,
    )


def _fingerprint(
    connection: "DuckDBPyConnection", mart: Mart, relation: str, columns: list[tuple[str, str]]
) -> tuple[dict[str, str], str, int]:
    """(UTC day → hash, hash of everything, row count); equal for equal rows in any order."""
    engine = connection.execute("select version()").fetchone()
    schema = json.dumps([mart.name, columns, engine])
    row_hash = f"hash({', '.join(_quoted(name) for name, _ in columns)})"
    # xor alone would not see a pair of duplicates, a sum alone is weaker against chance: the two together
    # are neither.
    day = "null" if mart.event_time is None else f"cast({_quoted(mart.event_time)} as date)"
    found = connection.execute(
        f"""
        select {day} as day, count(*), bit_xor({row_hash}), sum({row_hash}::hugeint)
        from {relation} group by day order by day
        """  # noqa: S608
    ).fetchall()
    if mart.event_time is None:
        total = found[0][1:] if found else (0,)
        return {}, _digest(schema, *total), total[0]
    undated = sum(row[1] for row in found if row[0] is None)
    if undated:
        raise ValueError(
            f"mart {mart.name}: {undated} rows have no {mart.event_time}; "
            f"add a not_null test to that column and mend the staging model"
        )
    days = {row[0].isoformat(): _digest(schema, *row[1:]) for row in found}
    return days, _digest(schema, *sorted(days.items())), sum(row[1] for row in found)


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
    with part.open("rb") as written:
        os.fsync(written.fileno())
    if folder.exists():
        shutil.rmtree(folder)
    os.rename(aside, folder)
    sync_folder(folder.parent)


def _remove_abandoned(folder: Path) -> None:
    # The writers' lock is held, so whatever lies aside belongs to a process that is gone.
    for aside in folder.glob(f"{_ASIDE}*"):
        shutil.rmtree(aside)


def _digest(schema: str, *parts: object) -> str:
    return hashlib.sha256(json.dumps([schema, [str(part) for part in parts]]).encode()).hexdigest()


def _instant(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
