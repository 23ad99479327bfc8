"""The figures of a list of scores, each with the interval that resampling entities gives.

Belongs here: the cluster bootstrap over all figures at once, and paired differences of two models. Does not belong
here: the figures themselves (`metrics`), who is compared with whom. Draws are counted, not written out: scikit-learn takes
20 to 30 times the CPU-seconds for four of the six figures (`python -m benchmarks.libraries bootstrap`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import xlogy

from platform_assets.learning.figures import metrics
from platform_assets.learning.figures.metrics import Estimate, Floats

TOP = 0.1
DRAWS_AT_ONCE = 1_000_000
FIGURES: Mapping[str, Callable[[Floats, Floats], float]] = {
    "auc": metrics.auc,
    "log_loss": metrics.log_loss,
    "brier": metrics.brier,
    "average_precision": metrics.average_precision,
    "lift_at_10": lambda y, p: metrics.lift_at(y, p, TOP),
    "predicted_over_actual": metrics.predicted_over_actual,
}


def figures_with_intervals(
    y: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    resamples: int = 500,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Every figure of FIGURES with the standard deviation of its resamples and their percentile interval, by a bootstrap over
    entities (Field & Welsh 2007).

    Whole entities of `groups` (n,) are redrawn with replacement, because the rows of one person on several dates are
    not independent; without `groups`, rows are. Draws without both classes are set aside. Figures are NaN when `y`
    holds one class, but for log loss and Brier. Cost: about `resamples` x rows x 0.1 microseconds. Raises ValueError
    when lengths differ, labels are not 0/1, or probabilities lie outside [0, 1].
    """
    target, values = metrics._checked(y, probabilities, both_classes=False, probabilities=True)
    drawn = _resampled(target, values, _codes(groups, len(target)), resamples, seed)
    both = 0 < target.sum() < len(target)
    return {
        name: _estimate(
            figure(target, values) if both or name in ("log_loss", "brier") else float("nan"), drawn[name], level
        )
        for name, figure in FIGURES.items()
    }


def differences_with_intervals(
    y: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    resamples: int = 500,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Every figure of `first` minus that of `second` on the same rows: a paired bootstrap, both on each draw of
    entities.

    Raises ValueError as `figures_with_intervals` does, and when `y` holds one class.
    """
    target, one = metrics._checked(y, first, probabilities=True)
    _, two = metrics._checked(y, second, probabilities=True)
    codes = _codes(groups, len(target))
    ours, theirs = (_resampled(target, predictions, codes, resamples, seed) for predictions in (one, two))
    return {
        name: _estimate(figure(target, one) - figure(target, two), ours[name] - theirs[name], level)
        for name, figure in FIGURES.items()
    }


def _estimate(value: float, drawn: Floats, level: float) -> Estimate:
    kept = drawn[np.isfinite(drawn)]
    if np.isnan(value) or len(kept) < 2:
        return Estimate(float(value), float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(value), float(kept.std(ddof=1)), float(low), float(high))


def _codes(groups: npt.ArrayLike | None, rows: int) -> npt.NDArray[np.intp]:
    codes = np.arange(rows) if groups is None else pd.factorize(np.asarray(groups))[0]
    if len(codes) != rows:
        raise ValueError(f"groups hold {len(codes)} ids for {rows} rows; give one id a row.")
    return codes


def _resampled(
    target: Floats, values: Floats, codes: npt.NDArray[np.intp], resamples: int, seed: int
) -> dict[str, Floats]:
    """Every figure on every draw of entities, each of shape (resamples,)."""
    entities = int(codes.max()) + 1
    kept = np.clip(values, metrics.PROBABILITY_FLOOR, 1 - metrics.PROBABILITY_FLOOR)
    loss = -xlogy(target, kept) - xlogy(1 - target, 1 - kept)
    # What adds up over rows is summed once for each entity.
    parts = np.column_stack(
        [
            np.bincount(codes, each, entities)
            for each in (np.ones_like(values), target, values, loss, (values - target) ** 2)
        ]
    )
    order = np.argsort(-values, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)
    positive = (target[order] == 1).astype(np.int32)
    generator = np.random.default_rng(seed)
    at_once = max(1, DRAWS_AT_ONCE // len(target))
    rows = []
    for start in range(0, resamples, at_once):
        times = _draws(generator, min(at_once, resamples - start), entities)
        weights = times[:, codes[order]]
        rows_down = np.cumsum(weights, axis=1, dtype=np.int32)[:, ends]
        found_down = np.cumsum(weights * positive, axis=1, dtype=np.int32)[:, ends]
        rows.append(_down_the_list(rows_down, found_down) | _of_sums(times.astype(np.float64) @ parts))
    return {name: np.concatenate([each[name] for each in rows]) for name in FIGURES}


def _of_sums(sums: Floats) -> dict[str, Floats]:
    rows, positives, predicted, loss, squares = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(positives > 0, predicted / positives, np.nan)
    return {"log_loss": loss / rows, "brier": squares / rows, "predicted_over_actual": ratio}


def _down_the_list(rows: npt.NDArray[np.int32], hits: npt.NDArray[np.int32]) -> dict[str, Floats]:
    """Figures of order from counts so far at the end of each tie, highest score first: shape (draws, ties) both."""
    total, positives = rows[:, -1].astype(np.float64), hits[:, -1].astype(np.float64)
    passed = rows - hits
    at_tie, before = np.diff(hits, axis=1, prepend=0), np.diff(passed, axis=1, prepend=0)
    # A negative row is beaten by every positive one above it, and by half of those it is tied with.
    won = np.einsum("ij,ij->i", before.astype(np.float64), hits - at_tie / 2)
    wanted = np.maximum(1, np.round(total * TOP))
    # The tie at the edge of the top enters in part, each of its rows alike.
    edge = (rows < wanted[:, None]).sum(axis=1)
    draw = np.arange(len(rows))
    size_at, found_at = np.diff(rows, axis=1, prepend=0)[draw, edge], at_tie[draw, edge]
    missing = wanted - (rows[draw, edge] - size_at)
    top = hits[draw, edge] - found_at + missing * found_at / size_at
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(rows > 0, hits / np.maximum(rows, 1), 0.0)
        auc = won / (positives * (total - positives))
        average = np.einsum("ij,ij->i", at_tie, precision) / positives
        lift = top / wanted / (positives / total)
    usable = (positives > 0) & (positives < total)
    figures = {"auc": auc, "average_precision": average, "lift_at_10": lift}
    return {name: np.where(usable, values, np.nan) for name, values in figures.items()}


def _draws(generator: np.random.Generator, resamples: int, count: int) -> npt.NDArray[np.int32]:
    """How often each of `count` entities is drawn in each resample, shape (resamples, count)."""
    drawn = generator.integers(0, count, size=(resamples, count), dtype=np.int64)
    drawn += (np.arange(resamples, dtype=np.int64) * count)[:, None]
    times = np.bincount(drawn.ravel(), minlength=resamples * count)
    return times.reshape(resamples, count).astype(np.int32)
