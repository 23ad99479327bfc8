"""One table of one export, verified by DuckDB and written aside as raw Parquet; nothing here publishes.

Belongs here: DuckDB's statements that decode an export, count what is wrong with it and say what it holds. Does not belong
here: manifests, what must hold (`verification`), and when a raw table becomes visible (`raw_tables`).

Rows never pass through Python: DuckDB decodes and streams to Parquet, Python reads bytes for checksums alone.
"""
# ruff: noqa: S608 - statements are composed of columns and paths, each quoted by `quoted` or `_text`.

import glob
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from platform_assets.data.engines.profiles import (
    CHANGE,
    DEPTH,
    FEW,
    ITEM,
    KEYS,
    METADATA,
    NEW_IMAGE,
    Column,
    KeysGone,
    Profile,
    RowKey,
    attributes,
    least_items,
    parts_of,
)
from platform_assets.data.exports import verification
from platform_assets.data.exports.dynamodb import typed_key, written_micros
from platform_assets.data.exports.empty_tables import quoted, typed_nulls, untyped
from platform_assets.data.exports.export import DataFile, Export, ExportedTable, ExportError, ExportFormat
from platform_assets.data.exports.lake import Lake
from platform_assets.data.quality.unquoting import reason_of
from platform_assets.environment import Limits

if TYPE_CHECKING:
    import duckdb

_PROVENANCE = ("_export_id", "_exported_at")
_JOINED = "part-00000.parquet"
# The item's text as AWS wrote it: `json -> 'Item'` rewrites escapes and rounds bare numbers.
# The pattern, three times slower, is for lines with spaces. What is no item is not valid JSON after this.
_ITEM = r"""case
    when starts_with(json, '{"Item":{') and ends_with(json, '}}') then json[9:-2]
    else regexp_extract(json, '(?s)^\s*\{\s*"Item"\s*:\s*(\{.*\})\s*\}\s*$', 1)
end"""
# Each column by itself would parse the line again: DuckDB shares the list.
_PARTS = f"json_extract(json, [{', '.join(repr(f'$.{name}') for name in CHANGE)}])"
_CHANGES = ", ".join(
    f"nullif({_PARTS}[{number}]::varchar, 'null') as \"{name}\"" for number, name in enumerate(CHANGE, 1)
)


def stage(export: Export, table: ExportedTable, lake: Lake, folder: Path, limits: Limits) -> Profile:
    """Verifies everything declared of the table and writes `part-NNNNN.parquet` into the empty `folder`.

    Returns what it holds. Raises ExportError when a data file is absent, truncated, changed or unreadable, when a
    count or the columns differ from the manifest's, when two rows share the declared key, or when a file holds more than
    `limits` allow; that is found out before it is read.
    """
    import duckdb

    spill = folder / "spill"
    with duckdb.connect() as engine:
        engine.execute("set timezone = 'UTC'")
        engine.execute(f"set temp_directory = {_text(str(spill))}")
        lake.attach(engine)
        decode(engine, export, table, lake, folder, limits)
        _check_key(engine, export, table, lake, folder)
        holding = NEW_IMAGE if export.window_start else ITEM
        profile = _profile(engine, _staged(folder), export.format, holding)
        if export.format == "aurora_snapshot":
            profile = _as_exported(engine, profile, table, lake)
    if spill.exists():
        shutil.rmtree(spill)
    return profile


def decode(
    engine: "duckdb.DuckDBPyConnection",
    export: Export,
    table: ExportedTable,
    lake: Lake,
    folder: Path,
    limits: Limits,
) -> int:
    """As `stage`, but for the key, which is not looked at; returns the number of rows.

    Args:
        engine: in UTC, and able to open the lake's files.
    """
    verification.check_files(export, table, lake, lake.exists)
    if export.format == "dynamodb":
        stored = lake.stored(file.key for file in table.files)
        for file in table.files:
            verification.check_decompressed(lake, file, stored[file.key].size, limits)
        rows = _stage_items(engine, export, table, lake, folder)
    else:
        _check_footers(engine, table, lake, limits)
        rows = _stage_parts(engine, export, table, lake, folder, limits)
    verification.check_rows(export, table, lake, rows)
    return rows


def profile_of(folder: Path, export_format: ExportFormat) -> Profile:
    """What the raw table of an export holds that was staged into `folder`, as its rows tell."""
    import duckdb

    with duckdb.connect() as engine:
        engine.execute("set timezone = 'UTC'")
        return _profile(engine, _staged(folder), export_format)


def keys_gone(before: Path, now: Path, key: RowKey) -> KeysGone:
    """The keys in the folder `before` that the folder `now` does not hold."""
    import duckdb

    with duckdb.connect() as engine:
        engine.execute("set timezone = 'UTC'")
        sources = [_staged(folder) for folder in (before, now)]
        types = [
            dict(engine.execute(f"select column_name, column_type from (describe select * from {source})").fetchall())
            for source in sources
        ]
        columns = _key_columns(key)
        names = [f"key_{number}" for number in range(len(columns))]
        # A key whose type changed is compared as text.
        same = key.format == "dynamodb" or all(types[0].get(name) == types[1].get(name) for name in key.columns)
        aliased = ", ".join(
            f"{column if same else f'{column}::varchar'} as {name}" for column, name in zip(columns, names, strict=True)
        )
        instants = [name for name, kind in types[0].items() if kind.startswith("TIMESTAMP") and name not in _PROVENANCE]
        months = "".join(
            f", strftime(min({quoted(name)}), '%Y-%m'), strftime(max({quoted(name)}), '%Y-%m')" for name in instants
        )
        gone, *bounds = engine.execute(
            f"select count(*){months} from (select *, {aliased} from {sources[0]}) as earlier "
            f"anti join (select {aliased} from {sources[1]}) as later using ({', '.join(names)})"
        ).fetchall()[0]
    pairs = zip(instants, zip(bounds[::2], bounds[1::2], strict=True), strict=True)
    return KeysGone(gone, {name: pair for name, pair in pairs if gone >= FEW and None not in pair})


def _stage_items(
    engine: "duckdb.DuckDBPyConnection", export: Export, table: ExportedTable, lake: Lake, folder: Path
) -> int:
    """Items or changes in DynamoDB JSON: a part for each data file, as a gzipped file is decoded by one thread anyway."""
    import duckdb

    def one(number: int, file: DataFile) -> int:
        location = lake.location(file.key)
        if file.md5 is not None:
            verification.check_md5(lake, file, lake.md5(file.key))
        source = f"read_ndjson_objects({_text(glob.escape(location))}, compression = 'gzip')"
        if file.rows is not None:
            source += f" limit {file.rows + 1}"
        rows = f"select {columns}, {_provenance(export)} from {source}"
        target = folder / f"part-{number:05d}.parquet"
        with engine.cursor() as cursor:
            try:
                count = _copy(cursor, rows, target)
                unread = cursor.execute(
                    f"select count(*) from read_parquet({_text(glob.escape(str(target)))}) where not ({valid})"
                ).fetchall()[0][0]
            except duckdb.Error as error:
                lake.require_readable([file.key], str(error))
                raise verification.unreadable_items(location, reason_of(error)) from None
        check(location, unread, count)
        if file.rows is not None and count != file.rows:
            raise ExportError(
                f"{location}: key 'itemCount' of its manifest line is {file.rows}, but the file holds "
                f"{count if count < file.rows else 'more'} items. Copy the export again."
            )
        return count

    if export.window_start:
        columns, valid, check = _CHANGES, _valid_change(table), verification.check_changes
    else:
        columns, valid, check = f"{_ITEM} as {ITEM}", f"json_valid({ITEM})", verification.check_items
    if not table.files:
        empty = f"select {columns}, {_provenance(export)} from (select ''::json as json) limit 0"
        return _copy(engine, empty, folder / _JOINED)
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        return sum(pool.map(one, range(len(table.files)), table.files))


def _valid_change(table: ExportedTable) -> str:
    """SQL of what holds of a row of changes: it says when what became of which item."""
    new, keys = (_key_columns(RowKey("dynamodb", table.key), column) for column in (NEW_IMAGE, KEYS))
    same = "".join(f" and {one} is not distinct from {other}" for one, other in zip(new, keys, strict=True))
    written = written_micros(lambda path: f"json_extract_string({METADATA}, {_text(path)})")
    return (
        f"coalesce(json_type({KEYS}) = 'OBJECT' and regexp_full_match({written}, '[0-9]{{1,18}}') "
        f"and ({NEW_IMAGE} is null or (json_type({NEW_IMAGE}) = 'OBJECT'{same})), false)"
    )


def _stage_parts(
    engine: "duckdb.DuckDBPyConnection",
    export: Export,
    table: ExportedTable,
    lake: Lake,
    folder: Path,
    limits: Limits,
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
        verification.check_width(export, table, lake, len(columns), limits)
        verification.check_columns(export, table, lake, columns)
        return _copy(engine, f"select *, {_provenance(export)} from {source}", folder / _JOINED)
    except duckdb.Error as error:
        lake.require_readable([file.key for file in table.files], str(error))
        where, reason = _unreadable_part(engine, table, lake) or (
            lake.location(export.folder),
            reason_of(error),
        )
        raise verification.unreadable_part(where, reason) from None


def _check_footers(engine: "duckdb.DuckDBPyConnection", table: ExportedTable, lake: Lake, limits: Limits) -> None:
    """What Parquet parts say of themselves is within the limits. A part without a readable footer is told when it is read."""
    import duckdb

    files = {lake.location(file.key): file for file in table.files}
    parts = f"[{', '.join(_text(glob.escape(path)) for path in files)}]"
    stated = {
        verification.check_rows_of_file: f"select file_name, num_rows from parquet_file_metadata({parts})",
        verification.check_bytes_of_part: f"select file_name, sum(total_uncompressed_size) from parquet_metadata({parts}) group by 1",
    }
    for check, statement in stated.items():
        try:
            amounts = engine.execute(statement).fetchall() if files else []
        except duckdb.Error as error:
            lake.require_readable([file.key for file in table.files], str(error))
            return
        for name, amount in amounts:
            check(lake, files[name], int(amount), limits)


def _check_key(
    engine: "duckdb.DuckDBPyConnection", export: Export, table: ExportedTable, lake: Lake, folder: Path
) -> None:
    """Every row has the whole key, and no other row has the same."""
    parts, staged = _parts(folder), _staged(folder)
    key = _key_columns(RowKey(export.format, table.key), KEYS if export.window_start else ITEM)
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


def _key_columns(key: RowKey, holding: str = ITEM) -> list[str]:
    """SQL of the columns of a key.

    Args:
        holding: of DynamoDB, the column that holds the key's attributes.
    """
    if key.format == "aurora_snapshot":
        return [quoted(name) for name in key.columns]
    return [typed_key(name, lambda path: f'json_extract_string("{holding}", {_text(path)})') for name in key.columns]


def _profile(
    engine: "duckdb.DuckDBPyConnection", staged: str, export_format: ExportFormat, holding: str = ITEM
) -> Profile:
    if export_format == "dynamodb":
        rows = engine.execute(f"select count(*) from {staged}").fetchall()[0][0]
        return Profile(rows, rows, _attributes(engine, staged, rows, holding))
    described = engine.execute(f"select column_name, column_type from (describe select * from {staged})").fetchall()
    kinds = {name: kind for name, kind in described if name not in _PROVENANCE}
    counts = "".join(f", count({quoted(name)})" for name in kinds)
    rows, *filled = engine.execute(f"select count(*){counts} from {staged}").fetchall()[0]
    columns = (Column(name, kind, count) for (name, kind), count in zip(kinds.items(), filled, strict=True))
    return Profile(rows, rows, tuple(columns))


def _attributes(engine: "duckdb.DuckDBPyConnection", staged: str, rows: int, holding: str) -> tuple[Column, ...]:
    """The attributes of items and of maps in them, a level a query; only maps are passed on to the next."""
    counts: list[tuple[list[str], str, int]] = []
    maps = f'(select "{holding}"::json as map, []::varchar[] as path from {staged} where "{holding}" is not null)'
    for _ in range(DEPTH):
        pointer = "'/' || replace(replace(name, '~', '~0'), '/', '~1')"
        entries = (
            f"(select list_append(path, name) as path, map -> ({pointer}) as value "
            f"from (select map, path, unnest(json_keys(map)) as name from {maps}))"
        )
        # Of an attribute that counts every type, however rare: what reads the others reads null there.
        level = engine.execute(
            f"select path, type, count(*) as items from (select path, json_keys(value)[1] as type from {entries}) "
            f"group by path, type qualify sum(items) over (partition by path) >= {least_items(rows)}"
        ).fetchall()
        counts += level
        if not any(kind == "M" for _, kind, _ in level):
            break
        maps = f"(select value -> '/M' as map, path from {entries} where json_keys(value)[1] = 'M')"
    return attributes(counts)


def _as_exported(engine: "duckdb.DuckDBPyConnection", profile: Profile, table: ExportedTable, lake: Lake) -> Profile:
    """With what only the export itself tells: its types and parts."""
    source_types, rows = dict(table.columns), []
    for file in table.files:
        footer = f"select num_rows from parquet_file_metadata({_text(glob.escape(lake.location(file.key)))})"
        rows.append(engine.execute(footer).fetchall()[0][0])
    columns = (replace(column, source_type=source_types.get(column.name, "")) for column in profile.columns)
    return replace(profile, columns=tuple(columns), files=parts_of(table.files, rows))


def _parts(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.glob("part-*.parquet"))]


def _staged(folder: Path) -> str:
    return _parquet(_parts(folder))


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
