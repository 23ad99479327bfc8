"""Turning scores into probabilities that come true: Platt and beta calibration.

Belongs here: monotone maps from score to probability, fitted on out-of-fold scores, and the choice between
them. Does not belong here: making the scores, judging drift.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, xlogy
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from platform_assets.learning.folds import assign_folds

SCORE_FLOOR = 1e-9
SLOPE_FLOOR = 1e-3
Floats = npt.NDArray[np.float64]


class Calibrator(BaseEstimator):
    """A map sigmoid(coefficients · features(score)) whose slopes stay at or above 0.001, hence never
    decreasing.

    Subclasses state `method` and the features of a score; all but the last coefficient are slopes. Fitted by
    L-BFGS-B on log loss. After `fit`: `coefficients_`.
    """

    method: ClassVar[str]
    coefficients_: Floats

    def fit(self, scores: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Fit on out-of-fold `scores` (n,) in [0, 1] and `y` (n,) coded 0/1.

        Raises ValueError when lengths differ, a score is no probability, or `y` has one class.
        """
        raw, target = _checked(scores, y)
        features = self._features(raw)
        slopes = features.shape[1] - 1

        def loss(coefficients: Floats) -> tuple[float, Floats]:
            logit = features @ coefficients
            value = np.mean(np.logaddexp(0.0, logit) - target * logit)
            gradient = features.T @ (expit(logit) - target) / len(target)
            return float(value), gradient

        optimum = minimize(
            loss,
            np.append(np.ones(slopes), 0.0),
            jac=True,
            method="L-BFGS-B",
            bounds=[(SLOPE_FLOOR, None)] * slopes + [(None, None)],
            options={"ftol": 1e-12, "gtol": 1e-8},
        )
        self.coefficients_ = np.asarray(optimum.x, dtype=np.float64)
        return self

    def predict(self, scores: npt.ArrayLike) -> Floats:
        """Calibrated probabilities (n,), in the order of the scores."""
        check_is_fitted(self)
        features = self._features(np.asarray(scores, dtype=np.float64))
        # Summed row by row: a matrix product may round a row differently in another batch.
        return expit((features * self.coefficients_).sum(axis=1))

    def to_json(self) -> dict[str, Any]:
        """The method and its coefficients; floats survive JSON exactly."""
        check_is_fitted(self)
        return {"method": self.method, "coefficients": self.coefficients_.tolist()}

    def _features(self, scores: Floats) -> Floats:
        raise TypeError(f"{type(self).__name__} has no features; use one of {', '.join(METHODS)}.")


class PlattCalibrator(Calibrator):
    """sigmoid(a · logit(s) + b), a > 0 (Platt 1999): stretches and shifts."""

    method = "platt"

    def _features(self, scores: Floats) -> Floats:
        clipped = np.clip(scores, SCORE_FLOOR, 1 - SCORE_FLOOR)
        return np.column_stack([np.log(clipped) - np.log1p(-clipped), np.ones_like(clipped)])


class BetaCalibrator(Calibrator):
    """sigmoid(a · ln s - b · ln(1 - s) + c), a, b > 0 (Kull et al. 2017): bends each end apart."""

    method = "beta"

    def _features(self, scores: Floats) -> Floats:
        clipped = np.clip(scores, SCORE_FLOOR, 1 - SCORE_FLOOR)
        return np.column_stack([np.log(clipped), -np.log1p(-clipped), np.ones_like(clipped)])


METHODS: Mapping[str, type[Calibrator]] = {each.method: each for each in (PlattCalibrator, BetaCalibrator)}


def calibrator_from_json(state: Mapping[str, Any]) -> Calibrator:
    """The fitted calibrator that `to_json` described. Raises ValueError on a method that does not exist."""
    if state["method"] not in METHODS:
        raise ValueError(f'There is no calibration method "{state["method"]}"; there are {", ".join(METHODS)}.')
    calibrator = METHODS[state["method"]]()
    calibrator.coefficients_ = np.asarray(state["coefficients"], dtype=np.float64)
    return calibrator


def fit_calibrator(
    scores: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    groups: npt.ArrayLike | None = None,
    n_folds: int = 5,
    seed: int = 0,
) -> tuple[Calibrator, dict[str, float]]:
    """The calibrator with the lower cross-validated log loss, fitted on all rows, and each method's log loss.

    `groups` (n,) keeps an entity's rows in one fold. Beta is taken when it beats Platt by more than one standard error of the paired
    difference: its extra parameter must earn its keep. With fewer than 20 rows of a class per method nothing
    can be compared: Platt. Raises ValueError as `Calibrator.fit` does.
    """
    raw, target = _checked(scores, y)
    entity = np.arange(len(raw)) if groups is None else np.asarray(groups)
    if len(entity) != len(raw):
        raise ValueError(f"groups hold {len(entity)} ids for {len(raw)} scores; give one id a score.")
    if min((target == 1).sum(), (target == 0).sum()) < 20:
        return PlattCalibrator().fit(raw, target), {}
    folds = assign_folds(entity, n_folds, seed)
    losses = {method: np.empty(len(raw)) for method in METHODS}
    for fold in range(n_folds):
        held_out = folds == fold
        for method, kind in METHODS.items():
            fitted = kind().fit(raw[~held_out], target[~held_out])
            predicted = fitted.predict(raw[held_out])
            losses[method][held_out] = -xlogy(target[held_out], predicted) - xlogy(1 - target[held_out], 1 - predicted)
    gain = losses["platt"] - losses["beta"]
    error = gain.std() / np.sqrt(len(gain))
    chosen = BetaCalibrator() if gain.mean() > error else PlattCalibrator()
    return chosen.fit(raw, target), {method: float(loss.mean()) for method, loss in losses.items()}


def _checked(scores: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Floats, Floats]:
    raw, target = np.asarray(scores, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if raw.shape != target.shape or raw.ndim != 1:
        raise ValueError(
            f"Scores and labels have shapes {raw.shape} and {target.shape}; give one column each, of one length."
        )
    if not ((raw >= 0) & (raw <= 1)).all():
        raise ValueError("Scores to calibrate must lie between 0 and 1.")
    if not np.isin(target, (0, 1)).all():
        raise ValueError("Labels to calibrate on must be 0 or 1.")
    if len(np.unique(target)) < 2:
        raise ValueError("Calibration needs rows of both classes; these hold one only.")
    return raw, target
