"""Making a table fit for networks and linear models.

Belongs here: what is learned from columns alone and stored with the model. Does not belong here: anything
that looks at labels, or that decides which columns to use.
"""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data


def signed_log(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """sign(v) · log(1 + |v|): monotone, keeps zero and sign, tames counts and amounts."""
    return np.copysign(np.log1p(np.abs(values)), values)


class TablePreprocessor(TransformerMixin, BaseEstimator):
    """Missing values to the median, signed log, standardise, squash the tails, and flag what was missing.

    Learned once in `fit`: `median_`, `mean_`, `scale_` (d,) and `flagged_`, the positions of columns seen
    missing. The tails are squashed by z / sqrt(1 + (z / limit)²), which stays within ± `limit` (Holzmüller et
    al. 2024, RealMLP). A column missing throughout, or constant, becomes zeros.
    """

    median_: npt.NDArray[np.float64]
    mean_: npt.NDArray[np.float64]
    scale_: npt.NDArray[np.float64]
    flagged_: npt.NDArray[np.int64]
    n_features_in_: int

    def __init__(self, limit: float = 3.0) -> None:
        self.limit = limit

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from `X` (n, d), NaN allowed; `y` is not looked at. Raises ValueError on infinities."""
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan")
        missing = np.isnan(X)
        with warnings.catch_warnings():
            # A column without any value has no median; zero stands in for it below.
            warnings.simplefilter("ignore", RuntimeWarning)
            self.median_ = np.nan_to_num(np.nanmedian(X, axis=0), nan=0.0)
        self.flagged_ = np.flatnonzero(missing.any(axis=0))
        logs = signed_log(np.where(missing, self.median_, X))
        self.mean_ = logs.mean(axis=0)
        spread = logs.std(axis=0)
        # Rounding leaves a constant column with a spread of 1e-16 or so, not of zero.
        self.scale_ = np.where(spread > 1e-12 * np.maximum(1.0, np.abs(self.mean_)), spread, np.inf)
        return self

    def transform(self, X: Any) -> npt.NDArray[np.float64]:
        """Shape (n, d + flags): the squashed columns, then 0/1 for each column of `flagged_`."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        missing = np.isnan(X)
        z = (signed_log(np.where(missing, self.median_, X)) - self.mean_) / self.scale_
        z /= np.sqrt(1.0 + np.square(z / self.limit))
        return np.hstack([z, missing[:, self.flagged_]])

    @property
    def n_features_out_(self) -> int:
        """Number of columns `transform` returns."""
        return self.n_features_in_ + len(self.flagged_)

    def to_json(self) -> dict[str, Any]:
        """What was learned, as plain values, floats to the last bit; a constant column's scale is None."""
        check_is_fitted(self)
        return {
            "limit": self.limit,
            "median": self.median_.tolist(),
            "mean": self.mean_.tolist(),
            "scale": [value if np.isfinite(value) else None for value in self.scale_.tolist()],
            "flagged": self.flagged_.tolist(),
        }

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Self:
        """The fitted preprocessor that `to_json` described (without feature names, which its owner keeps)."""
        fitted = cls(limit=state["limit"])
        fitted.median_ = np.asarray(state["median"], dtype=np.float64)
        fitted.mean_ = np.asarray(state["mean"], dtype=np.float64)
        fitted.scale_ = np.asarray([np.inf if value is None else value for value in state["scale"]], dtype=np.float64)
        fitted.flagged_ = np.asarray(state["flagged"], dtype=np.int64)
        fitted.n_features_in_ = len(fitted.median_)
        return fitted

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
