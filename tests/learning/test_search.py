"""A search fits what it can afford, weighs it out of fold, and tells what became of every member."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from platform_assets.learning import portfolio
from platform_assets.learning.bundle import Bundle
from platform_assets.learning.figures import metrics
from platform_assets.learning.figures.evaluate import BASELINES
from platform_assets.learning.folds import assign_folds
from platform_assets.learning.portfolio import MemberSpec, auto_portfolio
from platform_assets.learning.search import ENSEMBLE, NothingFitted, SearchResult, search
from platform_assets.learning.selection import FeatureSelection
from tests.learning.conftest import Table, make_table

TREES = MemberSpec("trees", "lightgbm", {"learning_rate": 0.1}, share=2.0)
LINE = MemberSpec("line", "logistic")
PAIR = (TREES, LINE)


@pytest.fixture(scope="module")
def found(table: Table) -> SearchResult:
    return search(table.X, table.y, table.groups, cpu_seconds=60, n_folds=3, members=PAIR)


def test_the_leaderboard_holds_every_member_the_ensemble_and_the_baselines(found: SearchResult, table: Table) -> None:
    rows = {row.model: row for row in found.leaderboard}
    assert set(rows) == {"trees", "line", ENSEMBLE, *BASELINES}
    trees = rows["trees"]
    assert (trees.family, trees.parameters, trees.weight) == (
        "lightgbm",
        {"learning_rate": 0.1},
        found.weights["trees"],
    )
    assert trees.fold_auc == pytest.approx(trees.auc, abs=0.02)
    assert trees.fold_auc_se is not None
    assert min(rows[name].fit_seconds for name in ("trees", "line", *BASELINES)) > 0
    assert min(rows[name].predict_rows_per_cpu_second for name in ("trees", "line", *BASELINES)) > 0
    assert rows[ENSEMBLE].log_loss == metrics.log_loss(table.y, found.out_of_fold)
    assert rows[ENSEMBLE].auc == metrics.auc(table.y, found.out_of_fold)
    assert found.failures == {}
    assert sum(found.weights.values()) == pytest.approx(1)


def test_the_same_search_gives_the_same_bits(found: SearchResult, table: Table) -> None:
    again = search(table.X, table.y, table.groups, cpu_seconds=60, n_folds=3, members=PAIR)
    assert (again.out_of_fold == found.out_of_fold).all()
    assert (again.bundle.predict(table.X) == found.bundle.predict(table.X)).all()


def test_permuted_labels_are_not_told_apart_out_of_fold(table: Table) -> None:
    shuffled = np.random.default_rng(3).permutation(table.y)
    nothing = search(table.X, shuffled, table.groups, cpu_seconds=60, n_folds=3, members=PAIR)
    area = metrics.auc_interval(shuffled, nothing.out_of_fold)
    assert abs(area.auc - 0.5) < 3 * area.standard_error


def test_a_refit_holds_one_model_a_member_and_predicts_as_well(found: SearchResult, table: Table) -> None:
    refitted = search(table.X, table.y, table.groups, cpu_seconds=60, n_folds=3, members=PAIR, refit=True)
    assert [len(member.models) for member in found.bundle.members] == [3, 3]
    assert [len(member.models) for member in refitted.bundle.members] == [1, 1]
    assert (refitted.out_of_fold == found.out_of_fold).all()
    trees = refitted.bundle.members[0].models[0]
    assert trees.ended_by_ == "rounds"
    folds = [model.best_iteration_ for model in found.bundle.members[0].models]
    assert trees.best_iteration_ == pytest.approx(1.1 * np.mean(folds), abs=0.5)
    fresh = make_table(4000, seed=9)
    expected = metrics.auc(fresh.y, found.bundle.predict(fresh.X))
    assert metrics.auc(fresh.y, refitted.bundle.predict(fresh.X)) == pytest.approx(expected, abs=0.01)


def test_a_member_that_fails_is_told_and_the_others_make_a_model(table: Table) -> None:
    broken = (
        MemberSpec("odd", "lightgbm", {"num_leaves": 1}),
        MemberSpec("misspelt", "lightgmb"),
        MemberSpec("blind", "logistic", excluded=("no such column",)),
        LINE,
    )
    result = search(table.X, table.y, table.groups, cpu_seconds=60, n_folds=3, members=broken)
    assert result.weights == {"line": 1.0}
    assert list(result.failures) == ["odd", "misspelt", "blind"]
    assert "LightGBM refuses these rows with these parameters: " in result.failures["odd"]
    assert 'did you mean "lightgbm"' in result.failures["misspelt"]
    assert "no such column" in result.failures["blind"]
    with pytest.raises(
        NothingFitted, match=r"No member could be fitted\. odd: Failed with CannotFit: LightGBM refuses"
    ):
        search(table.X, table.y, table.groups, cpu_seconds=60, n_folds=3, members=broken[:3])


def test_a_member_whose_turn_comes_too_late_is_listed_as_not_tried(table: Table) -> None:
    with pytest.raises(NothingFitted, match="trees: Not tried: 0 CPU-seconds were used up before its turn"):
        search(table.X, table.y, table.groups, cpu_seconds=0, n_folds=3, members=PAIR)


def test_every_fit_is_ended_by_its_share(table: Table) -> None:
    # Rates too low to converge within the shares.
    slow = {"learning_rate": 1e-4, "early_stopping_rounds": 50_000, "max_iterations": 50_000}
    members = [LINE, MemberSpec("slow", "lightgbm", slow)]
    result = search(table.X, table.y, table.groups, cpu_seconds=3, n_folds=2, members=members)
    rows = {row.model: row for row in result.leaderboard}
    assert rows["slow"].note == "2 of 2 folds ended by the budget"
    assert rows["line"].note == ""


def test_folds_models_stay_where_the_budget_cuts_a_refit_short(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portfolio, "REFIT_FOLDS", 1e-6)
    result = search(table.X, table.y, table.groups, cpu_seconds=60, n_folds=2, members=PAIR, refit=True)
    rows = {row.model: row for row in result.leaderboard}
    assert rows["trees"].note == "no refit within the budget: its folds' models stay"
    assert [len(member.models) for member in result.bundle.members] == [2, 1]


def test_only_judged_rows_decide_weights_and_figures_and_all_are_learned_from(table: Table) -> None:
    new = np.arange(len(table.y)) >= 600
    # What was true of the earlier snapshot no longer is: a member that only knows it must not be judged by it.
    X = table.X.assign(stale=np.where(new, 0.0, table.y + np.random.default_rng(0).normal(0, 0.1, len(table.y))))
    members = (
        MemberSpec("stale", "logistic", excluded=("orders", "recency", "spent", "n0", "n1")),
        MemberSpec("line", "logistic", excluded=("stale",)),
    )
    pooled = search(X, table.y, table.groups, cpu_seconds=60, n_folds=3, members=members, judged=new)
    assert pooled.weights["stale"] < 0.2
    rows = {row.model: row for row in pooled.leaderboard}
    assert rows[ENSEMBLE].auc == metrics.auc(table.y[new], pooled.out_of_fold[new])
    assert rows["stale"].auc < 0.6
    assert rows["stale"].fold_auc < 0.6
    blind = search(X, table.y, table.groups, cpu_seconds=60, n_folds=3, members=members)
    assert blind.weights["stale"] > 0.5
    # Learned from: without the earlier rows the fold models are others.
    alone = search(X[new], table.y[new], table.groups[new], cpu_seconds=60, n_folds=3, members=members[1:])
    assert (alone.out_of_fold != pooled.out_of_fold[new]).any()


def test_a_selection_holds_for_every_member_beside_its_own_columns(table: Table) -> None:
    members = (replace(TREES, excluded=("recency",)), LINE)
    top = FeatureSelection("top_gain", k=2)
    result = search(table.X, table.y, table.groups, cpu_seconds=60, n_folds=3, members=members, selection=top)
    seen = {member.name: {model.columns_ for model in member.models} for member in result.bundle.members}
    assert seen["line"] == {("orders", "recency")}
    assert all("recency" not in columns and len(columns) == 2 for columns in seen.get("trees", ()))


def test_given_fold_ids_are_used_and_names_must_differ(found: SearchResult, table: Table) -> None:
    folds = assign_folds(table.groups, 3, 0)
    same = search(table.X, table.y, table.groups, cpu_seconds=60, n_folds=3, members=PAIR, fold_ids=folds)
    assert (same.out_of_fold == found.out_of_fold).all()
    with pytest.raises(ValueError, match='two members are called "trees"'):
        search(table.X, table.y, table.groups, cpu_seconds=60, members=(TREES, TREES))


def test_a_bundle_of_chosen_columns_comes_back_to_the_last_bit(table: Table, tmp_path: Path) -> None:
    members = (replace(TREES, excluded=("n0",)), LINE)
    bundle = search(table.X, table.y, table.groups, cpu_seconds=60, n_folds=2, members=members).bundle
    bundle.save(tmp_path / "bundle")
    assert (Bundle.load(tmp_path / "bundle").predict(table.X) == bundle.predict(table.X)).all()


def test_past_scores_are_seen_by_one_lightgbm_and_kept_from_another(table: Table) -> None:
    past = np.random.default_rng(1).normal(size=len(table.y)) + 2 * table.y
    X = table.X.assign(past=past)
    members = [one for one in auto_portfolio(1200, 500, past_scores=("past",)) if one.family == "lightgbm"]
    result = search(X, table.y, table.groups, cpu_seconds=60, n_folds=2, members=members)
    blind = next(row for row in result.leaderboard if row.model == "lightgbm_without_past_scores")
    seeing = next(row for row in result.leaderboard if row.model == "lightgbm")
    assert seeing.auc > blind.auc + 0.05
    assert result.weights["lightgbm_without_past_scores"] == 0
