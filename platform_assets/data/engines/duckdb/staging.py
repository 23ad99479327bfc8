"""One table of one export, verified by DuckDB and written aside as raw Parquet; nothing here publishes.

Belongs here: DuckDB's statements that decode an export and count what is wrong with it. Does not belong here: manifests,
what must hold (`verification`), and when a raw table becomes visible (`raw_tables`).

Rows never pass through Python: DuckDB decodes and streams to Parquet, Python reads bytes for checksums alone.
"""
# ruff: noqa: S608 - statements are composed of columns and paths, each quoted by `quoted` or `_text`.

import glob
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from platform_assets.data.exports import verification
from platform_assets.data.exports.dynamodb import typed_key
from platform_assets.data.exports.empty_tables import quoted, typed_nulls, untyped
from platform_assets.data.exports.export import DataFile, Export, ExportedTable, ExportError
from platform_assets.data.exports.lake import Lake
from platform_assets.data.quality.unquoting import reason_of

if TYPE_CHECKING:
    import duckdb

_JOINED = "part-00000.parquet"
# The item's text as AWS wrote it: `json -> 'Item'` rewrites escapes and rounds bare numbers.
# The pattern, three times slower, is for lines with spaces. What is no item is not valid JSON after this.
_ITEM = r"""case
    when starts_with(json, '{"Item":{') and ends_with(json, '}}') then json[9:-2]
    else regexp_extract(json, '(?s)^\s*\{\s*"Item"\s*:\s*(\{.*\})\s*\}\s*$', 1)
end"""


def stage(export: Export, table: ExportedTable, lake: Lake, folder: Path) -> int:
    """Verifies everything declared of the table and writes `part-NNNNN.parquet` into the empty `folder`.

    Returns the number of rows. Raises ExportError when a data file is absent, truncated, changed or unreadable, when a
    count or the columns differ from the manifest's, or when two rows share the declared key.
    """
    import duckdb

    verification.check_files(export, table, lake, lake.exists)
    spill = folder / "spill"
    with duckdb.connect() as engine:
        engine.execute("set timezone = 'UTC'")
        engine.execute(f"set temp_directory = {_text(str(spill))}")
        lake.attach(engine)
        if export.format == "dynamodb_full":
            rows = _stage_items(engine, export, table, lake, folder)
        else:
            rows = _stage_parts(engine, export, table, lake, folder)
        verification.check_rows(export, table, lake, rows)
        _check_key(engine, export, table, lake, folder)
    if spill.exists():
        shutil.rmtree(spill)
    return rows


def _stage_items(
    engine: "duckdb.DuckDBPyConnection", export: Export, table: ExportedTable, lake: Lake, folder: Path
) -> int:
    """DynamoDB JSON: a part for each data file, as a gzipped file is decoded by one thread anyway."""
    import duckdb

    def one(number: int, file: DataFile) -> int:
        location = lake.location(file.key)
        if file.md5 is not None:
            verification.check_md5(lake, file, lake.md5(file.key))
        source = f"read_ndjson_objects({_text(glob.escape(location))}, compression = 'gzip')"
        rows = f'select {_ITEM} as "Item", {_provenance(export)} from {source}'
        target = folder / f"part-{number:05d}.parquet"
        with engine.cursor() as cursor:
            try:
                count = _copy(cursor, rows, target)
                unread = cursor.execute(
                    f'select count(*) from read_parquet({_text(glob.escape(str(target)))}) where not json_valid("Item")'
                ).fetchall()[0][0]
            except duckdb.Error as error:
                raise verification.unreadable_items(location, reason_of(error)) from None
        verification.check_items(location, unread, count)
        if file.rows is not None and count != file.rows:
            raise ExportError(
                f"{location}: key 'itemCount' of its manifest line is {file.rows}, but the file holds {count} items. "
                "Copy the export again."
            )
        return count

    if not table.files:
        return _copy(engine, f"select ''::varchar as \"Item\", {_provenance(export)} limit 0", folder / _JOINED)
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        return sum(pool.map(one, range(len(table.files)), table.files))


def _stage_parts(
    engine: "duckdb.DuckDBPyConnection", export: Export, table: ExportedTable, lake: Lake, folder: Path
) -> int:
    """Aurora's Parquet parts, joined into one; a table of no parts gets its columns from the manifest."""
    import duckdb

    if not table.files:
        empty = f"select {typed_nulls(export, table, lake)}, {_provenance(export)} limit 0"
        try:
            return _copy(engine, empty, folder / _JOINED)
        except duckdb.Error:
            raise untyped(export, table, lake) from None
    source = _parquet([lake.location(file.key) for file in table.files])
    try:
        columns = [row[0] for row in engine.execute(f"describe select * from {source}").fetchall()]
        verification.check_columns(export, table, lake, columns)
        return _copy(engine, f"select *, {_provenance(export)} from {source}", folder / _JOINED)
    except duckdb.Error as error:
        where, reason = _unreadable_part(engine, table, lake) or (
            lake.location(export.folder),
            reason_of(error),
        )
        raise verification.unreadable_part(where, reason) from None


def _check_key(
    engine: "duckdb.DuckDBPyConnection", export: Export, table: ExportedTable, lake: Lake, folder: Path
) -> None:
    """Every row has the whole key, and no other row has the same."""
    parts = [str(path) for path in sorted(folder.glob("part-*.parquet"))]
    staged = _parquet(parts)
    if export.format == "aurora_snapshot":
        key = [quoted(name) for name in table.key]
    else:
        key = [typed_key(name, lambda path: f'json_extract_string("Item", {_text(path)})') for name in table.key]
    aliased = ", ".join(f"{column} as key_{number}" for number, column in enumerate(key))
    missing = " or ".join(f"{column} is null" for column in key)
    absent = engine.execute(f"select count(*) from {staged} where {missing}").fetchall()[0][0]
    verification.check_key(export, table, lake, absent)
    doubled = f"select {aliased} from {staged} group by all having count(*) > 1"
    count = engine.execute(f"select count(*) from ({doubled})").fetchall()[0][0]
    if not count:
        return
    locations = [lake.location(file.key) for file in table.files]
    # DynamoDB files have a part each; Aurora's are joined into one, and are Parquet themselves.
    paths = parts if len(parts) == len(locations) else locations
    found = engine.execute(
        f"select distinct filename from (select filename, {aliased} from {_parquet(paths, filename=True)}) "
        f"semi join ({doubled}) using ({', '.join(f'key_{number}' for number in range(len(key)))})"
    ).fetchall()
    holding = {row[0] for row in found}
    named = [location for location, path in zip(locations, paths, strict=True) if path in holding]
    more = [f"and {len(named) - 3} more files"] if len(named) > 3 else []
    verification.check_unique(", ".join(named[:3] + more), table, count)


def _unreadable_part(engine: "duckdb.DuckDBPyConnection", table: ExportedTable, lake: Lake) -> tuple[str, str] | None:
    """The first part that cannot be read, or does not have the first part's columns."""
    import duckdb

    first = None
    for file in table.files:
        location = lake.location(file.key)
        source = _parquet([location])
        try:
            columns = engine.execute(f"describe select * from {source}").fetchall()
            engine.execute(f"select count(columns(*)) from {source}").fetchall()
        except duckdb.Error as error:
            return location, reason_of(error)
        first = first or columns
        if columns != first:
            return location, "its columns differ from those of the table's first part"
    return None


def _copy(engine: "duckdb.DuckDBPyConnection", rows: str, target: Path) -> int:
    copied = engine.execute(f"copy ({rows}) to {_text(str(target))} (format parquet, compression zstd)")
    return int(copied.fetchall()[0][0])


def _provenance(export: Export) -> str:
    at = f"{_text(export.exported_at.isoformat())}::timestamptz"
    return f"{_text(export.export_id)}::varchar as _export_id, {at} as _exported_at"


def _parquet(paths: list[str], filename: bool = False) -> str:
    listed = ", ".join(_text(glob.escape(path)) for path in paths)
    return f"read_parquet([{listed}], hive_partitioning = false, filename = {str(filename).lower()})"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
