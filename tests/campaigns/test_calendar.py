"""The time axis: no training date may need a label that is not known at the scoring date."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from platform_assets.campaigns.training_sets.calendar import ImmatureLabel, NotCovered, training_dates
from platform_assets.data.catalog.business_day import instant_of, latest_as_of
from tests.campaigns.worlds import campaign, fans

JULY = datetime(1998, 7, 1, tzinfo=UTC)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"]


def test_by_default_two_snapshots_one_horizon_apart_the_newest_known_at_the_watermark() -> None:
    dates = training_dates(campaign(), "UTC", JULY)
    assert dates.score_at == date(1998, 7, 1)
    assert dates.as_of == (date(1998, 3, 3), date(1998, 5, 2))


def test_snapshots_and_their_distance_can_be_stated() -> None:
    spec = campaign(train={"snapshots": 3, "every": "2w"})
    assert training_dates(spec, "UTC", JULY).as_of == (date(1998, 4, 4), date(1998, 4, 18), date(1998, 5, 2))


def test_absolute_dates_are_used_as_they_are_in_order() -> None:
    spec = campaign(train={"as_of": ["1998-05-02", "1998-01-01"]})
    assert training_dates(spec, "UTC", JULY).as_of == (date(1998, 1, 1), date(1998, 5, 2))


def test_an_absolute_date_whose_label_is_not_known_is_refused_with_key_and_date() -> None:
    said = r"train\.as_of 1998-05-03: .*score_at 1998-07-01; use 1998-05-02 or earlier"
    with pytest.raises(ImmatureLabel, match=said):
        training_dates(campaign(train={"as_of": ["1998-01-01", "1998-05-03"]}), "UTC", JULY)


def test_a_replay_refuses_what_was_not_known_then() -> None:
    spec = campaign(train={"as_of": ["1998-03-01"]})
    assert training_dates(spec, "UTC", JULY, score_at=date(1998, 4, 30)).score_at == date(1998, 4, 30)
    with pytest.raises(ImmatureLabel, match=r"train\.as_of 1998-03-01"):
        training_dates(spec, "UTC", JULY, score_at=date(1998, 4, 29))


def test_a_scoring_date_after_the_watermark_is_refused_with_the_latest_there_is() -> None:
    with pytest.raises(NotCovered, match=r"score_at 1998-07-02: .* so 1998-07-01 is the latest date"):
        training_dates(campaign(score_at="1998-07-02"), "UTC", JULY)


def test_the_file_s_scoring_date_gives_way_to_a_replay() -> None:
    spec = campaign(score_at="1998-06-01")
    assert training_dates(spec, "UTC", JULY).score_at == date(1998, 6, 1)
    assert training_dates(spec, "UTC", JULY, score_at=date(1998, 5, 1)).score_at == date(1998, 5, 1)


@pytest.mark.parametrize(
    ("watermark", "timezone", "latest"),
    [
        ("1998-07-01T00:00+00:00", "UTC", date(1998, 7, 1)),
        ("1998-06-30T23:59+00:00", "UTC", date(1998, 6, 30)),
        ("1998-06-30T21:59+00:00", "Europe/Berlin", date(1998, 6, 30)),
        ("1998-06-30T22:00+00:00", "Europe/Berlin", date(1998, 7, 1)),
        ("1998-01-31T22:59+00:00", "Europe/Berlin", date(1998, 1, 31)),
        ("1998-01-31T23:00+00:00", "Europe/Berlin", date(1998, 2, 1)),
        ("1998-07-01T03:59+00:00", "America/New_York", date(1998, 6, 30)),
        ("1998-07-01T04:00+00:00", "America/New_York", date(1998, 7, 1)),
    ],
)
def test_latest_is_the_watermark_s_date_where_the_business_is(watermark: str, timezone: str, latest: date) -> None:
    instant = datetime.fromisoformat(watermark)
    assert latest_as_of(instant, timezone) == latest
    assert instant_of(latest, timezone) <= instant < instant_of(latest + timedelta(days=1), timezone)


def test_an_arrival_lag_moves_the_training_dates_back() -> None:
    assert training_dates(campaign(), "UTC", JULY, lag=timedelta(hours=30)).as_of[-1] == date(1998, 4, 30)
    with pytest.raises(ImmatureLabel, match="1998-05-02"):
        training_dates(campaign(train={"as_of": ["1998-05-02"]}), "UTC", JULY, lag=timedelta(hours=1))


def test_a_teacher_file_brings_its_own_dates() -> None:
    assert training_dates(fans(), "UTC", JULY).as_of == ()


@settings(max_examples=200, deadline=None)
@given(
    watermark=st.datetimes(datetime(1997, 6, 1), datetime(1999, 6, 1), timezones=st.just(UTC)),
    timezone=st.sampled_from(ZONES),
    within=st.integers(1, 200),
    every=st.none() | st.integers(1, 100),
    snapshots=st.integers(1, 6),
    lag=st.timedeltas(timedelta(0), timedelta(days=5)),
)
@example(datetime(1998, 3, 29, 22, tzinfo=UTC), "Europe/Berlin", 10, None, 2, timedelta(days=1))
def test_every_relative_training_date_is_known_at_the_scoring_date(
    watermark: datetime, timezone: str, within: int, every: int | None, snapshots: int, lag: timedelta
) -> None:
    train = {"snapshots": snapshots, "every": None if every is None else f"{every}d"}
    spec = campaign(label={"event": "orders", "within": f"{within}d"}, train=train)
    dates = training_dates(spec, timezone, watermark, lag)
    assert len(dates.as_of) == snapshots
    assert list(dates.as_of) == sorted(set(dates.as_of))
    for day in dates.as_of:
        assert instant_of(day + spec.horizon, timezone) + lag <= instant_of(dates.score_at, timezone) <= watermark


@settings(max_examples=100, deadline=None)
@given(
    day=st.dates(date(1998, 1, 1), date(1998, 12, 1)),
    timezone=st.sampled_from(ZONES),
    lag=st.timedeltas(timedelta(0), timedelta(days=3)),
)
def test_the_date_a_refusal_names_is_accepted_and_the_next_is_not(day: date, timezone: str, lag: timedelta) -> None:
    watermark = instant_of(date(1998, 12, 31), timezone)
    score_at = day + timedelta(days=20)
    label = {"event": "orders", "within": "10d"}
    newest = training_dates(campaign(label=label), timezone, watermark, lag, score_at).as_of[-1]
    accepted = campaign(label=label, train={"as_of": [newest.isoformat()]})
    assert training_dates(accepted, timezone, watermark, lag, score_at).as_of == (newest,)
    refused = campaign(label=label, train={"as_of": [(newest + timedelta(days=1)).isoformat()]})
    with pytest.raises(ImmatureLabel, match=f"use {newest} or earlier"):
        training_dates(refused, timezone, watermark, lag, score_at)
