"""Columns that grow with the calendar are left out where past dates come out better without them, and kept otherwise."""

from datetime import timedelta
from functools import cache

import numpy as np
import pandas as pd
import pytest

from platform_assets.learning.cross_fitting import FoldedTable
from platform_assets.learning.data_checks.ageing_replay import AgeingChoice, choose_ageing
from platform_assets.learning.folds import assign_folds

PEOPLE, STEP = 500, timedelta(days=90)
DATES = pd.date_range("1998-01-01", periods=3, freq=STEP, tz="Europe/Berlin", normalize=True)


def snapshots(rate: str, dates: int = len(DATES), people: int = PEOPLE) -> tuple[FoldedTable, pd.Series]:
    """People with their tenure and a column that means little; positives by `rate`: of the `cohort` they joined with,
    all within four months, or, where people join all the time, of their `tenure`, or of `nothing` that it tells.
    """
    generator = np.random.default_rng(0)
    joined = generator.uniform(-120, 0, people) if rate == "cohort" else generator.uniform(-300, 270, people)
    parts = []
    for number, date in enumerate(DATES[:dates]):
        day = 90.0 * number
        known = np.flatnonzero(joined < day)
        tenure, liking = day - joined[known], generator.normal(size=len(known))
        by = {"cohort": 1 + joined[known] / 40, "tenure": 1 - tenure / 60, "nothing": np.full(len(known), -0.5)}
        label = (generator.random(len(known)) < 1 / (1 + np.exp(-by[rate] - 0.5 * liking))).astype(int)
        columns = {"person": known, "as_of": date, "label": label, "tenure": tenure, "liking": liking}
        parts.append(pd.DataFrame(columns))
    rows = pd.concat(parts, ignore_index=True)
    folds = assign_folds(rows["person"], 5, 0)
    table = FoldedTable(rows[["tenure", "liking"]], rows["label"].to_numpy(), rows["person"].to_numpy(), folds)
    return table, rows["as_of"]


@cache
def chosen(rate: str, *columns: str, dates: int = len(DATES), people: int = PEOPLE) -> AgeingChoice:
    table, as_of = snapshots(rate, dates, people)
    return choose_ageing(table, as_of, STEP, columns or ("tenure",))


def test_an_age_that_stands_for_a_cohort_is_left_out() -> None:
    choice = chosen("cohort")
    assert choice.left_out
    assert choice.gain is not None
    assert choice.error is not None
    assert choice.gain > choice.error
    assert [replay.first for replay in choice.replays] == ["1998-06-30", "1998-04-01"]
    for replay in choice.replays:
        told, without = replay.with_columns, replay.without
        assert abs(np.log(without.predicted_over_actual)) < abs(np.log(told.predicted_over_actual))
        assert without.log_loss < told.log_loss
    assert (
        "(tenure) are left out: past dates came out better without them (as of 1998-06-30 log loss" in choice.sentence
    )
    newest = choice.replays[0]
    assert f"predicted ÷ actual {newest.without.predicted_over_actual:.2f} and" in choice.sentence


@pytest.mark.parametrize("rate", ["tenure", "nothing"])
def test_an_age_that_helps_or_does_no_harm_is_kept(rate: str) -> None:
    choice = chosen(rate)
    assert len(choice.replays) == 2
    assert not choice.left_out
    assert "(tenure) are kept: past dates came out no better without them" in choice.sentence


def test_a_date_is_predicted_from_rows_whose_labels_were_known_by_then() -> None:
    choice = chosen("cohort")
    table, as_of = snapshots("cohort")
    for replay in choice.replays:
        when = pd.Timestamp(replay.first, tz="Europe/Berlin")
        assert replay.rows == int((as_of == when).sum())
        assert replay.positives == int(table.y[(as_of == when).to_numpy()].sum())
        assert replay.fitted_rows == int((as_of <= when - pd.Timedelta(STEP) + pd.Timedelta(hours=12)).sum())


def test_dates_within_a_horizon_are_predicted_together_and_never_from_each_other() -> None:
    table, as_of = snapshots("cohort")
    asked_before = (as_of == DATES[2]) & (table.groups % 2 == 0)
    choice = choose_ageing(table, as_of.mask(asked_before, as_of - timedelta(days=20)), STEP, ("tenure",))
    newest = choice.replays[0]
    assert (newest.first, newest.last) == ("1998-06-10", "1998-06-30")
    # What was labelled within 90 days before the first of them was not known by then.
    assert newest.fitted_rows == int((as_of == DATES[0]).sum())


@pytest.mark.parametrize(
    ("dates", "people", "columns", "why"),
    [
        (1, PEOPLE, ("tenure",), "an as-of date a horizon after another, with 30 people of each label"),
        (3, 60, ("tenure",), "an as-of date a horizon after another, with 30 people of each label"),
        (3, PEOPLE, ("tenure", "liking"), "there is no other column"),
    ],
    ids=["one date", "few people", "nothing else"],
)
def test_what_cannot_be_tried_is_kept_and_said(dates: int, people: int, columns: tuple[str, ...], why: str) -> None:
    choice = chosen("cohort", *columns, dates=dates, people=people)
    assert (choice.left_out, choice.replays, choice.gain) == (False, (), None)
    assert f"are kept without a replay of past dates: {choice.untried}" in choice.sentence
    assert why in choice.untried


def test_equal_rows_give_an_equal_choice() -> None:
    table, as_of = snapshots("cohort", 2)
    once = choose_ageing(table, as_of, STEP, ("tenure",))
    assert len(once.replays) == 1
    assert choose_ageing(table, as_of, STEP, ("tenure",)) == once
