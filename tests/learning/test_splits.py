"""What splits promise: nobody on both sides, nothing learned from a label that was not known yet."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from platform_assets.learning.folds import assign_folds
from platform_assets.learning.splits import EntitySplit, PurgedTimeSplit

DAY = timedelta(days=1)
START = np.datetime64("1998-01-01", "us")


@st.composite
def stacked(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int, int]:
    """As-of days and entity ids of a few rows, a horizon and a gap in days."""
    size = draw(st.integers(2, 40))
    days = np.asarray(draw(st.lists(st.integers(0, 12), min_size=size, max_size=size)))
    groups = np.asarray(draw(st.lists(st.integers(0, 9), min_size=size, max_size=size)))
    return days, groups, draw(st.integers(0, 6)), draw(st.integers(0, 3))


def times_of(days: np.ndarray) -> np.ndarray:
    return START + days * np.timedelta64(1, "D")


@settings(max_examples=80, deadline=None)
@given(stacked(), st.integers(2, 4) | st.none())
def test_no_train_row_s_label_window_reaches_into_the_test_period(
    rows: tuple[np.ndarray, np.ndarray, int, int], n_folds: int | None
) -> None:
    days, groups, horizon, gap = rows
    splitter = PurgedTimeSplit(times_of(days), horizon * DAY, gap * DAY, n_folds=n_folds)
    pairs = list(splitter.split(days, groups=groups))
    assert splitter.get_n_splits(days, groups=groups) == len(pairs)
    for train, test in pairs:
        assert len(train)
        assert len(set(days[test])) == 1
        assert days[train].max() + horizon + gap <= days[test].min()
        assert days[train].max() < days[test].min()
        if n_folds:
            assert not set(groups[train]) & set(groups[test])


@settings(max_examples=80, deadline=None)
@given(stacked())
def test_every_row_whose_label_was_known_is_learned_from_and_every_later_one_is_tested_once(
    rows: tuple[np.ndarray, np.ndarray, int, int],
) -> None:
    days, _, horizon, gap = rows
    pairs = list(PurgedTimeSplit(times_of(days), horizon * DAY, gap * DAY).split(days))
    for train, test in pairs:
        assert set(train) == set(np.flatnonzero(days + max(horizon + gap, 1) <= days[test[0]]))
    tested = np.concatenate([test for _, test in pairs]) if pairs else np.empty(0, dtype=int)
    assert sorted(tested) == np.flatnonzero(days >= days.min() + max(horizon + gap, 1)).tolist()


@settings(max_examples=60, deadline=None)
@given(stacked(), st.integers(2, 4))
def test_an_entity_is_on_one_side_and_every_row_is_tested_once(
    rows: tuple[np.ndarray, np.ndarray, int, int], n_folds: int
) -> None:
    _, groups, _, _ = rows
    splitter = EntitySplit(n_folds, seed=3)
    pairs = list(splitter.split(groups, groups=groups))
    assert splitter.get_n_splits(groups, groups=groups) == len(pairs)
    assert sorted(np.concatenate([test for _, test in pairs])) == list(range(len(groups)))
    for train, test in pairs:
        assert not set(groups[train]) & set(groups[test])
        assert sorted([*train, *test]) == list(range(len(groups)))


def test_folds_are_those_that_an_ensemble_s_members_share() -> None:
    groups = np.arange(200)
    tested = [test for _, test in EntitySplit(4, seed=7).split(groups, groups=groups)]
    assert all(len(set(assign_folds(groups, 4, 7)[test])) == 1 for test in tested)


def test_cuts_take_many_as_of_times_together_and_zones_are_understood() -> None:
    times = pd.date_range("1998-01-01", periods=40, freq="D", tz="Europe/Berlin")
    cuts = pd.DatetimeIndex(["1998-01-20", "1998-01-30"]).tz_localize("Europe/Berlin")
    (first, tested), (second, last) = PurgedTimeSplit(times, 7 * DAY, cuts=cuts).split(times)
    assert (first.tolist(), tested.tolist()) == (list(range(13)), list(range(19, 29)))
    assert (second.tolist(), last.tolist()) == (list(range(23)), list(range(29, 40)))


def test_scikit_learn_takes_the_splits_as_its_own() -> None:
    generator = np.random.default_rng(0)
    days, groups = np.repeat([0, 30, 60], 50), np.tile(np.arange(50), 3)
    X, y = generator.normal(size=(150, 2)), generator.integers(0, 2, 150)
    for splitter, pairs in (
        (PurgedTimeSplit(times_of(days), 30 * DAY), 2),
        (PurgedTimeSplit(times_of(days), 30 * DAY, n_folds=2), 4),
        (EntitySplit(3), 3),
    ):
        assert len(cross_val_score(LogisticRegression(), X, y, groups=groups, cv=splitter)) == pairs


def test_what_cannot_be_split_is_refused_in_a_sentence() -> None:
    times = times_of(np.arange(3))
    with pytest.raises(ValueError, match="needs groups"):
        list(EntitySplit().split(times))
    with pytest.raises(ValueError, match="hold 2 ids for 3 rows"):
        list(PurgedTimeSplit(times, DAY, n_folds=2).split(times, groups=[1, 2]))
    with pytest.raises(ValueError, match="4 rows and times 3"):
        list(PurgedTimeSplit(times, DAY).split(range(4)))
    with pytest.raises(ValueError, match="none below zero"):
        PurgedTimeSplit(times, -DAY)
    with pytest.raises(ValueError, match="ascending"):
        PurgedTimeSplit(times, DAY, cuts=times[::-1])
