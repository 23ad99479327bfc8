"""Reading an export once, whole: columns, types and figures of every table.

Belongs here: DuckDB's statements over the decoded rows of all exports. Does not belong here: what the figures mean
(`proposing`), and how an attribute of DynamoDB is found (`items`).
"""
# ruff: noqa: S608 - statements are composed of names and paths, each quoted by `quoted` or `literal`.

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from platform_assets.data.engines.duckdb.staging import decode
from platform_assets.data.exports.chain import chain_of
from platform_assets.data.exports.empty_tables import quoted
from platform_assets.data.exports.export import Export, changes_of, table_of
from platform_assets.data.exports.lake import Lake
from platform_assets.environment import Environment
from platform_assets.operations.onboarding.names import column_name, is_identifier, singular, unspeakable
from platform_assets.operations.onboarding.reading import items, parts
from platform_assets.operations.onboarding.reading.changes import folded
from platform_assets.operations.onboarding.reading.place import Exports
from platform_assets.operations.onboarding.tables import INSTANTS, NUMBERS, Column, OnboardingError, Table

if TYPE_CHECKING:
    import duckdb

_PROVENANCE = ("_export_id", "_exported_at")
_KEY_TYPES = ("integer", "text", "date", *INSTANTS)
# More columns than these are not tried together as a key.
_TRIED = 6


class Found:
    """The tables of exports, in a database that is gone with the context.

    Attributes:
        tables: by name; those without columns that can be read are left out, and `notes` say so.
    """

    def __init__(self, engine: "duckdb.DuckDBPyConnection", exports: Exports) -> None:
        self._engine = engine
        self.exports = exports
        self.tables: dict[str, Table] = {}
        self.notes: list[str] = list(exports.notes)

    def covered(self, table: str, column: str, other: str, key: str) -> float:
        """The share of a column's different values that another table's key holds; 0 where the types differ."""
        types = [self.tables[name].column(one).type for name, one in ((table, column), (other, key))]
        if types[0] != types[1]:
            return 0.0
        values = (
            f"(select distinct {quoted(column)} as value from {relation(table)} where {quoted(column)} is not null)"
        )
        count, known = self._engine.execute(
            f"select count(*), count(*) filter (value in (select {quoted(key)} from {relation(other)})) from {values}"
        ).fetchall()[0]
        return known / count if count else 0.0

    def is_key(self, table: str, columns: Sequence[str]) -> bool:
        """Whether no row of the newest export lacks one of these columns, and no two share them, as text joined by -."""
        joined = " || '-' || ".join(key_text(self.tables[table].column(name)) for name in columns)
        rows, different = self._engine.execute(
            f"select count(*), count(distinct {joined}) from {relation(table)}"
        ).fetchall()[0]
        return bool(rows == different)

    def with_changes(self, table: Table) -> tuple[Column, ...]:
        """The columns of a table, and whether a key has had two values of each in two exports."""
        if table.exports < 2:
            return table.columns
        names = ", ".join(quoted(name) for name in table.key)
        counts = ", ".join(
            f"count(distinct to_json({quoted(column.name)})) > 1 as c{number}"
            for number, column in enumerate(table.columns)
        )
        flags = ", ".join(f"coalesce(bool_or(c{number}), false)" for number in range(len(table.columns)))
        grouped = f"(select {counts} from {quoted(table.name)} group by {names})"
        row = self._engine.execute(f"select {flags} from {grouped}").fetchall()[0]
        return tuple(replace(column, changed=flag) for column, flag in zip(table.columns, row, strict=True))


def relation(table: str) -> str:
    return quoted(f"newest {table}")


def key_text(column: Column) -> str:
    name = quoted(column.name)
    return f"cast(epoch({name}) as bigint)::varchar" if column.type in INSTANTS else f"{name}::varchar"


@contextmanager
def found(environment: Environment, exports: Exports) -> Iterator[Found]:
    """All tables of the exports, read whole; the rows lie in the data folder while in it.

    Raises:
        ExportError: a file is not what the manifests say.
        OnboardingError: no table can be read.
    """
    import duckdb

    environment.data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".onboarding-", dir=environment.data) as folder:
        work = Path(folder)
        with duckdb.connect(work / "onboarding.duckdb") as engine:
            engine.execute("set timezone = 'UTC'")
            engine.execute(f"set temp_directory = {parts.literal(str(work / 'spill'))}")
            lake = Lake(environment.exports)
            lake.attach(engine)
            result = Found(engine, exports)
            for name in exports.names:
                holding = [export for export in exports.exports if {name, changes_of(name)} & export.tables.keys()]
                if not any(name in export.tables for export in holding):
                    result.notes.append(f"{name}: no usable export holds it; it is left out.")
                    continue
                table = _table(engine, environment, lake, name, holding, work)
                if table.columns:
                    result.tables[name] = table
                else:
                    result.notes.append(f"{name}: none of its columns can be read; it is left out.")
                    result.notes += table.notes
            if not result.tables:
                raise OnboardingError("\n".join(["nothing of the export can be read.", *result.notes]))
            _rename_ids(engine, result)
            for name, table in result.tables.items():
                result.tables[name] = replace(table, key=_known_key(table) or _key(result, table))
            yield result


def _table(
    engine: "duckdb.DuckDBPyConnection",
    environment: Environment,
    lake: Lake,
    name: str,
    holding: Sequence[Export],
    work: Path,
) -> Table:
    chain = chain_of(holding) if any(export.window_start for export in holding) else None
    if chain:
        links = {link.export_id for link in chain.links}
        holding = sorted((export for export in holding if export.export_id in links), key=lambda one: one.exported_at)
    newest, folders = holding[-1], dict[str, list[Path]]()
    for number, export in enumerate(holding):
        folder = work / f"{name}-{number}"
        folder.mkdir()
        (table,) = (table for table in export.tables.values() if table_of(table.name) == name)
        # The key is what is looked for.
        decode(engine, export, replace(table, key=()), lake, folder, environment.limits)
        folders[export.export_id] = sorted(folder.glob("part-*.parquet"))
    raw, key = parts.parquet([path for paths in folders.values() for path in paths]), tuple[str, ...]()
    if chain and chain.segments[-1].windows:
        result = folded(engine, name, chain, folders)
        raw, key = result.raw, result.key
    reader = items.columns_of if newest.format == "dynamodb" else _columns_of
    columns, notes = reader(engine, name, raw)
    typed = ", ".join(f"{column.sql} as {quoted(column.name)}" for column in columns)
    source = columns[0].relation if columns else raw
    if typed:
        engine.execute(f"create table {quoted(name)} as select {typed}, {', '.join(_PROVENANCE)} from {source}")
        chosen = f"_export_id = {parts.literal(newest.export_id)}"
        engine.execute(f"create view {relation(name)} as select * from {quoted(name)} where {chosen}")
    figures = _with_figures(engine, name, [column.column for column in columns])
    rows = engine.execute(f"select count(*) from {relation(name)}").fetchall()[0][0] if typed else 0
    (exported,) = (table.export_table for table in newest.tables.values() if table_of(table.name) == name)
    notes += [f"{name}: {reason}" for reason in (chain.apart.values() if chain else ())]
    at, changes = newest.exported_at, chain is not None
    return Table(name, exported, rows, figures, key, at, len(holding), tuple(notes), changes)


def _columns_of(engine: "duckdb.DuckDBPyConnection", table: str, raw: str) -> tuple[list[parts.Typed], list[str]]:
    """The columns of an Aurora table, typed by what the export says and, where that is text or a number, by every value."""
    described = engine.execute(f"describe select * from {raw}").fetchall()
    kinds = {row[0]: row[1] for row in described if row[0] not in _PROVENANCE}
    if len(kinds) != len(described) - len(_PROVENANCE):
        raise OnboardingError(
            f"{table}: the export has a column {' or '.join(_PROVENANCE)}, which the platform adds itself. Rename it at the source, "
            "or export the other tables alone (--table)."
        )
    columns: list[parts.Typed] = []
    notes: list[str] = []
    for raw_name, kind in kinds.items():
        if unspeakable(raw_name):
            notes.append(
                f"{table}: a column whose name holds quotes, backslashes, stars, brackets of Jinja or control characters is left out; "
                "rename it at the source."
            )
            continue
        typed, note = parts.of_sql_type(engine, raw, raw_name, kind)
        if note:
            notes.append(f"{table}.{raw_name}: {note}")
        if typed:
            columns.append(replace(typed, name=column_name([raw_name], [one.name for one in columns])))
    return columns, notes


def _with_figures(engine: "duckdb.DuckDBPyConnection", table: str, columns: Sequence[Column]) -> tuple[Column, ...]:
    if not columns:
        return ()
    selects = []
    for column in columns:
        name = quoted(column.name)
        bounded = column.type in (*NUMBERS, "date", *INSTANTS)
        selects += [f"count(*) - count({name})", "0" if column.type == "texts" else f"count(distinct {name})"]
        selects += [f"min({name})", f"max({name})"] if bounded else ["null", "null"]
    row = engine.execute(f"select {', '.join(selects)} from {relation(table)}").fetchall()[0]
    grouped = [row[start : start + 4] for start in range(0, len(row), 4)]
    return tuple(
        replace(column, nulls=nulls, values=values, low=low, high=high)
        for column, (nulls, values, low, high) in zip(columns, grouped, strict=True)
    )


def _rename_ids(engine: "duckdb.DuckDBPyConnection", result: Found) -> None:
    """`id` of orders becomes order_id, as other tables call it."""
    known = {name for table in result.tables.values() for name in table.names}
    for name, table in result.tables.items():
        own = f"{singular(name, known)}_id"
        if "id" in table.names and own not in table.names:
            columns = tuple(replace(one, name=own) if one.name == "id" else one for one in table.columns)
            result.tables[name] = replace(table, columns=columns)
            engine.execute(f"drop view {relation(name)}")
            engine.execute(f"alter table {quoted(name)} rename column id to {quoted(own)}")
            newest = f"(select max_by(_export_id, _exported_at) from {quoted(name)})"
            engine.execute(f"create view {relation(name)} as select * from {quoted(name)} where _export_id = {newest}")


def _known_key(table: Table) -> tuple[str, ...]:
    """The columns of the key that changes tell; none where there are no changes, or where one of them is not read."""
    named = {column.reading.path: column.name for column in table.columns}
    key = [named.get((attribute,), "") for attribute in table.key]
    return tuple(key) if all(key) else ()


def _key(found: Found, table: Table) -> tuple[str, ...]:
    """The column that identifies a row, or the fewest together; none when that is ambiguous or there is none.

    A single one of that table's own name wins, then the only one that is an identifier by its name.
    """
    if not table.rows:
        return ()
    usable = [
        column for column in table.columns if column.type in _KEY_TYPES and not column.nulls and column.may_be_key
    ]
    unique = [column.name for column in usable if column.values == table.rows and column.type in ("integer", "text")]
    own = singular(table.name, table.names)
    for name in (f"{own}_id", f"{table.name}_id", own, f"{own}_key", f"{own}_no", f"{own}_number", "uuid", "key"):
        if name in unique:
            return (name,)
    identifiers = [name for name in unique if is_identifier(name)]
    if identifiers:
        return (identifiers[0],) if len(identifiers) == 1 else ()
    together = [column.name for column in usable if is_identifier(column.name)][:_TRIED]
    instants = [one.name for one in usable if one.type in ("date", *INSTANTS) and one.name not in together]
    for size in (1, 2, 3):
        for names in combinations(together, size):
            if found.is_key(table.name, names):
                return names
    for size in (1, 2, 3):
        for names in combinations(together, size):
            for instant in instants:
                if found.is_key(table.name, (*names, instant)):
                    return (*names, instant)
    return (unique[0],) if len(unique) == 1 else ()
