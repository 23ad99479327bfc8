"""Columns that tell the date are found, and those that people move are not."""

import numpy as np
import pandas as pd
import pytest

from platform_assets.learning.data_checks.ageing import ageing_columns

PEOPLE, STEP = 400, 91


def snapshots(seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Three as-of dates of the same people: one clock, one count so far, a recency that most people leave alone, noise."""
    generator = np.random.default_rng(seed)
    joined, parts = generator.integers(0, 600, PEOPLE), []
    orders, last = generator.poisson(2, PEOPLE), generator.integers(1, 90, PEOPLE)
    for number in range(3):
        bought = generator.random(PEOPLE) < 0.2
        orders = orders + bought
        last = np.where(bought, generator.integers(1, STEP, PEOPLE), last + (STEP if number else 0))
        age = joined + number * STEP
        clocks = {"tenure": age + generator.integers(0, 2, PEOPLE), "until_birthday": 10_000 - age}
        noise = {"noise": generator.normal(size=PEOPLE), "gap": np.nan}
        parts.append(pd.DataFrame({**clocks, "orders_all": orders, "recency": last, **noise}))
    dates = pd.date_range("1998-01-01", periods=3, freq=f"{STEP}D", tz="UTC")
    return pd.concat(parts, ignore_index=True), np.repeat(dates, PEOPLE), np.tile(np.arange(PEOPLE), 3)


def test_what_moves_with_the_calendar_is_named_and_what_people_move_is_not() -> None:
    X, dates, people = snapshots()
    found = {each.column: each for each in ageing_columns(X, dates, people, list(X.columns))}
    assert {name for name, each in found.items() if each.ageing} == {"tenure", "until_birthday"}
    assert found["tenure"].moved_with_days == 1.0
    assert 0.5 < found["recency"].moved_with_days < 0.9
    assert found["noise"].date_auc == pytest.approx(0.5, abs=0.05)
    assert np.isnan(found["gap"].moved_with_days)


def test_people_who_joined_together_give_the_date_away_even_if_nobody_is_seen_twice() -> None:
    X, dates, people = snapshots()
    apart = np.arange(len(people))
    X = X.assign(tenure=np.where(dates == dates[0], 30, 200) + people % 50)
    found = ageing_columns(X, dates, apart, list(X.columns))
    assert (found[0].column, found[0].date_auc, found[0].ageing) == ("tenure", 1.0, True)
    assert np.isnan(found[0].moved_with_days)
    assert [each.date_auc for each in found] == sorted((each.date_auc for each in found), reverse=True)


def test_one_date_tells_nothing_and_lengths_are_checked() -> None:
    X, dates, people = snapshots()
    names = list(X.columns)
    assert ageing_columns(X.iloc[:PEOPLE], dates[:PEOPLE], people[:PEOPLE], names) == []
    with pytest.raises(ValueError, match="1200 rows and 6 columns, for 1199 as-of times"):
        ageing_columns(X, dates[1:], people, names)
