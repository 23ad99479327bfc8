"""What a model must beat: the best single column, and chance. Logistic regression is a family of its own.

Belongs here: classifiers too simple to join an ensemble, which are therefore never saved. Does not belong here: the
leaderboard they appear in.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit
from sklearn.utils import Tags

from platform_assets.learning.calibration import PlattCalibrator
from platform_assets.learning.families.estimator import Floats, TableClassifier
from platform_assets.learning.families.fitting import Fitting
from platform_assets.learning.families.preprocessing import signed_log
from platform_assets.learning.figures.metrics import one_column_table


class _Baseline(TableClassifier):
    def __init__(self, random_state: int = 0) -> None:
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags


class OneColumnRule(_Baseline):
    """Ranks by the one column, in the direction, with the best AUC in `fit`.

    After `fit`: `column_` (position), `direction_` (1: higher is likelier, -1: lower). `predict_proba` is
    Platt's map of the column's standardised signed log, which keeps its order; a missing value ranks below
    every value fitted on.
    """

    column_: int
    direction_: int

    @property
    def column_name_(self) -> str:
        """The chosen column's name, or x<position> when the rule was fitted on an array."""
        names = getattr(self, "feature_names_in_", None)
        return f"x{self.column_}" if names is None else str(names[self.column_])

    def _fit(self, X: Floats, y: npt.NDArray[np.int8], groups: npt.ArrayLike | None, fitting: Fitting) -> None:
        best = one_column_table(X, y, [str(i) for i in range(X.shape[1])]).iloc[0]
        self.column_, self.direction_ = int(best["column"]), int(best["direction"])
        signed = self._signed(X)
        seen = signed[~np.isnan(signed)]
        self.lowest_ = float(seen.min()) - 1.0 if len(seen) else 0.0
        filled = np.where(np.isnan(signed), self.lowest_, signed)
        self.mean_, self.scale_ = float(filled.mean()), float(filled.std()) or 1.0
        self.platt_ = PlattCalibrator().fit(expit((filled - self.mean_) / self.scale_), y)

    def positive_probability(self, X: Floats) -> Floats:
        signed = self._signed(X)
        filled = np.where(np.isnan(signed), self.lowest_, signed)
        return self.platt_.predict(expit((filled - self.mean_) / self.scale_))

    def _signed(self, X: Floats) -> Floats:
        return self.direction_ * signed_log(X[:, self.column_])


class RandomOrder(_Baseline):
    """Chance: the base rate for everyone, nudged by a seeded hash of the row's values so that there is an
    order.

    A row's nudge (at most 0.0005 in log-odds) depends on its values and `random_state`, not on its
    neighbours.
    """

    def _fit(self, X: Floats, y: npt.NDArray[np.int8], groups: npt.ArrayLike | None, fitting: Fitting) -> None:
        rate = float(y.mean())
        self.log_odds_ = float(np.log(rate / (1 - rate)))

    def positive_probability(self, X: Floats) -> Floats:
        # One bit pattern for every NaN and for both zeros.
        words = np.where(np.isnan(X), np.nan, X + 0.0).view(np.uint64)
        mixed = np.full(len(X), self.random_state % 2**63, dtype=np.uint64)
        for column in words.T:
            mixed = pd.util.hash_array(mixed * np.uint64(0x9E3779B97F4A7C15) + column)
        nudge = (pd.util.hash_array(mixed) >> np.uint64(11)).astype(np.float64) / 2**53 - 0.5
        return expit(self.log_odds_ + 0.001 * nudge)
