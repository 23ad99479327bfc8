"""From a table to a model in this process: what a campaign does step by step, function after function.

Belongs here: fitting every member's folds one after the other. Does not belong here: which members there are
(`learning.portfolio`), what becomes of their folds (`learning.combine`), caching and pods.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from platform_assets.learning.bundle import Bundle
from platform_assets.learning.combine import Combination, FittedMember, combine
from platform_assets.learning.cross_fitting import FoldedTable, fit_fold, fit_whole
from platform_assets.learning.families.estimator import TableClassifier
from platform_assets.learning.families.fitting import CannotFit, Fitting, RelatedTask
from platform_assets.learning.leaderboard import LeaderboardRow, baseline_candidates
from platform_assets.learning.portfolio import MemberSpec, NothingFitted, auto_portfolio, plan
from platform_assets.learning.selection import ColumnSelection


@dataclass(frozen=True)
class SearchSettings:
    """What is tried, and what it may cost.

    Attributes:
        cpu_seconds: CPU-seconds of this process that all fits share (`plan`).
        members: what to try; `auto_portfolio` without.
        selection: how every member's columns are chosen.
        tasks: labels of related tasks.
        body: folder of a pre-trained body.
        past_scores: columns that hold other campaigns' scores.
        refit: put one fit on all rows in place of each member's fold models, so that inference is cheap.
    """

    cpu_seconds: float
    members: Sequence[MemberSpec] | None = None
    selection: ColumnSelection | None = None
    seed: int = 0
    tasks: tuple[RelatedTask, ...] = ()
    body: Path | None = None
    past_scores: Sequence[str] = ()
    refit: bool = False


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        bundle: the model: weighted members and calibration.
        combination: weights, calibration and out-of-fold probabilities.
        leaderboard: a row a member, the ensemble and the baselines, best first.
        not_fitted: a sentence for every member that these rows cannot bear, by its name.
        cpu_seconds: what the fits of every other member took, by its name.
    """

    bundle: Bundle
    combination: Combination
    leaderboard: list[LeaderboardRow]
    not_fitted: Mapping[str, str]
    cpu_seconds: Mapping[str, float]


def search(table: FoldedTable, settings: SearchSettings, latest: npt.NDArray[np.bool_] | None = None) -> SearchResult:
    """Fit every member on `table`, and join them; `latest` (n,) marks the rows to calibrate on (`combine`).

    A member that cannot be fitted on these rows costs its place, not the search. Raises NothingFitted when there is no
    other; whatever `fit_fold` raises on settings that no row could bear.
    """
    n_folds = len(np.unique(table.folds))
    members = settings.members or auto_portfolio(
        len(table.y), int(table.y.sum()), bool(settings.tasks), settings.body is not None, settings.past_scores
    )
    refit, seed = settings.refit, settings.seed
    planned = plan(members, settings.cpu_seconds, n_folds, refit=refit, seed=seed, selection=settings.selection)
    inputs = Fitting(tasks=settings.tasks, body=settings.body)
    fitted: dict[str, FittedMember] = {}
    models: dict[str, list[TableClassifier]] = {}
    not_fitted: dict[str, str] = {}
    cpu_seconds: dict[str, float] = {}
    for name, member in planned.items():
        within = replace(inputs, cpu_seconds=member.fit_seconds)
        started = time.process_time()
        try:
            folds = [fit_fold(table, fold, member.model, within) for fold in range(n_folds)]
        except CannotFit as failure:
            not_fitted[name] = str(failure)
            continue
        models[name], ended_by = [part.estimator for part in folds], None
        if refit:
            whole = fit_whole(table, folds, member.model, replace(inputs, cpu_seconds=member.refit_seconds))
            ended_by = whole.ended_by_
            # Fewer rounds than its folds had would make another model than the one that is weighed.
            if ended_by != "budget":
                models[name] = [whole]
        fitted[name] = FittedMember.of(folds, n_folds, ended_by)
        cpu_seconds[name] = time.process_time() - started
    if not fitted:
        reasons = "; ".join(f"{name}: {why}" for name, why in not_fitted.items())
        raise NothingFitted(f"No member could be fitted. {reasons}")
    combination = combine(fitted, table.y, table.groups, latest=latest, refit=refit, seed=seed)
    baselines = baseline_candidates(table.X, table.y, table.folds, seed)
    return SearchResult(
        bundle=combination.bundle(models.__getitem__, [str(name) for name in table.X.columns]),
        combination=combination,
        leaderboard=combination.leaderboard(baselines),
        not_fitted=not_fitted,
        cpu_seconds=cpu_seconds,
    )
