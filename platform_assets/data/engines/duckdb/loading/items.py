"""DynamoDB JSON to Parquet: the copy, and the one look at it.

Belongs here: lines as rows, what is counted of all of them at once, and whether a row of changes says what it must. Does not
belong here: which rows are wrong (`faults`), and attributes (`attributes`).
"""
# ruff: noqa: S608 - statements are composed of columns and paths, each quoted by `quoted` or `text`.

import glob
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from platform_assets.data.engines.duckdb.loading.attributes import (
    LOOK,
    AttributeCount,
    StagedItems,
    attributes_by_structure,
    count_attributes,
    scan,
    structures_of,
)
from platform_assets.data.engines.duckdb.loading.counted import Counted
from platform_assets.data.engines.duckdb.loading.statements import (
    JOINED,
    copy,
    key_columns,
    parts,
    provenance,
    text,
    texts,
)
from platform_assets.data.engines.profiles import CHANGE, ITEM, KEYS, METADATA, NEW_IMAGE, RowKey
from platform_assets.data.exports import verification
from platform_assets.data.exports.dynamodb import key_paths, written_micros
from platform_assets.data.exports.export import DataFile, Export, ExportedTable
from platform_assets.data.exports.lake import Lake
from platform_assets.data.quality.unquoting import reason_of
from platform_assets.environment import Limits

if TYPE_CHECKING:
    import duckdb

# The item's text as AWS wrote it: `json -> 'Item'` rewrites escapes and rounds bare numbers. Bytes are cut, as letters would
# be counted one by one. The pattern, three times slower, is for lines with spaces. What is no item is not valid JSON after this.
_ITEM = r"""case
    when starts_with(json, '{"Item":{') and ends_with(json, '}}') then decode(array_slice(encode(json), 9, -2))
    else regexp_extract(json, '(?s)^\s*\{\s*"Item"\s*:\s*(\{.*\})\s*\}\s*$', 1)
end"""
# Each column by itself would parse the line again: DuckDB shares the list.
_PARTS = f"json_extract(json, [{', '.join(repr(f'$.{name}') for name in CHANGE)}])"
_CHANGES = ", ".join(
    f"nullif({_PARTS}[{number}]::varchar, 'null') as \"{name}\"" for number, name in enumerate(CHANGE, 1)
)
# No two items are alike: looking for texts that repeat costs as much as compressing them.
_OPTIONS = "compression zstd, compression_level 1, dictionary_size_limit 1"
# Of so many rows the hashes of keys are kept in memory (8 bytes each); of more they are counted by what spills to disk.
_HASHES = 16_000_000


def copy_items(
    engine: "duckdb.DuckDBPyConnection", export: Export, table: ExportedTable, lake: Lake, folder: Path, limits: Limits
) -> list[int]:
    """Copies items or changes, a part for each data file, as a gzipped file is decoded by one thread anyway; the rows of each.

    Raises ExportError when a file is absent, is not the one that AWS wrote, is larger than `limits` allow, or is no gzipped JSON.
    """
    import duckdb

    stored = lake.stored(file.key for file in table.files)
    verification.check_files(export, table, lake, stored.__contains__)
    for file in table.files:
        verification.check_decompressed(lake, file, stored[file.key].size, limits)
    columns = _CHANGES if export.window_start else f"{_ITEM} as {ITEM}"

    def one(number: int, file: DataFile) -> int:
        location = lake.location(file.key)
        if file.md5 is not None:
            verification.check_md5(lake, file, lake.md5(file.key))
        source = f"read_ndjson_objects({text(glob.escape(location))}, compression = 'gzip')"
        if file.rows is not None:
            source += f" limit {file.rows + 1}"
        rows = f"select {columns}, {provenance(export)} from {source}"
        with engine.cursor() as cursor:
            try:
                return copy(cursor, rows, folder / f"part-{number:05d}.parquet", _OPTIONS)
            except duckdb.Error as error:
                lake.require_readable([file.key], str(error))
                raise verification.unreadable_items(location, reason_of(error)) from None

    if not table.files:
        empty = f"select {columns}, {provenance(export)} from (select ''::json as json) limit 0"
        copy(engine, empty, folder / JOINED)
        return []
    if len(table.files) == 1:
        return [one(0, table.files[0])]
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        return list(pool.map(one, range(len(table.files)), table.files))


def count_items(
    engine: "duckdb.DuckDBPyConnection", export: Export, table: ExportedTable, folder: Path, rows: int
) -> Counted:
    """What is staged; of many items in one scan that reads each one's JSON once for the key and once for its attributes.

    Raises duckdb.Error when a row is not JSON.
    """
    staged = StagedItems(parts(folder), rows, NEW_IMAGE if export.window_start else ITEM)
    paths = [list(key_paths(name).values()) for name in table.key]
    key = f'json_extract_string("{KEYS if export.window_start else ITEM}", {texts([path for some in paths for path in some])})'
    unread = f"not {valid_change(table)}" if export.window_start else "false"
    wrong = [f"count_if({_absent(paths)}) as absent", "count_if(unread) as unread"]
    source = f"(select *, {key} as key, {unread} as unread from {staged.source})"
    if staged.very_few:
        figures = f"len(list_distinct(list(hash(key)))), {', '.join(wrong)}, {structures_of(staged.holding)}"
        keys, absent, unread_rows, structures = engine.execute(f"select {figures} from {source}").fetchall()[0]
        return Counted(rows, keys or 0, absent, unread_rows, attributes_by_structure(structures or []))
    if staged.few:
        figures = f"count(distinct hash(key)), {', '.join(wrong)}"
        keys, absent, unread_rows = engine.execute(f"select {figures} from {source}").fetchall()[0]
        return Counted(rows, keys, absent, unread_rows, count_attributes(engine, staged))
    attribute_count = AttributeCount(engine, staged)
    # Beside others an aggregate of different values takes more than to list them, and to look which are the same.
    listed = rows <= _HASHES
    hashes = f"{'list' if listed else 'count'}({'' if listed else 'distinct '}hash(key)) as keys"
    source = f"(select *, {attribute_count.having} as having_it from {source})"
    scan(engine, [hashes, *wrong, *attribute_count.aggregates], source)
    different = f"(select count(distinct hash) from (select unnest(keys) as hash from {LOOK}))" if listed else "keys"
    figures = f"select {different}, absent, unread from {LOOK}"
    keys, absent, unread_rows = engine.execute(figures).fetchall()[0]
    columns = attribute_count.columns()
    engine.execute(f"drop table {LOOK}")
    return Counted(rows, keys, absent, unread_rows, columns)


def _absent(paths: Sequence[Sequence[str]]) -> str:
    """SQL of whether a part of the key is not there, when `key` holds what stands at the paths of each part."""
    each, begin = [], 1
    for some in paths:
        each.append(", ".join(f"key[{number}]" for number in range(begin, begin + len(some))))
        begin += len(some)
    return " or ".join(f"coalesce({part}) is null" for part in each)


def valid_change(table: ExportedTable) -> str:
    """SQL of what holds of a row of changes: it says when what became of which item."""
    new, keys = (key_columns(RowKey("dynamodb", table.key), column) for column in (NEW_IMAGE, KEYS))
    same = "".join(f" and {one} is not distinct from {other}" for one, other in zip(new, keys, strict=True))
    written = written_micros(lambda path: f"json_extract_string({METADATA}, {text(path)})")
    return (
        f"coalesce(json_type({KEYS}) = 'OBJECT' and regexp_full_match({written}, '[0-9]{{1,18}}') "
        f"and ({NEW_IMAGE} is null or (json_type({NEW_IMAGE}) = 'OBJECT'{same})), false)"
    )
