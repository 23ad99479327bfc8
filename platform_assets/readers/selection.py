"""Which rows and columns of a mart a reader gives.

Belongs here: what was asked, held against what the published version covers, as an expression. Does not belong here: where the
version comes from (`view`), and running the expression.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from platform_assets.data.catalog.catalog import Mart
from platform_assets.data.catalog.declaration import nearest
from platform_assets.data.features.windows import Events, instant_literal
from platform_assets.readers.instants import Moment, instant
from platform_assets.readers.refusal import ReadRefused

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from platform_assets.data.engines.reading import Warehouse


@dataclass(frozen=True)
class Asked:
    """What is asked of a mart; see `Reader`."""

    since: Moment | None = None
    as_of: Moment | None = None
    covers: Moment | None = None
    columns: Iterable[str] | None = None


@dataclass(frozen=True)
class _Span:
    """The instants that were asked for, in UTC."""

    since: datetime | None
    as_of: datetime | None
    covers: datetime | None


def selected(mart: Mart, asked: Asked, warehouse: "Warehouse", timezone: str) -> "ir.Table":
    """The rows and columns, as an expression.

    Args:
        timezone: whose midnights dates stand for.

    Raises:
        MartMissing, MartRefused, MartDamaged: the mart cannot be read.
        ReadRefused: it does not answer what was asked.
    """
    watermark = warehouse.published(mart.name).watermark
    names = columns_asked(mart, asked)
    span = _Span(*(
        None if stated is None else instant(stated, f"{mart.name}({name}=…)", timezone)
        for name, stated in (("since", asked.since), ("as_of", asked.as_of), ("covers", asked.covers))
    ))  # fmt: skip
    _require_covered(mart, span, watermark)
    table = warehouse.table(mart.name)
    if absent := [name for name in names if name not in table.columns]:
        raise ReadRefused(
            f"mart {mart.name}: column {', '.join(absent)} is declared, but not in the version that is published; materialise "
            f"marts/{mart.name} again, or name the columns you want without it"
        )
    return _rows(mart, table, span, watermark).select(*names)


def columns_asked(mart: Mart, asked: Asked) -> tuple[str, ...]:
    """The columns named, in their order.

    Without a name all that are not tagged as describing a person; of events as of an instant neither those that change, which are
    kept as they are today.

    Raises:
        ReadRefused: there is no such column, or none is left.
    """
    stated, past_events = asked.columns, mart.event_time is not None and asked.as_of is not None
    if stated is None:
        names = tuple(
            column.name for column in mart.columns.values() if not (column.personal or (column.changes and past_events))
        )
        if not names:
            raise ReadRefused(
                f"mart {mart.name}: every column describes a person{' or changes' if past_events else ''}; name those you "
                f"need, such as columns={[*mart.columns][:1]}"
            )
        return names
    if isinstance(stated, str):
        raise ReadRefused(f"{mart.name}(columns=…): takes a list of names, such as [{stated!r}]")
    names = tuple(dict.fromkeys(stated))
    if not names:
        raise ReadRefused(f"{mart.name}(columns=…): names no column; there are {', '.join(mart.columns)}")
    for name in names:
        if name not in mart.columns:
            raise ReadRefused(
                f"mart {mart.name} has no column {name!r}{nearest(name, mart.columns)}; there are {', '.join(mart.columns)}"
            )
    return names


def _require_covered(mart: Mart, span: _Span, watermark: datetime) -> None:
    stated: Mapping[str, datetime | None] = {"since": span.since, "as_of": span.as_of, "covers": span.covers}
    for name, value in stated.items():
        if value is not None and value > watermark:
            raise ReadRefused(
                f"{mart.name}({name}=…): {value.isoformat()} lies beyond the watermark: the exports behind mart {mart.name} "
                f"cover everything before {watermark.isoformat()} only; load a later export and materialise "
                f"marts/{mart.name}, or ask for an earlier date"
            )
    if span.since is not None and mart.event_time is None:
        raise ReadRefused(
            f"{mart.name}(since=…): mart {mart.name} holds no events, so its rows have no time to begin at; leave it out"
            + (", or ask for an instant by as_of" if mart.history == "scd2" else "")
        )
    if span.as_of is not None and mart.event_time is None and mart.history != "scd2":
        raise ReadRefused(
            f"{mart.name}(as_of=…): mart {mart.name} holds no past: its rows never change, and it does not say since when "
            "each is known; leave it out"
        )
    if span.since is not None and span.as_of is not None and span.since > span.as_of:
        raise ReadRefused(
            f"{mart.name}(since=…, as_of=…): {span.since.isoformat()} lies after {span.as_of.isoformat()}, so nothing is "
            "between them; exchange them"
        )


def _rows(mart: Mart, table: "ir.Table", span: _Span, watermark: datetime) -> "ir.Table":
    if mart.event_time is not None:
        assert mart.entity_key is not None
        events = Events(table, mart.entity_key, mart.event_time, mart.arrival_lag)
        # What lies after the watermark is there in part.
        end = instant_literal(watermark)
        known = table.filter(table[mart.event_time] < end) if span.as_of is None else events.before(span.as_of).table
        return known if span.since is None else known.filter(known[mart.event_time] >= instant_literal(span.since))
    if span.as_of is None:
        return table
    # As features take it: what was valid just before the instant, less what may still have been on its way.
    known_at = instant_literal(span.as_of - mart.arrival_lag)
    return table.filter((table.valid_from < known_at) & (table.valid_to.isnull() | (known_at <= table.valid_to)))
