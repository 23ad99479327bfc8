"""From fold results to a model: weights, members left out, calibration, and what each member is worth.

Belongs here: the one order in which these follow, for the steps of a campaign and for a search in one process alike. Does not
belong here: fitting (`cross_fitting`), how weights or a calibration are found (`ensemble`, `calibration`), loading or storing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from platform_assets.learning.bundle import Bundle
from platform_assets.learning.calibration import Calibrator, fit_calibrator
from platform_assets.learning.cross_fitting import FoldResult
from platform_assets.learning.ensemble import SPARED_LOG_LOSS, Ensemble, drop_costly, fan_in, select_ensemble
from platform_assets.learning.families.estimator import Floats, TableClassifier
from platform_assets.learning.families.registry import ON_GPU
from platform_assets.learning.leaderboard import Candidate, LeaderboardRow, leaderboard

ENSEMBLE = "ensemble"
FEWEST_TO_CALIBRATE = 50
UNUSED = "adds nothing to the others"
SPARED = f"left out: the others come within {SPARED_LOG_LOSS:g} log loss without its cost"


@dataclass(frozen=True)
class FittedMember:
    """What the folds of one member say of the training rows.

    Attributes:
        predictions: its out-of-fold probability of every row (n,).
        fold_aucs: the AUC of each fold's held-out rows, None where they hold one class.
        ended_by: what ended its fits (`TableClassifier`), sorted, each once.
    """

    family: str
    parameters: Mapping[str, Any]
    predictions: Floats
    fold_aucs: tuple[float | None, ...]
    ended_by: tuple[str, ...]

    @classmethod
    def of(cls, folds: Sequence[FoldResult], n_folds: int, refit_ended_by: str | None = None) -> Self:
        """The member whose folds, and fit on all rows where there is one, these are. Raises IncompleteFolds as `fan_in`."""
        predictions = fan_in(folds, n_folds)
        ended = {part.ended_by for part in folds} | ({refit_ended_by} if refit_ended_by else set())
        return cls(
            family=folds[0].family,
            parameters=dict(folds[0].params),
            predictions=predictions,
            fold_aucs=tuple(part.auc for part in folds),
            ended_by=tuple(sorted(ended)),
        )


@dataclass(frozen=True)
class Combination:
    """Members weighted and calibrated.

    Attributes:
        members: every fitted member, sorted by name.
        y: the labels (n,) of the rows that they were weighed on.
        ensemble: the weights, and how they were found.
        dropped: for every member without weight, why.
        calibrator: turns the weighted average into probabilities.
        calibration: its `method`, the cross-validated `log_loss` of each method, and how many `rows` it was fitted on.
        calibrated: the ensemble's calibrated out-of-fold probability of every row (n,).
    """

    members: Mapping[str, FittedMember]
    y: npt.NDArray[Any]
    ensemble: Ensemble
    dropped: Mapping[str, str]
    calibrator: Calibrator
    calibration: Mapping[str, Any]
    calibrated: Floats

    def leaderboard(self, baselines: Mapping[str, Candidate]) -> list[LeaderboardRow]:
        """The members, the ensemble and `baselines` (on the same rows and folds), a row each, best log loss first."""
        candidates = {
            name: Candidate(
                member.predictions,
                self.ensemble.weights[name],
                note=", ".join(
                    [
                        *(f"ended by {why}" for why in member.ended_by if why != "convergence"),
                        *([self.dropped[name]] if name in self.dropped else []),
                    ]
                ),
                family=member.family,
                parameters=member.parameters,
                fold_aucs=[auc for auc in member.fold_aucs if auc is not None],
            )
            for name, member in self.members.items()
        }
        return leaderboard(self.y, {**candidates, ENSEMBLE: Candidate(self.calibrated, family=ENSEMBLE), **baselines})

    def bundle(
        self,
        models: Callable[[str], Sequence[TableClassifier]],
        feature_names: Sequence[str],
        metadata: Mapping[str, Any] | None = None,
    ) -> Bundle:
        """The bundle of the weighted members; `models` is asked for what each of them predicts with."""
        weights = self.ensemble.weights
        estimators = {name: (self.members[name].family, models(name)) for name, weight in weights.items() if weight > 0}
        return Bundle.of(weights, estimators, self.calibrator, feature_names, metadata)


def combine(
    members: Mapping[str, FittedMember],
    y: npt.NDArray[Any],
    groups: npt.NDArray[Any],
    *,
    latest: npt.NDArray[np.bool_] | None = None,
    refit: bool = False,
    seed: int = 0,
) -> Combination:
    """Weigh `members` on labels `y` (n,) coded 0/1, and calibrate them; `groups` (n,) are entity ids.

    Weights look at all rows. The calibration looks at `latest` (n,), the rows likeliest to hold when the model is used: base
    rates drift, and older rows promise what was true then; at all rows without it, or when either class has fewer than
    `FEWEST_TO_CALIBRATE` rows in it. With `refit`, members that are costly to predict with are left out where the others
    make up for them (`drop_costly`). Members are taken in the order of their names. Raises ValueError as
    `select_ensemble` and `fit_calibrator` do.
    """
    members = dict(sorted(members.items()))
    predictions = {name: member.predictions for name, member in members.items()}
    selected = ensemble = select_ensemble(predictions, y)
    if refit:
        costly = [name for name, member in members.items() if member.family in ON_GPU]
        ensemble = drop_costly(selected, predictions, y, costly)
    raw, window = ensemble.combine(predictions), _calibration_rows(y, latest)
    calibrator, losses = fit_calibrator(raw[window], y[window], groups=groups[window], seed=seed)
    return Combination(
        members=members,
        y=y,
        ensemble=ensemble,
        dropped={
            name: SPARED if selected.weights[name] > 0 else UNUSED
            for name, weight in ensemble.weights.items()
            if weight == 0
        },
        calibrator=calibrator,
        calibration={"method": calibrator.method, "log_loss": losses, "rows": int(window.sum())},
        calibrated=calibrator.predict(raw),
    )


def _calibration_rows(y: npt.NDArray[Any], latest: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.bool_]:
    if latest is not None:
        positives = int(y[latest].sum())
        if min(positives, int(latest.sum()) - positives) >= FEWEST_TO_CALIBRATE:
            return latest
    return np.ones(len(y), dtype=bool)
