"""Figures about scores: discrimination, probabilities that come true, who the top of a list finds.

Belongs here: functions of labels and scores (or of one column at a time). Does not belong here: fitting, and
tables over many models (`leaderboard`). Everywhere `y` is (n,) coded 0/1 and `scores` (n,), higher meaning
likelier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as log_loss_score

Floats = npt.NDArray[np.float64]
PROBABILITY_FLOOR = 1e-15


@dataclass(frozen=True)
class Estimate:
    """A figure, its standard error, and the interval around it; NaN where it has no meaning."""

    value: float
    standard_error: float
    low: float
    high: float


def auc(y: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Probability that a positive row scores above a negative one, ties counting half. Raises ValueError on
    one class.
    """
    return float(roc_auc_score(*_checked(y, scores)))


def auc_interval(y: npt.ArrayLike, scores: npt.ArrayLike, level: float = 0.95) -> Estimate:
    """AUC with DeLong's standard error (DeLong et al. 1988, by the ranks of Sun & Xu 2014) and the normal interval, cut to
    [0, 1].

    Rows are taken as independent: with several snapshots of the same entities the error is somewhat too
    small. With a single positive or negative row the error is NaN. Raises ValueError when `y` has one class.
    """
    target, values = _checked(y, scores)
    positive = target == 1
    m, n = int(positive.sum()), int((~positive).sum())
    ranks = rankdata(values)
    area = _auc_of_ranks(positive, ranks)
    above_negatives = (ranks[positive] - rankdata(values[positive])) / n
    below_positives = 1.0 - (ranks[~positive] - rankdata(values[~positive])) / m
    if min(m, n) < 2:
        return Estimate(float(area), float("nan"), float("nan"), float("nan"))
    error = float(np.sqrt(above_negatives.var(ddof=1) / m + below_positives.var(ddof=1) / n))
    reach = float(ndtri(0.5 + level / 2)) * error
    return Estimate(float(area), error, max(0.0, float(area) - reach), min(1.0, float(area) + reach))


def log_loss(y: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Mean of -ln(probability given to what happened); probabilities are kept 1e-15 away from 0 and 1."""
    target, values = _checked(y, probabilities, both_classes=False, probabilities=True)
    kept = np.clip(values, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    return float(log_loss_score(target, kept, labels=[0, 1]))


def brier(y: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Mean squared difference between probability and outcome."""
    return float(brier_score_loss(*_checked(y, probabilities, both_classes=False, probabilities=True)))


def average_precision(y: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Sum of precision times gain in recall down the list, tied scores entering together. Raises ValueError on one class."""
    return float(average_precision_score(*_checked(y, scores)))


def rate_at(y: npt.ArrayLike, scores: npt.ArrayLike, fraction: float) -> float:
    """Share of positives among the `fraction` (0 to 1] of rows that score highest, ties at the edge shared
    out evenly.
    """
    target, values = _checked(y, scores, both_classes=False)
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction is {fraction}; give a number above 0 and at most 1.")
    wanted = max(1, round(len(target) * fraction))
    edge = np.partition(values, len(values) - wanted)[len(values) - wanted]
    above, tied = values > edge, values == edge
    return float((target[above].sum() + (wanted - above.sum()) * target[tied].mean()) / wanted)


def lift_at(y: npt.ArrayLike, scores: npt.ArrayLike, fraction: float) -> float:
    """`rate_at` divided by the rate over all rows. Raises ValueError when no row is positive."""
    target, values = _checked(y, scores, both_classes=False)
    if not target.any():
        raise ValueError("Lift has no meaning without a positive row.")
    return rate_at(target, values, fraction) / float(target.mean())


def gains_curve(y: npt.ArrayLike, scores: npt.ArrayLike, points: int = 20) -> pd.DataFrame:
    """Columns `contacted` (share of rows, highest scores first), `found` (share of positives among them),
    `lift`.
    """
    target, values = _checked(y, scores)
    contacted = np.arange(1, points + 1) / points
    lifts = np.asarray([lift_at(target, values, share) for share in contacted])
    sizes = np.maximum(1, np.round(len(target) * contacted)) / len(target)
    return pd.DataFrame({"contacted": contacted, "found": np.minimum(lifts * sizes, 1.0), "lift": lifts})


def calibration_table(y: npt.ArrayLike, probabilities: npt.ArrayLike, bins: int = 10) -> pd.DataFrame:
    """One row per `bin` (1 = highest probabilities): `rows`, mean `predicted`, `actual` rate, their `ratio`.

    Bins are of equal size by rank, so tied probabilities may straddle an edge. `ratio` is NaN where nothing
    happened.
    """
    target, values = _checked(y, probabilities, both_classes=False, probabilities=True)
    order = np.argsort(-values, kind="stable")
    bin_of = np.arange(len(values)) * bins // len(values)
    frame = pd.DataFrame({"bin": bin_of + 1, "predicted": values[order], "actual": target[order]})
    table = frame.groupby("bin").agg(
        rows=("actual", "size"), predicted=("predicted", "mean"), actual=("actual", "mean")
    )
    table["ratio"] = table["predicted"] / table["actual"].where(table["actual"] > 0)
    return table.reset_index()


def predicted_over_actual(y: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Sum of probabilities over number of positives: 1 when they come true. NaN when no row is positive."""
    target, values = _checked(y, probabilities, both_classes=False, probabilities=True)
    return float(values.sum() / target.sum()) if target.any() else float("nan")


def one_column_table(
    X: pd.DataFrame | npt.ArrayLike, y: npt.ArrayLike, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """How well each column alone ranks: `column`, `auc` in its better direction, `direction` (1: higher is
    likelier).

    Missing values rank lowest in either direction. Sorted by `auc`, ties in column order. Raises ValueError
    on one class.
    """
    if names is None:
        names = [str(name) for name in X.columns] if isinstance(X, pd.DataFrame) else None
    values = np.asarray(X, dtype=np.float64)
    names = [f"x{i}" for i in range(values.shape[1])] if names is None else list(names)
    if len(names) != values.shape[1]:
        raise ValueError(f"There are {len(names)} names for {values.shape[1]} columns.")
    target, _ = _checked(y, np.zeros(len(values)))
    positive = target == 1
    rows = []
    for name, column in zip(names, values.T, strict=True):
        missing = np.isnan(column)
        rising = _auc_of_ranks(positive, rankdata(np.where(missing, -np.inf, column)))
        falling = (
            _auc_of_ranks(positive, rankdata(np.where(missing, -np.inf, -column))) if missing.any() else 1 - rising
        )
        best = (rising, 1) if rising >= falling else (falling, -1)
        rows.append({"column": name, "auc": best[0], "direction": best[1]})
    return pd.DataFrame(rows).sort_values("auc", ascending=False, kind="stable", ignore_index=True)


def _auc_of_ranks(positive: npt.NDArray[np.bool_], ranks: Floats) -> float:
    m, n = int(positive.sum()), int((~positive).sum())
    return float(ranks[positive].sum() - m * (m + 1) / 2) / (m * n)


def _checked(
    y: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    both_classes: bool = True,
    probabilities: bool = False,
) -> tuple[Floats, Floats]:
    target, values = np.asarray(y, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if target.ndim != 1 or target.shape != values.shape or not len(target):
        raise ValueError(
            f"Labels and scores have shapes {target.shape} and {values.shape}; give two columns of one length."
        )
    if not np.isin(target, (0, 1)).all():
        raise ValueError("Labels must be 0 or 1.")
    if np.isnan(values).any():
        raise ValueError(f"{int(np.isnan(values).sum())} of {len(values)} scores are missing.")
    if probabilities and not ((values >= 0) & (values <= 1)).all():
        raise ValueError("Probabilities must lie between 0 and 1.")
    if both_classes and not 0 < target.sum() < len(target):
        raise ValueError("Labels hold one class only; AUC and the like need both.")
    return target, values
