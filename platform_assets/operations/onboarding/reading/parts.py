"""A column's type, found by looking at every value, in DuckDB.

Belongs here: from DuckDB's type of a raw value, or from text, to the type of a staging column. Does not belong here: where
columns come from.
"""
# ruff: noqa: S608 - statements are composed of names and paths, each quoted by `quoted` or `literal`.

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from platform_assets.data.exports.empty_tables import quoted
from platform_assets.operations.onboarding.names import is_timelike
from platform_assets.operations.onboarding.tables import Column, Reading, Type

if TYPE_CHECKING:
    import duckdb

_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
# As both engines read them; DuckDB alone knows a year 0.
_YEAR = r"(000[1-9]|00[1-9]\d|0[1-9]\d\d|[1-9]\d{3})"
_DATE = rf"^{_YEAR}-\d{{2}}-\d{{2}}$"
_INSTANT = rf"^{_YEAR}-\d{{2}}-\d{{2}}[T ]\d{{2}}:\d{{2}}:\d{{2}}(\.\d{{1,6}})?(Z|[+-]\d{{2}}(:\d{{2}})?)?$"
# 1990 to 2100: what lies beside is no instant of an application.
_SECONDS, _MILLISECONDS = (631152000, 4102444800), (631152000_000, 4102444800_000)
_INTEGER_DIGITS, _DECIMALS = 29, 9


@dataclass(frozen=True)
class Typed:
    """A column on its way.

    Attributes:
        sql: its value, typed, from `relation`.
    """

    name: str
    reading: Reading
    type: Type
    sql: str
    relation: str

    @property
    def column(self) -> Column:
        return Column(self.name, self.reading, self.type)


def literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def parquet(paths: Sequence[Path]) -> str:
    listed = ", ".join(literal(glob.escape(str(path))) for path in paths)
    return f"read_parquet([{listed}], hive_partitioning = false, union_by_name = true)"


def of_sql_type(engine: "duckdb.DuckDBPyConnection", relation: str, name: str, kind: str) -> tuple[Typed | None, str]:
    """The column of an Aurora table, or None; and a sentence where something has to be said."""
    column = quoted(name)

    def typed(type_: Type, sql: str, parse: bool = False) -> Typed:
        return Typed(name, Reading((name,), parse=parse), type_, sql, relation)

    if kind in _INTEGERS:
        instant = epoch_of(engine, relation, column, name)
        if instant:
            return typed(instant, epoch_sql(column, instant)), ""
        return typed("integer", f"{column}::bigint"), ""
    if kind == "UBIGINT":
        return typed("decimal", f"{column}::decimal(38, 9)"), ""
    if match := re.fullmatch(r"DECIMAL\((\d+),\s*(\d+)\)", kind):
        precision, scale = int(match[1]), int(match[2])
        if scale <= _DECIMALS and precision - scale <= _INTEGER_DIGITS:
            return typed("decimal", f"{column}::decimal(38, 9)"), ""
    if kind == "HUGEINT" or kind.startswith(("DECIMAL", "UHUGEINT")):
        return typed(
            "text", f"{column}::varchar"
        ), f"{kind} is more than both engines hold exactly; it is read as text."
    if kind in ("FLOAT", "DOUBLE"):
        return typed("float", f"{column}::double"), ""
    if kind == "BOOLEAN":
        return typed("boolean", column), ""
    if kind == "DATE":
        return typed("date", column), ""
    if kind.startswith("TIMESTAMP"):
        return typed("instant", f"({column}::timestamp at time zone 'UTC')"), ""
    if kind in ("VARCHAR", "UUID", "JSON"):
        type_ = text_type(engine, relation, f"{column}::varchar")
        return typed(type_, text_sql(f"{column}::varchar", type_), parse=type_ == "instant"), ""
    if kind.startswith(("TIME", "INTERVAL", "ENUM")) or kind == '"NULL"':
        return typed("text", f"{column}::varchar"), ""
    what = "binary" if kind in ("BLOB", "BIT", "GEOMETRY") else kind.split("(")[0].lower()
    return (
        None,
        f"is {what}, which no feature is made of; it is left out. Read it in the staging model if it is needed.",
    )


def text_type(engine: "duckdb.DuckDBPyConnection", relation: str, text: str) -> Type:
    """Whether every text is a date or an instant (ISO 8601); else it is text."""
    there, dates, instants = engine.execute(
        f"select count(value), count(*) filter (regexp_matches(value, '{_DATE}') and try_cast(value as date) is not null), "
        f"count(*) filter (regexp_matches(value, '{_INSTANT}') and try_cast(value as timestamptz) is not null) "
        f"from (select {text} as value from {relation})"
    ).fetchall()[0]
    if there and dates == there:
        return "date"
    return "instant" if there and instants == there else "text"


def text_sql(text: str, type_: Type) -> str:
    return {"date": f"cast({text} as date)", "instant": f"cast({text} as timestamptz)"}.get(type_, text)


def epoch_of(engine: "duckdb.DuckDBPyConnection", relation: str, number: str, name: str) -> Type | None:
    """Whether whole numbers are instants: by their name, and every one of them."""
    if not is_timelike(name.lower()):
        return None
    low, high = engine.execute(f"select min({number}), max({number}) from {relation}").fetchall()[0]
    if low is not None and _SECONDS[0] <= low and high <= _SECONDS[1]:
        return "epoch_seconds"
    if low is not None and _MILLISECONDS[0] <= low and high <= _MILLISECONDS[1]:
        return "epoch_milliseconds"
    return None


def epoch_sql(number: str, type_: Type) -> str:
    factor = 1_000_000 if type_ == "epoch_seconds" else 1_000
    return f"(make_timestamp({factor} * ({number})::bigint) at time zone 'UTC')"


def number_type(engine: "duckdb.DuckDBPyConnection", relation: str, text: str, name: str) -> tuple[Type, str]:
    """The type of DynamoDB's numbers, which are text here, and a sentence where they cannot be held as such."""
    there, whole, exact = engine.execute(
        f"select count(value), "
        f"count(*) filter (regexp_matches(value, '^-?\\d+$') and try_cast(value as bigint) is not null), "
        f"count(*) filter (regexp_matches(value, '^-?\\d{{1,{_INTEGER_DIGITS}}}([.]\\d{{1,{_DECIMALS}}}0*)?$')) "
        f"from (select {text} as value from {relation})"
    ).fetchall()[0]
    if whole == there:
        instant = epoch_of(engine, relation, f"try_cast({text} as bigint)", name) if there else None
        return instant or "integer", ""
    if exact == there:
        return "decimal", ""
    return "text", "some numbers are more than both engines hold exactly; it is read as text."


def number_sql(text: str, type_: Type) -> str:
    if type_ == "integer":
        return f"{text}::bigint"
    if type_ == "decimal":
        return f"{text}::decimal(38, 9)"
    return text if type_ == "text" else epoch_sql(f"{text}::bigint", type_)
