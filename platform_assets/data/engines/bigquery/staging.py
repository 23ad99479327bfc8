"""One table of one export, loaded into a BigQuery table aside and verified there in SQL; nothing here publishes.

Belongs here: the schema that the files are loaded with, and the queries that count what is wrong with them and say what they
hold. Does not belong here: what must hold (`verification`), jobs and transactions (`slices`), and when a raw table becomes visible (`raw_tables`).

Rows never pass through Python, and data files are not downloaded: GCS knows their checksums, and Parquet's footers, some
kilobytes a part, tell columns and rows. What a load job cannot tell apart, rows by file, is not compared for DynamoDB:
there each file's checksum is what AWS stated.
"""
# ruff: noqa: S608 - statements are composed of names and literals, each quoted by `quoted` or `literal`.

import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from platform_assets.data.engines.bigquery.columns import NoSuchType, fields_of
from platform_assets.data.engines.bigquery.connection import BigQuery, literal, quoted
from platform_assets.data.engines.bigquery.slices import FileFormat, LoadFailed, join_asides, load_files, load_local
from platform_assets.data.engines.profiles import (
    ATTRIBUTE_TYPES,
    DEPTH,
    ITEM,
    KEYS,
    METADATA,
    NEW_IMAGE,
    OLD_IMAGE,
    Column,
    Profile,
    RowKey,
    attributes,
    least_items,
    parts_of,
    typed_path,
)
from platform_assets.data.exports import verification
from platform_assets.data.exports.dynamodb import typed_key, written_micros
from platform_assets.data.exports.empty_tables import empty_schema
from platform_assets.data.exports.export import Export, ExportedTable, ExportError, LoadRefused
from platform_assets.data.exports.lake import Lake, StoredFile
from platform_assets.data.exports.quarantine.record import COLUMNS, Quarantined
from platform_assets.data.exports.quarantine.sifted_lake import SiftedLake
from platform_assets.data.exports.quarantine.sifting import Sifted
from platform_assets.data.quality.unquoting import reason_of

if TYPE_CHECKING:
    import pyarrow as pa
    from google.cloud.bigquery import SchemaField
    from pyarrow.parquet import FileMetaData

_FOOTER = 64 * 1024
_FOOTERS_AT_ONCE = 8
_FULL = {ITEM: "The item in DynamoDB's typed JSON."}
_CHANGE = {
    KEYS: "The key of the item that changed, in DynamoDB's typed JSON.",
    NEW_IMAGE: "What the item became; null where it was deleted.",
    OLD_IMAGE: "What the item was before the window; null where it did not exist, and in exports of new images alone.",
    METADATA: "When it was written.",
}
# Reasons of a failed load job that lie in the files themselves.
_FAULTY_FILES = {"invalid", "invalidQuery"}


@dataclass(frozen=True)
class Aside:
    """A verified table of an export.

    Attributes:
        name: the BigQuery table that holds its rows; None when the export has no data files.
        schema: its columns.
        quarantine: the BigQuery table that holds the rows that were left out of it; None when there are none.
        quarantined: their counts.
        parts: further tables that it was made of.
    """

    name: str | None
    schema: tuple["SchemaField", ...]
    profile: Profile
    quarantine: str | None = None
    quarantined: Quarantined | None = None
    parts: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        return self.profile.rows

    @property
    def names(self) -> list[str]:
        """All tables that it needed."""
        return [name for name in (self.name, self.quarantine, *self.parts) if name]


def stage(
    bigquery: BigQuery, export: Export, table: ExportedTable, lake: Lake, loading: Callable[[str], None]
) -> Aside:
    """Loads the files that the manifests name into a table aside, and verifies everything declared of the table.

    Args:
        lake: where they are; of a `SiftedLake`, what it has here is sent to BigQuery from here.
        loading: told the name of each table aside before it is loaded.

    Raises:
        ExportError: a data file is absent, truncated, changed or unreadable, a count or the columns differ from the
            manifest's, or two rows share the declared key.
        LoadRefused: BigQuery did not load them for a reason that does not lie in them.
    """
    from google.cloud.bigquery import SchemaField

    schema: tuple[SchemaField, ...]
    stored = lake.stored(file.key for file in table.files)
    verification.check_files(export, table, lake, stored.__contains__)
    for file in table.files:
        verification.check_size(lake, file, stored[file.key].size)
    if export.format == "dynamodb":
        for file in table.files:
            verification.check_md5(lake, file, stored[file.key].md5 or lake.md5(file.key))
        columns = _CHANGE if export.window_start else _FULL
        schema = tuple(SchemaField(name, "JSON", description=meaning) for name, meaning in columns.items())
        footers: list[FileMetaData] = []
    elif table.files:
        arrow, footers = _parquet_schema(table, lake, stored)
        verification.check_columns(export, table, lake, arrow.names)
        schema = _schema(export, table, lake, arrow)
    else:
        schema, footers = _schema(export, table, lake, empty_schema(export, table, lake)), []
    if not table.files:
        verification.check_rows(export, table, lake, 0)
        empty = () if export.format == "dynamodb" else [(field.name, field.field_type, 0) for field in schema]
        return Aside(None, schema, Profile(0, 0, tuple(Column(*column) for column in empty)))
    aside, parts = bigquery.name("scratch", _name(export, table, stored, lake)), list[str]()
    if isinstance(lake, SiftedLake):
        parts = [f"{aside}_{number}" for number in range(len(lake.sifted) + (len(lake.sifted) < len(table.files)))]
    for name in (aside, *parts):
        loading(name)
    _load(bigquery, export, table, lake, (aside, *parts), schema)
    rows = _verify(bigquery, export, table, lake, aside)
    in_files = [footer.num_rows for footer in footers]
    if footers and rows != sum(in_files):
        raise ExportError(
            f"{lake.location(export.folder)}: the footers of the files of {table.export_table} state {sum(in_files)} rows, but "
            f"BigQuery loaded {rows}. The files changed meanwhile: load the export again."
        )
    profile = _profile(bigquery, export, table, (aside, schema, rows), footers)
    return Aside(aside, schema, profile, parts=tuple(parts))


def stage_sifted(bigquery: BigQuery, export: Export, sifted: Sifted, loading: Callable[[str], None]) -> Aside:
    """As `stage`, of a table without its broken rows, which go into a table aside of their own."""
    aside = stage(bigquery, export, sifted.table, sifted.lake, loading)
    assert aside.name is not None
    quarantine = f"{aside.name}_quarantine"
    loading(quarantine)
    load_local(bigquery, quarantine, sifted.rows, quarantine_fields(), "PARQUET")
    return replace(aside, quarantine=quarantine, quarantined=sifted.quarantined)


def quarantine_fields() -> tuple["SchemaField", ...]:
    """The columns of a table of rows that were left out."""
    from google.cloud.bigquery import SchemaField

    kinds = {"_exported_at": "TIMESTAMP", "unknown_from": "TIMESTAMP", "line": "INTEGER"}
    return tuple(SchemaField(name, kinds.get(name, "STRING"), description=words) for name, words in COLUMNS.items())


def profile_of(
    bigquery: BigQuery,
    relation: str,
    schema: Sequence["SchemaField"],
    key: RowKey,
    source: str,
    rows: int | None = None,
) -> Profile:
    """What rows hold, by one query.

    Args:
        relation: SQL of the rows.
        schema: its columns that are asked for.
        rows: how many, where that is known.
    """
    if key.format == "dynamodb":
        if rows is None:
            rows = int(bigquery.values(f"select count(*) from {relation}", source)[0][0])
        holding = schema[0].name if len(schema) == 1 else NEW_IMAGE
        # Of an attribute that counts every type, however rare: what reads the others reads null there.
        ending = f"r'\\.({'|'.join(sorted(ATTRIBUTE_TYPES))})$'"
        keys = bigquery.values(
            f"select attribute, items from (select attribute, count(*) as items from {relation}, "
            f"unnest(json_keys({holding}, {2 * DEPTH})) as attribute where regexp_contains(attribute, {ending}) "
            f"group by attribute) where true "
            f"qualify sum(items) over (partition by regexp_replace(attribute, {ending}, '')) >= {least_items(rows)}",
            source,
        )
        paths = ((typed_path(attribute), items) for attribute, items in keys)
        return Profile(rows, rows, attributes((*path, items) for path, items in paths if path is not None))
    filled = "".join(
        f", countif(array_length({quoted(field.name)}) > 0)"
        if field.mode == "REPEATED"
        else f", count({quoted(field.name)})"
        for field in schema
    )
    rows, *values = bigquery.values(f"select count(*){filled} from {relation}", source)[0]
    columns = (Column(field.name, field.field_type, value) for field, value in zip(schema, values, strict=True))
    return Profile(rows, rows, tuple(columns))


def _profile(
    bigquery: BigQuery,
    export: Export,
    table: ExportedTable,
    loaded: tuple[str, Sequence["SchemaField"], int],
    footers: Sequence["FileMetaData"],
) -> Profile:
    """What a table aside holds: by the footers of its files where they say so, and by a query for the other columns.

    Args:
        loaded: its name, columns and rows.
    """
    aside, schema, rows = loaded
    nulls = _nulls(footers)
    asked = [field for field in schema if field.name not in nulls]
    columns = [
        Column(field.name, field.field_type, rows - nulls[field.name]) for field in schema if field.name in nulls
    ]
    if asked:
        key = RowKey(export.format, table.key)
        columns += profile_of(bigquery, quoted(aside), asked, key, export.source, rows).columns
    source_types = dict(table.columns)
    named = tuple(replace(column, source_type=source_types.get(column.name, "")) for column in columns)
    files = parts_of(table.files, [footer.num_rows for footer in footers]) if footers else {}
    return Profile(rows, rows, named, files)


def _nulls(footers: Sequence["FileMetaData"]) -> dict[str, int]:
    """Column → its nulls in all files, for those of which every group of rows states them. Reading them costs nothing, where a
    query is billed for every column."""
    nulls: dict[str, int] = {}
    unknown: set[str] = set()
    for footer in footers:
        for group, number in itertools.product(range(footer.num_row_groups), range(footer.num_columns)):
            column = footer.row_group(group).column(number)
            name, statistics = column.path_in_schema, column.statistics
            if "." in name or statistics is None or not statistics.has_null_count:
                unknown.add(name)
            else:
                nulls[name] = nulls.get(name, 0) + statistics.null_count
    return {name: count for name, count in nulls.items() if name not in unknown}


def key_columns(key: RowKey, holding: str = ITEM) -> list[str]:
    """SQL of each part of the key.

    Args:
        holding: of DynamoDB, the column that holds the key's attributes.
    """
    if key.format == "aurora_snapshot":
        return [quoted(name) for name in key.columns]
    return [typed_key(name, lambda path: f"json_value({holding}, {literal(path)})") for name in key.columns]


def _name(export: Export, table: ExportedTable, stored: Mapping[str, StoredFile], lake: Lake) -> str:
    """The name of the table aside: another one when any file was written anew, and when other rows are left out."""
    left = {key: _sha256(path) for key, path in lake.sifted.items()} if isinstance(lake, SiftedLake) else {}
    files = [f"{file.key} {left.get(file.key, stored[file.key].generation)}" for file in table.files]
    parts = [export.lake, export.export_id, export.table_hash(table.name), *files]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return f"{export.source}__{table.name}_{digest[:24]}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load(
    bigquery: BigQuery,
    export: Export,
    table: ExportedTable,
    lake: Lake,
    names: Sequence[str],
    schema: tuple["SchemaField", ...],
) -> None:
    """Loads the files into the first of the named tables: by way of the others, one for the files in the bucket and one for each
    that is here."""
    here = lake.sifted if isinstance(lake, SiftedLake) else {}
    uris = [lake.location(file.key) for file in table.files if file.key not in here]
    aside, *parts = names
    kind: FileFormat = "NEWLINE_DELIMITED_JSON" if export.format == "dynamodb" else "PARQUET"
    with _told(bigquery, export, table, lake):
        if uris:
            load_files(bigquery, parts[0] if here else aside, uris, schema, kind, export.source)
        for part, path in zip(parts[bool(uris) :], here.values(), strict=True):
            load_local(bigquery, part, path, schema, kind)
    if parts:
        join_asides(bigquery, aside, parts, [field.name for field in schema], export.source)


@contextmanager
def _told(bigquery: BigQuery, export: Export, table: ExportedTable, lake: Lake) -> Iterator[None]:
    """Says what it was when a load job failed: the files, or BigQuery."""
    try:
        yield
    except LoadFailed as failure:
        where = ", ".join(failure.files[:3]) or lake.location(export.folder)
        if failure.reason in _FAULTY_FILES:
            items = export.format == "dynamodb"
            unreadable = verification.unreadable_items if items else verification.unreadable_part
            raise unreadable(where, str(failure)) from failure
        raise LoadRefused(
            f"{where}: BigQuery could not load {table.export_table} ({failure.reason}: {failure}). Loading takes the roles "
            f"BigQuery Job User on the project, BigQuery Data Editor on {bigquery.cloud.dataset('scratch')}, and Storage "
            f"Object Viewer on the bucket; load again when the reason is gone."
        ) from failure


def _verify(bigquery: BigQuery, export: Export, table: ExportedTable, lake: Lake, aside: str) -> int:
    """One query, one scan; returns the number of rows."""
    changes, items = export.window_start is not None, export.format == "dynamodb"
    columns = key_columns(RowKey(export.format, table.key), KEYS if changes else ITEM)
    key = {f"key_{number}": column for number, column in enumerate(columns)}
    missing = " or ".join(f"{name} is null" for name in key)
    no_item = f"coalesce(json_type({ITEM}) != 'object', true)" if items else "false"
    unreadable = f"not {_valid_change(table)}" if changes else no_item
    keys = ", ".join(f"{column} as {name}" for name, column in key.items())
    counts = bigquery.values(
        f"select sum(row_count), sum(unread), sum(if({missing}, row_count, 0)), countif(row_count > 1) "
        f"from (select {keys}, count(*) as row_count, countif({unreadable}) as unread from {quoted(aside)} "
        f"group by {', '.join(key)})",
        export.source,
    )
    count, unread, absent, shared = (int(value or 0) for value in counts[0])
    check = verification.check_changes if changes else verification.check_items
    check(lake.location(export.folder), unread, count)
    verification.check_rows(export, table, lake, count)
    verification.check_key(export, table, lake, absent)
    verification.check_unique(lake.location(export.folder), table, shared)
    return count


def _valid_change(table: ExportedTable) -> str:
    """SQL of what holds of a row of changes: it says when what became of which item."""
    new, keys = (key_columns(RowKey("dynamodb", table.key), column) for column in (NEW_IMAGE, KEYS))
    same = "".join(f" and {one} is not distinct from {other}" for one, other in zip(new, keys, strict=True))
    written = written_micros(lambda path: f"json_value({METADATA}, {literal(path)})")
    return (
        f"coalesce(json_type({KEYS}) = 'object' and regexp_contains({written}, r'^[0-9]{{1,18}}$') "
        f"and ({NEW_IMAGE} is null or (json_type({NEW_IMAGE}) = 'object'{same})), false)"
    )


def _parquet_schema(
    table: ExportedTable, lake: Lake, stored: Mapping[str, StoredFile]
) -> tuple["pa.Schema", list["FileMetaData"]]:
    """The columns that all parts have alike, and their footers."""
    with ThreadPoolExecutor(max_workers=_FOOTERS_AT_ONCE) as pool:
        footers = list(pool.map(lambda file: _footer(lake, file.key, stored[file.key].size), table.files))
    schemas = [footer_of_part.schema.to_arrow_schema().remove_metadata() for footer_of_part in footers]
    for file, schema in zip(table.files, schemas, strict=True):
        if schema != schemas[0]:
            raise verification.unreadable_part(
                lake.location(file.key), "its columns differ from those of the table's first part"
            )
    return schemas[0], footers


def _footer(lake: Lake, key: str, size: int) -> "FileMetaData":
    import pyarrow as pa
    import pyarrow.parquet as pq

    tail = lake.tail(key, size, _FOOTER)
    # The file ends with the footer, its length in 4 bytes, and 4 bytes by which Parquet is known.
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if tail.endswith(b"PAR1") and len(tail) < length <= size:
        tail = lake.tail(key, size, length)
    try:
        return pq.read_metadata(pa.BufferReader(tail))
    except (pa.ArrowException, OSError) as error:
        raise verification.unreadable_part(lake.location(key), reason_of(error)) from None


def _schema(export: Export, table: ExportedTable, lake: Lake, arrow: "pa.Schema") -> tuple["SchemaField", ...]:
    """BigQuery's columns for Parquet's."""
    source_types = dict(table.columns)
    meanings = {
        name: f"{name} of {table.export_table}"
        + (f", {source_types[name]} at its source." if name in source_types else ".")
        for name in arrow.names
    }
    try:
        return fields_of(arrow, meanings)
    except NoSuchType as error:
        raise ExportError(
            f"{lake.location(export.folder)}: {table.export_table} has a column that raw tables in BigQuery do not hold: "
            f"{error}. Leave the column out of the export."
        ) from error
