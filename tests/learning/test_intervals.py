"""Intervals that hold the truth as often as they say, also when the rows of one person hang together."""

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.learning.figures import intervals, metrics
from platform_assets.learning.figures.intervals import FIGURES, differences_with_intervals, figures_with_intervals


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 9))
def test_a_draw_s_figures_are_those_of_the_rows_written_out(seed: int, ticks: int) -> None:
    generator = np.random.default_rng(seed)
    y, p = generator.integers(0, 2, 40).astype(float), generator.integers(1, ticks + 1, 40) / (ticks + 1)
    codes = np.unique(generator.integers(0, 15, 40), return_inverse=True)[1]
    found = intervals._resampled(y, p, codes, 6, seed)
    times = intervals._draws(np.random.default_rng(seed), 6, int(codes.max()) + 1)
    for draw in range(6):
        rows = np.repeat(np.arange(40), times[draw][codes])
        for name, figure in FIGURES.items():
            if 0 < y[rows].sum() < len(rows):
                assert found[name][draw] == pytest.approx(figure(y[rows], p[rows])), name
            elif name in ("auc", "average_precision", "lift_at_10"):
                assert np.isnan(found[name][draw])


def test_the_interval_of_an_auc_agrees_with_delongs_when_rows_are_independent() -> None:
    generator = np.random.default_rng(0)
    y = (generator.random(3000) < 0.2).astype(int)
    p = 1 / (1 + np.exp(-(generator.normal(size=3000) + y)))
    found, known = figures_with_intervals(y, p)["auc"], metrics.auc_interval(y, p)
    assert found.value == pytest.approx(known.value)
    assert found.standard_error == pytest.approx(known.standard_error, rel=0.1)
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=0.004)


def test_intervals_hold_the_truth_when_every_person_has_four_rows() -> None:
    generator = np.random.default_rng(1)
    held = {"grouped": 0, "rows": 0}
    for trial in range(150):
        # All four rows of a person share score and label: there are 60 observations, not 240.
        scores, people = generator.normal(size=60), np.repeat(np.arange(60), 4)
        labels = (generator.random(60) < 1 / (1 + np.exp(-scores))).astype(int)
        p = (1 / (1 + np.exp(-scores)))[people]
        for name, groups in (("grouped", people), ("rows", None)):
            found = figures_with_intervals(labels[people], p, groups, resamples=150, seed=trial)["brier"]
            held[name] += found.low <= BRIER_OF_THE_TRUTH <= found.high
    assert held["grouped"] >= 0.88 * 150
    assert held["rows"] < 0.75 * 150


# The mean of p (1 - p) for p = sigmoid(z), z standard normal.
BRIER_OF_THE_TRUTH = 0.20662


def test_the_same_rows_give_the_same_intervals_and_one_class_gives_what_it_can() -> None:
    generator = np.random.default_rng(0)
    y, p, groups = generator.integers(0, 2, 200), generator.random(200), np.arange(200) // 3
    assert figures_with_intervals(y, p, groups) == figures_with_intervals(y, p, groups)
    alone = figures_with_intervals(np.zeros(50), np.full(50, 0.1))
    assert alone["log_loss"].value == pytest.approx(-np.log(0.9))
    assert alone["log_loss"].low == pytest.approx(alone["log_loss"].high)
    for name in ("auc", "average_precision", "lift_at_10", "predicted_over_actual"):
        assert np.isnan(astuple(alone[name])).all(), name


def test_differences_are_paired() -> None:
    generator = np.random.default_rng(0)
    z = generator.normal(size=2000)
    y = (generator.random(2000) < 1 / (1 + np.exp(-z))).astype(int)
    good, near = 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(-(z + 0.1 * generator.normal(size=2000))))
    found = differences_with_intervals(y, good, near, groups=np.arange(2000) // 2)
    assert found["auc"].value == pytest.approx(metrics.auc(y, good) - metrics.auc(y, near))
    assert found["auc"].standard_error < 0.2 * figures_with_intervals(y, good)["auc"].standard_error
    same = differences_with_intervals(y, good, good)
    assert all(astuple(estimate) == (0.0, 0.0, 0.0, 0.0) for estimate in same.values())


def test_lengths_and_values_are_checked() -> None:
    with pytest.raises(ValueError, match="groups hold 2 ids for 3 rows"):
        figures_with_intervals([0, 1, 1], [0.1, 0.2, 0.3], [1, 2])
    with pytest.raises(ValueError, match="between 0 and 1"):
        figures_with_intervals([0, 1], [0.1, 1.2])
    with pytest.raises(ValueError, match="one class only"):
        differences_with_intervals([1, 1], [0.1, 0.2], [0.1, 0.2])
