"""Calibration: monotone, better than before, chosen by cross-validation, the same after JSON."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from platform_assets.learning.calibration import (
    METHODS,
    BetaCalibrator,
    Calibrator,
    PlattCalibrator,
    calibrator_from_json,
    fit_calibrator,
)
from platform_assets.learning.figures import metrics

every_method = pytest.mark.parametrize("kind", METHODS.values(), ids=METHODS.keys())


def drawn(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and labels that come true at just those rates."""
    generator = np.random.default_rng(seed)
    p = generator.beta(1, 4, rows)
    return p, (generator.random(rows) < p).astype(int)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(list(METHODS.values())),
    seed=st.integers(0, 1000),
    flip=st.booleans(),
    queries=st.lists(st.floats(0, 1), min_size=2, max_size=30),
)
def test_a_calibrator_never_reverses_two_scores(
    kind: type[Calibrator], seed: int, flip: bool, queries: list[float]
) -> None:
    p, y = drawn(200, seed)
    fitted = kind().fit(1 - p if flip else p, np.append(y[:-2], [0, 1]))
    found = fitted.predict(np.sort(queries))
    assert (np.diff(found) >= 0).all()
    assert ((found >= 0) & (found <= 1)).all()


def test_platt_equals_logistic_regression_on_log_odds() -> None:
    p, y = drawn(3000)
    fitted = PlattCalibrator().fit(p, y)
    wanted = LogisticRegression(C=np.inf, tol=1e-10).fit(logit(p)[:, None], y)
    assert fitted.coefficients_ == pytest.approx([wanted.coef_[0, 0], wanted.intercept_[0]], abs=1e-4)


@every_method
def test_distorted_scores_are_straightened(kind: type[Calibrator]) -> None:
    p, y = drawn(20_000)
    crooked = expit(2 * logit(p) + 1)
    fitted = kind().fit(crooked[::2], y[::2])
    straight = fitted.predict(crooked[1::2])
    assert metrics.log_loss(y[1::2], straight) < metrics.log_loss(y[1::2], crooked[1::2]) - 0.03
    assert metrics.predicted_over_actual(y[1::2], straight) == pytest.approx(1, abs=0.05)
    assert np.abs(straight - p[1::2]).max() < 0.06


@every_method
def test_a_calibrator_survives_json_to_the_last_bit(kind: type[Calibrator]) -> None:
    p, y = drawn(500)
    fitted = kind().fit(p, y)
    again = calibrator_from_json(json.loads(json.dumps(fitted.to_json())))
    assert (again.predict(p) == fitted.predict(p)).all()


def test_beta_is_chosen_where_platt_cannot_bend_and_platt_where_it_need_not() -> None:
    p, y = drawn(20_000)
    plain, losses = fit_calibrator(p, y)
    assert isinstance(plain, PlattCalibrator)
    assert set(losses) == {"platt", "beta"}
    bent = p**4
    chosen, losses = fit_calibrator(bent, y)
    assert isinstance(chosen, BetaCalibrator)
    assert losses["beta"] < losses["platt"]


def test_too_few_rows_to_compare_get_platt_without_figures() -> None:
    p, _ = drawn(60)
    chosen, losses = fit_calibrator(p, np.arange(60) % 10 == 0)
    assert isinstance(chosen, PlattCalibrator)
    assert losses == {}


def test_one_class_and_scores_that_are_no_probabilities_are_refused() -> None:
    with pytest.raises(ValueError, match="both classes"):
        PlattCalibrator().fit([0.1, 0.2], [0, 0])
    with pytest.raises(ValueError, match="between 0 and 1"):
        PlattCalibrator().fit([0.1, 2.0], [0, 1])
    with pytest.raises(ValueError, match="no calibration method"):
        calibrator_from_json({"method": "isotonic", "coefficients": []})
