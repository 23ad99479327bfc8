"""Figures against scikit-learn, SciPy and brute force."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from platform_assets.learning.figures import metrics

Sample = tuple[np.ndarray, np.ndarray]


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    """Labels of both classes, and probabilities with many ties."""
    size = draw(st.integers(4, 80))
    y = np.asarray(draw(st.lists(st.integers(0, 1), min_size=size, max_size=size)))
    y[:4] = [0, 1, 0, 1]
    ticks = draw(st.lists(st.integers(0, 12), min_size=size, max_size=size))
    return y, np.asarray(ticks) / 12


@settings(max_examples=40, deadline=None)
@given(samples())
def test_delongs_error_equals_its_definition_by_pairs(sample: Sample) -> None:
    y, p = sample
    wins = (p[y == 1][:, None] > p[y == 0]) + 0.5 * (p[y == 1][:, None] == p[y == 0])
    by_positive, by_negative = wins.mean(axis=1), wins.mean(axis=0)
    variance = by_positive.var(ddof=1) / len(by_positive) + by_negative.var(ddof=1) / len(by_negative)
    found = metrics.auc_interval(y, p)
    assert found.value == pytest.approx(wins.mean())
    assert metrics.auc(y, p) == pytest.approx(wins.mean())
    assert found.standard_error == pytest.approx(np.sqrt(variance), abs=1e-12)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_delongs_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    truth, held = 0.7602, 0
    for _ in range(400):
        y = np.repeat([0, 1], [150, 50])
        found = metrics.auc_interval(y, generator.normal(size=200) + y)
        held += found.low <= truth <= found.high
    assert 0.91 <= held / 400 <= 0.98


@settings(max_examples=30, deadline=None)
@given(samples(), st.floats(0.01, 1.0))
def test_the_rate_at_the_top_shares_ties_out_evenly(sample: Sample, fraction: float) -> None:
    y, p = sample
    wanted = max(1, round(len(y) * fraction))
    orders = [np.lexsort((np.random.default_rng(i).random(len(y)), -p))[:wanted] for i in range(150)]
    mean = np.mean([y[order].mean() for order in orders])
    assert metrics.rate_at(y, p, fraction) == pytest.approx(mean, abs=0.2)
    if len(set(p)) == len(p):
        assert metrics.rate_at(y, p, fraction) == pytest.approx(y[np.argsort(-p)[:wanted]].mean())


def test_gains_end_at_everyone_and_lift_at_one() -> None:
    generator = np.random.default_rng(0)
    y = (generator.random(1000) < 0.2).astype(int)
    curve = metrics.gains_curve(y, generator.random(1000) + y)
    assert len(curve) == 20
    assert curve["found"].iloc[-1] == pytest.approx(1.0)
    assert curve["lift"].iloc[-1] == pytest.approx(1.0)
    assert np.diff(curve["found"]).min() > -1e-12
    assert curve["found"].max() <= 1
    assert curve["lift"].iloc[1] == pytest.approx(metrics.lift_at(y, y + 0 * y, 0.1), rel=0.4)


def test_the_calibration_table_has_ten_equal_bins_that_add_up() -> None:
    generator = np.random.default_rng(0)
    p = generator.random(5003)
    y = (generator.random(5003) < p).astype(int)
    found = metrics.calibration_table(y, p)
    assert found["bin"].tolist() == list(range(1, 11))
    assert found["rows"].sum() == 5003
    assert set(found["rows"]) <= {500, 501}
    assert (found["predicted"] * found["rows"]).sum() == pytest.approx(p.sum())
    assert (found["actual"] * found["rows"]).sum() == pytest.approx(y.sum())
    assert found["predicted"].is_monotonic_decreasing
    assert found["ratio"].between(0.7, 1.4).all()
    assert metrics.predicted_over_actual(y, p) == pytest.approx(p.sum() / y.sum())
    assert np.isnan(metrics.predicted_over_actual(np.zeros(3), np.zeros(3)))


def test_the_one_column_table_finds_column_and_direction() -> None:
    generator = np.random.default_rng(0)
    y = (generator.random(2000) < 0.3).astype(int)
    X = pd.DataFrame({"noise": generator.normal(size=2000), "low": -y + generator.normal(size=2000)})
    X.loc[::7, "low"] = np.nan
    found = metrics.one_column_table(X, y)
    assert found["column"].tolist() == ["low", "noise"]
    assert found["direction"][0] == -1
    assert found["auc"][0] == pytest.approx(reference.roc_auc_score(y, (-X["low"]).fillna(-1e9)))
    assert (found["auc"] >= 0.45).all()


def test_a_certainty_that_does_not_come_true_costs_a_stated_loss() -> None:
    assert metrics.log_loss([1, 0], [0.0, 0.0]) == pytest.approx(-np.log(1e-15) / 2)
    assert metrics.log_loss([0, 0], [0.0, 0.5]) == pytest.approx(np.log(2) / 2)
    assert metrics.brier([0, 0], [0.0, 0.5]) == 0.125


def test_one_class_lengths_and_wrong_values_are_refused() -> None:
    with pytest.raises(ValueError, match="one class only"):
        metrics.auc([1, 1], [0.2, 0.3])
    with pytest.raises(ValueError, match="two columns of one length"):
        metrics.auc([1, 0], [0.2])
    with pytest.raises(ValueError, match="1 of 2 scores are missing"):
        metrics.auc([1, 0], [0.2, np.nan])
    with pytest.raises(ValueError, match="between 0 and 1"):
        metrics.log_loss([1, 0], [0.2, 1.2])
    with pytest.raises(ValueError, match="0 or 1"):
        metrics.auc([1, 2], [0.2, 0.3])
