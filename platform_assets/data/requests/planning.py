"""Which exports are to be asked for: pure functions of what was asked for before and of what AWS can export.

Belongs here: windows that tile, gaps, snapshots that are due, and attempts that follow failed ones. Does not belong here: asking.

No clock decides where a window ends: it begins where the one before ends, and ends at the next multiple of `every` since 1970, so
that all processes want the same ones.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from platform_assets.data.requests.record import Attempt, Request, Requests, Wanted, kept, segment

SHORTEST = timedelta(minutes=15)
# How far the latest instant that can be exported usually lags behind.
LAG = timedelta(minutes=5)
# Exports of one table that AWS is at together.
AT_ONCE = 10
# Snapshots are not taken to the minute.
_SLACK = 0.1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)

AttemptOf = Callable[[Wanted, int], Attempt]
"""The attempt to get an export, and which one it is, from 1 on."""


@dataclass(frozen=True)
class Span:
    """The instants that a table can be exported at: where point-in-time recovery reaches back to, and what it knows (UTC)."""

    earliest: datetime
    latest: datetime


@dataclass(frozen=True)
class Snapshot:
    """A snapshot of a cluster, and when it was taken (UTC)."""

    arn: str
    at: datetime
    engine: str


def next_end(start: datetime, every: timedelta) -> datetime:
    """The end of the window that begins at `start`."""
    boundary = _floor(start, every) + every
    return boundary if boundary - start >= SHORTEST else start + every


def tables_due(requests: Requests, every: timedelta, now: datetime) -> bool:
    """Whether there may be something to ask DynamoDB for, by what is recorded and the clock alone."""
    return not requests or _unfinished(requests) or next_end(requests[-1].wanted.at, every) + LAG <= now


def snapshots_due(requests: Requests, every: timedelta, now: datetime) -> bool:
    """As `tables_due`, of snapshots."""
    return not requests or _unfinished(requests) or requests[-1].wanted.at + (1 - _SLACK) * every <= now


def windows_planned(requests: Requests, span: Span, every: timedelta, attempt_of: AttemptOf) -> Requests:
    """With what is to be asked for besides: a full export first, and windows that follow it without gap or overlap.

    Where point-in-time recovery does not reach back to what is next, as after it was off, that is a gap for good, and a new full
    export is wanted. What failed is asked for again.
    """
    current = segment(requests)
    needed = (
        [current[-1].wanted.at, *(each.wanted.earliest for each in current if _is_unfinished(each))] if current else []
    )
    if not needed or min(needed) < span.earliest:
        at = _base_at(span, every, current[-1].wanted.at if current else span.earliest)
        return kept((*(_lost(each) for each in requests), _first(Wanted(at), attempt_of)))
    planned = [_again(each, attempt_of) for each in requests]
    under_way = sum(each.last.status in ("INTENDED", "IN_PROGRESS") for each in planned)
    while under_way < AT_ONCE and (end := next_end(planned[-1].wanted.at, every)) <= span.latest:
        planned.append(_first(Wanted(end, planned[-1].wanted.at), attempt_of))
        under_way += 1
    return kept(tuple(planned))


def snapshots_planned(
    requests: Requests, snapshot: Snapshot | None, every: timedelta, attempt_of: AttemptOf
) -> Requests:
    """With the newest snapshot, where it is due and AWS is not at another; what failed is tried again while it is the newest."""
    if snapshot is None or (requests and requests[-1].last.status in ("INTENDED", "IN_PROGRESS")):
        return requests
    wanted = Wanted(snapshot.at, snapshot=snapshot.arn)
    if requests and requests[-1].wanted.snapshot == snapshot.arn:
        return (*requests[:-1], _again(requests[-1], attempt_of))
    last_whole = [each for each in requests if each.last.status == "COMPLETED"]
    if last_whole and snapshot.at < last_whole[-1].wanted.at + (1 - _SLACK) * every:
        return requests
    return kept((*requests, _first(wanted, attempt_of)))


def to_be_asked(requests: Requests) -> list[Request]:
    """Those of which it is not known that AWS was asked."""
    return [each for each in segment(requests) if each.last.status == "INTENDED"]


def _base_at(span: Span, every: timedelta, asked_until: datetime) -> datetime:
    """The instant of a full export: where windows end too, if that is known; at no instant within a window."""
    boundary = _floor(span.latest, every)
    at = boundary if boundary >= span.earliest else _floor(span.latest, _SECOND)
    return max(at, asked_until, span.earliest)


def _first(wanted: Wanted, attempt_of: AttemptOf) -> Request:
    return Request(wanted, (attempt_of(wanted, 1),))


def _again(request: Request, attempt_of: AttemptOf) -> Request:
    """With another attempt where one failed; where AWS refused the call, with one as it is declared now."""
    if request.last.status not in ("FAILED", "REFUSED"):
        return request
    before = request.attempts if request.last.status == "FAILED" else request.attempts[:-1]
    return replace(request, attempts=(*before, attempt_of(request.wanted, len(before) + 1)))


def _lost(request: Request) -> Request:
    return request.with_last(status="LOST") if _is_unfinished(request) else request


def _unfinished(requests: Requests) -> bool:
    return any(_is_unfinished(each) for each in segment(requests))


def _is_unfinished(request: Request) -> bool:
    """Whether AWS has still to be asked for it, for the first time or again."""
    return request.last.status in ("INTENDED", "REFUSED", "FAILED")


def _floor(instant: datetime, step: timedelta) -> datetime:
    return _EPOCH + (instant - _EPOCH) // step * step
