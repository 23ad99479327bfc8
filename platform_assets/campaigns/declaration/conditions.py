"""The one small grammar in which a campaign file states conditions, and its way into Ibis.

    condition := condition and|or condition | not condition | (condition) | term op term
               | term [not] in (literal, …) | term [not] between literal and literal | term is [not] null
               | contains(list column, literal)
    op        := = | != | < | <= | > | >=
    term      := column | literal | aggregate
    aggregate := count(mart [, days]) | days_since(mart) | sum|mean|min|max(mart.column [, days])

Columns are those of one mart: the event mart of a label's `where`, or the entity's own for conditions on people, which
may also use the aggregates: over a person's events before the as-of date, all of them or those of the last `days`.
The text is parsed (sqlglot), every node must be one of the above, and Ibis expressions are built from the tree: the
text itself never reaches an engine.
"""

import difflib
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from platform_assets.data.catalog.catalog import Catalog, Mart

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from sqlglot import exp

MEASURES = ("sum", "mean", "min", "max")
AGGREGATES = ("count", "days_since", *MEASURES)
MAX_DAYS = 3650


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


@dataclass(frozen=True)
class Predicate:
    """A parsed and checked condition."""

    text: str
    tree: "exp.Expr"
    columns: frozenset[str]
    aggregates: tuple[Aggregate, ...]

    def to_ibis(self, columns: Mapping[str, "ir.Value"]) -> "ir.BooleanValue":
        """The condition over named values: columns by their name, aggregates by `Aggregate.name`."""
        return _compile(self.tree, columns)


def parse_event_condition(text: str, mart: Mart) -> Predicate:
    """A condition on the rows of one event mart (a label's `where`).

    Raises:
        PredicateError: see the class.
    """
    return _parse(text, mart, catalog=None, entity=None)


def parse_person_condition(text: str, catalog: Catalog, entity: str) -> Predicate:
    """A condition on people as of a date (`population`, `audience.exclude`).

    Raises:
        PredicateError: see the class.
    """
    return _parse(text, catalog.marts[catalog.entities[entity].mart], catalog, entity)


def _parse(text: str, mart: Mart, catalog: Catalog | None, entity: str | None) -> Predicate:
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(text, dialect="duckdb")
    except SqlglotError as error:
        reason = str(error).splitlines()[0]
        raise PredicateError(f"cannot read {text!r} as a condition: {reason}") from error
    checker = _Checker(mart, catalog, entity)
    if checker.condition(tree) is None:
        raise PredicateError(f"{text!r} is not a condition; compare something, e.g. count({mart.name}) > 1")
    return Predicate(text, tree, frozenset(checker.columns), tuple(dict.fromkeys(checker.aggregates)))


class _Checker:
    """Walks a tree once: refuses what is not of the grammar, and collects the columns and aggregates it uses."""

    def __init__(self, mart: Mart, catalog: Catalog | None, entity: str | None) -> None:
        self.mart, self.catalog, self.entity = mart, catalog, entity
        self.columns: set[str] = set()
        self.aggregates: list[Aggregate] = []

    def condition(self, node: "exp.Expr") -> bool | None:
        """True when `node` is a condition of the grammar, None when it is only a term."""
        from sqlglot import exp

        if isinstance(node, exp.Paren | exp.Not):
            return self._must(node.this)
        if isinstance(node, exp.And | exp.Or):
            return self._must(node.left) and self._must(node.right)
        if isinstance(node, exp.EQ | exp.NEQ | exp.LT | exp.LTE | exp.GT | exp.GTE):
            return self._comparable(node, node.left, node.right)
        if isinstance(node, exp.Between):
            return self._comparable(node, node.this, node.args["low"], node.args["high"])
        if isinstance(node, exp.In) and node.expressions and not node.args.get("query"):
            return self._comparable(node, node.this, *node.expressions)
        if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
            self._type_of(node.this)
            return True
        if (call := _call(node)) and call[0] == "contains":
            return self._contains(node, call[1])
        return None

    def _must(self, node: "exp.Expr") -> bool:
        if self.condition(node) is None:
            raise PredicateError(f"{node.sql('duckdb')!r} is not a condition of this grammar")
        return True

    def _comparable(self, node: "exp.Expr", *terms: "exp.Expr") -> bool:
        kinds = {kind for term in terms if (kind := self._type_of(term)) != "null"}
        if len(kinds) > 1:
            raise PredicateError(f"{node.sql('duckdb')!r} compares {' with '.join(sorted(kinds))}")
        if kinds & {"list"}:
            raise PredicateError(f"{node.sql('duckdb')!r} compares a list; write contains(column, 'word')")
        return True

    def _contains(self, node: "exp.Expr", arguments: list["exp.Expr"]) -> bool:
        from sqlglot import exp

        if len(arguments) != 2 or not isinstance(arguments[1], exp.Literal) or self._type_of(arguments[0]) != "list":
            raise PredicateError(f"{node.sql('duckdb')!r}: contains takes a list column and a literal")
        return True

    def _type_of(self, node: "exp.Expr") -> str:
        """`number`, `text`, `time`, `boolean`, `list` or `null` of a term; refuses anything that is no term."""
        from sqlglot import exp

        if isinstance(node, exp.Literal):
            return "text" if node.is_string else "number"
        if isinstance(node, exp.Boolean):
            return "boolean"
        if isinstance(node, exp.Null):
            return "null"
        if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal) and not node.this.is_string:
            return "number"
        if isinstance(node, exp.Column):
            return self._column(node)
        if call := _call(node):
            return self._aggregate(node, *call)
        raise PredicateError(f"{node.sql('duckdb')!r} is not part of this grammar")

    def _column(self, node: "exp.Column") -> str:
        if node.table and node.table != self.mart.name:
            raise PredicateError(f"{node.sql('duckdb')!r}: only columns of {self.mart.name} can stand here")
        kind = column_kind(self.mart, node.name)
        self.columns.add(node.name)
        return kind

    def _aggregate(self, node: "exp.Expr", function: str, arguments: list["exp.Expr"]) -> str:
        shown = node.sql("duckdb")
        if function not in AGGREGATES:
            raise PredicateError(
                f"{shown!r}: there is no function {function}{did_you_mean(function, (*AGGREGATES, 'contains'))}"
            )
        if self.catalog is None:
            raise PredicateError(f"{shown!r}: aggregates can stand only in conditions on people")
        if not arguments:
            raise PredicateError(
                f"{shown!r}: name an event mart, e.g. {function}({'mart.column' if function in MEASURES else 'mart'})"
            )
        self._require_target(shown, function, arguments[0])
        if len(arguments) > 2 or (len(arguments) == 2 and function == "days_since"):
            raise PredicateError(f"{shown!r}: too many arguments")
        if len(arguments) == 2:
            _require_days(shown, arguments[1])
        self.aggregates.append(aggregate_of(node))
        return "number"

    def _require_target(self, shown: str, function: str, node: "exp.Expr") -> None:
        from sqlglot import exp

        assert self.catalog is not None
        if not isinstance(node, exp.Column):
            raise PredicateError(f"{shown!r}: the first argument names an event mart")
        measured = function in MEASURES
        name, column = (node.table, node.name) if measured else (node.name, None)
        if measured and not name:
            raise PredicateError(f"{shown!r}: write {function}(mart.column)")
        events = [m.name for m in self.catalog.marts.values() if m.kind == "event" and m.entity == self.entity]
        if name not in events:
            raise PredicateError(f"{shown!r}: {self.entity} has no events called {name}{did_you_mean(name, events)}")
        mart = self.catalog.marts[name]
        if column is not None and column_kind(mart, column) != "number":
            raise PredicateError(f"{shown!r}: {column} is not a number")


def column_kind(mart: Mart, column: str) -> str:
    """`number`, `text`, `time`, `boolean` or `list`, by the column's declared type.

    Raises:
        PredicateError: the mart has no such column.
    """
    if column not in mart.columns:
        raise PredicateError(f"{mart.name} has no column {column}{did_you_mean(column, mart.columns)}")
    declared = mart.columns[column].lower()
    if declared.endswith("[]") or declared.startswith("array"):
        return "list"
    if declared.startswith(("varchar", "string", "text")):
        return "text"
    if declared.startswith(("timestamp", "date")):
        return "time"
    return "boolean" if declared.startswith("bool") else "number"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean "…"?` with the nearest known word, or what is known when nothing is near."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f'; did you mean "{near[0]}"?'
    return f"; known are {', '.join(known)}" if known else ""


def _call(node: "exp.Expr") -> tuple[str, list["exp.Expr"]] | None:
    """(name, arguments) of a function call, whichever class sqlglot gave it."""
    from sqlglot import exp

    if isinstance(node, exp.Anonymous):
        return str(node.this).lower(), list(node.expressions)
    names: dict[type, str] = {exp.Count: "count", exp.Sum: "sum", exp.Min: "min", exp.Max: "max", exp.Avg: "mean"}
    if isinstance(node, exp.Func):
        return names.get(type(node), node.sql_name().lower()), list(node.iter_expressions())
    return None


def _require_days(shown: str, node: "exp.Expr") -> None:
    from sqlglot import exp

    whole = isinstance(node, exp.Literal) and not node.is_string and node.name.isdigit()
    if not whole or not 1 <= int(node.name) <= MAX_DAYS:
        raise PredicateError(f"{shown!r}: the second argument is a number of days from 1 to {MAX_DAYS}")


def aggregate_of(node: "exp.Expr") -> Aggregate:
    """The aggregate a checked call node stands for."""
    from sqlglot import exp

    call = _call(node)
    assert call is not None
    function, arguments = call
    measured = function in MEASURES
    target = arguments[0]
    assert isinstance(target, exp.Column)
    days = int(arguments[1].name) if len(arguments) == 2 else None
    return Aggregate(function, target.table if measured else target.name, target.name if measured else None, days)


def _compile(node: "exp.Expr", columns: Mapping[str, Any]) -> Any:
    import ibis
    from sqlglot import exp

    comparisons: dict[type, Callable[[Any, Any], Any]] = {
        exp.EQ: operator.eq, exp.NEQ: operator.ne, exp.LT: operator.lt,
        exp.LTE: operator.le, exp.GT: operator.gt, exp.GTE: operator.ge,
        exp.And: operator.and_, exp.Or: operator.or_,
    }  # fmt: skip
    if isinstance(node, exp.Binary) and type(node) in comparisons:
        return comparisons[type(node)](_compile(node.left, columns), _compile(node.right, columns))
    if isinstance(node, exp.Paren):
        return _compile(node.this, columns)
    if isinstance(node, exp.Not):
        return ~_compile(node.this, columns)
    if isinstance(node, exp.Between):
        return _compile(node.this, columns).between(
            _compile(node.args["low"], columns), _compile(node.args["high"], columns)
        )
    if isinstance(node, exp.In):
        term = _compile(node.this, columns)
        return reduce(operator.or_, [term == _compile(option, columns) for option in node.expressions])
    if isinstance(node, exp.Is):
        return _compile(node.this, columns).isnull()
    if isinstance(node, exp.Literal):
        return ibis.literal(node.name if node.is_string else float(node.name) if "." in node.name else int(node.name))
    if isinstance(node, exp.Boolean):
        return ibis.literal(bool(node.this))
    if isinstance(node, exp.Null):
        return ibis.null()
    if isinstance(node, exp.Neg):
        return -_compile(node.this, columns)
    if isinstance(node, exp.Column):
        return columns[node.name]
    call = _call(node)
    assert call is not None
    if call[0] == "contains":
        return _compile(call[1][0], columns).contains(_compile(call[1][1], columns))
    return columns[aggregate_of(node).name]
