"""What the terms of a condition are: columns by their kind, calls, aggregates, days.

Belongs here: reading one node of sqlglot's tree, or one column's declaration. Does not belong here: what may stand where
(`parsing`), or what it comes to (`meaning`).
"""

import re
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING

from platform_assets.data.catalog.catalog import Mart
from platform_assets.foundation.documents.sentences import did_you_mean

if TYPE_CHECKING:
    from sqlglot import exp

FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2199, 12, 31)
MEASURES = ("sum", "mean", "min", "max")
AGGREGATES = ("count", "days_since", *MEASURES)
_SPELLED = {"avg": "mean"}
_OWN = "aggregate_"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class PredicateError(ValueError):
    """A condition that is not of the grammar, or names something that does not exist."""


@dataclass(frozen=True)
class Aggregate:
    """One aggregate over a person's events before the as-of date.

    Attributes:
        function: count, days_since, sum, mean, min or max.
        mart: event mart.
        column: measured column, for all but count and days_since.
        days: look back this many days; None: all events before the as-of date.
    """

    function: str
    mart: str
    column: str | None = None
    days: int | None = None

    @property
    def name(self) -> str:
        return "__".join(str(part) for part in (self.function, self.mart, self.column, self.days) if part is not None)


def trees_of(text: str) -> "list[exp.Expr]":
    """What a text holds, as sqlglot reads SQL; our aggregates as functions that it does not know, since its own take no days.

    Raises:
        SqlglotError: it is no SQL.
    """
    from sqlglot.dialects.dialect import Dialect
    from sqlglot.tokens import Token, TokenType

    dialect = Dialect.get_or_raise("duckdb")
    tokens = dialect.tokenize(text)
    for number, (token, after) in enumerate(pairwise(tokens)):
        name = _SPELLED.get(token.text.lower(), token.text.lower())
        if name in AGGREGATES and after.token_type == TokenType.L_PAREN:
            tokens[number] = Token(token.token_type, _OWN + name, token.line, token.col, token.start, token.end, [])
    return [tree for tree in dialect.parser().parse(tokens, text) if tree is not None]


def call_of(node: "exp.Expr") -> tuple[str, list["exp.Expr"]] | None:
    """(name, arguments) of a function call, whichever class sqlglot gave it."""
    from sqlglot import exp

    if isinstance(node, exp.Anonymous):
        return str(node.this).lower().removeprefix(_OWN), list(node.expressions)
    if isinstance(node, exp.Func):
        return node.sql_name().lower(), list(node.iter_expressions())
    return None


def aggregate_of(node: "exp.Expr") -> Aggregate:
    """The aggregate a checked call node stands for."""
    from sqlglot import exp

    call = call_of(node)
    assert call is not None
    function, arguments = call
    measured = function in MEASURES
    target = arguments[0]
    assert isinstance(target, exp.Column)
    days = int(arguments[1].name) if len(arguments) == 2 else None
    return Aggregate(function, target.table if measured else target.name, target.name if measured else None, days)


def written_day(node: "exp.Expr") -> str | None:
    """The day that a node writes, quoted or not, as in `'2024-01-31'` and `2024-01-31`; not yet whether there is such a day.

    Unquoted, a parser of SQL reads two subtractions; there is no arithmetic in this grammar that they could be meant for.
    """
    from sqlglot import exp

    if isinstance(node, exp.Literal):
        return node.name if node.is_string and _DAY.fullmatch(node.name) else None
    if not is_unquoted_day(node):
        return None
    text = "-".join((node.this.this.name, node.this.expression.name, node.expression.name))
    return text if _DAY.fullmatch(text) else None


def is_unquoted_day(node: "exp.Expr") -> bool:
    """Whether a node has the form of a day that is not quoted: number - number - number."""
    from sqlglot import exp

    def number(part: object) -> bool:
        return isinstance(part, exp.Literal) and not part.is_string

    if not isinstance(node, exp.Sub) or not isinstance(node.this, exp.Sub):
        return False
    return number(node.this.this) and number(node.this.expression) and number(node.expression)


def as_written(node: "exp.Expr") -> str:
    """A node as a file writes it."""
    from sqlglot import exp

    if day := written_day(node):
        return day if is_unquoted_day(node) else f"'{day}'"
    if isinstance(node, exp.Anonymous) and (call := call_of(node)):
        return f"{call[0]}({', '.join(as_written(argument) for argument in call[1])})"
    return str(node.sql("duckdb"))


def day_of(node: "exp.Expr") -> date | None:
    """The day that a checked node writes; None when it writes none."""
    written = written_day(node)
    if written is None:
        return None
    try:
        return date.fromisoformat(written)
    except ValueError:
        return None


def column_kind(mart: Mart, column: str) -> str:
    """`number`, `text`, `time`, `date`, `boolean` or `list`, by the column's declared type.

    Raises:
        PredicateError: the mart has no such column.
    """
    if column not in mart.columns:
        raise PredicateError(f"{mart.name} has no column {column}{did_you_mean(column, mart.columns)}")
    return mart.columns[column].kind


def element_kind(mart: Mart, column: str) -> str:
    """The kind of a list's elements; "" when its type does not say."""
    return mart.columns[column].element or ""


def numbers_of(mart: Mart) -> list[str]:
    """Columns that can be measured, keys last."""
    numbers = [name for name in mart.columns if column_kind(mart, name) == "number"]
    return sorted(numbers, key=lambda name: name in (mart.key, mart.entity_key))


def shown_column(mart: Mart) -> str:
    """A column to show an example with, keys last."""
    return min(mart.columns, key=lambda name: name in (mart.key, mart.entity_key))


def example_of(mart: Mart, column: str) -> str:
    element = "1" if element_kind(mart, column) == "number" else "'word'"
    return {
        "number": f"{column} >= 1",
        "text": f"{column} = 'word'",
        "time": f"{column} >= 2024-01-31",
        "date": f"{column} >= 2024-01-31",
        "boolean": f"{column} = true",
        "list": f"contains({column}, {element})",
    }[column_kind(mart, column)]
