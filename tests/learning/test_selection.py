"""Columns are chosen from the rows fitted on, by what they say about labels, and a model remembers its choice."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from platform_assets.learning.cross_fitting import FoldedTable, FoldResult, ModelSettings, fit_fold
from platform_assets.learning.families.fitting import Fitting
from platform_assets.learning.figures import metrics
from platform_assets.learning.folds import assign_folds
from platform_assets.learning.selection import ColumnSelection, SelectedColumnsClassifier, load_estimator
from tests.learning.conftest import Table

SELECTIONS = {
    "all but some": ColumnSelection(excluded=("n0",)),
    "top gain": ColumnSelection("top_gain", k=2),
    "permutation": ColumnSelection("permutation"),
    "correlated": ColumnSelection("correlated"),
}
every_selection = pytest.mark.parametrize("selection", SELECTIONS.values(), ids=SELECTIONS.keys())


def noisy(table: Table, columns: int = 12) -> pd.DataFrame:
    noise = np.random.default_rng(5).normal(size=(len(table.X), columns))
    return table.X.assign(**{f"noise_{position}": noise[:, position] for position in range(columns)})


def named(selection: ColumnSelection, X: pd.DataFrame, y: np.ndarray, groups: np.ndarray) -> list[str]:
    positions = selection.choose(X.to_numpy(), y.astype(np.int8), groups, list(X.columns))
    return [X.columns[position] for position in positions]


def test_top_gain_keeps_the_columns_that_carry_the_label(table: Table) -> None:
    kept = named(ColumnSelection("top_gain", k=3), noisy(table), table.y, table.groups)
    assert len(kept) == 3
    assert {"orders", "recency"} <= set(kept)
    assert named(ColumnSelection("top_gain", k=50), table.X, table.y, table.groups) == list(table.X.columns)


def test_permutation_keeps_what_beats_chance_and_little_else(table: Table) -> None:
    X = noisy(table)
    kept = named(ColumnSelection("permutation"), X, table.y, table.groups)
    assert {"orders", "recency"} <= set(kept)
    # Each of the 14 columns of noise passes with a chance of .05.
    assert len(set(kept) - set(table.X.columns[:3])) <= 4
    shuffled = np.random.default_rng(2).permutation(table.y)
    assert 1 <= len(named(ColumnSelection("permutation"), X, shuffled, table.groups)) <= 4


def test_of_columns_that_rank_rows_alike_only_the_best_stays(table: Table) -> None:
    blurred = table.X["recency"] + np.random.default_rng(0).normal(0, 12, len(table.y))
    X = table.X.assign(mirrored=-(table.X["orders"] ** 3), blurred=blurred, constant=1.0, constant_too=2.0)
    kept = named(ColumnSelection("correlated", threshold=0.9), X, table.y, table.groups)
    assert kept == ["orders", "recency", "spent", "n0", "n1", "constant", "constant_too"]
    assert metrics.auc(table.y, -X["recency"]) > metrics.auc(table.y, -blurred)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), threshold=st.floats(0.1, 1.0))
def test_no_two_kept_columns_are_more_alike_than_allowed_and_none_is_dropped_alone(seed: int, threshold: float) -> None:
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(60, 6)) @ generator.normal(size=(6, 6))
    y = (X[:, 0] + generator.normal(size=60) > 0).astype(np.int8)
    y[:2] = 0, 1
    kept = set(ColumnSelection("correlated", threshold=threshold).choose(X, y).tolist())
    alike = np.abs(pd.DataFrame(X).corr("spearman").to_numpy())
    assert all(alike[a, b] <= threshold + 1e-9 for a in kept for b in kept if a != b)
    assert all(max(alike[a, b] for b in kept) > threshold - 1e-9 for a in set(range(6)) - kept)


@every_selection
def test_a_folds_own_rows_do_not_reach_its_choice_of_columns(selection: ColumnSelection, table: Table) -> None:
    X, folds, model = noisy(table, 4), table.folded().folds, ModelSettings("logistic", selection=selection)
    first = fit_fold(FoldedTable(X, table.y, table.groups, folds), 0, model)
    changed = X.mask(np.broadcast_to((folds == 0)[:, None], X.shape), 0.0)
    flipped = np.where(folds == 0, 1 - table.y, table.y)
    second = fit_fold(FoldedTable(changed, flipped, table.groups, folds), 0, model)
    assert first.columns == second.columns
    assert first.columns is not None
    assert 1 <= len(first.columns) < X.shape[1] or selection.method == "correlated"


@every_selection
def test_a_model_on_chosen_columns_predicts_from_the_full_table_and_comes_back(
    selection: ColumnSelection, table: Table, tmp_path: Path
) -> None:
    X = noisy(table, 3)
    made = SelectedColumnsClassifier("lightgbm", {"num_leaves": 4}, selection.to_json(), 1)
    fitted = clone(made).fit(X, table.y, table.groups)
    expected = fitted.predict_proba(X)
    unseen = [name for name in X.columns if name not in fitted.columns_]
    assert (fitted.predict_proba(X.assign(**dict.fromkeys(unseen, 7.0))) == expected).all()
    assert fitted.estimator_.feature_names_in_.tolist() == list(fitted.columns_)
    assert fitted.history_ == fitted.estimator_.history_
    fitted.save(tmp_path)
    loaded = load_estimator("lightgbm", tmp_path)
    assert (loaded.predict_proba(X) == expected).all()
    assert loaded.columns_ == fitted.columns_
    assert loaded.get_params() == fitted.get_params()


def test_a_fold_on_chosen_columns_says_which_and_comes_back(table: Table, tmp_path: Path) -> None:
    folded = FoldedTable(table.X, table.y, table.groups, assign_folds(table.groups, 3, 0))
    top = ColumnSelection("top_gain", k=2)
    result = fit_fold(folded, 1, ModelSettings("logistic", selection=top))
    result.save(tmp_path)
    loaded = FoldResult.load(tmp_path)
    assert loaded.columns == result.columns == ("orders", "recency")
    assert (loaded.estimator.predict_proba(table.X) == result.estimator.predict_proba(table.X)).all()
    plain = fit_fold(folded, 1, ModelSettings("logistic"))
    assert plain.columns is None
    assert plain.model != result.model


def test_scikit_learns_own_checks_pass_on_a_model_with_chosen_columns() -> None:
    selection = ColumnSelection("top_gain", k=3).to_json()
    check_estimator(SelectedColumnsClassifier("logistic", selection=selection), on_skip=None)


def test_choosing_columns_counts_against_the_budget(table: Table) -> None:
    made = SelectedColumnsClassifier(selection=ColumnSelection("top_gain", k=2).to_json())
    fitted = made.fit(table.X, table.y, table.groups, Fitting(cpu_seconds=0.0))
    assert (fitted.ended_by_, fitted.best_iteration_) == ("budget", 1)


def test_choices_that_make_no_sense_are_refused(table: Table) -> None:
    with pytest.raises(ValueError, match='no feature selection "best"; there are all, top_gain'):
        ColumnSelection("best")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="k is 0"):
        ColumnSelection(k=0)
    with pytest.raises(ValueError, match=r"threshold 1\.5"):
        ColumnSelection(threshold=1.5)
    with pytest.raises(ValueError, match=r"With 10 permutations no p-value is below 0\.0909"):
        ColumnSelection("permutation", permutations=10)
    with pytest.raises(ValueError, match="not in the table: n7"):
        named(ColumnSelection(excluded=("n7",)), table.X, table.y, table.groups)
    with pytest.raises(ValueError, match="Every column is left out"):
        named(ColumnSelection(excluded=tuple(table.X.columns)), table.X, table.y, table.groups)


def test_a_selection_survives_json_and_takes_defaults_for_what_is_not_named() -> None:
    selection = ColumnSelection("top_gain", k=7).without(["a", "b"]).without(["b"])
    assert ColumnSelection.from_json(selection.to_json()) == selection
    assert selection.excluded == ("a", "b")
    assert ColumnSelection.from_json({"method": "top_gain"}) == ColumnSelection("top_gain")
    assert ColumnSelection().keeps_all
    assert not ColumnSelection(excluded=("a",)).keeps_all
