"""Tables over models: the leaderboard with its baselines.

Belongs here: comparing out-of-fold predictions on the same rows and folds. Does not belong here: single
figures (`metrics`), choosing weights (`ensemble`), pages for people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.learning.families.baselines import OneColumnRule, RandomOrder
from platform_assets.learning.families.estimator import Floats, TableClassifier
from platform_assets.learning.families.logistic import LogisticClassifier
from platform_assets.learning.figures import metrics

ONE_COLUMN, LOGISTIC, RANDOM = "one-column rule", "logistic regression", "random"
BASELINES: Mapping[str, type[TableClassifier]] = {
    ONE_COLUMN: OneColumnRule,
    LOGISTIC: LogisticClassifier,
    RANDOM: RandomOrder,
}


@dataclass(frozen=True)
class Candidate:
    """A model to list: its out-of-fold probabilities (n,), weight in the ensemble (None: not a member), what was odd about
    it, family and parameters, and the AUC of each fold's held-out rows (empty: not known).
    """

    predictions: Floats
    weight: float | None = None
    note: str = ""
    family: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    fold_aucs: Sequence[float] = ()


@dataclass(frozen=True)
class LeaderboardRow:
    """One line: what the model is, and its out-of-fold AUC and log loss.

    `auc` with `auc_se` is of all rows pooled, `fold_auc` with `fold_auc_se` the mean over folds and its standard error
    (None when fewer than two folds' are known). `note` names the one-column rule's columns, or what was odd about a fit.
    """

    model: str
    auc: float
    auc_se: float
    log_loss: float
    weight: float | None
    note: str
    family: str
    parameters: Mapping[str, Any]
    fold_auc: float | None
    fold_auc_se: float | None


def leaderboard(y: npt.ArrayLike, candidates: Mapping[str, Candidate]) -> list[LeaderboardRow]:
    """The candidates by log loss, best first. AUC over folds and snapshots pooled; errors as
    `metrics.auc_interval`.
    """
    rows = []
    for name, candidate in candidates.items():
        area = metrics.auc_interval(y, candidate.predictions)
        rows.append(
            LeaderboardRow(
                name,
                area.value,
                area.standard_error,
                metrics.log_loss(y, candidate.predictions),
                candidate.weight,
                candidate.note,
                candidate.family,
                candidate.parameters,
                *_mean_and_error(candidate.fold_aucs),
            )
        )
    return sorted(rows, key=lambda row: row.log_loss)


def _mean_and_error(values: Sequence[float]) -> tuple[float | None, float | None]:
    if len(values) < 2:
        return None, None
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))


def baseline_candidates(
    X: pd.DataFrame | npt.NDArray[np.float64], y: npt.ArrayLike, fold_ids: npt.ArrayLike, seed: int = 0
) -> dict[str, Candidate]:
    """The one-column rule, logistic regression and chance, out of fold on the same fold ids as the models.

    `X` (n, d), `y` (n,) coded 0/1, `fold_ids` (n,). The rule may choose another column in another fold; its
    probabilities make the folds comparable. Raises ValueError when a fold's complement has one class.
    """
    target, folds = np.asarray(y), np.asarray(fold_ids)
    candidates = {}
    for name, kind in BASELINES.items():
        oof = np.empty(len(target))
        chosen, aucs = [], []
        for fold in np.unique(folds):
            held_out = folds == fold
            fitted = kind(random_state=seed).fit(X[~held_out], target[~held_out])
            oof[held_out] = fitted.predict_proba(X[held_out])[:, 1]
            if len(np.unique(target[held_out])) == 2:
                aucs.append(metrics.auc(target[held_out], oof[held_out]))
            if isinstance(fitted, OneColumnRule):
                chosen.append(f"{fitted.column_name_} {'high' if fitted.direction_ == 1 else 'low'}")
        candidates[name] = Candidate(oof, note=", ".join(dict.fromkeys(chosen)), family=name, fold_aucs=aucs)
    return candidates
