"""A search fits what it is told to within its budget, and says what became of every member."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.quality.search import SearchResult, SearchSettings, search
from platform_assets.learning import portfolio
from platform_assets.learning.bundle import Bundle
from platform_assets.learning.combine import ENSEMBLE
from platform_assets.learning.cross_fitting import FoldedTable
from platform_assets.learning.figures import metrics
from platform_assets.learning.leaderboard import BASELINES
from platform_assets.learning.portfolio import MemberSpec, NothingFitted, auto_portfolio
from platform_assets.learning.selection import ColumnSelection
from tests.learning.conftest import Table, make_table, table

__all__ = ["table"]

TREES = MemberSpec("trees", "lightgbm", {"learning_rate": 0.1}, share=2.0)
LINE = MemberSpec("line", "logistic")
ODD = MemberSpec("odd", "lightgbm", {"num_leaves": 1})


def searched(table: FoldedTable, *members: MemberSpec, **changes: Any) -> SearchResult:
    return search(table, SearchSettings(**{"cpu_seconds": 60, "members": members, **changes}))


@pytest.fixture(scope="module")
def found(table: Table) -> SearchResult:
    return searched(table.folded(), TREES, LINE)


def test_the_leaderboard_holds_every_member_the_ensemble_and_the_baselines(found: SearchResult, table: Table) -> None:
    rows = {row.model: row for row in found.leaderboard}
    assert set(rows) == {"trees", "line", ENSEMBLE, *BASELINES}
    trees, weights = rows["trees"], found.combination.ensemble.weights
    assert (trees.family, trees.parameters, trees.weight) == ("lightgbm", {"learning_rate": 0.1}, weights["trees"])
    assert trees.fold_auc == pytest.approx(trees.auc, abs=0.02)
    assert trees.fold_auc_se is not None
    assert rows[ENSEMBLE].log_loss == metrics.log_loss(table.y, found.combination.calibrated)
    assert rows[ENSEMBLE].auc == metrics.auc(table.y, found.combination.calibrated)
    assert set(found.cpu_seconds) == {"trees", "line"}
    assert min(found.cpu_seconds.values()) > 0
    assert found.not_fitted == {}


def test_the_same_search_gives_the_same_bits(found: SearchResult, table: Table) -> None:
    again = searched(table.folded(), LINE, TREES)
    assert (again.combination.calibrated == found.combination.calibrated).all()
    assert (again.bundle.predict(table.X) == found.bundle.predict(table.X)).all()


def test_permuted_labels_are_not_told_apart_out_of_fold(table: Table) -> None:
    shuffled = np.random.default_rng(3).permutation(table.y)
    nothing = searched(replace(table.folded(), y=shuffled), TREES, LINE)
    area = metrics.auc_interval(shuffled, nothing.combination.calibrated)
    assert abs(area.value - 0.5) < 3 * area.standard_error


def test_a_refit_holds_one_model_a_member_and_predicts_as_well(found: SearchResult, table: Table) -> None:
    refitted = searched(table.folded(), TREES, LINE, refit=True)
    assert [len(member.models) for member in found.bundle.members] == [3, 3]
    assert [len(member.models) for member in refitted.bundle.members] == [1, 1]
    assert (refitted.combination.calibrated == found.combination.calibrated).all()
    folds, [trees] = ({m.name: m.models for m in one.bundle.members}["trees"] for one in (found, refitted))
    assert trees.ended_by_ == "rounds"
    assert trees.best_iteration_ == pytest.approx(1.1 * np.mean([fold.best_iteration_ for fold in folds]), abs=0.5)
    fresh = make_table(4000, seed=9)
    expected = metrics.auc(fresh.y, found.bundle.predict(fresh.X))
    assert metrics.auc(fresh.y, refitted.bundle.predict(fresh.X)) == pytest.approx(expected, abs=0.01)


def test_a_member_that_these_rows_cannot_bear_is_told_and_the_others_make_a_model(table: Table) -> None:
    result = searched(table.folded(), ODD, LINE)
    assert result.combination.ensemble.weights == {"line": 1.0}
    assert list(result.not_fitted) == ["odd"]
    assert "LightGBM refuses these rows with these parameters: " in result.not_fitted["odd"]
    with pytest.raises(NothingFitted, match=r"No member could be fitted\. odd: LightGBM refuses"):
        searched(table.folded(), ODD)


def test_settings_that_no_rows_could_bear_are_refused(table: Table) -> None:
    with pytest.raises(ValueError, match='did you mean "lightgbm"'):
        searched(table.folded(), MemberSpec("misspelt", "lightgmb"), LINE)
    with pytest.raises(ValueError, match="no such column"):
        searched(table.folded(), replace(LINE, excluded=("no such column",)))


def test_every_fit_is_ended_by_its_share(table: Table) -> None:
    # Rates too low to converge within the shares.
    slow = {"learning_rate": 1e-4, "early_stopping_rounds": 50_000, "max_iterations": 50_000}
    result = searched(table.folded(2), LINE, MemberSpec("slow", "lightgbm", slow), cpu_seconds=3)
    rows = {row.model: row for row in result.leaderboard}
    assert rows["slow"].note.startswith("ended by budget")
    assert "budget" not in rows["line"].note


def test_folds_models_stay_where_the_budget_cuts_a_refit_short(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portfolio, "REFIT_FOLDS", 1e-6)
    result = searched(table.folded(2), TREES, LINE, refit=True)
    assert {member.name: len(member.models) for member in result.bundle.members} == {"line": 1, "trees": 2}


def test_a_selection_holds_for_every_member_beside_its_own_columns_and_in_its_bundle(
    table: Table, tmp_path: Path
) -> None:
    top = ColumnSelection("top_gain", k=2)
    # Each alone: a member without weight would not be in the bundle to be looked at.
    for number, member in enumerate((LINE, replace(TREES, excluded=("recency",)))):
        bundle = searched(table.folded(), member, selection=top).bundle
        seen = {model.columns_ for model in bundle.members[0].models}
        assert all(len(columns) == 2 and not set(columns) & set(member.excluded) for columns in seen)
        assert member is not LINE or seen == {("orders", "recency")}
        bundle.save(tmp_path / str(number))
        assert (Bundle.load(tmp_path / str(number)).predict(table.X) == bundle.predict(table.X)).all()


def test_past_scores_are_seen_by_one_lightgbm_and_kept_from_another(table: Table) -> None:
    past = np.random.default_rng(1).normal(size=len(table.y)) + 2 * table.y
    X = table.X.assign(past=past)
    members = [one for one in auto_portfolio(1200, 500, past_scores=("past",)) if one.family == "lightgbm"]
    result = searched(replace(table.folded(2), X=X), *members)
    rows = {row.model: row for row in result.leaderboard}
    assert rows["lightgbm"].auc > rows["lightgbm_without_past_scores"].auc + 0.05
    assert rows["lightgbm_without_past_scores"].weight == 0
