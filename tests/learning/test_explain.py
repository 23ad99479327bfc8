"""Reasons and importances that point at what moves the score."""

import json
from typing import Any

import numpy as np
import pytest
from scipy.special import logit

from platform_assets.learning.bundle import Bundle
from platform_assets.learning.explain import (
    importance_over_folds,
    occlusion_reasons,
    permutation_importance,
    population_medians,
    reasons,
    tree_contributions,
)
from platform_assets.learning.families.registry import make_estimator
from platform_assets.learning.folds import assign_folds
from platform_assets.learning.selection import SelectedColumnsClassifier
from tests.learning.conftest import Table


@pytest.fixture(scope="module")
def bundle(table: Table) -> Bundle:
    models = {"line": ("logistic", [make_estimator("logistic").fit(table.X, table.y)])}
    return Bundle.of({"line": 1.0}, models, None, list(table.X.columns))


@pytest.fixture(scope="module")
def mixed(table: Table) -> Bundle:
    """Two fold models of trees, one that sees two columns only, and a line: weights .45, .35 and .2."""
    trees = [make_estimator("lightgbm", {"max_iterations": 40}, seed).fit(table.X, table.y) for seed in range(2)]
    few = SelectedColumnsClassifier("lightgbm", {"max_iterations": 40}, {"excluded": ["n0", "n1", "spent"]})
    models = {
        "trees": ("lightgbm", trees),
        "few": ("lightgbm", [few.fit(table.X, table.y)]),
        "line": ("logistic", [make_estimator("logistic").fit(table.X, table.y)]),
    }
    return Bundle.of({"trees": 0.45, "few": 0.35, "line": 0.2}, models, None, list(table.X.columns))


def test_contributions_add_up_to_the_trees_log_odds(mixed: Bundle, table: Table) -> None:
    found = tree_contributions(mixed, table.X)
    values = mixed.values(table.X)
    trees, few, _ = mixed.members
    by_hand = 0.45 * np.mean([logit(model.positive_probability(values)) for model in trees.models], axis=0)
    by_hand += 0.35 * logit(few.models[0].positive_probability(values))
    assert found.values.shape == table.X.shape
    rest = by_hand / 0.8 - found.values.sum(axis=1)
    assert rest == pytest.approx(np.full(len(rest), rest[0]), abs=1e-9)
    assert found.explained_share == pytest.approx(0.8)
    assert np.corrcoef(found.values.sum(axis=1), logit(mixed.predict(table.X)))[0, 1] > 0.95


def test_reasons_come_from_trees_where_trees_weigh_most_and_from_occlusion_where_they_do_not(
    mixed: Bundle, bundle: Bundle, table: Table
) -> None:
    medians = population_medians(table.X)
    sets = {"habit": ["orders", "recency"], "money": ["spent"]}
    found = reasons(mixed, table.X, medians, sets, top=1)[:, 0]
    told = tree_contributions(mixed, table.X).values
    together = np.column_stack([told[:, :2].sum(axis=1), told[:, 2]])
    raised = together.max(axis=1) > 0
    assert (found[raised] == np.asarray(list(sets))[together.argmax(axis=1)][raised]).all()
    assert set(found[~raised]) <= {None}
    best = table.X.assign(orders=12.0, recency=1.0, spent=20.0).iloc[:5]
    assert reasons(mixed, best, medians, sets)[:, 0].tolist() == ["habit"] * 5
    fallen_back = reasons(bundle, best, medians, sets)
    assert fallen_back[:, 0].tolist() == ["habit"] * 5
    assert (fallen_back == occlusion_reasons(bundle, best, medians, sets)).all()


def test_contributions_of_no_rows_and_of_too_many(mixed: Bundle, bundle: Bundle, table: Table) -> None:
    assert tree_contributions(mixed, table.X.iloc[:0]).values.shape == (0, 5)
    nothing = tree_contributions(bundle, table.X)
    assert nothing.explained_share == 0.0
    assert not nothing.values.any()
    with pytest.raises(ValueError, match="1200 rows were asked for, more than 1000"):
        tree_contributions(mixed, table.X, max_rows=1000)


def test_importance_over_folds_is_of_rows_not_seen_with_its_spread(table: Table) -> None:
    held_out = assign_folds(table.groups, 2, 0)
    parts = []
    for fold in range(2):
        rows = held_out != fold
        trees = make_estimator("lightgbm", {"max_iterations": 40}).fit(table.X[rows], table.y[rows])
        bundle = Bundle.of({"trees": 1.0}, {"trees": ("lightgbm", [trees])}, None, list(table.X.columns))
        parts.append((bundle, table.X[~rows], table.y[~rows]))
    few: dict[str, Any] = {"max_rows": 300, "repeats": 1}
    found = importance_over_folds(parts, **few).set_index("feature")
    assert set(found.index[:2]) == {"orders", "recency"}
    alone = [permutation_importance(*part, seed=seed, **few).set_index("feature") for seed, part in enumerate(parts)]
    drops = [each["auc_drop"]["orders"] for each in alone]
    assert found["auc_drop"]["orders"] == pytest.approx(np.mean(drops))
    assert found["auc_drop_sd"]["orders"] == pytest.approx(np.std(drops, ddof=1))
    assert found["mean_abs_contribution"]["n0"] < 0.6 * found["mean_abs_contribution"]["orders"]
    assert set(found["folds"]) == {2}
    assert found.reset_index().equals(importance_over_folds(parts, **few))


def test_reasons_are_the_features_whose_typical_value_costs_most_log_odds(bundle: Bundle, table: Table) -> None:
    medians = population_medians(table.X)
    rows = table.X.iloc[:40]
    found = occlusion_reasons(bundle, rows, medians, top=2)
    assert found.shape == (40, 2)
    without = [rows.assign(**{name: median}) for name, median in medians.items()]
    log_odds, *others = (logit(bundle.predict(X)) for X in (rows, *without))
    by_hand = np.column_stack([log_odds - other for other in others])
    for row in range(40):
        for place, feature in enumerate(np.argsort(-by_hand[row])[:2]):
            assert found[row, place] == (table.X.columns[feature] if by_hand[row, feature] > 0 else None)


def test_a_typical_row_has_no_reasons(bundle: Bundle, table: Table) -> None:
    medians = population_medians(table.X)
    typical = table.X.iloc[:1].assign(**medians)
    assert occlusion_reasons(bundle, typical, medians).tolist() == [[None, None, None]]


def test_a_set_is_occluded_together(bundle: Bundle, table: Table) -> None:
    medians = population_medians(table.X)
    sets = {"habit": ["orders", "recency"], "noise": ["n0", "n1"]}
    best = table.X.assign(orders=20.0, recency=1.0).iloc[:5]
    found = occlusion_reasons(bundle, best, medians, feature_sets=sets, top=5)
    assert found[:, 0].tolist() == ["habit"] * 5


def test_medians_are_ready_for_json(table: Table) -> None:
    medians = population_medians(table.X.assign(empty=np.nan))
    assert medians["empty"] is None
    assert json.loads(json.dumps(medians, allow_nan=False)) == medians


def test_cost_unknown_features_and_missing_medians_are_refused(bundle: Bundle, table: Table) -> None:
    medians = population_medians(table.X)
    with pytest.raises(ValueError, match="may need 7200 predictions, more than 1000"):
        occlusion_reasons(bundle, table.X, medians, max_predictions=1000)
    with pytest.raises(ValueError, match="no feature tenure"):
        occlusion_reasons(bundle, table.X, medians, feature_sets={"t": ["tenure"]})
    with pytest.raises(ValueError, match="no median for n1"):
        occlusion_reasons(bundle, table.X, {name: medians[name] for name in ["orders", "recency", "spent", "n0"]})


def test_what_carries_the_label_is_important_and_noise_is_not(bundle: Bundle, table: Table) -> None:
    found = permutation_importance(bundle, table.X, table.y, max_rows=800)
    assert set(found["feature"][:2]) == {"orders", "recency"}
    assert (found["auc_drop"][:2] > 0.03).all()
    assert found.set_index("feature").loc[["n0", "n1"], "log_loss_increase"].abs().max() < 0.01
    assert found.equals(permutation_importance(bundle, table.X, table.y, max_rows=800))
