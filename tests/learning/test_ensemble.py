"""Fan-in that refuses anything but K folds, and greedy selection against brute force."""

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from platform_assets.learning.cross_fitting import FoldResult
from platform_assets.learning.ensemble import IncompleteFolds, drop_costly, fan_in, select_ensemble
from platform_assets.learning.figures import metrics
from platform_assets.learning.folds import assign_folds


@dataclass(frozen=True)
class Part:
    fold: int
    rows: np.ndarray
    predictions: np.ndarray
    training_set: str = "set one"
    model: str = "lightgbm {} seed 0"
    n_rows: int = 100


def joined(parts: list[Part], n_folds: int) -> np.ndarray:
    return fan_in(cast(list[FoldResult], parts), n_folds)


def parts_of(n_folds: int = 4) -> tuple[list[Part], np.ndarray]:
    values = np.random.default_rng(0).random(100)
    folds = assign_folds(np.arange(100), n_folds, 0)
    rows = [np.flatnonzero(folds == fold) for fold in range(n_folds)]
    return [Part(fold, where, values[where]) for fold, where in enumerate(rows)], values


def assert_refused(said: str, **changes: Any) -> None:
    """Of four folds the first one is changed."""
    [first, *others], _ = parts_of()
    with pytest.raises(IncompleteFolds, match=said):
        joined([replace(first, **changes), *others], 4)


def test_k_folds_in_any_order_become_one_vector_in_row_order() -> None:
    parts, values = parts_of()
    assert (joined(parts[::-1], 4) == values).all()


def test_a_missing_a_repeated_and_a_foreign_fold_are_refused() -> None:
    parts, _ = parts_of()
    with pytest.raises(IncompleteFolds, match="got 3 parts; folds missing 2"):
        joined([parts[0], parts[1], parts[3]], 4)
    with pytest.raises(IncompleteFolds, match="missing 1; given twice 0"):
        joined([parts[0], parts[0], parts[2], parts[3]], 4)
    with pytest.raises(IncompleteFolds, match="not a fold here: 3"):
        joined(parts, 3)
    with pytest.raises(IncompleteFolds, match="missing 0, 1, 2, 3"):
        joined([], 4)


def test_folds_of_two_training_sets_or_two_models_are_refused() -> None:
    assert_refused("2 different training sets", training_set="set two")
    assert_refused("2 different models", model="lightgbm {} seed 1")
    assert_refused("training set sizes", n_rows=99)


def test_gaps_overlaps_and_rows_outside_are_refused_with_counts() -> None:
    [first, second, *_], _ = parts_of()
    short, twice = first.rows[1:], np.append(first.rows, second.rows[0])
    assert_refused("1 are predicted by no fold and 0 by more than one", rows=short, predictions=first.predictions[1:])
    assert_refused("by no fold and 1 by more than one", rows=twice, predictions=twice / 100)
    assert_refused("outside the training set's 100", rows=first.rows + 100)
    assert_refused("predictions for", predictions=first.predictions[1:])
    assert_refused("not finite", predictions=first.predictions * np.nan)


def people_of_known_chances() -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Labels, the log odds that they were drawn by, and the generator."""
    generator = np.random.default_rng(0)
    truth = generator.beta(1, 3, 5000)
    return (generator.random(5000) < truth).astype(int), logit(truth), generator


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), members=st.integers(1, 4))
def test_each_step_takes_the_member_that_makes_the_average_best(seed: int, members: int) -> None:
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 2, 60)
    predictions = {
        f"m{i}": np.clip(0.5 + 0.3 * (y - 0.5) + generator.normal(0, 0.2, 60), 0.02, 0.98) for i in range(members)
    }
    found = select_ensemble(predictions, y, max_steps=6, min_gain=0.0)
    total, best = np.zeros(60), np.inf
    for count, step in enumerate(found.path, 1):
        losses = {name: metrics.log_loss(y, (total + values) / count) for name, values in predictions.items()}
        assert step.log_loss == pytest.approx(min(losses.values()))
        assert losses[step.member] == pytest.approx(min(losses.values()))
        total += predictions[step.member]
        best = min(best, step.log_loss)
    assert sum(found.weights.values()) == pytest.approx(1)
    assert found.log_loss == pytest.approx(best)
    assert metrics.log_loss(y, found.combine(predictions)) == pytest.approx(best)
    assert found.log_loss <= min(metrics.log_loss(y, values) for values in predictions.values()) + 1e-12


def test_a_member_that_only_harms_gets_no_weight_and_one_that_helps_gets_some() -> None:
    y, log_odds, generator = people_of_known_chances()
    good, also = (expit(log_odds + generator.normal(0, 0.6, 5000)) for _ in range(2))
    found = select_ensemble({"good": good, "also": also, "noise": generator.random(5000)}, y)
    assert found.weights["noise"] == 0
    assert min(found.weights["good"], found.weights["also"]) > 0.2
    alone = select_ensemble({"good": good, "same": good.copy()}, y)
    assert sorted(alone.weights.values()) == [0, 1]


def test_a_probability_of_zero_for_what_happened_does_not_break_selection() -> None:
    found = select_ensemble({"sure": np.asarray([0.0, 1.0, 0.0]), "calm": np.full(3, 0.5)}, [1, 1, 0])
    assert np.isfinite(found.log_loss)
    assert found.weights["calm"] > 0


def test_members_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="no members"):
        select_ensemble({}, [0, 1])
    with pytest.raises(ValueError, match='Member "a" has'):
        select_ensemble({"a": [0.1]}, [0, 1])
    with pytest.raises(ValueError, match="not between 0 and 1"):
        select_ensemble({"a": [0.1, np.nan]}, [0, 1])


def test_a_costly_member_goes_when_the_others_make_up_for_it_and_stays_when_they_do_not() -> None:
    y, log_odds, generator = people_of_known_chances()
    shared = log_odds + generator.normal(0, 0.5, 5000)
    predictions = {name: expit(shared + generator.normal(0, 0.2, 5000)) for name in ("cheap", "twin")}
    predictions["own"] = expit(log_odds)
    full = select_ensemble(predictions, y)
    assert full.weights["own"] > 0.5
    assert drop_costly(full, predictions, y, ["own"]).weights == full.weights
    del predictions["own"]
    pair = select_ensemble(predictions, y)
    assert min(pair.weights.values()) > 0
    spared = drop_costly(pair, predictions, y, ["twin"], allowance=0.005)
    assert spared.weights == {"cheap": 1.0, "twin": 0.0}
    assert spared.log_loss == pytest.approx(metrics.log_loss(y, predictions["cheap"]))
    assert drop_costly(pair, predictions, y, ["twin"], allowance=0.0).weights == pair.weights
    assert sum(drop_costly(pair, predictions, y, ["cheap", "twin"], allowance=0.005).weights.values()) == 1.0
