"""The features of one mart, computed: a function a kind of group, from a plan.

A fingerprint of derived groups holds this module's code and what it imports. Belongs here: expressions. Does not belong
here: which columns there are (`planning`), or what they are called in words (`groups`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from platform_assets.data.conditions.parsing import Predicate
from platform_assets.data.features.derived.plan import (
    BLOCKS,
    HOURS_A_BLOCK,
    WEEKDAYS,
    CategoryPlan,
    MartPlan,
    name_parts,
)
from platform_assets.data.features.derived.rolling import (
    CUT,
    Atom,
    Seen,
    beside,
    exact,
    in_spans,
    rolled,
    rolled_up,
    seen,
)
from platform_assets.data.features.windows import (
    SECONDS_A_DAY,
    AsOfRows,
    Distinct,
    Events,
    count,
    days_since_last,
    epoch_seconds,
    largest,
    mean,
    ratio,
    so_far,
    spread,
    window_name,
    windows,
)

if TYPE_CHECKING:
    import ibis.expr.types as ir

OTHER = "other"
# Squares of larger ones do not fit an integer of 64 bits.
_LARGEST = 2**31
_HUNDREDTHS = 100


@dataclass(frozen=True)
class Computing:
    """A plan and the condition that it names, parsed."""

    plan: MartPlan
    predicate: Predicate | None = None

    def events(self, marts: Mapping[str, Any]) -> Events:
        """The rows of the mart that count."""
        events: Events = marts[self.plan.mart]
        if self.predicate is None:
            return events
        table = events.table
        return replace(
            events, table=table.filter(self.predicate.to_ibis({name: table[name] for name in table.columns}))
        )

    def seen(self, marts: Mapping[str, Any], spine: AsOfRows) -> Seen:
        return seen(self.events(marts), spine, self.plan.windows)

    def activity(self, marts: Mapping[str, Any], spine: AsOfRows) -> "ir.Table":
        """How many, when last and first, how regularly."""
        plan, events = self.plan, self.events(marts)
        known = seen(events, spine, plan.windows)
        widest = (plan.widest,)
        atoms = {
            "count": Atom(lambda t: t.count(), plan.windows),
            "last": Atom(lambda t: _seconds_ago(t, events.time).min(), widest, "min"),
            "first": Atom(lambda t: _seconds_ago(t, events.time).max(), widest, "max"),
        }
        table = beside(spine, known.keys, [rolled(known, atoms)])
        last, first = (table[window_name(name, plan.widest)] / SECONDS_A_DAY for name in ("last", "first"))
        columns = {name: table[name].fill_null(0) for name in _over(plan.windows, "count")}
        columns |= {"days_since_last": last, "days_since_first": first, "days_between": first - last}
        columns["count_a_month"] = ratio(columns[window_name("count", plan.widest)] * 30, first)
        if plan.paces is not None:
            shorter, longer = plan.paces
            columns["count_trend"] = ratio(
                columns[window_name("count", shorter)] * longer, columns[window_name("count", longer)] * shorter
            )
        return self._named(table, spine, columns)

    def regularity(self, marts: Mapping[str, Any], spine: AsOfRows) -> "ir.Table":
        """Pauses between days (in UTC) with an event, over everything known."""
        days = _days_of(self.events(marts))
        known = so_far(
            days,
            spine,
            {
                "days": count(),
                "mean_pause": mean("pause"),
                "pause_spread": spread("pause"),
                "longest_pause": largest("pause"),
                "since": days_since_last(days.time),
            },
        )
        columns = {name: known[name] for name in ("days", "mean_pause", "pause_spread", "longest_pause")}
        columns["recency_in_pauses"] = ratio(known["since"], known.mean_pause)
        columns["relative_pause_spread"] = ratio(known.pause_spread, known.mean_pause)
        return self._named(known, spine, columns)

    def clock(self, marts: Mapping[str, Any], spine: AsOfRows) -> "ir.Table":
        """Shares of the hours of the day and of the days of the week."""
        plan, events = self.plan, self.events(marts)
        known = self.seen(marts, spine)
        local = epoch_seconds(known.table[events.time]) + plan.offset
        known = known.derive(
            _block=_remainder(local // (3600 * HOURS_A_BLOCK), BLOCKS),
            # 1970-01-01 was a Thursday.
            _weekday=_remainder(local // SECONDS_A_DAY + 3, len(WEEKDAYS)),
        )
        widest = (plan.widest,)
        atoms = {"all": Atom(lambda t: t.count(), widest)}
        atoms |= {hours(n): Atom(_counted("_block", n), widest) for n in range(BLOCKS)}
        atoms |= {name: Atom(_counted("_weekday", n), widest) for n, name in enumerate(WEEKDAYS)}
        table = beside(spine, known.keys, [rolled(known, atoms)])
        whole = table[window_name("all", plan.widest)]
        columns = {
            f"{name}_share": ratio(table[window_name(name, plan.widest)], whole) for name in atoms if name != "all"
        }
        return self._named(table, spine, columns)

    def values(self, marts: Mapping[str, Any], spine: AsOfRows) -> "ir.Table":
        """Sums, means, extremes, spread and trend of measures."""
        plan, known = self.plan, self.seen(marts, spine)
        widest = (plan.widest,)
        atoms: dict[str, Atom] = {}
        for column in plan.measures:
            known = known.derive(**{f"_whole_{column}": _whole(known.table[column])})
            atoms |= {
                f"{column}_sum": Atom(_summed(column), plan.windows),
                f"{column}_n": Atom(_filled(column), plan.windows),
                f"{column}_min": Atom(lambda t, c=column: t[c].min(), widest, "min"),  # type: ignore[misc]
                f"{column}_max": Atom(lambda t, c=column: t[c].max(), widest, "max"),  # type: ignore[misc]
                f"{column}_once": Atom(lambda t, c=column: t[f"_whole_{c}"].sum(), widest),  # type: ignore[misc]
                f"{column}_squared": Atom(_squared(f"_whole_{column}"), widest),
            }
        table = beside(spine, known.keys, [rolled(known, atoms)])
        columns: dict[str, ir.Value] = {}
        for column in plan.measures:
            of = _Rolled(table, column)
            columns |= {window_name(f"{column}_sum", days): of("sum", days).fill_null(0) for days in plan.windows}
            columns |= {
                window_name(f"{column}_mean", days): ratio(of("sum", days), of("n", days)) for days in plan.windows
            }
            columns |= {f"{column}_{name}": of(name, plan.widest) for name in ("min", "max")}
            n, once, squared = (of(name, plan.widest).cast("float64") for name in ("n", "once", "squared"))
            scale = 1 if _is_integer(known.table[column]) else _HUNDREDTHS
            # Cancellation may leave a tiny negative number of what is 0.
            columns[f"{column}_spread"] = ratio((n * squared - once * once).clip(lower=0), n * (n - 1)).sqrt() / scale
            if plan.recent is not None:
                recent = ratio(of("sum", plan.recent), of("n", plan.recent))
                before = ratio(
                    of("sum", plan.widest) - of("sum", plan.recent).fill_null(0),
                    of("n", plan.widest) - of("n", plan.recent).fill_null(0),
                )
                columns[f"{column}_trend"] = recent - before
        return self._named(table, spine, columns)

    def variety(self, marts: Mapping[str, Any], spine: AsOfRows) -> "ir.Table":
        """How many different identifiers and categories."""
        plan = self.plan
        counted = [*plan.identifiers, *(one.column for one in plan.categories if one.form != "boolean")]
        found = windows(
            self.events(marts), spine, plan.windows, {f"{name}_distinct": Distinct(name) for name in counted}
        )
        return self._named(found, spine, {name: found[name] for name in found.columns[2:]})

    def category(self, category: CategoryPlan, marts: Mapping[str, Any], spine: AsOfRows) -> "ir.Table":
        """Shares of the leading values, and the means of measures within them."""
        plan, known = self.plan, self.seen(marts, spine)
        counted = {"n": Atom(lambda t: t.count(), plan.windows)}
        atoms = dict(counted)
        for column in plan.measures:
            atoms[f"{column}_sum"] = Atom(_summed(column), (plan.widest,))
            atoms[f"{column}_filled"] = Atom(_filled(column), (plan.widest,))
        conditions = conditions_of(category)
        if category.form == "list":
            # A row counts for each of its values, so each value meets the events anew.
            whole = rolled_up(known, in_spans(known, counted), counted, "_whole_")
            parts = {
                part: rolled_up(known, in_spans(known.only(holds), atoms), atoms, f"_{number}_")
                for number, (part, holds) in enumerate(conditions.items())
            }
        else:
            known = known.derive(_part=_number_of(known.table, conditions))
            cells = in_spans(known, atoms, ["_part"])
            whole = rolled_up(known, cells, counted, "_whole_")
            parts = {
                part: rolled_up(known, cells.filter(cells["_part"] == number), atoms, f"_{number}_")
                for number, part in enumerate(conditions)
            }
        table = beside(spine, known.keys, [whole, *parts.values()])
        columns: dict[str, ir.Value] = {}
        for number, part in enumerate(parts):
            for days in plan.windows:
                inside = table[window_name(f"_{number}_n", days)].fill_null(0)
                columns[window_name(f"{category.column}_{part}_share", days)] = ratio(
                    inside, table[window_name("_whole_n", days)]
                )
            for column in plan.measures:
                total, filled = (window_name(f"_{number}_{column}_{name}", plan.widest) for name in ("sum", "filled"))
                columns[f"{category.column}_{part}_{column}_mean"] = ratio(table[total], table[filled])
        return self._named(table, spine, columns)

    def times(self, marts: Mapping[str, Any], spine: AsOfRows) -> "ir.Table":
        """How many events have another instant that has come, and how far it lies from them."""
        plan, events, known = self.plan, self.events(marts), self.seen(marts, spine)
        for column in plan.times:
            at, cut = _epoch(known.table[column]), epoch_seconds(known.table[CUT])
            # An instant that has not come is not known, whatever the export holds.
            away = (at < cut).ifelse(at - epoch_seconds(known.table[events.time]), None)
            known = known.derive(**{f"_away_{column}": away})
        widest = (plan.widest,)
        atoms = {"all": Atom(lambda t: t.count(), widest)}
        for column in plan.times:
            atoms[f"{column}_sum"] = Atom(_summed(f"_away_{column}"), widest)
            atoms[f"{column}_n"] = Atom(_filled(f"_away_{column}"), widest)
        table = beside(spine, known.keys, [rolled(known, atoms)])
        columns: dict[str, ir.Value] = {}
        for column in plan.times:
            of = _Rolled(table, column)
            columns[f"{column}_come_share"] = ratio(of("n", plan.widest), table[window_name("all", plan.widest)])
            columns[f"{column}_mean_days_after"] = ratio(of("sum", plan.widest), of("n", plan.widest)) / SECONDS_A_DAY
        return self._named(table, spine, columns)

    def attributes(self, marts: Mapping[str, Any], spine: AsOfRows) -> "ir.Table":
        """What was known of people: numbers as they are, categories as 0 or 1, instants as days ago."""
        import ibis

        plan, table = self.plan, marts[self.plan.mart]
        if "as_of" not in table.columns:
            own = table.rename({"_person": spine.person})
            table = spine.table.left_join(own, [spine.table[spine.person] == own["_person"]]).drop("_person")
        columns = {column: table[column].cast("float64") for column in plan.measures}
        for category in plan.categories:
            value = table[category.column]
            for part, holds in conditions_of(category).items():
                held = holds(table).ifelse(1.0, 0.0)
                columns[f"{category.column}_{part}"] = value.isnull().ifelse(ibis.null("float64"), held)
        for column in plan.times:
            at, now = _epoch(table[column]), epoch_seconds(table.as_of)
            columns[f"days_since_{column}"] = (at < now).ifelse((now - at) / SECONDS_A_DAY, None)
        return self._named(table, spine, columns)

    def _named(self, table: "ir.Table", spine: AsOfRows, columns: "Mapping[str, ir.Value]") -> "ir.Table":
        return table.select(
            spine.person, "as_of", **{f"{self.plan.mart}_{name}".lower(): value for name, value in columns.items()}
        )


@dataclass(frozen=True)
class _Rolled:
    """Columns of one measure in a table of rolled up atoms."""

    table: "ir.Table"
    column: str

    def __call__(self, atom: str, days: int | None) -> "ir.Value":
        return self.table[window_name(f"{self.column}_{atom}", days)]


def conditions_of(category: CategoryPlan) -> "dict[str, Callable[[ir.Table], ir.BooleanValue]]":
    """Part of a column's name → which rows hold that value; the last is what is none of the values."""
    column = category.column
    if category.form == "boolean":
        return {"true": lambda t: t[column]}
    conditions: dict[str, Callable[[ir.Table], ir.BooleanValue]] = {
        part: _holds(category, value) for value, part in name_parts(category.values).items()
    }
    return {**conditions, OTHER: lambda t: _other(t[column], category)}


def hours(block: int) -> str:
    """The name of a block of hours: `hour_06_09`."""
    return f"hour_{block * HOURS_A_BLOCK:02}_{(block + 1) * HOURS_A_BLOCK:02}"


def _holds(category: CategoryPlan, value: str) -> "Callable[[ir.Table], ir.BooleanValue]":
    if category.form == "list":
        return lambda t: t[category.column].contains(value)
    return lambda t: t[category.column] == value


def _other(value: "ir.Value", category: CategoryPlan) -> "ir.BooleanValue":
    declared = list(category.values)
    if category.form == "list":
        return value.filter(lambda element: element.notin(declared)).length() > 0
    return value.notin(declared)


def _number_of(table: "ir.Table", conditions: "Mapping[str, Callable[[ir.Table], ir.BooleanValue]]") -> "ir.Value":
    """Which of conditions that exclude each other a row satisfies, by number; null for none."""
    import ibis

    return ibis.cases(*((holds(table), number) for number, holds in enumerate(conditions.values())))


def _over(days: tuple[int | None, ...], name: str) -> list[str]:
    return [window_name(name, window) for window in days]


def _remainder(number: "ir.Value", by: int) -> "ir.Value":
    # Ibis has no remainder that compiles for BigQuery with every sqlglot.
    return number - number // by * by


def _counted(column: str, value: int) -> "Callable[[ir.Table], ir.Value]":
    return lambda t: t.count(where=t[column] == value)


def _summed(column: str) -> "Callable[[ir.Table], ir.Value]":
    return lambda t: exact(t[column]).sum()


def _filled(column: str) -> "Callable[[ir.Table], ir.Value]":
    return lambda t: t[column].count()


def _squared(column: str) -> "Callable[[ir.Table], ir.Value]":
    return lambda t: (t[column] * t[column]).sum()


def _is_integer(column: "ir.Value") -> bool:
    return bool(column.type().is_integer())


def _whole(column: "ir.Value") -> "ir.Value":
    """A number as an integer whose squares add up exactly: itself, or its hundredths."""
    scaled = column if _is_integer(column) else (exact(column) * _HUNDREDTHS).round()
    return scaled.clip(lower=-_LARGEST, upper=_LARGEST).cast("int64")


def _epoch(instant: "ir.Value") -> "ir.Value":
    """Whole seconds since 1970 of an instant, or of the midnight (in UTC) that begins a date."""
    return epoch_seconds(instant.cast("timestamp") if instant.type().is_date() else instant)


def _seconds_ago(table: "ir.Table", time: str) -> "ir.Value":
    return epoch_seconds(table.as_of) - epoch_seconds(table[time])


def _days_of(events: Events) -> Events:
    """One event a person and day: the day's first, which is when the day became known, and the pause before the day."""
    import ibis

    table = events.dated("_day").table
    days = table.group_by([events.person, "_day"]).aggregate(**{events.time: table[events.time].min()})
    by_person = ibis.window(group_by=events.person, order_by="_day")
    days = days.mutate(pause=days["_day"] - days["_day"].lag().over(by_person))
    return replace(events, table=days)
