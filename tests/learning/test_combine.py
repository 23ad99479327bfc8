"""From what members say out of fold to a model: the same for whoever fitted the folds."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from platform_assets.learning.combine import ENSEMBLE, FEWEST_TO_CALIBRATE, SPARED, UNUSED, FittedMember, combine
from platform_assets.learning.cross_fitting import ModelSettings, fit_fold, fit_whole
from platform_assets.learning.families.estimator import Floats, TableClassifier
from platform_assets.learning.figures import metrics
from platform_assets.learning.folds import assign_folds
from tests.learning.conftest import Table

ROWS = 5000
PEOPLE = np.arange(ROWS)
TRUTH = np.random.default_rng(0).beta(1, 3, ROWS)
Y = (np.random.default_rng(1).random(ROWS) < TRUTH).astype(int)
# Members that err alike make up for each other.
SHARED = logit(TRUTH) + np.random.default_rng(2).normal(0, 0.5, ROWS)


def member(predictions: Floats, family: str = "lightgbm", ended_by: tuple[str, ...] = ("convergence",)) -> FittedMember:
    return FittedMember(family, {"a": 1}, predictions, (0.6, None, 0.8), ended_by)


def scores(seed: int, noise: float = 0.2) -> Floats:
    return np.asarray(expit(SHARED + np.random.default_rng(seed).normal(0, noise, ROWS)))


def test_a_network_that_the_others_make_up_for_is_left_out_of_a_refit_alone_and_the_leaderboard_says_so() -> None:
    members = {
        "trees": member(scores(3, 0.1)),
        "network": member(scores(4, 0.4), "network"),
        "wrong": member(np.where(Y == 1, 0.01, 0.99)),
    }
    full = combine(members, Y, PEOPLE)
    assert 0 < full.ensemble.weights["network"] < 0.5
    assert full.dropped == {"wrong": UNUSED}
    spared = combine(members, Y, PEOPLE, refit=True)
    assert spared.ensemble.weights == {"network": 0.0, "trees": 1.0, "wrong": 0.0}
    assert spared.dropped == {"network": SPARED, "wrong": UNUSED}
    assert {row.model: row.note for row in spared.leaderboard({})} == {
        "trees": "", "network": SPARED, "wrong": UNUSED, ENSEMBLE: "",
    }  # fmt: skip
    trees = {**members, "network": replace(members["network"], family="lightgbm")}
    assert combine(trees, Y, PEOPLE, refit=True).ensemble.weights == full.ensemble.weights


def test_the_latest_rows_decide_the_calibration_and_all_rows_the_weights() -> None:
    # Earlier, everything was likelier than the members say, and only then did "stale" tell anything.
    new = np.arange(ROWS) >= 2000
    y = np.where(new, Y, np.random.default_rng(6).random(ROWS) < expit(logit(TRUTH) + 2)).astype(int)
    stale = np.where(new, y.mean(), np.where(y == 1, 0.9, 0.5))
    members = {"own": member(TRUTH), "stale": member(stale)}
    whole, latest = combine(members, y, PEOPLE), combine(members, y, PEOPLE, latest=new)
    assert latest.ensemble == whole.ensemble
    assert latest.ensemble.weights["stale"] > 0.2
    assert latest.calibrated[new].mean() == pytest.approx(y[new].mean(), abs=0.005)
    assert abs(whole.calibrated[new].mean() - y[new].mean()) > 0.02
    assert (latest.calibration["rows"], whole.calibration["rows"]) == (3000, ROWS)


def test_a_latest_window_with_too_few_of_a_class_is_not_calibrated_on() -> None:
    few = np.flatnonzero(Y == 1)[:FEWEST_TO_CALIBRATE]
    window = Y == 0
    window[few] = True
    members = {"one": member(scores(3))}
    assert combine(members, Y, PEOPLE, latest=window).calibration["rows"] == window.sum()
    window[few[0]] = False
    assert combine(members, Y, PEOPLE, latest=window).calibration["rows"] == ROWS


def test_a_leaderboard_tells_what_ended_fits_and_knows_only_folds_of_two_classes() -> None:
    fitted = member(TRUTH, ended_by=("budget", "convergence", "rounds"))
    row = next(row for row in combine({"one": fitted}, Y, PEOPLE).leaderboard({}) if row.model == "one")
    assert row.note == "ended by budget, ended by rounds"
    assert (row.fold_auc, row.weight, row.parameters) == (pytest.approx(0.7), 1.0, {"a": 1})


def test_the_bundle_predicts_with_the_models_of_weighted_members_alone(table: Table) -> None:
    folded, model = table.folded(2), ModelSettings("logistic")
    folds = [fit_fold(folded, fold, model) for fold in range(2)]
    whole = fit_whole(folded, folds, model)
    fitted = FittedMember.of(folds, 2, whole.ended_by_)
    members = {"line": fitted, "wrong": replace(fitted, predictions=1 - fitted.predictions)}
    found = combine(members, table.y, table.groups)
    asked: list[str] = []

    def models(name: str) -> list[TableClassifier]:
        asked.append(name)
        return [whole]

    bundle = found.bundle(models, list(table.X.columns), {"campaign": "again"})
    assert asked == ["line"]
    assert bundle.metadata == {"campaign": "again"}
    expected = found.calibrator.predict(whole.predict_proba(table.X)[:, 1])
    assert (bundle.predict(table.X) == expected).all()


def test_a_member_is_what_its_folds_said_of_rows_they_did_not_see(table: Table) -> None:
    folded = table.folded()
    folds = [fit_fold(folded, fold, ModelSettings("logistic", {"C": 0.1})) for fold in range(3)]
    fitted = FittedMember.of(folds, 3, "rounds")
    assert (fitted.family, fitted.parameters, fitted.ended_by) == ("logistic", {"C": 0.1}, ("convergence", "rounds"))
    for fold, auc in enumerate(fitted.fold_aucs):
        own = assign_folds(table.groups, 3, 0) == fold
        assert auc == metrics.auc(table.y[own], fitted.predictions[own])
