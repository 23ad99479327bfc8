"""Bodies: trained on earlier tasks, kept as folders, laid under other tables by column name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.learning.families.fitting import Fitting, Progress, RelatedTask
from platform_assets.learning.families.networks.architecture import HEADS, logits
from platform_assets.learning.families.networks.body import Body, BodyDoesNotFit, pretrain_body
from platform_assets.learning.families.networks.network import NetworkClassifier
from platform_assets.learning.families.networks.training import TrainingDiverged
from platform_assets.learning.families.networks.transfer import TransferClassifier
from platform_assets.learning.figures import metrics
from tests.learning.conftest import Table
from tests.learning.test_multitask import COLUMNS, TINY, people

NAMES = [f"c{position}" for position in range(COLUMNS)]


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A body trained on two earlier tasks; in a tenth of the rows the first column is missing."""
    X, labels = people(3000, 0, 2)
    X[::10, 0] = np.nan
    folder = tmp_path_factory.mktemp("body")
    tasks = [RelatedTask(str(task), X, labels[:, task], np.arange(3000)) for task in range(2)]
    pretrain_body(tasks, NAMES, folder, TINY | {"max_epochs": 15, "learning_rate": 0.004}, seed=3)
    return folder


def first_hidden(columns: list[str], X: np.ndarray, body: Path) -> np.ndarray:
    """Hidden values of every member under an untrained `TransferClassifier` for `X`."""
    preprocessor, weights = Body.load(body).under(columns, X, 4, [0.5], np.random.default_rng(0))
    members, width, _ = weights["head"].shape
    # Heads that hand on the hidden values make them visible.
    seen = np.broadcast_to(np.eye(width, dtype=np.float32), (members, width, width))
    shown = weights | {"head": seen, "head_bias": np.zeros((members, 1, width), dtype=np.float32)}
    return logits(shown, preprocessor.transform(X).astype(np.float32), lambda values: np.maximum(values, 0.0))


def test_a_body_helps_where_own_labels_are_few(body: Path) -> None:
    X, labels = people(300, 5, 1)
    test_X, test_labels = people(2000, 6, 1)
    frame = pd.DataFrame(X, columns=NAMES)
    aucs = []
    for folder in (None, body):
        fitted = TransferClassifier(**TINY, learning_rate=0.004, max_epochs=15)
        fitted.fit(frame, labels[:, 0], np.arange(300), Fitting(body=folder))
        positive = fitted.predict_proba(pd.DataFrame(test_X, columns=NAMES))[:, 1]
        aucs.append(metrics.auc(test_labels[:, 0], positive))
    assert aucs[1] > aucs[0] + 0.05


def test_without_a_body_it_is_a_plain_network_bit_for_bit(table: Table) -> None:
    plain = NetworkClassifier(**TINY, dropout=0.1, max_epochs=2).fit(table.X, table.y, table.groups)
    scratch = TransferClassifier(**TINY, dropout=0.1, max_epochs=2).fit(table.X, table.y, table.groups)
    assert (scratch.predict_proba(table.X) == plain.predict_proba(table.X)).all()


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(COLUMNS)), st.integers(0, 3))
def test_columns_are_matched_by_name_in_any_order_beside_any_others(body: Path, order: list[int], others: int) -> None:
    X, _ = people(40, 7, 1)
    X[::4, 0] = np.nan
    expected = first_hidden(NAMES, X, body)
    unknown = np.random.default_rng(0).normal(size=(40, others))
    unknown[::3] = np.nan
    names = [*(NAMES[position] for position in order), *(f"other{number}" for number in range(others))]
    np.testing.assert_allclose(first_hidden(names, np.hstack([X[:, order], unknown]), body), expected, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.sets(st.integers(0, COLUMNS - 1), min_size=1, max_size=COLUMNS - 1))
def test_a_column_the_table_lacks_is_taken_at_its_median(body: Path, lacking: set[int]) -> None:
    X, _ = people(40, 7, 1)
    kept = [position for position in range(COLUMNS) if position not in lacking]
    at_median = X.copy()
    at_median[:, sorted(lacking)] = Body.load(body).preprocessor.median_[sorted(lacking)]
    partly = first_hidden([NAMES[position] for position in kept], X[:, kept], body)
    np.testing.assert_allclose(partly, first_hidden(NAMES, at_median, body), atol=1e-4)


def test_an_unknown_column_is_learned_from_all_the_same(body: Path) -> None:
    X, _ = people(600, 8, 1)
    extra = np.random.default_rng(1).normal(size=600)
    frame = pd.DataFrame(X, columns=NAMES).assign(extra=extra)
    y = (extra > 0.3).astype(int)
    fitted = TransferClassifier(**TINY, learning_rate=0.01, max_epochs=15)
    fitted.fit(frame, y, np.arange(600), Fitting(body=body))
    assert metrics.auc(y, fitted.predict_proba(frame)[:, 1]) > 0.9


def test_the_body_is_frozen_first_and_then_moves(body: Path) -> None:
    X, labels = people(600, 9, 1)
    frame, y = pd.DataFrame(X, columns=NAMES), labels[:, 0]
    start = Body.load(body).under(NAMES, X, 4, [0.5], np.random.default_rng(0))[1]
    for epochs, moved in ((2, False), (3, True)):
        fitted = TransferClassifier(**TINY, frozen_epochs=2).fit(frame, y, None, Fitting(body=body, rounds=epochs))
        body_weights = [name for name in start if name not in (*HEADS, "scale") and not name.startswith("step")]
        assert any((fitted.weights_[name] != start[name]).any() for name in body_weights) == moved


def test_a_fitted_transfer_needs_its_body_no_more(body: Path, tmp_path: Path) -> None:
    X, labels = people(300, 5, 1)
    frame = pd.DataFrame(X, columns=NAMES)
    fitted = TransferClassifier(**TINY).fit(frame, labels[:, 0], None, Fitting(body=body, rounds=1))
    fitted.save(tmp_path)
    assert (TransferClassifier.load(tmp_path).predict_proba(frame) == fitted.predict_proba(frame)).all()


def test_a_body_without_a_shared_column_is_refused_with_a_sentence(body: Path, table: Table) -> None:
    with pytest.raises(BodyDoesNotFit, match=r"shares none with the table \(orders, recency"):
        TransferClassifier(**TINY).fit(table.X, table.y, table.groups, Fitting(body=body))


def test_a_table_without_column_names_is_refused_with_a_sentence(body: Path, table: Table) -> None:
    with pytest.raises(BodyDoesNotFit, match="give X as a data frame"):
        TransferClassifier(**TINY).fit(table.X.to_numpy(), table.y, table.groups, Fitting(body=body))


def test_the_same_tasks_and_seed_give_the_same_body_which_holds_no_pickle(table: Table, tmp_path: Path) -> None:
    task = table.task()
    told: list[Progress] = []
    for name in ("a", "b"):
        fitting = Fitting(report=told.append)
        pretrain_body([task], list(table.X.columns), tmp_path / name, TINY | {"max_epochs": 2}, 0, fitting)
    files = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert files == ["body.json", "weights.safetensors"]
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)
    assert json.loads((tmp_path / "a" / "body.json").read_text())["columns"] == list(table.X.columns)
    assert [one.round for one in told] == [1, 2, 1, 2]


def test_tasks_that_no_body_can_be_trained_on_are_refused_with_a_sentence(table: Table, tmp_path: Path) -> None:
    task = table.task("one")
    with pytest.raises(ValueError, match="at least one task"):
        pretrain_body([], list(table.X.columns), tmp_path)
    with pytest.raises(ValueError, match='"one" has 5 columns, but 2 feature names'):
        pretrain_body([task], ["a", "b"], tmp_path)
    with pytest.raises(ValueError, match='"none" has labels of one class only'):
        pretrain_body([replace(task, name="none", y=0 * task.y)], list(table.X.columns), tmp_path)
    with pytest.raises(TrainingDiverged):
        pretrain_body([task], list(table.X.columns), tmp_path, TINY | {"learning_rate": 1e38})
    assert list(tmp_path.iterdir()) == []
