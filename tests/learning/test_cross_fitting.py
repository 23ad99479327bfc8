"""One fold of one model: sees nothing of its own rows, and comes back from its folder."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.learning.cross_fitting import (
    REFIT_GROWTH,
    FoldedTable,
    FoldResult,
    ModelSettings,
    fit_fold,
    fit_whole,
)
from platform_assets.learning.families.fitting import Fitting, RelatedTask
from platform_assets.learning.families.registry import FAMILIES, UnknownParameter
from tests.learning.conftest import Table

LINE = ModelSettings("logistic")
SMALL_NETWORK = {"hidden_width": 16, "members": 2, "learning_rate": 0.01, "max_epochs": 12}


@pytest.fixture(scope="module")
def folded(table: Table) -> FoldedTable:
    return table.folded()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_reloaded_fold_is_the_fold(family: str, folded: FoldedTable, tmp_path: Path) -> None:
    params = {} if family in ("lightgbm", "logistic") else SMALL_NETWORK
    result = fit_fold(folded, 1, ModelSettings(family, params, 5))
    assert (result.rows == np.flatnonzero(folded.folds == 1)).all()
    assert result.cpu_seconds > 0
    assert result.predict_cpu_seconds > 0
    assert result.auc is not None
    assert result.auc > 0.7
    result.save(tmp_path)
    loaded = FoldResult.load(tmp_path)
    assert (loaded.predictions == result.predictions).all()
    assert (loaded.rows == result.rows).all()
    assert (loaded.estimator.predict_proba(folded.X) == result.estimator.predict_proba(folded.X)).all()
    names = "training_set model params seed fold best_iteration history ended_by columns auc log_loss"
    for name in names.split():
        assert getattr(loaded, name) == getattr(result, name), name


def test_fitting_again_leaves_the_same_files(folded: FoldedTable, tmp_path: Path) -> None:
    for name in ("one", "two"):
        fit_fold(folded, 0, ModelSettings("lightgbm")).save(tmp_path / name)
    written = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(written) == 4
    for path in written:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes(), path


def test_a_folds_own_labels_and_values_do_not_reach_its_estimator(folded: FoldedTable) -> None:
    first = fit_fold(folded, 0, LINE)
    flipped = np.where(folded.folds == 0, 1 - folded.y, folded.y)
    second = fit_fold(replace(folded, y=flipped), 0, LINE)
    assert (first.predictions == second.predictions).all()
    assert first.training_set != second.training_set


@settings(max_examples=30, deadline=None)
@given(own=st.lists(st.integers(0, 20), min_size=1), gone=st.lists(st.integers(0, 20)))
def test_a_task_without_some_people_has_every_row_of_the_others(own: list[int], gone: list[int]) -> None:
    groups = np.asarray(own)
    task = RelatedTask("other", np.arange(len(own), dtype=float)[:, None], (groups % 2).astype(np.int8), groups)
    left = task.without(gone)
    assert left.groups.tolist() == [one for one in own if one not in gone]
    assert left.X[:, 0].tolist() == [place for place, one in enumerate(own) if one not in gone]
    assert left.y.tolist() == [one % 2 for one in left.groups]


def test_what_held_out_people_answered_to_another_question_does_not_reach_the_fold(folded: FoldedTable) -> None:
    X, folds = folded.X.to_numpy(), folded.folds
    model = ModelSettings("multitask", {"max_epochs": 2, "members": 1, "hidden_width": 8})

    def fitted(labels: np.ndarray) -> FoldResult:
        task = RelatedTask("other", X, labels.astype(np.int8), folded.groups)
        return fit_fold(folded, 0, model, Fitting(tasks=(task,)))

    other = (folded.X["n0"] > 0).to_numpy().astype(int)
    first = fitted(other)
    assert (fitted(np.where(folds == 0, 1 - other, other)).predictions == first.predictions).all()
    assert (fitted(np.where(folds == 1, 1 - other, other)).predictions != first.predictions).any()


def test_a_refit_runs_the_rounds_its_folds_kept_and_some_more(folded: FoldedTable) -> None:
    trees = ModelSettings("lightgbm", seed=3)
    parts = [fit_fold(folded, k, trees) for k in range(3)]
    whole = fit_whole(folded, parts, trees)
    assert whole.best_iteration_ == round(REFIT_GROWTH * np.mean([part.best_iteration for part in parts]))
    assert whole.get_params()["random_state"] == 3


def test_a_given_training_set_name_is_kept_and_a_made_one_follows_the_data(folded: FoldedTable) -> None:
    assert fit_fold(replace(folded, name="abc"), 0, LINE).training_set == "abc"
    made = folded.training_set
    assert made == replace(folded, X=folded.X.copy()).training_set
    assert made != replace(folded, X=folded.X.rename(columns={"n0": "n2"})).training_set


def test_leaks_empty_folds_and_wrong_input_are_refused(folded: FoldedTable) -> None:
    with pytest.raises(ValueError, match="entities lie in more than one fold"):
        replace(folded, folds=np.arange(len(folded.y)) // 600)
    with pytest.raises(ValueError, match="Fold 7 holds none"):
        fit_fold(folded, 7, LINE)
    with pytest.raises(ValueError, match="one class only"):
        fit_fold(replace(folded, y=(folded.folds == 0).astype(int)), 0, LINE)
    with pytest.raises(ValueError, match="give one of each a row"):
        replace(folded, y=folded.y[:-1])
    with pytest.raises(ValueError, match="Labels must be 0 or 1"):
        replace(folded, y=folded.y + 1)
    with pytest.raises(UnknownParameter, match="did you mean"):
        fit_fold(folded, 0, ModelSettings("lightgbm", {"num_leafs": 3}))
