"""The "logistic" family: logistic regression on preprocessed columns.

Belongs here: the linear model, as a baseline in every leaderboard and as a cheap member where rows are few.
Does not belong here: other baselines, folds, ensembles.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from platform_assets.learning.families.estimator import Floats, TableClassifier
from platform_assets.learning.families.fitting import Fitting
from platform_assets.learning.families.parameters.logistic import Parameters
from platform_assets.learning.families.preprocessing import TablePreprocessor


class LogisticClassifier(TableClassifier, Parameters):
    """Ridge-penalised logistic regression (`C` is the inverse penalty) on a `TablePreprocessor`'s columns."""

    preprocessor_: TablePreprocessor
    coefficients_: Floats
    intercept_: float

    def _fit(self, X: Floats, y: npt.NDArray[np.int8], groups: npt.ArrayLike | None, fitting: Fitting) -> None:
        self.preprocessor_ = TablePreprocessor().fit(X)
        linear = LogisticRegression(C=self.C, solver="newton-cholesky").fit(self.preprocessor_.transform(X), y)
        self.coefficients_, self.intercept_ = linear.coef_[0].astype(np.float64), float(linear.intercept_[0])

    def positive_probability(self, X: Floats) -> Floats:
        # A weighted sum row by row: a matrix product may round a row differently in another batch.
        weighted = self.preprocessor_.transform(X) * self.coefficients_
        return expit(weighted.sum(axis=1) + self.intercept_)

    def _write(self, folder: Path) -> dict[str, Any]:
        return {
            "preprocessor": self.preprocessor_.to_json(),
            "coefficients": self.coefficients_.tolist(),
            "intercept": self.intercept_,
        }

    def _read(self, folder: Path, fitted: dict[str, Any]) -> None:
        self.preprocessor_ = TablePreprocessor.from_json(fitted["preprocessor"])
        self.coefficients_ = np.asarray(fitted["coefficients"], dtype=np.float64)
        self.intercept_ = fitted["intercept"]
