"""What is wrong with a staged table, in which file: the slower look, which is taken only when a count is not what it must be.

Belongs here: finding the files of wrong rows, and refusing for them. Does not belong here: the sentences (`verification`), and the
look that every table gets (`items`, `parts`).
"""
# ruff: noqa: S608 - statements are composed of columns and paths, each quoted by `quoted` or `text`.

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from platform_assets.data.engines.duckdb.loading.items import valid_change
from platform_assets.data.engines.duckdb.loading.statements import key_columns, parquet, parts, staged
from platform_assets.data.engines.profiles import ITEM, KEYS, RowKey
from platform_assets.data.exports import verification
from platform_assets.data.exports.export import Export, ExportedTable
from platform_assets.data.exports.lake import Lake

if TYPE_CHECKING:
    import duckdb


def refuse_lines(
    engine: "duckdb.DuckDBPyConnection",
    export: Export,
    table: ExportedTable,
    lake: Lake,
    folder: Path,
    rows: Sequence[int],
) -> None:
    """Raises ExportError for the first DynamoDB file that holds lines of another kind, or not as many as its manifest says.

    Args:
        rows: of each file.
    """
    valid, check = f"json_valid({ITEM})", verification.check_items
    if export.window_start:
        valid, check = valid_change(table), verification.check_changes
    for file, path, count in zip(table.files, parts(folder), rows, strict=False):
        wrong = f"select count(*) from {parquet([path])} where not ({valid})"
        check(lake.location(file.key), engine.execute(wrong).fetchall()[0][0], count)
        verification.check_rows_in_file(lake, file, count)


def refuse_keys(
    engine: "duckdb.DuckDBPyConnection", export: Export, table: ExportedTable, lake: Lake, folder: Path
) -> None:
    """Raises ExportError when rows lack the key or a part of it, or share it with another."""
    paths, source = parts(folder), staged(folder)
    key = key_columns(RowKey(export.format, table.key), KEYS if export.window_start else ITEM)
    aliased = ", ".join(f"{column} as key_{number}" for number, column in enumerate(key))
    missing = " or ".join(f"{column} is null" for column in key)
    absent = engine.execute(f"select count(*) from {source} where {missing}").fetchall()[0][0]
    verification.check_key(export, table, lake, absent)
    doubled = f"select {aliased} from {source} group by all having count(*) > 1"
    count = engine.execute(f"select count(*) from ({doubled})").fetchall()[0][0]
    if not count:
        # Two keys had the same hash.
        return
    locations = [lake.location(file.key) for file in table.files]
    # DynamoDB files have a part each; Aurora's are joined into one, and are Parquet themselves.
    paths = paths if len(paths) == len(locations) else locations
    of_files = engine.execute(
        f"select distinct filename from (select filename, {aliased} from {parquet(paths, filename=True)}) "
        f"semi join ({doubled}) using ({', '.join(f'key_{number}' for number in range(len(key)))})"
    ).fetchall()
    holding = {row[0] for row in of_files}
    named = [location for location, path in zip(locations, paths, strict=True) if path in holding]
    more = [f"and {len(named) - 3} more files"] if len(named) > 3 else []
    verification.check_unique(", ".join(named[:3] + more), table, count)
