"""The leaderboard and what every model on it must beat."""

import numpy as np
import pytest

from platform_assets.learning import leaderboard as boards
from platform_assets.learning.figures import metrics
from platform_assets.learning.folds import assign_folds
from tests.learning.conftest import Table


def test_every_leaderboard_has_the_rule_logistic_and_chance_out_of_fold(table: Table) -> None:
    folds = assign_folds(table.groups, 3, 0)
    found = boards.baseline_candidates(table.X, table.y, folds)
    assert list(found) == ["one-column rule", "logistic regression", "random"]
    perfect = boards.Candidate(np.where(table.y == 1, 0.9, 0.1), weight=1.0)
    rows = boards.leaderboard(table.y, {**found, "model": perfect})
    assert [row.model for row in rows] == ["model", "logistic regression", "one-column rule", "random"]
    by_name = {row.model: row for row in rows}
    assert by_name["random"].auc == pytest.approx(0.5, abs=4 * by_name["random"].auc_se)
    uninformed = metrics.log_loss(table.y, np.full(1200, table.y.mean()))
    assert by_name["random"].log_loss == pytest.approx(uninformed, abs=0.01)
    assert "recency low" in by_name["one-column rule"].note
    assert by_name["model"].weight == 1.0
    assert (by_name["model"].fold_auc, by_name["model"].fold_auc_se) == (None, None)


def test_a_leaderboards_fold_figures_are_those_of_the_folds(table: Table) -> None:
    folds = assign_folds(table.groups, 3, 0)
    found = boards.baseline_candidates(table.X, table.y, folds)
    row = next(one for one in boards.leaderboard(table.y, found) if one.model == "logistic regression")
    oof = found["logistic regression"].predictions
    areas = [metrics.auc(table.y[folds == fold], oof[folds == fold]) for fold in range(3)]
    assert row.fold_auc == pytest.approx(np.mean(areas))
    assert row.fold_auc_se == pytest.approx(np.std(areas, ddof=1) / np.sqrt(3))


def test_a_baselines_own_fold_does_not_reach_it(table: Table) -> None:
    folds = assign_folds(table.groups, 3, 0)
    shuffled = np.random.default_rng(0).permutation(table.y)
    found = boards.baseline_candidates(table.X, shuffled, folds)
    areas = [metrics.auc(shuffled, one.predictions) for one in found.values()]
    assert np.abs(np.asarray(areas) - 0.5).max() < 0.06
