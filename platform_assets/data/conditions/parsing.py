"""The one small grammar in which files state conditions.

    condition := condition and|or condition | not condition | (condition) | term op term
               | term [not] in (literal, …) | term [not] between literal and literal | term is [not] null
               | contains(list column, literal)
    op        := = | != | < | <= | > | >=
    term      := column | literal | aggregate
    literal   := number | 'text' | true | false | day
    day       := 2024-01-31, or '2024-01-31' beside a column of times or dates
    aggregate := count(mart [, days]) | days_since(mart) | sum|mean|min|max(mart.column [, days])

Columns are those of one mart: the event mart of a label's or a feature's `where`, or the entity's own for conditions on people, which
may also use the aggregates: over a person's events before the as-of date, all of them or those of the last `days`.
The text is parsed (sqlglot), every node must be one of the above, and Ibis expressions are built from the tree: the
text itself never reaches an engine. What a refusal says to write instead is of the grammar.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platform_assets.data.catalog.catalog import Catalog, Mart
from platform_assets.data.conditions.meaning import compiled
from platform_assets.data.conditions.terms import (
    AGGREGATES,
    FIRST_DAY,
    LAST_DAY,
    MEASURES,
    Aggregate,
    PredicateError,
    aggregate_of,
    as_written,
    call_of,
    column_kind,
    day_of,
    element_kind,
    example_of,
    is_unquoted_day,
    numbers_of,
    shown_column,
    trees_of,
    written_day,
)
from platform_assets.foundation.documents.sentences import did_you_mean

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from sqlglot import exp

MAX_DAYS = 3650
MAX_INTEGER = 2**63 - 1
# A chain of as many conditions as 500 characters hold stays below; each level is a few of Python's 1,000 frames.
MAX_DEPTH = 120
TEMPORAL = ("time", "date")
_DURATION = re.compile(r"(?<![\w.])([1-9][0-9]{0,3})\s?([dw])\b")


@dataclass(frozen=True)
class Predicate:
    """A parsed and checked condition.

    Attributes:
        timezone: IANA name of the time zone of the business days that it names.
    """

    text: str
    tree: "exp.Expr"
    columns: frozenset[str]
    aggregates: tuple[Aggregate, ...]
    timezone: str

    def to_ibis(self, columns: Mapping[str, "ir.Value"]) -> "ir.BooleanValue":
        """The condition over named values: columns by their name, aggregates by `Aggregate.name`."""
        holds: ir.BooleanValue = compiled(self.tree, columns, self.timezone)
        return holds


def parse_event_condition(text: str, mart: Mart, timezone: str) -> Predicate:
    """A condition on the rows of one event mart (`where`).

    Args:
        timezone: of the entity's business days.

    Raises:
        PredicateError: see the class.
    """
    return _parse(text, _Checker(mart, ()), timezone)


def parse_person_condition(text: str, catalog: Catalog, entity: str) -> Predicate:
    """A condition on people as of a date (`population`, `audience.exclude`).

    Raises:
        PredicateError: see the class.
    """
    events = tuple(mart for mart in catalog.marts.values() if mart.kind == "event" and mart.entity == entity)
    declared = catalog.entities[entity]
    return _parse(text, _Checker(catalog.marts[declared.mart], events, entity), declared.timezone)


def _parse(text: str, checker: "_Checker", timezone: str) -> Predicate:
    from sqlglot.errors import SqlglotError

    try:
        trees = trees_of(text)
    except (SqlglotError, RecursionError) as error:
        raise PredicateError(f"cannot read {text!r} as a condition: {_where(text, error)}") from error
    if not trees:
        raise PredicateError(f"cannot read {text!r} as a condition: it is empty; write one, e.g. {checker.example()}")
    if len(trees) > 1:
        raise PredicateError(f"{text!r} is not a condition but several; join them by and or or")
    [tree] = trees
    if _depth(tree) > MAX_DEPTH:
        raise PredicateError("is nested too deeply; state it with fewer brackets")
    if not checker.condition(tree):
        hint = f"; {_days_hint(text)}" if _DURATION.search(text) else ""
        raise PredicateError(f"{text!r} is not a condition{hint}; compare something, e.g. {checker.example(tree)}")
    columns, aggregates = frozenset(checker.columns), tuple(dict.fromkeys(checker.aggregates))
    return Predicate(text, tree, columns, aggregates, timezone)


def _where(text: str, error: Exception) -> str:
    """What in a text the parser stumbles over, in words of this grammar."""
    if _DURATION.search(text):
        return _days_hint(text)
    problems = getattr(error, "errors", None) or [{}]
    before, at = (str(problems[0].get(part) or "").strip() for part in ("start_context", "highlight"))
    if at:
        return f"it cannot go on with {at!r}{f' after {before[-30:]!r}' if before else ''}"
    return "a bracket or a quote is not closed, or a part is missing"


def _days_hint(text: str) -> str:
    match = _DURATION.search(text)
    assert match is not None
    days = min(int(match[1]) * (7 if match[2] == "w" else 1), MAX_DAYS)
    return f"{match[0]!r} is no number; write days as {days}"


def _depth(tree: "exp.Expr") -> int:
    deepest, waiting = 0, [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        deepest = max(deepest, depth)
        waiting.extend((child, depth + 1) for child in node.iter_expressions())
    return deepest


class _Checker:
    """Walks a tree once: refuses what is not of the grammar, and collects the columns and aggregates it uses.

    Args:
        events: the event marts that aggregates may name; none where aggregates may not stand.
    """

    def __init__(self, mart: Mart, events: tuple[Mart, ...], entity: str | None = None) -> None:
        self.mart, self.entity = mart, entity
        self.events = {one.name: one for one in events}
        self.columns: set[str] = set()
        self.aggregates: list[Aggregate] = []

    def condition(self, node: "exp.Expr") -> bool:
        """Whether `node` is a condition of the grammar, and no mere term."""
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
            self._kind_of(node.this)
            return True
        call = call_of(node)
        if call and call[0] == "contains":
            return self._contains(node, call[1])
        if isinstance(node, exp.Anonymous) and call and call[0] not in AGGREGATES:
            self._aggregate(node, *call)
        return False

    def example(self, node: "exp.Expr | None" = None) -> str:
        """A condition of the grammar, made of `node` where it is a term."""
        from sqlglot import exp

        if isinstance(node, exp.Is) and isinstance(node.expression, exp.Boolean):
            node = node.this
        if isinstance(node, exp.Column) and node.name in self.mart.columns and node.table in ("", self.mart.name):
            return example_of(self.mart, node.name)
        call = None if node is None else call_of(node)
        if node is not None and call and call[0] in AGGREGATES:
            try:
                self._aggregate(node, *call)
                return f"{as_written(node)} > 1"
            except PredicateError:  # what is wrong with it is not what is asked here
                pass
        if self.events:
            return f"count({next(iter(self.events))}) > 1"
        return example_of(self.mart, shown_column(self.mart))

    def _must(self, node: "exp.Expr") -> bool:
        if not self.condition(node):
            raise PredicateError(
                f"{as_written(node)!r} is not a condition; compare something, e.g. {self.example(node)}"
            )
        return True

    def _comparable(self, node: "exp.Expr", *terms: "exp.Expr") -> bool:
        from sqlglot import exp

        kinds = {term: self._kind_of(term) for term in terms}
        stated = {kind for kind in kinds.values() if kind != "null"}
        if "list" in stated:
            [name, *_] = [term.name for term, kind in kinds.items() if kind == "list"]
            raise PredicateError(f"{as_written(node)!r} compares a list; write {example_of(self.mart, name)}")
        if stated & set(TEMPORAL):
            self._require_days_beside(node, kinds)
        elif "day" in stated:
            others = [term for term, kind in kinds.items() if kind != "day"]
            words = ", ".join(sorted(stated - {"day"})) or "nothing else"
            quotes = f"; as a text it takes quotes: {self._quoted(kinds)}" if stated == {"day", "text"} else ""
            raise PredicateError(f"{as_written(node)!r} compares a day with {words if others else 'a day'}{quotes}")
        elif len(stated) > 1:
            [literal, *_] = [*(term for term in terms if isinstance(term, exp.Literal | exp.Boolean)), None]
            hint = _other_kind(literal, stated)
            raise PredicateError(f"{as_written(node)!r} compares {' with '.join(sorted(stated))}{hint}")
        return True

    def _quoted(self, kinds: "Mapping[exp.Expr, str]") -> str:
        [day, *_] = [term for term, kind in kinds.items() if kind == "day"]
        return f"'{written_day(day)}'"

    def _require_days_beside(self, node: "exp.Expr", kinds: "Mapping[exp.Expr, str]") -> None:
        """Beside a time or a date only the same, or days, which may be quoted."""
        from sqlglot import exp

        for term, kind in kinds.items():
            if kind == "day" or kind in TEMPORAL or kind == "null":
                continue
            if not (isinstance(term, exp.Literal) and term.is_string and written_day(term)):
                raise PredicateError(
                    f"{as_written(node)!r} compares a {'time' if 'time' in kinds.values() else 'date'} with "
                    f"{as_written(term)}; write a day as 2024-01-31"
                )
            _require_day(term)
        if set(TEMPORAL) <= set(kinds.values()):
            raise PredicateError(f"{as_written(node)!r} compares a time with a date column; compare each with a day")

    def _contains(self, node: "exp.Expr", arguments: list["exp.Expr"]) -> bool:
        from sqlglot import exp

        lists = [name for name in self.mart.columns if column_kind(self.mart, name) == "list"]
        written = len(arguments) == 2 and isinstance(arguments[1], exp.Literal)
        if not written or self._kind_of(arguments[0]) != "list":
            hint = f", e.g. {example_of(self.mart, lists[0])}" if lists else f"; {self.mart.name} has no list columns"
            raise PredicateError(f"{as_written(node)!r}: contains takes a list column and a literal{hint}")
        kind = element_kind(self.mart, arguments[0].name)
        if kind not in ("", self._kind_of(arguments[1])):
            raise PredicateError(
                f"{as_written(node)!r}: {arguments[0].name} holds {kind}s; write {example_of(self.mart, arguments[0].name)}"
            )
        return True

    def _kind_of(self, node: "exp.Expr") -> str:
        """`number`, `text`, `time`, `date`, `day`, `boolean`, `list` or `null` of a term; refuses what is no term."""
        from sqlglot import exp

        if isinstance(node, exp.Literal):
            if node.is_string:
                return "text"
            _require_number(node)
            return "number"
        if isinstance(node, exp.Boolean):
            return "boolean"
        if isinstance(node, exp.Null):
            return "null"
        if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal) and not node.this.is_string:
            _require_number(node.this)
            return "number"
        if is_unquoted_day(node):
            _require_day(node)
            return "day"
        if isinstance(node, exp.Column) and len(node.parts) <= 2:
            return self._column(node)
        if isinstance(node, exp.Cast) and written_day(node.this):
            raise PredicateError(f"{as_written(node)!r} is not part of this grammar; write {written_day(node.this)}")
        if call := call_of(node):
            return self._aggregate(node, *call)
        raise PredicateError(f"{as_written(node)!r} is not part of this grammar; compare columns with plain values")

    def _column(self, node: "exp.Column") -> str:
        if node.table and node.table != self.mart.name:
            hint = ""
            if (events := self.events.get(node.table)) and node.name in numbers_of(events):
                hint = f"; of events take e.g. max({node.table}.{node.name})"
            raise PredicateError(f"{as_written(node)!r}: only columns of {self.mart.name} can stand here{hint}")
        kind = column_kind(self.mart, node.name)
        self.columns.add(node.name)
        return kind

    def _aggregate(self, node: "exp.Expr", function: str, arguments: list["exp.Expr"]) -> str:
        written = as_written(node)
        lists = [name for name in self.mart.columns if column_kind(self.mart, name) == "list"]
        functions = (*(AGGREGATES if self.events else ()), *(["contains"] if lists else ()))
        if not self.events and function in AGGREGATES:
            raise PredicateError(
                f"{written!r}: aggregates can stand only in conditions on people; here stand columns of "
                f"{self.mart.name}, e.g. {self.example()}"
            )
        if function not in functions:
            hint = did_you_mean(function, functions) if functions else "; here stand columns and plain values"
            raise PredicateError(f"{written!r}: there is no function {function}{hint}")
        if function == "contains":
            raise PredicateError(f"{written!r} is a condition; it is compared with nothing")
        if not arguments:
            raise PredicateError(f"{written!r}: name an event mart, e.g. {self._call_of_first(function)}")
        self._require_target(written, function, arguments[0])
        if len(arguments) > 2 or (len(arguments) == 2 and function == "days_since"):
            least = as_written(arguments[0])
            raise PredicateError(f"{written!r}: too many arguments; write {function}({least})")
        if len(arguments) == 2:
            _require_days(written, arguments[1])
        self.aggregates.append(aggregate_of(node))
        return "number"

    def _require_target(self, written: str, function: str, node: "exp.Expr") -> None:
        from sqlglot import exp

        if not isinstance(node, exp.Column) or len(node.parts) > 2:
            raise PredicateError(
                f"{written!r}: the first argument names an event mart, e.g. {self._call_of_first(function)}"
            )
        measured = function in MEASURES
        name, column = (node.table, node.name) if measured or node.table else (node.name, None)
        if measured and not name:
            mart = self.events.get(node.name)
            raise PredicateError(f"{written!r}: write {self._call_of_first(function, mart)}")
        if name not in self.events:
            raise PredicateError(
                f"{written!r}: {self.entity} has no events called {name}{did_you_mean(name, self.events)}"
            )
        if not measured and column is not None:
            raise PredicateError(f"{written!r}: write {function}({name})")
        mart = self.events[name]
        if column is not None and column_kind(mart, column) != "number":
            raise PredicateError(f"{written!r}: {column} is not a number{did_you_mean(column, numbers_of(mart)) or ''}")

    def _call_of_first(self, function: str, mart: Mart | None = None) -> str:
        """The function on an event mart: on this, else on the first that it can look at."""
        if function not in MEASURES:
            return f"{function}({next(iter(self.events))})"
        marts = [one for one in (mart, *self.events.values()) if one and numbers_of(one)]
        return f"{function}({marts[0].name}.{numbers_of(marts[0])[0]})" if marts else "count(…) or days_since(…)"


def _other_kind(literal: "exp.Expr | None", stated: set[str]) -> str:
    """How a literal is written that meets another kind of value."""
    if literal is None:
        return ""
    if "boolean" in stated:
        return "; write true or false for the boolean"
    if stated == {"number", "text"}:
        text = str(literal.name)
        if not literal.is_string:
            return f"; a text takes quotes: '{text}'"
        return f"; a number takes no quotes: {text}" if re.fullmatch(r"\d+(\.\d+)?", text) else ""
    return ""


def _require_day(node: "exp.Expr") -> None:
    day = day_of(node)
    if day is None:
        raise PredicateError(f"{as_written(node)} is no day of the calendar; write one as 2024-01-31")
    if not FIRST_DAY <= day <= LAST_DAY:
        raise PredicateError(f"{day} is out of reach; write a day from {FIRST_DAY} to {LAST_DAY}")


def _require_number(node: "exp.Expr") -> None:
    try:
        value = int(node.name) if node.name.isdigit() else float(node.name)
    except ValueError:
        raise PredicateError(f"{node.name[:30]} is no number here; write digits and a point, such as 12.5") from None
    if abs(value) > MAX_INTEGER or not math.isfinite(value):
        raise PredicateError(f"{node.name[:30]} is larger than any number here")


def _require_days(written: str, node: "exp.Expr") -> None:
    from sqlglot import exp

    whole = isinstance(node, exp.Literal) and not node.is_string and node.name.isdigit()
    if not whole or not 1 <= int(node.name) <= MAX_DAYS:
        hint = f"; {_days_hint(node.name)}" if isinstance(node, exp.Literal) and _DURATION.search(node.name) else ""
        raise PredicateError(f"{written!r}: the second argument is a number of days from 1 to {MAX_DAYS}{hint}")
