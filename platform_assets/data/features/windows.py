"""Aggregates over the events each spine row may know: strictly before as_of − arrival lag, in windows that end there.

`windows()` picks its formulation by the spine's shape: one as-of date is a filtered aggregate with literal
bounds (they prune what is read), own as-of dates per row are a range join. Both give the same numbers. Sums
are exact (integers and decimals), so results do not depend on the order in which threads meet rows.
Belongs here: point-in-time aggregation. Does not belong here: any mart's columns.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import reduce
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ibis.expr.types as ir

SECONDS_A_DAY = 86_400
_CUT = "_cut"
_LAST = "_last"
Where = Callable[["ir.Table"], "ir.BooleanValue"]


@dataclass(frozen=True)
class Events:
    """An event mart's rows.

    Attributes:
        person: the column that names the person.
        time: the timestamptz column of when it happened.
        lag: how long a row may take to arrive; younger events count as unknown.
    """

    table: "ir.Table"
    person: str
    time: str
    lag: timedelta = timedelta(0)

    def derive(self, **columns: "Callable[[ir.Table], ir.Value]") -> "Events":
        """The same events with more columns; a column may look back at the person's earlier events, never ahead."""
        return replace(self, table=self.table.mutate(**columns))

    def dated(self, column: str) -> "Events":
        """The same events with the number of the day (in UTC) on which each happened in `column`."""
        return self.derive(**{column: lambda t: epoch_seconds(t[self.time]) // SECONDS_A_DAY})

    def before(self, as_of: datetime) -> "Events":
        """The events that someone knew at `as_of`."""
        return replace(self, table=self.table.filter(self.table[self.time] < instant_literal(as_of - self.lag)))


@dataclass(frozen=True)
class AsOfRows:
    """A spine in the engine: `table` has the columns `person` and `as_of`; `as_of` is set when all rows share it."""

    table: "ir.Table"
    person: str
    as_of: datetime | None


@dataclass(frozen=True)
class Measure:
    """An aggregate over the known events of a window.

    Attributes:
        aggregate: (events, which of them are inside; None: all) → value. Columns: the mart's, and `as_of`.
        fill: the value of someone with no event inside; None: undefined.
    """

    aggregate: "Callable[[ir.Table, ir.BooleanValue | None], ir.Value]"
    fill: float | None = None


@dataclass(frozen=True)
class Distinct:
    """How many different values of `column` (of its elements, when it holds lists) were met; nulls do not count."""

    column: str
    where: Where | None = None


def count(where: Where | None = None) -> Measure:
    """How many events (that satisfy `where`)."""
    return Measure(lambda t, inside: t.count(where=_and(t, inside, where)), fill=0)


def total(column: str) -> Measure:
    """Sum of a numeric column."""
    return Measure(lambda t, inside: _exact(t[column]).sum(where=inside), fill=0)


def share(where: Where) -> Measure:
    """Which share (0 … 1) of events satisfy `where`; undefined without an event."""
    return Measure(lambda t, inside: ratio(t.count(where=_and(t, inside, where)), t.count(where=inside)))


def mean(column: str) -> Measure:
    """Mean of a numeric column; undefined without a value."""
    return Measure(lambda t, inside: ratio(_exact(t[column]).sum(where=inside), t[column].count(where=inside)))


def spread(column: str) -> Measure:
    """Sample standard deviation of an integer column, from exact sums; undefined below two values."""

    def aggregate(t: "ir.Table", inside: "ir.BooleanValue | None") -> "ir.Value":
        if not t[column].type().is_integer():
            raise TypeError(
                f"spread({column!r}) takes an integer column, not {t[column].type()}; round or scale it first"
            )
        values = t[column].cast("int64")
        n, once, squared = values.count(where=inside), values.sum(where=inside), (values * values).sum(where=inside)
        return ratio(n * squared - once * once, n * (n - 1)).sqrt()

    return Measure(aggregate)


def largest(column: str) -> Measure:
    """Largest value of a column; undefined without a value."""
    return Measure(lambda t, inside: t[column].max(where=inside))


def days_since_last(time: str) -> Measure:
    """Days (with fractions) from the latest event to as_of; undefined without an event."""
    return Measure(lambda t, inside: _seconds_ago(t, time).min(where=inside) / SECONDS_A_DAY)


def days_since_first(time: str) -> Measure:
    """Days (with fractions) from the first event to as_of; undefined without an event."""
    return Measure(lambda t, inside: _seconds_ago(t, time).max(where=inside) / SECONDS_A_DAY)


def ratio(part: "ir.Value", whole: "ir.Value") -> "ir.Value":
    """part ÷ whole as a float; undefined where whole is 0."""
    return part.cast("float64") / whole.cast("float64").nullif(0)


def earlier(instant: "ir.Value", by: timedelta) -> "ir.Value":
    """An instant `by` (whole seconds) before another."""
    import ibis

    # A literal interval does not compile with every sqlglot that Ibis admits; one made from an integer does.
    return instant - ibis.literal(int(by.total_seconds())).as_interval("s") if by else instant


def epoch_seconds(instant: "ir.Value") -> "ir.Value":
    """Whole seconds since 1970-01-01 UTC, fractions dropped: by itself DuckDB keeps them, and BigQuery does not."""
    return instant.truncate("s").epoch_seconds()


def window_name(measure: str, days: int | None) -> str:
    """The column of a measure over a window: `orders_28d`, `orders_all`."""
    return f"{measure}_all" if days is None else f"{measure}_{days}d"


def windows(
    events: Events, spine: AsOfRows, days: Sequence[int | None], measures: Mapping[str, Measure | Distinct]
) -> "ir.Table":
    """Every measure over every window, one row a spine row.

    A window of d days holds the events in [as_of − lag − d days, as_of − lag); None: everything before as_of − lag.

    Returns:
        a table with the person's key, `as_of` and float64 columns named by `window_name(measure, days)`.
    """
    seen, keys = _seen(events, spine, days)
    parts = []
    plain = {name: m for name, m in measures.items() if isinstance(m, Measure)}
    if plain:
        parts.append(seen.group_by(keys).aggregate(**{
            window_name(name, window): m.aggregate(seen, _inside(seen, seen[events.time], window))
            for name, m in plain.items() for window in days
        }))  # fmt: skip
    for name, measure in measures.items():
        if isinstance(measure, Distinct):
            parts.append(_distinct(seen, keys, events, days, name, measure))
    fills = {
        window_name(name, window): 0 if isinstance(m, Distinct) else m.fill
        for name, m in measures.items()
        for window in days
    }
    return _at_every_row(spine, keys, parts, fills)


def so_far(events: Events, spine: AsOfRows, measures: Mapping[str, Measure | Distinct]) -> "ir.Table":
    """Every measure over everything known, in columns named as the measures are."""
    table = windows(events, spine, (None,), measures)
    return table.rename({name: window_name(name, None) for name in measures})


def joined(spine: AsOfRows, *tables: "ir.Table") -> "ir.Table":
    """Tables of one row a spine row, side by side."""
    return reduce(lambda left, right: left.inner_join(right, [spine.person, "as_of"]), tables)


def _seen(events: Events, spine: AsOfRows, days: Sequence[int | None]) -> "tuple[ir.Table, list[str]]":
    """The events each row knows (with `as_of` and where its windows end), and the columns that tell rows apart."""
    longest = None if None in days else timedelta(days=max(d for d in days if d is not None))
    if spine.as_of is not None:
        end = spine.as_of - events.lag
        seen = events.before(spine.as_of).table
        if longest is not None:
            seen = seen.filter(seen[events.time] >= instant_literal(end - longest))
        return seen.mutate(**{"as_of": instant_literal(spine.as_of), _CUT: instant_literal(end)}), [events.person]
    rows = spine.table.mutate(**{_CUT: earlier(spine.table.as_of, events.lag)})
    time = events.table[events.time]
    known = [events.table[events.person] == rows[spine.person], time < rows[_CUT]]
    if longest is not None:
        known.append(time >= earlier(rows[_CUT], longest))
    return events.table.inner_join(rows, known), [events.person, "as_of"]


def _inside(table: "ir.Table", time: "ir.Value", days: int | None) -> "ir.BooleanValue | None":
    if days is None:
        return None
    return time >= earlier(table[_CUT], timedelta(days=days))


def _distinct(
    seen: "ir.Table",
    keys: list[str],
    events: Events,
    days: Sequence[int | None],
    name: str,
    measure: Distinct,
) -> "ir.Table":
    """By each value's last meeting: windows end together, so a value is inside when its last meeting is."""
    if measure.where is not None:
        seen = seen.filter(measure.where(seen))
    values = seen[measure.column]
    seen = seen.mutate(_value=values.unnest() if values.type().is_array() else values)
    seen = seen.filter(seen["_value"].notnull())
    met = seen.group_by([*keys, "_value"]).aggregate(**{_LAST: seen[events.time].max(), _CUT: seen[_CUT].max()})
    return met.group_by(keys).aggregate(
        **{window_name(name, window): met.count(where=_inside(met, met[_LAST], window)) for window in days}
    )


def _at_every_row(
    spine: AsOfRows, keys: list[str], parts: "Sequence[ir.Table]", fills: Mapping[str, float | None]
) -> "ir.Table":
    table = spine.table
    for number, part in enumerate(parts):
        table = table.left_join(part, keys, rname=f"{{name}}_of_part_{number}")
    columns = {}
    for name, fill in fills.items():
        value = table[name].cast("float64")
        columns[name] = value if fill is None else value.fill_null(fill)
    return table.select(spine.person, "as_of", **columns)


def _exact(column: "ir.Value") -> "ir.Value":
    # A sum of binary floats depends on the order of rows, which threads do not keep.
    return column.cast("decimal(38, 9)") if column.type().is_floating() else column


def _seconds_ago(table: "ir.Table", time: str) -> "ir.Value":
    return epoch_seconds(table.as_of) - epoch_seconds(table[time])


def _and(table: "ir.Table", inside: "ir.BooleanValue | None", where: Where | None) -> "ir.BooleanValue | None":
    if where is None or inside is None:
        return inside if where is None else where(table)
    return inside & where(table)


def instant_literal(value: datetime) -> "ir.Value":
    """An instant as a constant of the engine; a literal without zone would not compare with instants on BigQuery."""
    import ibis

    return ibis.literal(value, type="timestamp('UTC', 6)")
