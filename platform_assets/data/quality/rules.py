"""What a table must satisfy, as data: small frozen dataclasses, one a kind of rule.

A rule states what to measure over the full table (SQL aggregates for DuckDB) and between which bounds each
measure must lie. Belongs here: kinds of rules. Does not belong here: running SQL, Great Expectations,
results.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["critical", "warning"]


@dataclass(frozen=True)
class Measure:
    """One number about a table: an SQL aggregate, and the bounds it must lie in; without bounds it is only
    shown.
    """

    label: str
    sql: str
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What every kind of rule has.

    Attributes:
        severity: `critical` stops the table from being published, `warning` only shows.
    """

    severity: Severity = "critical"

    @property
    def name(self) -> str:
        """What the rule promises, in words a person reads in a report; unique within an audit."""
        raise TypeError(f"{type(self).__name__} states no name")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that must exist before the rule can be judged."""
        return ()

    def measures(self) -> tuple[Measure, ...]:
        """What to measure over the full table."""
        return ()

    def failing(self) -> str | None:
        """SQL condition of the rows that break the rule; None when single rows cannot."""
        return None

    def shown(self) -> str | None:
        """The column whose failing values a report may show; None when they name people or there is none."""
        return None

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a fingerprint: a changed rule is a reason to audit again."""
        return {"rule": type(self).__name__, **{k: _plain(v) for k, v in asdict(self).items()}}


@dataclass(frozen=True)
class Columns(Rule):
    """The table has exactly these columns, in any order; `types` (Arrow type names) may pin some or all of
    them.
    """

    names: tuple[str, ...]
    types: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return "expected columns"


@dataclass(frozen=True)
class Key(Rule):
    """`key` columns identify a row: no nulls, no duplicates."""

    key: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"key {', '.join(self.key)} unique and complete"

    @property
    def columns(self) -> tuple[str, ...]:
        return self.key

    def measures(self) -> tuple[Measure, ...]:
        listed = ", ".join(quoted(c) for c in self.key)
        return (
            Measure("rows with a null in the key", f"count(*) filter (where {self.failing()})", most=0),
            Measure("rows that repeat a key", f"count(*) - count(distinct ({listed}))", most=0),
        )

    def failing(self) -> str:
        return " or ".join(f"{quoted(c)} is null" for c in self.key)


@dataclass(frozen=True)
class RowCount(Rule):
    """The table has `exactly` so many rows, or `at_least` so many."""

    exactly: int | None = None
    at_least: int | None = None

    @property
    def name(self) -> str:
        return "row count"

    def measures(self) -> tuple[Measure, ...]:
        least = self.exactly if self.exactly is not None else self.at_least
        return (Measure("rows", "count(*)", least=least, most=self.exactly),)


@dataclass(frozen=True)
class Bounds(Rule):
    """Values of a numeric column are finite and between `minimum` and `maximum` (None: open); nulls are not
    judged.
    """

    column: str
    minimum: float | None = None
    maximum: float | None = None

    @property
    def name(self) -> str:
        low = "-∞" if self.minimum is None else f"{self.minimum:g}"
        high = "∞" if self.maximum is None else f"{self.maximum:g}"
        return f"{self.column} finite, within {low} … {high}"

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    def measures(self) -> tuple[Measure, ...]:
        column = quoted(self.column)
        return (
            Measure("values outside", f"count(*) filter (where {self.failing()})", most=0),
            Measure("smallest", f"min({column})"),
            Measure("largest", f"max({column})"),
        )

    def failing(self) -> str:
        column = quoted(self.column)
        parts = [f"not isfinite({column}::double)"]
        parts += [f"{column} < {self.minimum!r}"] if self.minimum is not None else []
        parts += [f"{column} > {self.maximum!r}"] if self.maximum is not None else []
        return " or ".join(parts)

    def shown(self) -> str:
        return self.column


@dataclass(frozen=True)
class NullShare(Rule):
    """At most this share (0 … 1) of a column's rows is null."""

    column: str
    at_most: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.column} never null" if self.at_most == 0 else f"{self.column} null in at most {self.at_most:.1%}"

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    def measures(self) -> tuple[Measure, ...]:
        return (Measure("share of nulls", share_of(f"{quoted(self.column)} is null"), most=self.at_most),)

    def failing(self) -> str:
        return f"{quoted(self.column)} is null"


@dataclass(frozen=True)
class Monotone(Rule):
    """Along a row, each listed column is at most the next: a 7-day count never exceeds the 28-day count."""

    along: tuple[str, ...]

    @property
    def name(self) -> str:
        return " ≤ ".join(self.along)

    @property
    def columns(self) -> tuple[str, ...]:
        return self.along

    def measures(self) -> tuple[Measure, ...]:
        return (Measure("rows out of order", f"count(*) filter (where {self.failing()})", most=0),)

    def failing(self) -> str:
        pairs = zip(self.along, self.along[1:], strict=False)
        return " or ".join(f"{quoted(a)} > {quoted(b)}" for a, b in pairs)


@dataclass(frozen=True)
class Allowed(Rule):
    """A column holds only these values; nulls are not judged."""

    column: str
    values: tuple[str | int | bool, ...]

    @property
    def name(self) -> str:
        return f"{self.column} in {{{', '.join(str(v) for v in self.values)}}}"

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    def measures(self) -> tuple[Measure, ...]:
        return (Measure("rows with another value", f"count(*) filter (where {self.failing()})", most=0),)

    def failing(self) -> str:
        return f"{quoted(self.column)} not in ({', '.join(_literal(v) for v in self.values)})"

    def shown(self) -> str:
        return self.column


@dataclass(frozen=True)
class ShareBounds(Rule):
    """The share (0 … 1) of all rows in which `column` equals `value` lies in bounds; an empty table's share
    is 0.
    """

    column: str
    value: str | int | bool
    minimum: float = 0.0
    maximum: float = 1.0

    @property
    def name(self) -> str:
        return f"share of {self.column} = {self.value} within {self.minimum:.1%} … {self.maximum:.1%}"

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    def measures(self) -> tuple[Measure, ...]:
        condition = f"{quoted(self.column)} = {_literal(self.value)}"
        return (Measure("share", share_of(condition), least=self.minimum, most=self.maximum),)


@dataclass(frozen=True)
class Pattern(Rule):
    """Texts of a column have this shape (a regular expression for the whole text); judged on a sample."""

    column: str
    regex: str

    @property
    def name(self) -> str:
        return f"{self.column} looks like {self.regex}"

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    def failing(self) -> str:
        return f"not regexp_full_match({quoted(self.column)}, {_literal(self.regex)})"

    def shown(self) -> str:
        return self.column


def quoted(column: str) -> str:
    """The column's name as SQL takes it."""
    return '"' + column.replace('"', '""') + '"'


def share_of(condition: str) -> str:
    """SQL for the share of all rows in which the condition holds; 0 in an empty table."""
    return f"coalesce(count(*) filter (where {condition}) / nullif(count(*), 0)::double, 0)"


def _literal(value: str | int | bool) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
