"""From a table to a model in this process: fit every member's folds, weigh, calibrate, bundle, and tell what was tried.

Belongs here: the order of the work, its budget, and what becomes of a member that fails. Does not belong here: which members
there are (`portfolio`), how any of the steps works, caching and pods (a campaign runs the same steps one by one).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.learning.bundle import Bundle
from platform_assets.learning.calibration import fit_calibrator
from platform_assets.learning.ensemble import drop_costly, fan_in, select_ensemble
from platform_assets.learning.families.estimator import Floats, TableClassifier
from platform_assets.learning.families.fitting import Fitting, RelatedTask
from platform_assets.learning.families.registry import ON_GPU
from platform_assets.learning.figures.evaluate import (
    Candidate,
    LeaderboardRow,
    baseline_candidates,
    fold_aucs,
    leaderboard,
)
from platform_assets.learning.fold_fit import FoldResult, fit_fold, fit_whole, training_set_id
from platform_assets.learning.folds import assign_folds
from platform_assets.learning.portfolio import MemberSpec, auto_portfolio, fit_seconds, refit_seconds
from platform_assets.learning.selection import FeatureSelection

ENSEMBLE = "ensemble"


class NothingFitted(RuntimeError):
    """Every member failed or was not tried; the message says why for each."""


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        bundle: the model: weighted members and calibration.
        out_of_fold: calibrated out-of-fold probability of every row (n,).
        leaderboard: a row a member, the ensemble and the baselines, best first, by the judged rows.
        failures: a sentence for every member that failed or was not tried, by its name.
        weights: the weight of every member that was fitted.
    """

    bundle: Bundle
    out_of_fold: Floats
    leaderboard: list[LeaderboardRow]
    failures: Mapping[str, str]
    weights: Mapping[str, float]


def search(
    X: pd.DataFrame,
    y: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    cpu_seconds: float,
    n_folds: int = 5,
    seed: int = 0,
    members: Sequence[MemberSpec] | None = None,
    selection: FeatureSelection | None = None,
    tasks: Sequence[RelatedTask] = (),
    body: Path | None = None,
    past_scores: Sequence[str] = (),
    refit: bool = False,
    fold_ids: npt.ArrayLike | None = None,
    judged: npt.ArrayLike | None = None,
) -> SearchResult:
    """Fit `members` (`auto_portfolio` without) on `X` (n, d), `y` (n,) coded 0/1 and `groups` (n,), and join them.

    `cpu_seconds` are this process's, for everything. Fits share them by `fit_seconds`; a member whose turn comes when they
    are used up is not tried. `refit` puts one fit on all rows in place of each weighted member's fold models, and spares
    the networks that the others make up for (`drop_costly`): inference is then cheap. `fold_ids` (n,) default to
    `assign_folds`. Where rows of earlier as-of dates are pooled with new ones, `judged` (n,) marks the rows that weights,
    calibration and figures look at: every row is learned from, in the folds that do not hold its entity.

    Raises NothingFitted when no member could be fitted; ValueError as `fit_fold` does on rows that cannot be used.
    """
    started = time.process_time()
    target, ids = np.asarray(y), np.asarray(groups)
    folds = np.asarray(assign_folds(ids, n_folds, seed) if fold_ids is None else fold_ids)
    counted = np.ones(len(target), dtype=bool) if judged is None else np.asarray(judged, dtype=bool)
    if members is None:
        members = auto_portfolio(len(target), int(target.sum()), bool(tasks), body is not None, past_scores)
    repeated = [name for name, times in Counter(member.name for member in members).items() if times > 1]
    if repeated:
        raise ValueError(f'Of the members to try, two members are called "{repeated[0]}"; give each a name of its own.')
    work = _Work(X, target, ids, folds, n_folds, seed, selection, tuple(tasks), body, cpu_seconds, started)
    baselines = baseline_candidates(X, target, folds, seed)
    # What members share; the baselines are listed in any case.
    shared = cpu_seconds - (time.process_time() - started)
    parts: dict[str, list[FoldResult]] = {}
    failures: dict[str, str] = {}
    for member in members:
        try:
            parts[member.name] = work.fit(member, fit_seconds(shared, member, members, n_folds, refit))
        # Whatever goes wrong in one member is told in its line; the others may still make a model.
        except Exception as failure:
            failures[member.name] = str(failure) if isinstance(failure, _NotTried) else _sentence(failure)
    if not parts:
        reasons = " ".join(f"{name}: {why}" for name, why in failures.items())
        raise NothingFitted(f"No member could be fitted. {reasons}")
    predictions = {name: fan_in(fitted, n_folds) for name, fitted in parts.items()}
    judging = {name: values[counted] for name, values in predictions.items()}
    ensemble = select_ensemble(judging, target[counted])
    if refit:
        networks = [member.name for member in members if member.name in parts and member.family in ON_GPU]
        ensemble = drop_costly(ensemble, judging, target[counted], networks)
    raw = ensemble.combine(predictions)
    calibrator, _ = fit_calibrator(raw[counted], target[counted], groups=ids[counted], seed=seed)
    calibrated = calibrator.predict(raw)
    models: dict[str, tuple[str, Sequence[TableClassifier]]] = {}
    candidates: dict[str, Candidate] = {}
    for member in members:
        if member.name not in parts:
            continue
        fitted, weight = parts[member.name], ensemble.weights[member.name]
        notes = _notes(fitted)
        if weight > 0:
            models[member.name] = (member.family, [part.estimator for part in fitted])
        if weight > 0 and refit:
            whole = work.refit(member, fitted, refit_seconds(shared, member, members, n_folds))
            if isinstance(whole, str):
                notes.append(f"{whole}: its folds' models stay")
            else:
                models[member.name] = (member.family, [whole])
        candidates[member.name] = _candidate(member, fitted, predictions[member.name], weight, "; ".join(notes))
    candidates |= {ENSEMBLE: Candidate(calibrated, family=ENSEMBLE), **baselines}
    candidates = {name: _judged(one, target, folds, counted) for name, one in candidates.items()}
    return SearchResult(
        bundle=Bundle.of(ensemble.weights, models, calibrator, [str(name) for name in X.columns]),
        out_of_fold=calibrated,
        leaderboard=leaderboard(target[counted], candidates),
        failures=failures,
        weights=ensemble.weights,
    )


class _NotTried(Exception):
    """The budget was used up before a member had all its folds."""


@dataclass(frozen=True)
class _Work:
    """The rows of one search and what fits of any member are given."""

    X: pd.DataFrame
    y: npt.NDArray[np.generic]
    groups: npt.NDArray[np.generic]
    folds: npt.NDArray[np.generic]
    n_folds: int
    seed: int
    selection: FeatureSelection | None
    tasks: tuple[RelatedTask, ...]
    body: Path | None
    cpu_seconds: float
    started: float

    @cached_property
    def name(self) -> str:
        """The training set's name."""
        return training_set_id(self.X, self.y, self.groups, self.folds)

    def fit(self, member: MemberSpec, seconds: float) -> list[FoldResult]:
        """The member's folds, `seconds` each at most. Raises _NotTried, and whatever the family raises."""
        fitted: list[FoldResult] = []
        for fold in range(self.n_folds):
            left = self.cpu_seconds - (time.process_time() - self.started)
            if left <= 0:
                tried = f"after {len(fitted)} of {self.n_folds} folds" if fitted else "before its turn"
                raise _NotTried(f"Not tried: {self.cpu_seconds:g} CPU-seconds were used up {tried}.")
            fitted.append(
                fit_fold(
                    self.X,
                    self.y,
                    self.groups,
                    self.folds,
                    fold,
                    member.family,
                    member.params,
                    self.seed,
                    selection=member.selection(self.selection),
                    fitting=Fitting(tasks=self.tasks, body=self.body, cpu_seconds=min(seconds, left)),
                    training_set=self.name,
                )
            )
        return fitted

    def refit(self, member: MemberSpec, fitted: Sequence[FoldResult], seconds: float) -> TableClassifier | str:
        """The member fitted once on all rows, or why there is no such fit."""
        try:
            whole = fit_whole(
                self.X,
                self.y,
                self.groups,
                fitted,
                selection=member.selection(self.selection),
                fitting=Fitting(tasks=self.tasks, body=self.body, cpu_seconds=seconds),
            )
        # As for folds: the others go on, and the folds' models are there to stay.
        except Exception as failure:
            return f"no refit: {_sentence(failure)}"
        # Fewer rounds than its folds had would make another model than the one that was weighed.
        return "no refit within the budget" if whole.ended_by_ == "budget" else whole


def _candidate(
    member: MemberSpec, fitted: Sequence[FoldResult], predictions: Floats, weight: float, note: str
) -> Candidate:
    return Candidate(
        predictions=predictions,
        weight=weight,
        fit_seconds=sum(part.cpu_seconds for part in fitted),
        predict_rows_per_cpu_second=fitted[0].n_rows / max(sum(part.predict_cpu_seconds for part in fitted), 1e-6),
        note=note,
        family=member.family,
        parameters=member.params,
    )


def _judged(
    candidate: Candidate, y: npt.NDArray[np.generic], folds: npt.NDArray[np.generic], counted: npt.NDArray[np.bool_]
) -> Candidate:
    """The candidate on the rows that count."""
    given = candidate.predictions[counted]
    return replace(candidate, predictions=given, fold_aucs=fold_aucs(y[counted], given, folds[counted]))


def _notes(fitted: Sequence[FoldResult]) -> list[str]:
    cut = sum(part.ended_by == "budget" for part in fitted)
    return [f"{cut} of {len(fitted)} folds ended by the budget"] if cut else []


def _sentence(failure: Exception) -> str:
    return f"Failed with {type(failure).__name__}: {failure}"
