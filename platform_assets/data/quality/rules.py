"""What a table must satisfy, as data: small frozen dataclasses, one a kind of rule.

A rule stands for expectations of Great Expectations, under the names and arguments they have there, each with the SQL
condition of the rows that break it. Belongs here: kinds of rules. Does not belong here: running SQL, Great
Expectations itself, results.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from sys import float_info
from typing import Any, Literal

Severity = Literal["critical", "warning"]


@dataclass(frozen=True)
class Expected:
    """One expectation that a rule stands for.

    Attributes:
        kind: its class in `great_expectations.expectations`.
        arguments: what that class takes.
        counts: what its figure counts or says.
        breaks: SQL condition of the rows that break it; None when no single row does.
        count: SQL aggregate for how many break it, where a condition cannot say.
    """

    kind: str
    arguments: Mapping[str, Any]
    counts: str
    breaks: str | None = None
    count: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the expectation reads."""
        named = (self.arguments.get(part) for part in ("column", "column_A", "column_B"))
        return (*filter(None, named), *self.arguments.get("column_list", ()))


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

    def sentence(self, failing: int, rows: int) -> str:
        """What a person is told in place of figures when `failing` of `rows` rows break the rule; "": the figures."""
        return ""

    def expectations(self) -> Iterator[Expected]:
        """What Great Expectations is to judge."""
        raise TypeError(f"{type(self).__name__} states no expectation")

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a fingerprint: a changed rule is a reason to audit again."""
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {"rule": type(self).__name__, **plain}


@dataclass(frozen=True)
class Columns(Rule):
    """The table has exactly these columns, in any order; `types` (Arrow type names) may pin some or all of them."""

    names: tuple[str, ...]
    types: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return "expected columns"

    def expectations(self) -> Iterator[Expected]:
        yield Expected("ExpectTableColumnsToMatchSet", {"column_set": list(self.names)}, "columns")
        for column, kind in self.types.items():
            yield Expected(
                "ExpectColumnValuesToBeOfType", {"column": column, "type_": kind}, f"type {kind}, but {column} is"
            )


@dataclass(frozen=True)
class Key(Rule):
    """`key` columns identify a row: no nulls, no duplicates."""

    key: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"key {', '.join(self.key)} unique and complete"

    def expectations(self) -> Iterator[Expected]:
        for column in self.key:
            yield from NullShare(column).expectations()
        repeated = f"count(*) - count(distinct row({', '.join(map(quoted, self.key))}))"
        if len(self.key) == 1:
            yield Expected(
                "ExpectColumnValuesToBeUnique", {"column": self.key[0]}, "rows that repeat a key", count=repeated
            )
        else:
            arguments = {"column_list": list(self.key), "ignore_row_if": "never"}
            yield Expected("ExpectCompoundColumnsToBeUnique", arguments, "rows that repeat a key", count=repeated)


@dataclass(frozen=True)
class RowCount(Rule):
    """The table has `exactly` so many rows, or `at_least` so many."""

    exactly: int | None = None
    at_least: int | None = None

    @property
    def name(self) -> str:
        return "row count"

    def expectations(self) -> Iterator[Expected]:
        least = self.at_least if self.exactly is None else self.exactly
        yield Expected("ExpectTableRowCountToBeBetween", {"min_value": least, "max_value": self.exactly}, "rows")


@dataclass(frozen=True)
class Bounds(Rule):
    """Values of a numeric column are finite and between `minimum` and `maximum` (None: open); nulls are not judged."""

    column: str
    minimum: float | None = None
    maximum: float | None = None

    @property
    def name(self) -> str:
        low = "-∞" if self.minimum is None else f"{self.minimum:g}"
        high = "∞" if self.maximum is None else f"{self.maximum:g}"
        return f"{self.column} finite, within {low} … {high}"

    def expectations(self) -> Iterator[Expected]:
        low = -float_info.max if self.minimum is None else self.minimum
        high = float_info.max if self.maximum is None else self.maximum
        arguments = {"column": self.column, "min_value": low, "max_value": high}
        outside = f"not {quoted(self.column)}::double between {low!r}::double and {high!r}::double"  # DuckDB: NaN > all
        yield Expected("ExpectColumnValuesToBeBetween", arguments, "values outside", outside)


@dataclass(frozen=True)
class NullShare(Rule):
    """At most this share (0 … 1) of a column's rows is null."""

    column: str
    at_most: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.column} never null" if self.at_most == 0 else f"{self.column} null in at most {self.at_most:.1%}"

    def expectations(self) -> Iterator[Expected]:
        arguments = {"column": self.column, "mostly": 1 - self.at_most}
        condition = f"{quoted(self.column)} is null"
        yield Expected("ExpectColumnValuesToNotBeNull", arguments, f"rows without {self.column}", condition)


@dataclass(frozen=True)
class Monotone(Rule):
    """Along a row, each listed column is at most the next: a 7-day count never exceeds the 28-day count."""

    along: tuple[str, ...]

    @property
    def name(self) -> str:
        return " ≤ ".join(self.along)

    def expectations(self) -> Iterator[Expected]:
        for low, high in pairwise(self.along):
            arguments = {"column_A": high, "column_B": low, "or_equal": True}
            arguments["ignore_row_if"] = "either_value_is_missing"
            yield Expected(
                "ExpectColumnPairValuesAToBeGreaterThanB",
                arguments,
                f"rows with {low} > {high}",
                f"{quoted(low)} > {quoted(high)}",
            )


@dataclass(frozen=True)
class Allowed(Rule):
    """A column holds only these values; nulls are not judged."""

    column: str
    values: tuple[str | int | bool, ...]

    @property
    def name(self) -> str:
        return f"{self.column} in {{{', '.join(str(v) for v in self.values)}}}"

    def expectations(self) -> Iterator[Expected]:
        arguments = {"column": self.column, "value_set": list(self.values)}
        condition = f"{quoted(self.column)} not in ({', '.join(map(_literal, self.values))})"
        yield Expected("ExpectColumnValuesToBeInSet", arguments, "rows with another value", condition)


@dataclass(frozen=True)
class ShareBounds(Rule):
    """The share (0 … 1) of the rows with a value in which `column` equals `value` lies in bounds.

    Attributes:
        rare: what is said when the value is too rare; {} stands for how many rows have it.
    """

    column: str
    value: str | int | bool
    minimum: float = 0.0
    maximum: float = 1.0
    rare: str = ""

    @property
    def name(self) -> str:
        if self.rare:
            return f"{self.column} = {self.value} often enough"
        return f"share of {self.column} = {self.value} within {self.minimum:.1%} … {self.maximum:.1%}"

    def sentence(self, failing: int, rows: int) -> str:
        return self.rare.format(rows - failing)

    def expectations(self) -> Iterator[Expected]:
        own = {"column": self.column, "value_set": [self.value]}
        column, literal = quoted(self.column), _literal(self.value)
        if self.minimum > 0:
            share = own | {"mostly": self.minimum}
            yield Expected("ExpectTableRowCountToBeBetween", {"min_value": 1}, "rows")
            yield Expected("ExpectColumnValuesToBeInSet", share, "rows with another value", f"{column} != {literal}")
        if self.maximum < 1:
            share = own | {"mostly": 1 - self.maximum}
            yield Expected("ExpectColumnValuesToNotBeInSet", share, f"rows with {self.value}", f"{column} = {literal}")


def quoted(column: str) -> str:
    """The column's name as SQL takes it."""
    return '"' + column.replace('"', '""') + '"'


def _literal(value: str | int | bool) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)
