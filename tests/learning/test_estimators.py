"""The contract every registered family keeps."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from platform_assets.learning.families.baselines import OneColumnRule, RandomOrder
from platform_assets.learning.families.estimator import TableClassifier
from platform_assets.learning.families.preprocessing import TablePreprocessor
from platform_assets.learning.families.registry import (
    FAMILIES,
    UnknownFamily,
    UnknownParameter,
    default_parameters,
    make_estimator,
)
from platform_assets.learning.figures import metrics
from platform_assets.learning.folds import assign_folds
from tests.learning.conftest import Table, make_table

# The contract is kept whatever the size, and small networks keep it in a fraction of the time.
SMALL_NETWORK = {"hidden_width": 16, "members": 2, "learning_rate": 0.02, "max_epochs": 6}
PARAMS = dict.fromkeys(("network", "multitask", "transfer"), SMALL_NETWORK)


def make_small(family: str) -> TableClassifier:
    return make_estimator(family, PARAMS.get(family))


MAKERS: dict[str, Callable[[], TableClassifier]] = {family: partial(make_small, family) for family in FAMILIES}
MAKERS |= {"one column": OneColumnRule, "random": RandomOrder}
every_estimator = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
every_family = pytest.mark.parametrize("family", FAMILIES)


@every_estimator
def test_scikit_learns_own_checks_pass(make: type[TableClassifier]) -> None:
    check_estimator(make(), on_skip=None)


def test_scikit_learns_own_checks_pass_on_the_preprocessor() -> None:
    check_estimator(TablePreprocessor(), on_skip=None)


@every_estimator
def test_names_classes_and_missing_values_are_kept(make: type[TableClassifier], table: Table) -> None:
    words = np.where(table.y == 1, "yes", "no")
    fitted = make().fit(table.X, words, groups=table.groups)
    assert fitted.feature_names_in_.tolist() == list(table.X.columns)
    assert fitted.n_features_in_ == 5
    assert fitted.classes_.tolist() == ["no", "yes"]
    assert np.isfinite(fitted.predict_proba(table.X)).all()
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict_proba(table.X[["recency", "orders", "spent", "n0", "n1"]])


@every_family
def test_the_same_fit_gives_the_same_bits_and_so_does_a_reload(family: str, table: Table, tmp_path: Path) -> None:
    fitted = make_small(family).fit(table.X, table.y, groups=table.groups)
    expected = fitted.predict_proba(table.X)
    again = clone(fitted).fit(table.X, table.y, groups=table.groups)
    assert (again.predict_proba(table.X) == expected).all()
    fitted.save(tmp_path)
    loaded = type(fitted).load(tmp_path)
    assert (loaded.predict_proba(table.X) == expected).all()
    assert loaded.get_params() == fitted.get_params()
    assert loaded.best_iteration_ == fitted.best_iteration_
    assert loaded.history_ == fitted.history_


@every_estimator
def test_a_rows_prediction_does_not_depend_on_its_neighbours(make: type[TableClassifier], table: Table) -> None:
    fitted = make().fit(table.X, table.y, groups=table.groups)
    together = fitted.predict_proba(table.X)
    order = np.random.default_rng(0).permutation(len(table.X))
    assert (fitted.predict_proba(table.X.iloc[order]) == together[order]).all()
    assert (fitted.predict_proba(table.X.iloc[700:703]) == together[700:703]).all()


@every_family
def test_a_family_finds_the_signal_and_nothing_in_permuted_labels(family: str, table: Table) -> None:
    folds = assign_folds(table.groups, 3, 0)

    def out_of_fold_auc(y: np.ndarray) -> float:
        oof = np.empty(len(y))
        for fold in range(3):
            out = folds == fold
            fitted = make_small(family).fit(table.X[~out], y[~out], groups=table.groups[~out])
            oof[out] = fitted.predict_proba(table.X[out])[:, 1]
        return metrics.auc(y, oof)

    assert out_of_fold_auc(table.y) > 0.72
    shuffled = np.random.default_rng(1).permutation(table.y)
    assert abs(out_of_fold_auc(shuffled) - 0.5) < 0.06


@every_family
def test_fitting_leaves_the_table_as_it_was(family: str, table: Table) -> None:
    before = table.X.copy(deep=True)
    make_small(family).fit(table.X, table.y).predict_proba(table.X)
    assert table.X.equals(before)


def test_early_stopping_keeps_the_best_round(table: Table) -> None:
    fitted = make_estimator("lightgbm").fit(table.X, table.y, groups=table.groups)
    assert fitted.best_iteration_ <= len(fitted.history_)
    assert fitted.history_[fitted.best_iteration_ - 1] == pytest.approx(min(fitted.history_), abs=2e-5)


def test_too_few_rows_to_validate_on_run_no_more_than_a_stated_number_of_rounds() -> None:
    fitted = make_table(100).fit(make_estimator("lightgbm"))
    assert 80 < fitted.best_iteration_ <= 100
    assert fitted.history_ == []


def test_unknown_families_and_parameters_are_refused_with_the_nearest_word() -> None:
    with pytest.raises(UnknownFamily, match='did you mean "lightgbm"'):
        make_estimator("lightgmb")
    with pytest.raises(UnknownParameter, match='did you mean "learning_rate"'):
        make_estimator("network", {"learning_rat": 0.1})
    with pytest.raises(UnknownParameter, match="pass the seed"):
        make_estimator("lightgbm", {"random_state": 1})


@every_family
def test_default_parameters_are_visible_and_settable(family: str) -> None:
    defaults = default_parameters(family)
    assert defaults
    assert make_estimator(family, defaults, seed=7).get_params()["random_state"] == 7


def test_infinities_and_one_class_are_refused(table: Table) -> None:
    endless = table.X.copy()
    endless.iloc[3, 1] = np.inf
    for family in FAMILIES:
        with pytest.raises(ValueError, match="infinity"):
            make_estimator(family).fit(endless, table.y)
        with pytest.raises(ValueError, match="one class"):
            make_estimator(family).fit(table.X, np.zeros(len(table.y), dtype=int))


def test_the_preprocessor_survives_json_to_the_last_bit(table: Table) -> None:
    X = table.X.assign(constant=0.1, empty=np.nan)
    fitted = TablePreprocessor().fit(X)
    again = TablePreprocessor.from_json(json.loads(json.dumps(fitted.to_json(), allow_nan=False)))
    expected = fitted.transform(X)
    assert (again.transform(X.to_numpy()) == expected).all()
    assert expected.shape[1] == fitted.n_features_out_ == 9
    assert (expected[:, 5:7] == 0).all()
    assert np.abs(expected).max() <= 3.0


def test_the_one_column_rule_names_its_column_and_ranks_as_it_does(table: Table) -> None:
    X, y = table.X[["n0", "recency"]], table.y
    rule = OneColumnRule().fit(X, y)
    assert (rule.column_name_, rule.direction_) == ("recency", -1)
    assert metrics.auc(y, rule.predict_proba(X)[:, 1]) == pytest.approx(metrics.auc(y, -X["recency"]), abs=1e-12)


def test_a_baseline_refuses_to_be_saved(table: Table, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="OneColumnRule is not made to be saved"):
        OneColumnRule().fit(table.X, table.y).save(tmp_path)


def test_the_one_column_rule_ranks_missing_values_last(table: Table) -> None:
    y = table.y
    X = np.where(y == 1, 1.0, 0.0)[:, None] + np.random.default_rng(0).normal(size=(len(y), 1))
    X[:50] = np.nan
    rule = OneColumnRule().fit(X, y)
    probability = rule.predict_proba(X)[:, 1]
    assert probability[:50].max() < probability[50:].min()
