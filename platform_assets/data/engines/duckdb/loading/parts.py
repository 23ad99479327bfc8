"""Aurora's Parquet parts, joined into one: the copy, and the one look at it.

Belongs here: reading parts, what their footers say, and what is counted of all rows at once. Does not belong here: which rows are
wrong (`faults`).
"""
# ruff: noqa: S608 - statements are composed of columns and paths, each quoted by `quoted` or `text`.

import glob
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from platform_assets.data.engines.duckdb.loading.counted import Counted
from platform_assets.data.engines.duckdb.loading.statements import (
    JOINED,
    PROVENANCE,
    copy,
    parquet,
    provenance,
    staged,
    text,
    texts,
)
from platform_assets.data.engines.profiles import Column, Profile, parts_of
from platform_assets.data.exports import verification
from platform_assets.data.exports.empty_tables import quoted, typed_nulls, untyped
from platform_assets.data.exports.export import Export, ExportedTable
from platform_assets.data.exports.lake import Lake
from platform_assets.data.quality.unquoting import reason_of
from platform_assets.environment import Limits

if TYPE_CHECKING:
    import duckdb


def copy_parts(
    engine: "duckdb.DuckDBPyConnection", export: Export, table: ExportedTable, lake: Lake, folder: Path, limits: Limits
) -> int:
    """Joins the parts into one, and returns its rows; a table of no parts gets its columns from the manifest.

    Raises ExportError when a part is absent, unreadable or larger than `limits` allow, or the columns are not the manifest's.
    """
    import duckdb

    verification.check_files(export, table, lake, lake.exists)
    _check_footers(engine, table, lake, limits)
    if not table.files:
        empty = f"select {typed_nulls(export, table, lake)}, {provenance(export)} limit 0"
        try:
            return copy(engine, empty, folder / JOINED)
        except duckdb.Error:
            raise untyped(export, table, lake) from None
    source = parquet([lake.location(file.key) for file in table.files])
    try:
        columns = [row[0] for row in engine.execute(f"describe select * from {source}").fetchall()]
        verification.check_width(export, table, lake, len(columns), limits)
        verification.check_columns(export, table, lake, columns)
        return copy(engine, f"select *, {provenance(export)} from {source}", folder / JOINED)
    except duckdb.Error as error:
        lake.require_readable([file.key for file in table.files], str(error))
        where, reason = _unreadable_part(engine, table, lake) or (
            lake.location(export.folder),
            reason_of(error),
        )
        raise verification.unreadable_part(where, reason) from None


def count_rows(engine: "duckdb.DuckDBPyConnection", table: ExportedTable, folder: Path) -> Counted:
    """What is staged, in one scan."""
    key = [quoted(name) for name in table.key]
    absent = " or ".join(f"{column} is null" for column in key)
    return _counted(engine, folder, f"count(distinct hash({', '.join(key)})), count_if({absent})")


def columns_of(engine: "duckdb.DuckDBPyConnection", folder: Path) -> tuple[int, tuple[Column, ...]]:
    """The rows of a staged table, and its columns."""
    counted = _counted(engine, folder, "0, 0")
    return counted.rows, counted.columns


def as_exported(engine: "duckdb.DuckDBPyConnection", profile: Profile, table: ExportedTable, lake: Lake) -> Profile:
    """With what only the export itself tells: its types and parts."""
    source_types, rows = dict(table.columns), []
    for file in table.files:
        footer = f"select num_rows from parquet_file_metadata({text(glob.escape(lake.location(file.key)))})"
        rows.append(engine.execute(footer).fetchall()[0][0])
    columns = (replace(column, source_type=source_types.get(column.name, "")) for column in profile.columns)
    return replace(profile, columns=tuple(columns), files=parts_of(table.files, rows))


def _counted(engine: "duckdb.DuckDBPyConnection", folder: Path, of_key: str) -> Counted:
    source = staged(folder)
    described = engine.execute(f"select column_name, column_type from (describe select * from {source})").fetchall()
    kinds = {name: kind for name, kind in described if name not in PROVENANCE}
    counts = "".join(f", count({quoted(name)})" for name in kinds)
    rows, keys, absent, *filled = engine.execute(f"select count(*), {of_key}{counts} from {source}").fetchall()[0]
    columns = (Column(name, kind, count) for (name, kind), count in zip(kinds.items(), filled, strict=True))
    return Counted(rows, keys, absent, 0, tuple(columns))


def _check_footers(engine: "duckdb.DuckDBPyConnection", table: ExportedTable, lake: Lake, limits: Limits) -> None:
    """What parts say of themselves is within the limits. A part without a readable footer is told when it is read."""
    import duckdb

    files = {lake.location(file.key): file for file in table.files}
    listed = texts([glob.escape(path) for path in files])
    stated = {
        verification.check_rows_of_file: f"select file_name, num_rows from parquet_file_metadata({listed})",
        verification.check_bytes_of_part: f"select file_name, sum(total_uncompressed_size) from parquet_metadata({listed}) group by 1",
    }
    for check, statement in stated.items():
        try:
            amounts = engine.execute(statement).fetchall() if files else []
        except duckdb.Error as error:
            lake.require_readable([file.key for file in table.files], str(error))
            return
        for name, amount in amounts:
            check(lake, files[name], int(amount), limits)


def _unreadable_part(engine: "duckdb.DuckDBPyConnection", table: ExportedTable, lake: Lake) -> tuple[str, str] | None:
    """The first part that cannot be read, or does not have the first part's columns."""
    import duckdb

    first = None
    for file in table.files:
        location = lake.location(file.key)
        source = parquet([location])
        try:
            columns = engine.execute(f"describe select * from {source}").fetchall()
            engine.execute(f"select count(columns(*)) from {source}").fetchall()
        except duckdb.Error as error:
            return location, reason_of(error)
        first = first or columns
        if columns != first:
            return location, "its columns differ from those of the table's first part"
    return None
