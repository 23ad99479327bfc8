"""The columns of an Aurora table that has no rows, as the export's schema metadata gives them.

Belongs here: that metadata as types, in DuckDB's names, which are close to Aurora's. Does not belong here: tables that have
files, whose columns are in them.
"""

import re
from typing import TYPE_CHECKING

from platform_assets.data.exports.export import Export, ExportedTable, ExportError
from platform_assets.data.exports.lake import Lake

if TYPE_CHECKING:
    import pyarrow as pa

_SQL_TYPE = re.compile(r"^[A-Za-z][A-Za-z0-9_ ]*(\(\d+(,\s*\d+)?\))?$")


def empty_schema(export: Export, table: ExportedTable, lake: Lake) -> "pa.Schema":
    """The columns in Arrow's types.

    Raises ExportError when the export does not give them all, or a type that is not known.
    """
    import duckdb

    with duckdb.connect() as engine:
        try:
            nulls = typed_nulls(export, table, lake)
            return engine.sql(f"select {nulls} limit 0").to_arrow_table().schema
        except duckdb.Error:
            raise untyped(export, table, lake) from None


def typed_nulls(export: Export, table: ExportedTable, lake: Lake) -> str:
    """The columns as a select list for DuckDB. Raises ExportError as `empty_schema`, but for types DuckDB does not know."""
    if not table.columns or not all(_SQL_TYPE.match(kind) for _, kind in table.columns):
        raise untyped(export, table, lake)
    return ", ".join(f"null::{kind} as {quoted(name)}" for name, kind in table.columns)


def untyped(export: Export, table: ExportedTable, lake: Lake) -> ExportError:
    """The error of a table without rows whose columns are not known."""
    return ExportError(
        f"{lake.location(export.folder)}: {table.export_table} has no rows, and the export's key "
        "'originalTypeMappings' does not give its columns' types. Remove this export, or export the table again."
    )


def quoted(value: str) -> str:
    """A column's name as DuckDB's SQL takes it."""
    return '"' + value.replace('"', '""') + '"'
