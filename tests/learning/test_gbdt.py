"""LightGBM in segments: a killed fit goes on as if nothing had happened, budgets end it, and few trees predict fast."""

from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from platform_assets.learning.families.fitting import CannotFit, Fitting, Progress
from platform_assets.learning.families.gbdt import SEGMENT_ROUNDS, LightGBMClassifier
from platform_assets.learning.families.trees import SmallTrees
from platform_assets.learning.figures import metrics
from tests.learning.conftest import LatestState, Stopped, Table, make_table

PARAMS: dict[str, Any] = {"learning_rate": 0.01, "max_iterations": 170, "early_stopping_rounds": 40}


def killed_at(round_: int) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        if progress.round >= round_:
            raise Stopped

    return report


@pytest.fixture(scope="module")
def undisturbed(table: Table) -> LightGBMClassifier:
    return LightGBMClassifier(**PARAMS).fit(table.X, table.y, table.groups)


@pytest.mark.parametrize("round_", [10, 60, 150])
def test_a_killed_fit_taken_up_again_gives_the_undisturbed_booster(
    round_: int, table: Table, undisturbed: LightGBMClassifier
) -> None:
    kept = LatestState()
    fitting = Fitting(checkpoints=kept, checkpoint_seconds=0, report=killed_at(round_))
    with pytest.raises(Stopped):
        LightGBMClassifier(**PARAMS).fit(table.X, table.y, table.groups, fitting)
    rounds: list[int] = []
    fitting = Fitting(checkpoints=kept, checkpoint_seconds=0, report=lambda progress: rounds.append(progress.round))
    again = LightGBMClassifier(**PARAMS).fit(table.X, table.y, table.groups, fitting)
    assert rounds[0] == (round_ - 1) // SEGMENT_ROUNDS * SEGMENT_ROUNDS + 10
    assert again.text_ == undisturbed.text_
    assert again.history_ == undisturbed.history_
    assert (again.best_iteration_, again.ended_by_) == (undisturbed.best_iteration_, undisturbed.ended_by_)


def test_a_killed_refit_taken_up_again_gives_the_undisturbed_booster(table: Table) -> None:
    whole = LightGBMClassifier().fit(table.X, table.y, fitting=Fitting(rounds=120))
    kept = LatestState()
    fitting = Fitting(rounds=120, checkpoints=kept, checkpoint_seconds=0, report=killed_at(110))
    with pytest.raises(Stopped):
        LightGBMClassifier().fit(table.X, table.y, fitting=fitting)
    again = LightGBMClassifier().fit(table.X, table.y, fitting=Fitting(rounds=120, checkpoints=kept))
    assert len(kept.saved) == 2
    assert again.text_ == whole.text_


@pytest.mark.parametrize("other", ["labels", "rows", "parameter", "patience", "seed", "rounds"])
def test_a_state_of_another_fit_is_ignored(other: str, table: Table) -> None:
    kept = LatestState()
    fitting = Fitting(rounds=60, checkpoints=kept, checkpoint_seconds=0)
    LightGBMClassifier().fit(table.X, table.y, fitting=fitting)
    parameters: dict[str, dict[str, Any]] = {
        "parameter": {"lambda_l2": 1.0}, "patience": {"early_stopping_rounds": 30}, "seed": {"random_state": 1},
    }  # fmt: skip
    X, y = table.with_other(other).X, table.with_other(other).y
    made, rounds = LightGBMClassifier(**parameters.get(other, {})), 61 if other == "rounds" else 60
    fresh = made.fit(X, y, fitting=Fitting(rounds=rounds)).text_
    assert made.fit(X, y, fitting=Fitting(rounds=rounds, checkpoints=kept)).text_ == fresh


def test_a_damaged_state_is_left_alone_and_says_so(table: Table) -> None:
    kept = LatestState()
    fitting = Fitting(rounds=60, checkpoints=kept, checkpoint_seconds=0)
    whole = LightGBMClassifier().fit(table.X, table.y, fitting=fitting)
    fitting = Fitting(rounds=60, checkpoints=LatestState(state=kept.saved[-1][:-1]))
    with pytest.warns(UserWarning, match=r"checkpoint of this fit is damaged.*starts anew"):
        again = LightGBMClassifier().fit(table.X, table.y, fitting=fitting)
    assert again.text_ == whole.text_


def test_a_fit_without_cpu_left_ends_after_the_round_that_finds_out(table: Table) -> None:
    fitted = LightGBMClassifier().fit(table.X, table.y, table.groups, Fitting(cpu_seconds=0.0))
    assert (fitted.best_iteration_, fitted.ended_by_, len(fitted.history_)) == (1, "budget", 1)


def test_what_an_earlier_attempt_spent_counts_against_the_budget(table: Table) -> None:
    kept = LatestState()
    LightGBMClassifier(**PARAMS).fit(table.X, table.y, fitting=Fitting(checkpoints=kept, checkpoint_seconds=0))
    # The first attempt spent more than this by the state it left.
    again = LightGBMClassifier(**PARAMS).fit(table.X, table.y, fitting=Fitting(cpu_seconds=1e-3, checkpoints=kept))
    assert again.ended_by_ == "budget"
    assert len(again.history_) == len(kept.saved) * SEGMENT_ROUNDS + 1


def test_a_stated_number_of_rounds_is_fitted_on_all_rows(table: Table) -> None:
    fitted = LightGBMClassifier().fit(table.X, table.y, table.groups, Fitting(rounds=70))
    assert (fitted.best_iteration_, fitted.ended_by_, fitted.history_) == (70, "rounds", [])
    assert fitted.booster_.num_trees() == 70
    # The root of every tree counts the rows it was grown on: a share of all rows, held out are none.
    assert f"internal_count={round(0.7 * len(table.y))} " in fitted.text_


def test_early_stopping_counts_across_segments(table: Table) -> None:
    fitted = LightGBMClassifier(learning_rate=0.1, early_stopping_rounds=60).fit(table.X, table.y, table.groups)
    assert fitted.ended_by_ == "convergence"
    assert len(fitted.history_) == fitted.best_iteration_ + 60 > SEGMENT_ROUNDS
    assert int(np.argmin(fitted.history_)) + 1 == fitted.best_iteration_ == fitted.booster_.num_trees()
    capped = LightGBMClassifier(max_iterations=20).fit(table.X, table.y, table.groups)
    assert (capped.ended_by_, len(capped.history_)) == ("rounds", 20)


def test_labels_that_nothing_tells_apart_end_the_fit() -> None:
    y = np.arange(200) % 2
    fitted = LightGBMClassifier(unvalidated_iterations=1000).fit(np.zeros((200, 1)), y, fitting=Fitting(rounds=1000))
    assert fitted.ended_by_ == "convergence"
    assert fitted.best_iteration_ <= SEGMENT_ROUNDS
    assert fitted.predict_proba(np.zeros((1, 1)))[0, 1] == pytest.approx(0.5)


def test_progress_tells_the_losses_there_are(table: Table) -> None:
    told: list[Progress] = []
    fitted = LightGBMClassifier(max_iterations=60).fit(table.X, table.y, table.groups, Fitting(report=told.append))
    assert [one.round for one in told] == [10, 20, 30, 40, 50, 60]
    assert [one.validation_loss for one in told] == fitted.history_[9::10]
    assert min(one.rows_per_second for one in told) > 0
    LightGBMClassifier().fit(table.X, table.y, fitting=Fitting(rounds=60, report=told.append))
    refitted = LightGBMClassifier().fit(table.X, table.y, fitting=Fitting(rounds=60))
    assert told[-1].train_loss == pytest.approx(metrics.log_loss(table.y, refitted.predict_proba(table.X)[:, 1]))
    assert told[-1].validation_loss is None


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), leaves=st.integers(2, 16), columns=st.integers(1, 6), extra=st.booleans())
def test_rows_fall_into_the_leaves_lightgbm_sends_them_to(seed: int, leaves: int, columns: int, extra: bool) -> None:
    generator = np.random.default_rng(seed)
    X = np.round(generator.normal(size=(200, columns)), 1)
    # Only some columns show the fit a missing value; every one shows one to the prediction.
    X[np.ix_(generator.random(200) < 0.2, np.arange(columns) % 2 == 0)] = np.nan
    y = (np.nan_to_num(X).sum(axis=1) + generator.normal(size=200) > 0).astype(int)
    y[:2] = 0, 1
    parameters = {"objective": "binary", "num_leaves": leaves, "extra_trees": extra, "verbosity": -1, "num_threads": 1}
    booster = lightgbm.train({**parameters, "min_data_in_leaf": 5, "seed": seed}, lightgbm.Dataset(X, y), 12)
    asked = np.where(generator.random(X.shape) < 0.2, np.nan, np.round(generator.normal(0, 2, X.shape), 1))
    asked[0] = 0.0
    found = SmallTrees(booster.model_to_string())(asked)
    assert found == pytest.approx(booster.predict(asked, raw_score=True), abs=1e-12)


def test_trees_too_large_for_masks_are_predicted_by_lightgbm(table: Table) -> None:
    fitted = LightGBMClassifier(num_leaves=31, min_data_in_leaf=5, extra_trees=False).fit(table.X, table.y)
    assert (fitted.predict_proba(table.X)[:, 1] == fitted.booster_.predict(table.X.to_numpy())).all()
    with pytest.raises(ValueError, match="at most 16"):
        SmallTrees(fitted.text_)


def test_many_rows_are_predicted_as_few_are() -> None:
    large = make_table(3000)
    fitted = LightGBMClassifier().fit(large.X, large.y, fitting=Fitting(rounds=80))
    together = fitted.predict_proba(large.X)[:, 1]
    for rows in (slice(0, 1), slice(1000, 1003), slice(500, 2500)):
        assert (fitted.predict_proba(large.X.iloc[rows])[:, 1] == together[rows]).all()
    assert together == pytest.approx(expit(fitted.booster_.predict(large.X.to_numpy(), raw_score=True)), abs=1e-12)


def test_what_lightgbm_refuses_cannot_be_fitted(table: Table) -> None:
    with pytest.raises(CannotFit, match=r"LightGBM refuses these rows with these parameters: .*num_leaves"):
        LightGBMClassifier(num_leaves=1).fit(table.X, table.y, table.groups)


def test_a_lack_of_memory_is_no_refusal(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    def update(_: lightgbm.Booster) -> bool:
        raise lightgbm.basic.LightGBMError("std::bad_alloc")

    monkeypatch.setattr(lightgbm.Booster, "update", update)
    with pytest.raises(lightgbm.basic.LightGBMError, match="bad_alloc"):
        LightGBMClassifier().fit(table.X, table.y, table.groups)
