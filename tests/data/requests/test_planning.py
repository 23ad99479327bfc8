"""Which exports are wanted: windows that tile, gaps, and snapshots."""

import random
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from platform_assets.data.requests.planning import (
    AT_ONCE,
    SHORTEST,
    Snapshot,
    Span,
    snapshots_planned,
    tables_due,
    windows_planned,
)
from platform_assets.data.requests.record import Attempt, Requests, Status, Wanted, segment
from tests.data.exports.histories import EPOCH

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def attempt(wanted: Wanted, number: int) -> Attempt:
    return Attempt(f"{wanted.earliest:%s}-{wanted.at:%s}-{number}", {}, EPOCH)


def ended(requests: Requests, status: Status = "COMPLETED") -> Requests:
    return tuple(
        each.with_last(status=status, id="arn") if each.last.status == "INTENDED" else each for each in requests
    )


def planned(requests: Requests, latest: datetime, every: timedelta = DAY, earliest: datetime = EPOCH) -> Requests:
    return windows_planned(requests, Span(earliest, latest), every, attempt)


def test_windows_tile_from_a_full_export_on_whenever_somebody_looks() -> None:
    generator = random.Random(7)
    for _ in range(150):
        every = timedelta(minutes=generator.choice([15, 20, 45, 60, 420, 999, 1440]))
        now = EPOCH + timedelta(seconds=generator.randrange(10**6))
        earliest = now - timedelta(seconds=generator.randrange(2 * 10**5))
        requests: Requests = ()
        ever: dict[Wanted, None] = {}
        for _ in range(12):
            latest = now - timedelta(minutes=5)
            if latest >= earliest:
                requests = ended(planned(requests, latest, every, max(earliest, now - timedelta(days=35))))
                assert requests[-1].wanted.at <= latest
                ever |= dict.fromkeys(each.wanted for each in requests)
            now += timedelta(minutes=generator.choice([1, 15, 60, 1440, 3000]))
        first, *windows = ever
        assert first.start is None
        assert first.at >= earliest
        for before, after in zip(ever, windows, strict=False):
            assert after.start == before.at
            assert SHORTEST <= after.at - before.at <= DAY


def test_windows_of_a_day_end_at_midnight_utc_even_if_recovery_was_turned_on_in_between() -> None:
    requests = planned((), EPOCH + 40 * HOUR, earliest=EPOCH + 30 * HOUR)
    assert [each.wanted for each in requests] == [Wanted(EPOCH + 40 * HOUR)]
    requests = planned(ended(requests), EPOCH + 4 * DAY)
    assert [each.wanted.at for each in requests[1:]] == [EPOCH + day * DAY for day in (2, 3, 4)]


def test_a_window_that_would_be_too_short_is_made_a_whole_one() -> None:
    requests = planned((), EPOCH + DAY - 10 * timedelta(minutes=1), earliest=EPOCH + 12 * HOUR)
    requests = planned(ended(requests), EPOCH + 3 * DAY)
    assert requests[1].wanted.at - requests[0].wanted.at == DAY


def test_of_many_windows_that_are_due_aws_is_asked_for_a_few_at_once_and_then_for_the_rest() -> None:
    requests = ended(planned((), EPOCH))
    requests = planned(requests, EPOCH + 25 * DAY)
    assert sum(each.last.status == "INTENDED" for each in requests) == AT_ONCE
    assert planned(requests, EPOCH + 25 * DAY) == requests
    for _ in range(2):
        requests = planned(ended(requests), EPOCH + 25 * DAY)
    assert requests[-1].wanted.at == EPOCH + 25 * DAY


@pytest.mark.parametrize("status", ["COMPLETED", "IN_PROGRESS", "INTENDED", "REFUSED", "FAILED"])
def test_where_recovery_does_not_reach_back_to_what_is_next_a_new_full_export_is_wanted(status: Status) -> None:
    requests = ended(planned((), EPOCH + DAY))
    requests = ended(planned(requests, EPOCH + 2 * DAY), status)
    after = planned(requests, EPOCH + 6 * DAY, earliest=EPOCH + 3 * DAY)
    assert [each.wanted.start for each in after] == [None, EPOCH + DAY, None]
    assert after[-1].wanted.at == EPOCH + 6 * DAY
    # What AWS is at may still end; what it was not asked for is not asked for any more.
    assert after[1].last.status == (status if status in ("COMPLETED", "IN_PROGRESS") else "LOST")
    assert [each.wanted.start for each in planned(ended(after), EPOCH + 7 * DAY)][3:] == [EPOCH + 6 * DAY]


def test_a_failed_window_that_recovery_no_longer_reaches_is_a_gap_and_the_base_lies_in_no_window() -> None:
    requests = ended(planned((), EPOCH + 10 * HOUR, earliest=EPOCH + HOUR))
    requests = planned(requests, EPOCH + 3 * DAY)
    failed = (requests[0], requests[1].with_last(status="FAILED"), *ended(requests[2:]))
    after = planned(failed, EPOCH + 3 * DAY + HOUR, earliest=EPOCH + DAY)
    assert after[-1].wanted == Wanted(EPOCH + 3 * DAY)
    assert after[1].last.status == "LOST"


def test_what_failed_is_wanted_again_under_another_token_and_what_follows_it_too() -> None:
    requests = ended(planned((), EPOCH))
    requests = ended(planned(requests, EPOCH + DAY), "FAILED")
    again = planned(requests, EPOCH + 2 * DAY)
    assert [len(each.attempts) for each in again] == [1, 2, 1]
    assert again[1].attempts[0].token != again[1].attempts[1].token


def test_the_record_forgets_what_is_long_over_and_never_where_windows_begin() -> None:
    requests = ended(planned((), EPOCH))
    for day in range(1, 15):
        for _ in range(3):
            requests = ended(planned(requests, EPOCH + day * DAY, HOUR))
    requests = (*requests[:5], requests[5].with_last(status="FAILED"), *requests[6:])
    requests = planned(requests, EPOCH + 15 * DAY, HOUR)
    assert len(requests) <= 100 + AT_ONCE
    assert requests[0].wanted == Wanted(EPOCH)
    assert requests[-1].wanted.start == requests[-2].wanted.at


def test_nothing_is_looked_up_before_a_window_can_have_ended() -> None:
    requests = ended(planned((), EPOCH))
    assert not tables_due(requests, DAY, EPOCH + DAY + timedelta(minutes=4))
    assert tables_due(requests, DAY, EPOCH + DAY + timedelta(minutes=5))
    assert tables_due((), DAY, EPOCH)
    assert tables_due((requests[0].with_last(status="FAILED"),), DAY, EPOCH)


def test_of_snapshots_the_newest_is_wanted_when_it_is_due_and_no_other_is_under_way() -> None:
    def wanted(requests: Requests, at: datetime, every: timedelta) -> Requests:
        return snapshots_planned(requests, Snapshot(f"arn {at}", at, "aurora-mysql"), every, attempt)

    first = wanted((), EPOCH, DAY)
    assert wanted(first, EPOCH + DAY, DAY) == first
    requests = ended(first)
    # A little earlier than the day before.
    assert len(wanted(requests, EPOCH + DAY - HOUR, DAY)) == 2
    assert wanted(requests, EPOCH + 6 * DAY, 7 * DAY) == requests
    assert len(wanted(requests, EPOCH + 7 * DAY - HOUR, 7 * DAY)) == 2
    failed = ended(first, "FAILED")
    assert [len(each.attempts) for each in wanted(failed, EPOCH, DAY)] == [2]
    # What failed is not waited for: a newer snapshot tells more.
    assert [len(each.attempts) for each in wanted(failed, EPOCH + HOUR, DAY)] == [1, 1]


def test_another_base_keeps_what_is_recorded_of_the_one_before() -> None:
    requests = ended(planned((), EPOCH + DAY))
    after = planned(requests, EPOCH + 9 * DAY, earliest=EPOCH + 8 * DAY)
    assert after[0] == requests[0]
    assert segment(after) == after[1:]
    assert replace(after[1].wanted, at=EPOCH) == Wanted(EPOCH)
