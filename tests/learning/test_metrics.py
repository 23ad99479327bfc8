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


@settings(max_examples=80, deadline=None)
@given(samples())
def test_figures_equal_scikit_learns(sample: Sample) -> None:
    y, p = sample
    assert metrics.auc(y, p) == pytest.approx(reference.roc_auc_score(y, p))
    assert metrics.average_precision(y, p) == pytest.approx(reference.average_precision_score(y, p))
    assert metrics.brier(y, p) == pytest.approx(reference.brier_score_loss(y, p))
    inside = np.clip(p, 1e-6, 1 - 1e-6)
    assert metrics.log_loss(y, inside) == pytest.approx(reference.log_loss(y, inside, labels=[0, 1]))


@settings(max_examples=40, deadline=None)
@given(samples())
def test_delongs_error_equals_its_definition_by_pairs(sample: Sample) -> None:
    y, p = sample
    wins = (p[y == 1][:, None] > p[y == 0]) + 0.5 * (p[y == 1][:, None] == p[y == 0])
    by_positive, by_negative = wins.mean(axis=1), wins.mean(axis=0)
    variance = by_positive.var(ddof=1) / len(by_positive) + by_negative.var(ddof=1) / len(by_negative)
    found = metrics.auc_interval(y, p)
    assert found.auc == pytest.approx(wins.mean())
    assert found.standard_error == pytest.approx(np.sqrt(variance), abs=1e-12)
    assert 0 <= found.low <= found.auc <= found.high <= 1


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


@settings(max_examples=20, deadline=None)
@given(samples())
def test_bootstrap_draws_equal_aucs_of_repeated_rows(sample: Sample) -> None:
    y, p = sample
    positive = y == 1
    generator = np.random.default_rng(0)
    times = [metrics._draws(generator, 5, int(side.sum())) for side in (positive, ~positive)]
    assert (times[0].sum(axis=1) == positive.sum()).all()
    areas = metrics._drawn_aucs(p, positive, *times)
    for resample in range(5):
        weight = np.empty(len(y))
        weight[positive], weight[~positive] = times[0][resample], times[1][resample]
        assert areas[resample] == pytest.approx(reference.roc_auc_score(y, p, sample_weight=weight))


def test_an_auc_difference_has_delongs_error_for_independent_scores() -> None:
    generator = np.random.default_rng(0)
    y = (generator.random(23_000) < 0.16).astype(int)
    one, two = generator.normal(size=23_000) + y, generator.normal(size=23_000) + 0.9 * y
    found = metrics.auc_difference(y, one, two, resamples=300)
    expected = np.hypot(metrics.auc_interval(y, one).standard_error, metrics.auc_interval(y, two).standard_error)
    assert found.standard_error == pytest.approx(expected, rel=0.15)
    assert found.low < found.difference < found.high
    assert found.difference == pytest.approx(metrics.auc(y, one) - metrics.auc(y, two))
    nothing = metrics.auc_difference(y, one, one, resamples=50)
    assert (nothing.difference, nothing.low, nothing.high, nothing.p_value) == (0.0, 0.0, 0.0, 1.0)


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
