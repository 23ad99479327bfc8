"""Joining fold results into out-of-fold predictions, and out-of-fold predictions into ensemble weights.

Belongs here: the checks that make a set of folds complete, greedy selection, and sparing costly members. Does not belong here:
fitting estimators, calibrating, storing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from platform_assets.learning.cross_fitting import FoldResult

PROBABILITY_FLOOR = 1e-7
# Log loss given away for a member that is costly to predict with.
SPARED_LOG_LOSS = 3e-4


class IncompleteFolds(ValueError):
    """The parts are not exactly the folds of one model on one training set; the message says what is off."""


def fan_in(parts: Sequence[FoldResult], n_folds: int) -> npt.NDArray[np.float64]:
    """The out-of-fold prediction of every training row, shape (rows of the training set,), in row order.

    Raises IncompleteFolds unless there are exactly `n_folds` parts, with fold ids 0 to `n_folds` - 1 once
    each, of one training set and one model (family, parameters and seed), whose rows cover the training set
    once.
    """
    folds = Counter(part.fold for part in parts)
    faults = {
        "missing": set(range(n_folds)) - set(folds),
        "given twice": {fold for fold, count in folds.items() if count > 1},
        "not a fold here:": set(folds) - set(range(n_folds)),
    }
    if any(faults.values()):
        told = "; ".join(f"{what} {', '.join(map(str, sorted(which)))}" for what, which in faults.items() if which)
        raise IncompleteFolds(
            f"Expected folds 0 to {n_folds - 1} once each, got {len(parts)} parts; "
            f"folds {told}. Fit the folds again from one training set."
        )
    for what, values in (
        ("training sets", {part.training_set for part in parts}),
        ("models", {part.model for part in parts}),
        ("training set sizes", {str(part.n_rows) for part in parts}),
    ):
        if len(values) > 1:
            raise IncompleteFolds(
                f"The folds come from {len(values)} different {what} ({', '.join(sorted(values))}); "
                "fit all folds again from one training set with the same settings."
            )
    n_rows = parts[0].n_rows
    for part in parts:
        if len(part.rows) != len(part.predictions):
            raise IncompleteFolds(
                f"Fold {part.fold} has {len(part.predictions)} predictions for {len(part.rows)} rows."
            )
        if len(part.rows) and (part.rows.min() < 0 or part.rows.max() >= n_rows):
            raise IncompleteFolds(f"Fold {part.fold} names rows outside the training set's {n_rows}.")
        if not np.isfinite(part.predictions).all():
            raise IncompleteFolds(f"Fold {part.fold} holds predictions that are not finite numbers.")
    times = np.bincount(np.concatenate([part.rows for part in parts]), minlength=n_rows)
    if (times != 1).any():
        raise IncompleteFolds(
            f"Of {n_rows} training rows {int((times == 0).sum())} are predicted by no fold and "
            f"{int((times > 1).sum())} by more than one; every row must be held out exactly once."
        )
    oof = np.empty(n_rows, dtype=np.float64)
    for part in parts:
        oof[part.rows] = part.predictions
    return oof


@dataclass(frozen=True)
class Selection:
    """One step of the greedy path: the member taken, and the log loss of the average after taking it."""

    step: int
    member: str
    log_loss: float


@dataclass(frozen=True)
class Ensemble:
    """Weights that sum to 1 (zero for members not taken), the log loss they reach, how they were found."""

    weights: dict[str, float]
    log_loss: float
    path: tuple[Selection, ...]

    def combine(self, predictions: Mapping[str, npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
        """The weighted average of members' probabilities, shape (n,). Raises KeyError when a weighted one is
        absent.
        """
        taken = [weight * predictions[name] for name, weight in self.weights.items() if weight > 0]
        return np.sum(taken, axis=0)


def select_ensemble(
    predictions: Mapping[str, npt.ArrayLike],
    y: npt.ArrayLike,
    max_steps: int = 40,
    min_gain: float = 1e-5,
) -> Ensemble:
    """Greedy forward selection with replacement on log loss (Caruana et al. 2004), from the best single
    member.

    `predictions` maps a member's name to its out-of-fold probabilities (n,), `y` (n,) is coded 0/1. Each of
    `max_steps` steps adds the member whose addition makes the log loss of the running average least; the
    weights are those of the best prefix of that path, and a longer prefix must beat a shorter one by
    `min_gain`. Raises ValueError when there are no members, lengths differ, or values are not probabilities.
    """
    names: Sequence[str] = list(predictions)
    target = np.asarray(y)
    if not names:
        raise ValueError("There are no members to select from; fit at least one model.")
    if not np.isin(target, (0, 1)).all() or target.ndim != 1:
        raise ValueError("y must be one column of 0 and 1.")
    columns = []
    for name in names:
        column = np.asarray(predictions[name], dtype=np.float64)
        if column.shape != target.shape:
            raise ValueError(f'Member "{name}" has {column.shape} predictions for {target.shape} labels.')
        if not ((column >= 0) & (column <= 1)).all():
            raise ValueError(f'Member "{name}" has predictions that are not between 0 and 1.')
        # Probability given to what happened: log loss is then minus the mean of its logarithm.
        columns.append(np.where(target == 1, column, 1 - column))
    stacked = np.vstack(columns)
    total, counts = np.zeros(stacked.shape[1]), np.zeros(len(names), dtype=int)
    best_counts, best_loss = counts, np.inf
    path: list[Selection] = []
    for step in range(1, max_steps + 1):
        averages = np.maximum((total + stacked) / step, PROBABILITY_FLOOR)
        losses = -np.log(averages).mean(axis=1)
        chosen = int(np.argmin(losses))
        total = total + stacked[chosen]
        counts = counts + np.eye(len(names), dtype=int)[chosen]
        path.append(Selection(step, names[chosen], float(losses[chosen])))
        if losses[chosen] < best_loss - min_gain:
            best_counts, best_loss = counts, float(losses[chosen])
        if len(names) == 1:
            break
    weights = best_counts / best_counts.sum()
    return Ensemble(dict(zip(names, weights.tolist(), strict=True)), best_loss, tuple(path))


def drop_costly(
    ensemble: Ensemble,
    predictions: Mapping[str, npt.ArrayLike],
    y: npt.ArrayLike,
    costly: Iterable[str],
    allowance: float = SPARED_LOG_LOSS,
) -> Ensemble:
    """The ensemble selected anew without those of the `costly` members it can spare: for cheap inference.

    A costly member goes, the one of least weight first, when the log loss without it (and those gone before) exceeds that
    of `ensemble` by no more than `allowance`; weights of dropped members are zero. `predictions` and `y` as for
    `select_ensemble`. A selection of costly members only stays as it is.
    """
    kept, left = ensemble, dict(predictions)
    for name in sorted(costly, key=lambda one: ensemble.weights[one]):
        others = {other: values for other, values in left.items() if other != name}
        if kept.weights[name] == 0 or not others:
            continue
        without = select_ensemble(others, y)
        if without.log_loss <= ensemble.log_loss + allowance:
            kept, left = without, others
    return Ensemble({name: kept.weights.get(name, 0.0) for name in predictions}, kept.log_loss, kept.path)
