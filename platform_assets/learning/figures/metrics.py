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
from scipy.special import ndtri, xlogy

Floats = npt.NDArray[np.float64]
PROBABILITY_FLOOR = 1e-15
DRAWS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class AucEstimate:
    """An area under the ROC curve, its standard error, and the normal interval around it, cut to [0, 1]."""

    auc: float
    standard_error: float
    low: float
    high: float


@dataclass(frozen=True)
class AucDifference:
    """AUC of `first` minus AUC of `second` on the same rows, with its bootstrap error, interval and two-sided
    p.
    """

    difference: float
    standard_error: float
    low: float
    high: float
    p_value: float


def auc(y: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Probability that a positive row scores above a negative one, ties counting half. Raises ValueError on
    one class.
    """
    target, given = _checked(y, scores)
    return float(_auc_of_ranks(target == 1, _ranks(given)))


def auc_interval(y: npt.ArrayLike, scores: npt.ArrayLike, level: float = 0.95) -> AucEstimate:
    """AUC with DeLong's standard error (DeLong et al. 1988, by the ranks of Sun & Xu 2014).

    Rows are taken as independent: with several snapshots of the same entities the error is somewhat too
    small. With a single positive or negative row the error is NaN. Raises ValueError when `y` has one class.
    """
    target, given = _checked(y, scores)
    positive = target == 1
    m, n = int(positive.sum()), int((~positive).sum())
    ranks = _ranks(given)
    area = _auc_of_ranks(positive, ranks)
    above_negatives = (ranks[positive] - _ranks(given[positive])) / n
    below_positives = 1.0 - (ranks[~positive] - _ranks(given[~positive])) / m
    if min(m, n) < 2:
        return AucEstimate(float(area), float("nan"), float("nan"), float("nan"))
    error = float(np.sqrt(above_negatives.var(ddof=1) / m + below_positives.var(ddof=1) / n))
    reach = float(ndtri(0.5 + level / 2)) * error
    return AucEstimate(float(area), error, max(0.0, float(area) - reach), min(1.0, float(area) + reach))


def log_loss(y: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Mean of -ln(probability given to what happened); probabilities are kept 1e-15 away from 0 and 1."""
    target, given = _checked(y, probabilities, both_classes=False, probabilities=True)
    kept = np.clip(given, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    return float(-np.mean(xlogy(target, kept) + xlogy(1 - target, 1 - kept)))


def brier(y: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Mean squared difference between probability and outcome."""
    target, given = _checked(y, probabilities, both_classes=False, probabilities=True)
    return float(np.mean(np.square(given - target)))


def average_precision(y: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Sum of precision times gain in recall down the list, tied scores entering together (scikit-learn's
    definition).
    """
    target, given = _checked(y, scores)
    order = np.argsort(-given, kind="stable")
    found = np.cumsum(target[order])
    ends = np.append(np.flatnonzero(np.diff(given[order])), len(given) - 1)
    recall = found[ends] / found[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * found[ends] / (ends + 1)))


def rate_at(y: npt.ArrayLike, scores: npt.ArrayLike, fraction: float) -> float:
    """Share of positives among the `fraction` (0 to 1] of rows that score highest, ties at the edge shared
    out evenly.
    """
    target, given = _checked(y, scores, both_classes=False)
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction is {fraction}; give a number above 0 and at most 1.")
    wanted = max(1, round(len(target) * fraction))
    edge = np.partition(given, len(given) - wanted)[len(given) - wanted]
    above, tied = given > edge, given == edge
    return float((target[above].sum() + (wanted - above.sum()) * target[tied].mean()) / wanted)


def lift_at(y: npt.ArrayLike, scores: npt.ArrayLike, fraction: float) -> float:
    """`rate_at` divided by the rate over all rows. Raises ValueError when no row is positive."""
    target, given = _checked(y, scores, both_classes=False)
    if not target.any():
        raise ValueError("Lift has no meaning without a positive row.")
    return rate_at(target, given, fraction) / float(target.mean())


def gains_curve(y: npt.ArrayLike, scores: npt.ArrayLike, points: int = 20) -> pd.DataFrame:
    """Columns `contacted` (share of rows, highest scores first), `found` (share of positives among them),
    `lift`.
    """
    target, given = _checked(y, scores)
    contacted = np.arange(1, points + 1) / points
    lifts = np.asarray([lift_at(target, given, share) for share in contacted])
    sizes = np.maximum(1, np.round(len(target) * contacted)) / len(target)
    return pd.DataFrame({"contacted": contacted, "found": np.minimum(lifts * sizes, 1.0), "lift": lifts})


def calibration_table(y: npt.ArrayLike, probabilities: npt.ArrayLike, bins: int = 10) -> pd.DataFrame:
    """One row per `bin` (1 = highest probabilities): `rows`, mean `predicted`, `actual` rate, their `ratio`.

    Bins are of equal size by rank, so tied probabilities may straddle an edge. `ratio` is NaN where nothing
    happened.
    """
    target, given = _checked(y, probabilities, both_classes=False, probabilities=True)
    order = np.argsort(-given, kind="stable")
    bin_of = np.arange(len(given)) * bins // len(given)
    frame = pd.DataFrame({"bin": bin_of + 1, "predicted": given[order], "actual": target[order]})
    table = frame.groupby("bin").agg(
        rows=("actual", "size"), predicted=("predicted", "mean"), actual=("actual", "mean")
    )
    table["ratio"] = table["predicted"] / table["actual"].where(table["actual"] > 0)
    return table.reset_index()


def predicted_over_actual(y: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Sum of probabilities over number of positives: 1 when they come true. NaN when no row is positive."""
    target, given = _checked(y, probabilities, both_classes=False, probabilities=True)
    return float(given.sum() / target.sum()) if target.any() else float("nan")


def auc_difference(
    y: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    resamples: int = 300,
    level: float = 0.95,
    seed: int = 0,
) -> AucDifference:
    """Paired bootstrap of the difference of two AUCs: rows redrawn within each class, both scores on the same
    draw.

    Interval by percentiles; `p_value` doubles the share of resamples on the far side of zero, at least 1 /
    resamples. Raises ValueError when `y` has one class or lengths differ.
    """
    target, one = _checked(y, first)
    _, two = _checked(y, second)
    positive = target == 1
    generator = np.random.default_rng(seed)
    at_once = max(1, DRAWS_AT_ONCE // len(target))
    parts = []
    for start in range(0, resamples, at_once):
        count = min(at_once, resamples - start)
        times = [_draws(generator, count, int(side.sum())) for side in (positive, ~positive)]
        parts.append(_drawn_aucs(one, positive, *times) - _drawn_aucs(two, positive, *times))
    differences = np.concatenate(parts)
    point = auc(target, one) - auc(target, two)
    edge = (1 - level) / 2
    bounds = np.quantile(differences, [edge, 1 - edge])
    beyond = float(min((differences <= 0).mean(), (differences >= 0).mean()))
    return AucDifference(
        float(point),
        float(differences.std(ddof=1)),
        float(bounds[0]),
        float(bounds[1]),
        min(1.0, max(2 * beyond, 1 / resamples)),
    )


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
        rising = _auc_of_ranks(positive, _ranks(np.where(missing, -np.inf, column)))
        falling = _auc_of_ranks(positive, _ranks(np.where(missing, -np.inf, -column))) if missing.any() else 1 - rising
        best = (rising, 1) if rising >= falling else (falling, -1)
        rows.append({"column": name, "auc": best[0], "direction": best[1]})
    return pd.DataFrame(rows).sort_values("auc", ascending=False, kind="stable", ignore_index=True)


def _draws(generator: np.random.Generator, resamples: int, count: int) -> npt.NDArray[np.int32]:
    """How often each of `count` rows is drawn in each resample, shape (resamples, count)."""
    drawn = generator.integers(0, count, size=(resamples, count), dtype=np.int64)
    drawn += (np.arange(resamples, dtype=np.int64) * count)[:, None]
    times = np.bincount(drawn.ravel(), minlength=resamples * count)
    return times.reshape(resamples, count).astype(np.int32)


def _drawn_aucs(
    scores: Floats,
    positive: npt.NDArray[np.bool_],
    positive_times: npt.NDArray[np.int32],
    negative_times: npt.NDArray[np.int32],
) -> Floats:
    """The AUC of every resample, shape (resamples,): weighted pairs won, from running totals of sorted
    negatives.
    """
    high, low = scores[positive], scores[~positive]
    order = np.argsort(low, kind="stable")
    below = np.zeros((len(negative_times), len(low) + 1), dtype=np.int32)
    np.cumsum(negative_times[:, order], axis=1, out=below[:, 1:])
    beaten = below[:, np.searchsorted(low[order], high, side="left")]
    beaten += below[:, np.searchsorted(low[order], high, side="right")]
    won = np.einsum("ij,ij->i", beaten, positive_times, dtype=np.float64)
    return won / (2.0 * len(high) * len(low))


def _ranks(values: Floats) -> Floats:
    """Ranks from 1, tied values sharing their mean; infinities allowed."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    sizes = np.diff(np.append(starts, len(values)))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(starts + (sizes + 1) / 2, sizes)
    return ranks


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
    target, given = np.asarray(y, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if target.ndim != 1 or target.shape != given.shape or not len(target):
        raise ValueError(
            f"Labels and scores have shapes {target.shape} and {given.shape}; give two columns of one length."
        )
    if not np.isin(target, (0, 1)).all():
        raise ValueError("Labels must be 0 or 1.")
    if np.isnan(given).any():
        raise ValueError(f"{int(np.isnan(given).sum())} of {len(given)} scores are missing.")
    if probabilities and not ((given >= 0) & (given <= 1)).all():
        raise ValueError("Probabilities must lie between 0 and 1.")
    if both_classes and not 0 < target.sum() < len(target):
        raise ValueError("Labels hold one class only; AUC and the like need both.")
    return target, given
