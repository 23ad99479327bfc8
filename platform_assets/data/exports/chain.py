"""Chains: which full export and which windows of changes after it tell together what a table held.

Belongs here: picking the links, and the sentence on each export that is no link. Does not belong here: reading exports, and
folding their rows (dbt's macros, which pick the same links: `dynamodb_chain.sql`).

A window of changes tells of each changed item only what it was at the window's end. So a state is known by a full export and
windows that follow it without gap and overlap, the first from the very instant of the full export on. What an overlap hides
no timestamp brings back: an item that was made in it and deleted after it is deleted in the later window, and in no line of
the one that spans both.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Exported(Protocol):
    """What of an export decides whether it is a link.

    Attributes:
        exported_at: UTC; the instant at which it shows the table: of a window, its end (exclusive).
        window_start: UTC; inclusive; None where the export is full.
        table_id: AWS's id of the table, which a recreated table does not keep; None where it is not known.
    """

    @property
    def export_id(self) -> str: ...
    @property
    def exported_at(self) -> datetime: ...
    @property
    def window_start(self) -> datetime | None: ...
    @property
    def table_id(self) -> str | None: ...


@dataclass(frozen=True)
class Segment:
    """A full export and the windows that follow it, in their order."""

    base: Exported
    windows: tuple[Exported, ...]

    @property
    def end(self) -> datetime:
        """UTC; the instant at which the state is known."""
        return (self.windows[-1] if self.windows else self.base).exported_at


@dataclass(frozen=True)
class Chain:
    """What is known of a table over time.

    Attributes:
        segments: oldest first; the last one tells what the table holds now.
        apart: export id → why it is no link, for those that are none.
    """

    segments: tuple[Segment, ...]
    apart: dict[str, str]

    @property
    def end(self) -> datetime | None:
        """UTC; everything before it is covered; None where there is no full export."""
        return self.segments[-1].end if self.segments else None

    @property
    def links(self) -> list[Exported]:
        """All links, in the order of what they tell."""
        return [link for segment in self.segments for link in (segment.base, *segment.windows)]


def chain_of(exports: Iterable[Exported]) -> Chain:
    """The chain of a table's exports, whatever the order in which they come.

    The last segment is the one that reaches furthest; of several, that with the latest full export. Those before it are
    found alike among what ends when it begins. Of windows that begin together and reach as far, the shortest is taken: it
    tells more of what was between.
    """
    known = sorted(exports, key=lambda export: (export.exported_at, export.export_id))
    fulls = [export for export in known if export.window_start is None]
    windows = [export for export in known if export.window_start is not None]
    segments: list[Segment] = []
    while segment := _furthest(fulls, windows):
        segments.insert(0, segment)
        limit = segment.base.exported_at
        fulls = [full for full in fulls if full.exported_at < limit]
        windows = [window for window in windows if window.exported_at <= limit]
    used = {link.export_id for segment in segments for link in (segment.base, *segment.windows)}
    return Chain(
        tuple(segments),
        {export.export_id: _why_apart(export, segments) for export in known if export.export_id not in used},
    )


def _furthest(fulls: Sequence[Exported], windows: Sequence[Exported]) -> Segment | None:
    """The segment that reaches furthest, of exports none of which tells of anything beyond the next segment's beginning."""
    if not fulls:
        return None
    # (id of the table, instant) → the best window from there on, and how far one gets by it.
    onward: dict[tuple[str | None, datetime], tuple[datetime, Exported]] = {}
    for window in sorted(windows, key=_start, reverse=True):
        after = onward.get((window.table_id, window.exported_at))
        reach = after[0] if after else window.exported_at
        place = (window.table_id, _start(window))
        if place not in onward or _goodness(reach, window) > _goodness(*onward[place]):
            onward[place] = reach, window

    def first_after(full: Exported) -> tuple[datetime, Exported] | None:
        # A full export that was loaded when ids of tables were not recorded may be of any.
        tables = [full.table_id] if full.table_id else {table for table, _ in onward}
        steps = [onward[table, full.exported_at] for table in tables if (table, full.exported_at) in onward]
        return max(steps, key=lambda step: _goodness(*step)) if steps else None

    def reach_of(full: Exported) -> datetime:
        step = first_after(full)
        return step[0] if step else full.exported_at

    base = max(fulls, key=lambda full: (reach_of(full), full.exported_at, full.export_id))
    links: list[Exported] = []
    step = first_after(base)
    while step:
        links.append(step[1])
        step = onward.get((step[1].table_id, step[1].exported_at))
    return Segment(base, tuple(links))


def _goodness(reach: datetime, window: Exported) -> tuple[datetime, float, str]:
    """Of windows that begin together, the greatest is taken."""
    return reach, -window.exported_at.timestamp(), window.export_id


def _start(window: Exported) -> datetime:
    if window.window_start is None:
        raise ValueError(f"{window.export_id} is a full export")
    return window.window_start


def _why_apart(export: Exported, segments: Sequence[Segment]) -> str:
    links = [link for segment in segments for link in segment.windows]
    if export.window_start is None:
        over = [link for link in links if _start(link) < export.exported_at < link.exported_at]
        if over:
            return (
                f"{_named(export)} shows the table in the midst of {_named(over[0])}: no window begins there, so it is no base, and the "
                "chain goes on without it. Ask for full exports at an instant at which a window ends."
            )
        return f"{_named(export)}: another full export of the same instant is used."
    start, end = export.window_start, export.exported_at
    if not segments or end <= segments[0].base.exported_at:
        return f"{_named(export)} ends before there is a full export that it could follow."
    again = [link for link in links if (_start(link), link.exported_at) == (start, end)]
    if again:
        return f"{_named(export)} is the window of {again[0].export_id} once more."
    for segment, after in zip(segments, [*segments[1:], None], strict=True):
        if start >= segment.end and (after is None or end <= after.base.exported_at or start < after.base.exported_at):
            if start == segment.end and (after is None or end <= after.base.exported_at):
                return (
                    f"{_named(export)} is of a table that was deleted and made anew: its tableId is not that of export "
                    f"{segment.base.export_id}. Start a full export of the new table."
                )
            mended = f"the full export {after.base.export_id} made that good." if after else "Start a full export."
            if after is None or end <= after.base.exported_at:
                return (
                    f"{_named(export)} leaves a gap: what is known ends at {_at(segment.end)}, and what changed from then on until it "
                    f"begins is in no export. {mended[0].upper()}{mended[1:]}"
                )
    over = [link for link in links if _start(link) < end and start < link.exported_at]
    among = f" with {_named(over[0])}" if over else ""
    return (
        f"{_named(export)} overlaps{among}: windows follow each other without overlap, from the instant of a full export on, else "
        "what was made and deleted meanwhile would stay. It is left out."
    )


def _named(export: Exported) -> str:
    if export.window_start is None:
        return f"full export {export.export_id} ({_at(export.exported_at)})"
    return f"incremental export {export.export_id} ({_at(export.window_start)} to {_at(export.exported_at)})"


def _at(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z").replace(".000Z", "Z")
