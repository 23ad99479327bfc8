"""Windows rolled up: events are met once, in disjoint spans of time, and spans are then added up to windows.

The first pass aggregates every event into its (person, span) without a filter; the second adds few rows a person. A filtered
aggregate a column and window over all events costs twelve times as much. Belongs here: that, and bringing several passes to
the spine's rows. Does not belong here: which columns (`computing`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from platform_assets.data.features.windows import AsOfRows, Events, earlier, instant_literal, window_name

if TYPE_CHECKING:
    import ibis.expr.types as ir

CUT = "_cut"
_SPAN = "_span"


@dataclass(frozen=True)
class Atom:
    """An aggregate that can be put together from parts.

    Attributes:
        aggregate: of the events of one span.
        windows: over which windows it is wanted.
        together: how two spans make one.
    """

    aggregate: "Callable[[ir.Table], ir.Value]"
    windows: Sequence[int | None]
    together: Literal["sum", "min", "max"] = "sum"


@dataclass(frozen=True)
class Seen:
    """The events that each spine row may know: strictly before as_of − lag.

    Attributes:
        table: the mart's columns, `as_of`, `CUT` (where the windows end) and the span that the event lies in.
        keys: the columns that tell spine rows apart.
    """

    table: "ir.Table"
    keys: tuple[str, ...]
    windows: tuple[int | None, ...]

    def only(self, where: "Callable[[ir.Table], ir.BooleanValue]") -> "Seen":
        """The events that satisfy a condition."""
        return replace(self, table=self.table.filter(where(self.table)))

    def derive(self, **columns: "ir.Value") -> "Seen":
        """The same events with more columns."""
        return replace(self, table=self.table.mutate(**columns))


def seen(events: Events, spine: AsOfRows, windows: tuple[int | None, ...]) -> Seen:
    """What each row knows, each event with the shortest window that it lies in; `windows` ascend, None last."""
    finite = [days for days in windows if days is not None]
    if spine.as_of is not None:
        end = spine.as_of - events.lag
        known = events.before(spine.as_of).table
        table = known.mutate(as_of=instant_literal(spine.as_of), **{CUT: instant_literal(end)})
        if None not in windows:
            table = table.filter(table[events.time] >= instant_literal(end - timedelta(days=finite[-1])))
        keys: tuple[str, ...] = (events.person,)
        begins = [instant_literal(end - timedelta(days=days)) for days in finite]
    else:
        rows = spine.table.mutate(**{CUT: earlier(spine.table.as_of, events.lag)})
        time = events.table[events.time]
        mine = [events.table[events.person] == rows[spine.person], time < rows[CUT]]
        if None not in windows:
            mine.append(time >= earlier(rows[CUT], timedelta(days=finite[-1])))
        table = events.table.inner_join(rows, mine)
        keys = (events.person, "as_of")
        begins = [earlier(table[CUT], timedelta(days=days)) for days in finite]
    return Seen(table.mutate(**{_SPAN: _span(table[events.time], begins)}), keys, windows)


def rolled(events: Seen, atoms: Mapping[str, Atom]) -> "ir.Table":
    """Every atom over its windows in columns named by `window_name`, a row a spine row that knows an event."""
    return rolled_up(events, in_spans(events, atoms), atoms)


def in_spans(events: Seen, atoms: Mapping[str, Atom], by: Sequence[str] = ()) -> "ir.Table":
    """The first pass: every atom by spine row and span, and by the values of `by` too."""
    return events.table.group_by([*events.keys, _SPAN, *by]).aggregate(
        **{name: atom.aggregate(events.table) for name, atom in atoms.items()}
    )


def rolled_up(events: Seen, spans: "ir.Table", atoms: Mapping[str, Atom], prefix: str = "") -> "ir.Table":
    """The second pass: spans, or some of them, added up to windows, in columns that begin with `prefix`."""
    columns = {}
    for name, atom in atoms.items():
        for days in atom.windows:
            number = events.windows.index(days)
            inside = None if number == len(events.windows) - 1 else spans[_SPAN] <= number
            columns[window_name(f"{prefix}{name}", days)] = getattr(spans[name], atom.together)(where=inside)
    return spans.group_by(list(events.keys)).aggregate(**columns)


def beside(spine: AsOfRows, keys: Sequence[str], parts: "Sequence[ir.Table]") -> "ir.Table":
    """The spine with the columns of every part, null where a part has no row."""
    table = spine.table
    for number, part in enumerate(parts):
        table = table.left_join(part, list(keys), rname=f"{{name}}_of_part_{number}")
    return table


def exact(column: "ir.Value") -> "ir.Value":
    """A number whose sums do not depend on the order of rows, which threads do not keep."""
    return column.cast("decimal(38, 9)") if column.type().is_floating() else column


def _span(time: "ir.Value", begins: "Sequence[ir.Value]") -> "ir.Value":
    import ibis

    if not begins:
        return ibis.literal(0)
    return ibis.cases(*((time >= begin, number) for number, begin in enumerate(begins)), else_=len(begins))
