"""Reasons and importances that point at what moves the score."""

import json

import numpy as np
import pytest

from platform_assets.learning.bundle import Bundle
from platform_assets.learning.explain import occlusion_reasons, permutation_importance, population_medians
from platform_assets.learning.families.registry import make_estimator

from .conftest import Table


@pytest.fixture(scope="module")
def bundle(table: Table) -> Bundle:
    models = {"line": ("logistic", [make_estimator("logistic").fit(table.X, table.y)])}
    return Bundle.of({"line": 1.0}, models, None, list(table.X.columns))


def test_a_drop_is_the_loss_in_log_odds_when_the_feature_is_typical(bundle: Bundle, table: Table) -> None:
    medians = population_medians(table.X)
    rows = table.X.iloc[:40]
    found = occlusion_reasons(bundle, rows, medians, top=2)
    assert found.names.shape == found.drops.shape == (40, 2)

    def log_odds(X: object) -> np.ndarray:
        p = bundle.predict(X)
        return np.log(p / (1 - p))

    by_hand = np.column_stack([log_odds(rows) - log_odds(rows.assign(**{name: medians[name]})) for name in rows])
    assert found.drops[:, 0] == pytest.approx(np.maximum(by_hand.max(axis=1), 0), abs=1e-9)
    for row in range(40):
        best = by_hand[row].argmax()
        assert found.names[row, 0] == (table.X.columns[best] if by_hand[row, best] > 0 else None)


def test_a_typical_row_has_no_reasons_and_costs_one_prediction(bundle: Bundle, table: Table) -> None:
    medians = population_medians(table.X)
    typical = table.X.iloc[:1].assign(**medians)
    found = occlusion_reasons(bundle, typical, medians)
    assert found.names.tolist() == [[None, None, None]]
    assert found.drops.tolist() == [[0.0, 0.0, 0.0]]
    assert found.predictions == 1


def test_a_set_is_occluded_together(bundle: Bundle, table: Table) -> None:
    medians = population_medians(table.X)
    sets = {"habit": ["orders", "recency"], "noise": ["n0", "n1"]}
    best = table.X.assign(orders=20.0, recency=1.0).iloc[:5]
    found = occlusion_reasons(bundle, best, medians, feature_sets=sets, top=5)
    assert found.names[:, 0].tolist() == ["habit"] * 5
    alone = occlusion_reasons(bundle, best, medians)
    assert (found.drops[:, 0] > alone.drops[:, 0]).all()


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
