"""One table of one export, verified by DuckDB and written aside as raw Parquet; nothing here publishes.

Belongs here: the order of it: the copy, one look at what was written, and, only when a count is not what it must be, the slower
look for what is wrong. Does not belong here: the statements (`loading`), manifests, what must hold (`verification`), and when a raw
table becomes visible (`raw_tables`).

Rows never pass through Python: DuckDB decodes and streams to Parquet, Python reads bytes for checksums alone.
"""
# ruff: noqa: S608 - statements are composed of columns and paths, each quoted by `quoted` or `text`.

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from platform_assets.data.engines.duckdb.loading.attributes import StagedItems, count_attributes
from platform_assets.data.engines.duckdb.loading.counted import Counted
from platform_assets.data.engines.duckdb.loading.faults import refuse_keys, refuse_lines
from platform_assets.data.engines.duckdb.loading.items import copy_items, count_items
from platform_assets.data.engines.duckdb.loading.parts import as_exported, columns_of, copy_parts, count_rows
from platform_assets.data.engines.duckdb.loading.statements import PROVENANCE, key_columns, parts, staged, text
from platform_assets.data.engines.profiles import FEW, ITEM, KeysGone, Profile, RowKey
from platform_assets.data.exports import verification
from platform_assets.data.exports.empty_tables import quoted
from platform_assets.data.exports.export import Export, ExportedTable, ExportFormat
from platform_assets.data.exports.lake import Lake
from platform_assets.environment import Limits

if TYPE_CHECKING:
    import duckdb


@contextmanager
def loading(spill: Path) -> Iterator["duckdb.DuckDBPyConnection"]:
    """A DuckDB for all tables of a load; opening one takes longer than a small table does.

    Args:
        spill: the folder for what does not fit into memory; whoever calls removes it.
    """
    import duckdb

    with duckdb.connect() as engine:
        engine.execute("set timezone = 'UTC'")
        engine.execute(f"set temp_directory = {text(str(spill))}")
        yield engine


def stage(
    engine: "duckdb.DuckDBPyConnection",
    export: Export,
    table: ExportedTable,
    lake: Lake,
    folder: Path,
    limits: Limits,
) -> Profile:
    """Verifies everything declared of the table and writes `part-NNNNN.parquet` into the empty `folder`.

    Returns what it holds. Raises ExportError when a data file is absent, truncated, changed or unreadable, when a
    count or the columns differ from the manifest's, when two rows share the declared key, or when a file holds more than
    `limits` allow; that is found out before it is read.

    Args:
        engine: of `loading`.
    """
    import duckdb

    lake.attach(engine)
    rows = _copy(engine, export, table, lake, folder, limits)
    try:
        counted = _count(engine, export, table, folder, sum(rows))
    except duckdb.InvalidInputException:
        # What is not JSON ends the look.
        _refuse(engine, export, table, lake, folder, rows)
        raise
    if not counted.sound or not _as_stated(table, rows):
        _refuse(engine, export, table, lake, folder, rows)
    profile = Profile(counted.rows, counted.rows, counted.columns)
    return as_exported(engine, profile, table, lake) if export.format == "aurora_snapshot" else profile


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
    rows = _copy(engine, export, table, lake, folder, limits)
    _refuse_rows(engine, export, table, lake, folder, rows)
    return sum(rows)


def profile_of(folder: Path, export_format: ExportFormat) -> Profile:
    """What the raw table of an export holds that was staged into `folder`, as its rows tell."""
    import duckdb

    with duckdb.connect() as engine:
        engine.execute("set timezone = 'UTC'")
        if export_format == "aurora_snapshot":
            rows, columns = columns_of(engine, folder)
        else:
            rows = engine.execute(f"select count(*) from {staged(folder)}").fetchall()[0][0]
            columns = count_attributes(engine, StagedItems(parts(folder), rows, ITEM))
    return Profile(rows, rows, columns)


def keys_gone(before: Path, now: Path, key: RowKey) -> KeysGone:
    """The keys in the folder `before` that the folder `now` does not hold."""
    import duckdb

    with duckdb.connect() as engine:
        engine.execute("set timezone = 'UTC'")
        sources = [staged(folder) for folder in (before, now)]
        types = [
            dict(engine.execute(f"select column_name, column_type from (describe select * from {source})").fetchall())
            for source in sources
        ]
        columns = key_columns(key)
        names = [f"key_{number}" for number in range(len(columns))]
        # A key whose type changed is compared as text.
        same = key.format == "dynamodb" or all(types[0].get(name) == types[1].get(name) for name in key.columns)
        aliased = ", ".join(
            f"{column if same else f'{column}::varchar'} as {name}" for column, name in zip(columns, names, strict=True)
        )
        instants = [name for name, kind in types[0].items() if kind.startswith("TIMESTAMP") and name not in PROVENANCE]
        months = "".join(
            f", strftime(min({quoted(name)}), '%Y-%m'), strftime(max({quoted(name)}), '%Y-%m')" for name in instants
        )
        gone, *bounds = engine.execute(
            f"select count(*){months} from (select *, {aliased} from {sources[0]}) as earlier "
            f"anti join (select {aliased} from {sources[1]}) as later using ({', '.join(names)})"
        ).fetchall()[0]
    pairs = zip(instants, zip(bounds[::2], bounds[1::2], strict=True), strict=True)
    return KeysGone(gone, {name: pair for name, pair in pairs if gone >= FEW and None not in pair})


def _copy(
    engine: "duckdb.DuckDBPyConnection",
    export: Export,
    table: ExportedTable,
    lake: Lake,
    folder: Path,
    limits: Limits,
) -> Sequence[int]:
    """The rows of each file, or of all together."""
    if export.format == "dynamodb":
        return copy_items(engine, export, table, lake, folder, limits)
    return [copy_parts(engine, export, table, lake, folder, limits)]


def _count(
    engine: "duckdb.DuckDBPyConnection", export: Export, table: ExportedTable, folder: Path, rows: int
) -> Counted:
    if export.format == "dynamodb":
        return count_items(engine, export, table, folder, rows)
    return count_rows(engine, table, folder)


def _as_stated(table: ExportedTable, rows: Sequence[int]) -> bool:
    """Whether there are as many rows as the manifests state, where they state a number."""
    pairs = [(table.rows, sum(rows))]
    if len(rows) == len(table.files):
        pairs += [(file.rows, count) for file, count in zip(table.files, rows, strict=True)]
    return all(stated is None or stated == count for stated, count in pairs)


def _refuse(
    engine: "duckdb.DuckDBPyConnection",
    export: Export,
    table: ExportedTable,
    lake: Lake,
    folder: Path,
    rows: Sequence[int],
) -> None:
    """Says what is wrong with a table of which a count is not what it must be; whatever loads the rest of it begins here.

    Returns when it is nothing but two keys of the same hash.
    """
    _refuse_rows(engine, export, table, lake, folder, rows)
    refuse_keys(engine, export, table, lake, folder)


def _refuse_rows(
    engine: "duckdb.DuckDBPyConnection",
    export: Export,
    table: ExportedTable,
    lake: Lake,
    folder: Path,
    rows: Sequence[int],
) -> None:
    if export.format == "dynamodb":
        refuse_lines(engine, export, table, lake, folder, rows)
    verification.check_rows(export, table, lake, sum(rows))
