"""Conditions as Ibis expressions: what a checked tree comes to over named values.

A day stands for itself beside a date, and for the business day beside a time: `ordered_at = 2024-01-31` holds from the
midnight that begins that day to the one that ends it, in the entity's time zone. Does not belong here: what may be written.
"""

import operator
from collections.abc import Callable, Mapping
from datetime import UTC, date, timedelta
from functools import reduce
from typing import TYPE_CHECKING, Any

from platform_assets.data.catalog.business_day import instant_of
from platform_assets.data.conditions.terms import aggregate_of, call_of, day_of

if TYPE_CHECKING:
    import ibis.expr.datatypes as dt
    from sqlglot import exp

_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "EQ": operator.eq, "NEQ": operator.ne, "LT": operator.lt, "LTE": operator.le, "GT": operator.gt, "GTE": operator.ge,
}  # fmt: skip
_MIRRORED = {"EQ": "EQ", "NEQ": "NEQ", "LT": "GT", "LTE": "GTE", "GT": "LT", "GTE": "LTE"}


def compiled(node: "exp.Expr", columns: Mapping[str, Any], timezone: str) -> Any:
    """The value of a checked tree.

    Args:
        columns: columns by their name, aggregates by `Aggregate.name`.
        timezone: IANA name of the time zone of business days.
    """
    return _Compiler(columns, timezone).value(node)


class _Compiler:
    def __init__(self, columns: Mapping[str, Any], timezone: str) -> None:
        self._columns, self._timezone = columns, timezone

    def value(self, node: "exp.Expr") -> Any:
        import ibis
        from sqlglot import exp

        if isinstance(node, exp.And | exp.Or):
            together = operator.and_ if isinstance(node, exp.And) else operator.or_
            return together(self.value(node.left), self.value(node.right))
        if isinstance(node, exp.EQ | exp.NEQ | exp.LT | exp.LTE | exp.GT | exp.GTE):
            return self._compared(type(node).__name__, node.left, node.right)
        if isinstance(node, exp.Paren):
            return self.value(node.this)
        if isinstance(node, exp.Not):
            return ~self.value(node.this)
        if isinstance(node, exp.Between):
            low, high = node.args["low"], node.args["high"]
            return self._compared("GTE", node.this, low) & self._compared("LTE", node.this, high)
        if isinstance(node, exp.In):
            return reduce(operator.or_, [self._compared("EQ", node.this, option) for option in node.expressions])
        if isinstance(node, exp.Is):
            return self.value(node.this).isnull()
        if isinstance(node, exp.Literal):
            return ibis.literal(node.name if node.is_string else _number(node.name))
        if isinstance(node, exp.Boolean):
            return ibis.literal(bool(node.this))
        if isinstance(node, exp.Null):
            return ibis.null()
        if isinstance(node, exp.Neg):
            return -self.value(node.this)
        if isinstance(node, exp.Column):
            return self._columns[node.name]
        call = call_of(node)
        assert call is not None
        if call[0] == "contains":
            return self.value(call[1][0]).contains(self.value(call[1][1]))
        return self._columns[aggregate_of(node).name]

    def _compared(self, sign: str, left: "exp.Expr", right: "exp.Expr") -> Any:
        for here, there, seen in ((left, right, sign), (right, left, _MIRRORED[sign])):
            day = day_of(there)
            if day is not None and (value := self.value(here)).type().is_temporal():
                return self._against_day(seen, value, day)
        return _OPERATORS[sign](self.value(left), self.value(right))

    def _against_day(self, sign: str, value: Any, day: date) -> Any:
        import ibis

        if value.type().is_date():
            return _OPERATORS[sign](value, ibis.literal(day))
        begins, ends = (self._instant(day + timedelta(days=number), value.type()) for number in (0, 1))
        by_sign: dict[str, Callable[[], Any]] = {
            "EQ": lambda: (value >= begins) & (value < ends),
            "NEQ": lambda: (value < begins) | (value >= ends),
            "LT": lambda: value < begins,
            "LTE": lambda: value < ends,
            "GT": lambda: value >= ends,
            "GTE": lambda: value >= begins,
        }
        return by_sign[sign]()

    def _instant(self, day: date, kind: "dt.DataType") -> Any:
        """The midnight that begins a business day; a time without a zone is one in UTC."""
        import ibis

        instant = instant_of(day, self._timezone)
        if getattr(kind, "timezone", None) is None:
            return ibis.literal(instant.astimezone(UTC).replace(tzinfo=None), type="timestamp")
        # Without its zone it would not compare with instants on BigQuery.
        return ibis.literal(instant, type="timestamp('UTC', 6)")


def _number(text: str) -> int | float:
    return int(text) if text.isdigit() else float(text)
