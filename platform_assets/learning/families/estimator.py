"""The shape every estimator family has: a scikit-learn binary classifier over float columns that saves
itself.

Belongs here: input checks, the coding of the two classes, tags, and the folder layout of one fitted
estimator. Does not belong here: how any family fits or predicts.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from platform_assets.learning.families.fitting import Fitting

ESTIMATOR_FILE = "estimator.json"
Floats = npt.NDArray[np.float64]


class TableClassifier(ClassifierMixin, BaseEstimator):
    """Binary classifier over a table of float columns in which NaN means missing.

    A family implements `_fit(X, coded y, groups, fitting)` and `positive_probability(X)`, and, to be saved,
    `_write(folder)` and `_read(folder)`. After `fit` an estimator has `classes_`, `n_features_in_`,
    `feature_names_in_` (when fitted on a data frame), `best_iteration_` (rounds or epochs kept; 0 where there
    are none), `history_` (validation log loss a round, empty without a validation part) and `ended_by_`.
    """

    classes_: npt.NDArray[Any]
    n_features_in_: int
    best_iteration_: int
    history_: list[float]
    # "convergence", "rounds" (as many as were allowed or asked for) or "budget".
    ended_by_: str

    def fit(self, X: Any, y: Any, groups: npt.ArrayLike | None = None, fitting: Fitting | None = None) -> Self:
        """Fit on `X` (n, d) and two-class `y` (n,); `groups` (n,) keeps an entity's rows on one side of inner
        splits; `fitting` says what may be spent, what is known from before, who watches and where it left off.

        Raises ValueError when `y` does not hold exactly two classes or `X` holds infinities.
        """
        X, y = validate_data(
            self,
            X,
            y,
            dtype=np.float64,
            ensure_all_finite="allow-nan",
            ensure_min_samples=2,
            multi_output=False,
        )
        y = column_or_1d(y)
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        self.classes_, coded = np.unique(y, return_inverse=True)
        if len(self.classes_) == 1:
            raise ValueError(f"{type(self).__name__} was given one class only; it needs rows of two classes to fit.")
        if len(self.classes_) > 2:
            raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
        self.best_iteration_, self.history_, self.ended_by_ = 0, [], "convergence"
        self._fit(X, coded.astype(np.int8), groups, fitting or Fitting())
        return self

    def predict_proba(self, X: Any) -> Floats:
        """Probabilities (n, 2) of `classes_`. Raises NotFittedError, or ValueError when columns differ from
        the fit.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        positive = self.positive_probability(X)
        return np.column_stack([1.0 - positive, positive])

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The likelier of `classes_` for every row, shape (n,)."""
        positive = self.predict_proba(X)[:, 1]
        return self.classes_[(positive > 0.5).astype(int)]

    def save(self, folder: Path) -> None:
        """Write this fitted estimator into `folder` as JSON, text and safetensors; never a pickle."""
        check_is_fitted(self)
        folder.mkdir(parents=True, exist_ok=True)
        names = getattr(self, "feature_names_in_", None)
        state = {
            "parameters": self.get_params(deep=False),
            "classes": self.classes_.tolist(),
            "n_features": int(self.n_features_in_),
            "feature_names": None if names is None else [str(name) for name in names],
            "best_iteration": self.best_iteration_,
            "history": self.history_,
            "ended_by": self.ended_by_,
            "fitted": self._write(folder),
        }
        (folder / ESTIMATOR_FILE).write_text(json.dumps(state, indent=1, sort_keys=True, allow_nan=False))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The estimator that `save` wrote into `folder`; its predictions are the same to the last bit."""
        state = json.loads((folder / ESTIMATOR_FILE).read_text())
        estimator = cls(**state["parameters"])
        estimator.classes_ = np.asarray(state["classes"])
        estimator.n_features_in_ = state["n_features"]
        if state["feature_names"] is not None:
            estimator.feature_names_in_ = np.asarray(state["feature_names"], dtype=object)
        estimator.best_iteration_, estimator.history_ = state["best_iteration"], state["history"]
        estimator.ended_by_ = state["ended_by"]
        estimator._read(folder, state["fitted"])
        return estimator

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        return tags

    @abstractmethod
    def _fit(self, X: Floats, y: npt.NDArray[np.int8], groups: npt.ArrayLike | None, fitting: Fitting) -> None:
        """Learn from finite-or-NaN `X` and `y` coded 0/1."""

    @abstractmethod
    def positive_probability(self, X: Floats) -> Floats:
        """Probability of the second class, shape (n,), for a float64 array whose columns were checked
        already.
        """

    def _write(self, folder: Path) -> dict[str, Any]:
        """Write what is too large for JSON into `folder`; return the rest."""
        raise TypeError(f"{type(self).__name__} is not made to be saved.")

    def _read(self, folder: Path, fitted: dict[str, Any]) -> None:
        """Restore what `_write` wrote and returned."""
        raise TypeError(f"{type(self).__name__} is not made to be saved.")
