"""Learning other questions beside one's own: what it gives, what it may not see, what it costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from platform_assets.learning.families.fitting import Fitting, RelatedTask
from platform_assets.learning.families.networks.multitask import MultitaskClassifier
from platform_assets.learning.families.networks.network import NetworkClassifier
from platform_assets.learning.figures import metrics
from platform_assets.learning.folds import inner_validation
from tests.learning.conftest import Table

TINY: dict[str, Any] = {"hidden_width": 16, "members": 2, "bins": 4}
INFORMATIVE, COLUMNS = 4, 24


def people(rows: int, seed: int, tasks: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns of which a few matter, in the same way to every task, and the labels of `tasks` tasks (rows, tasks)."""
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(rows, COLUMNS))
    shared = X[:, 0] * X[:, 1] + np.abs(X[:, 2]) - X[:, 3]
    noise = generator.normal(scale=0.5, size=(rows, tasks))
    return X, (shared[:, None] + noise > 1.0).astype(np.int8)


def test_without_tasks_it_is_a_plain_network_bit_for_bit(table: Table) -> None:
    plain = NetworkClassifier(**TINY, dropout=0.1, max_epochs=2).fit(table.X, table.y, table.groups)
    multitask = MultitaskClassifier(**TINY, dropout=0.1, max_epochs=2).fit(table.X, table.y, table.groups)
    assert (multitask.predict_proba(table.X) == plain.predict_proba(table.X)).all()


def test_related_tasks_help_where_own_labels_are_few() -> None:
    X, labels = people(4000, 0, 2)
    test_X, test_labels = people(2000, 1, 2)
    related = RelatedTask("earlier", X[300:], labels[300:, 1], np.arange(300, 4000))
    own_X, own_y, groups = X[:300], labels[:300, 0], np.arange(300)
    model = MultitaskClassifier(**TINY, learning_rate=0.004, max_epochs=15)
    alone, helped = (clone(model).fit(own_X, own_y, groups, Fitting(tasks=tasks)) for tasks in ((), (related,)))
    aucs = [metrics.auc(test_labels[:, 0], one.predict_proba(test_X)[:, 1]) for one in (alone, helped)]
    assert aucs[1] > aucs[0] + 0.05


def test_the_loss_of_a_row_reaches_its_own_head_only() -> None:
    """Opposite labels on the same rows: one head could not hold both."""
    X, labels = people(1500, 0, 1)
    y, groups = labels[:, 0], np.arange(1500)
    opposite = RelatedTask("opposite", X, 1 - y, groups)
    fitted = MultitaskClassifier(**TINY, learning_rate=0.004, max_epochs=15)
    fitted.fit(X, y, groups, Fitting(tasks=(opposite,)))
    assert metrics.auc(y, fitted.predict_proba(X)[:, 1]) > 0.75


def test_what_is_held_out_for_stopping_is_not_learned_from_through_another_task(table: Table) -> None:
    """The rows of held-out people may say anything: the fit is the same to the last bit."""
    held_out = inner_validation(table.y, table.groups, 0.15, 0)
    assert held_out is not None
    assert held_out.any()
    y = (1 - table.y).astype(np.int8)
    task = RelatedTask("another", table.X.to_numpy(), y, table.groups)
    shown = RelatedTask("another", np.where(held_out[:, None], 1e3, task.X), np.where(held_out, 1 - y, y), task.groups)
    absent = RelatedTask("another", task.X[~held_out], y[~held_out], table.groups[~held_out])
    model, tasks = MultitaskClassifier(**TINY, max_epochs=2), (task, shown, absent)
    fits = [table.fit(clone(model), Fitting(tasks=(one,))) for one in tasks]
    expected = fits[0].predict_proba(table.X)
    assert all((one.predict_proba(table.X) == expected).all() for one in fits)
    assert all(one.history_ == fits[0].history_ for one in fits)


def test_a_refit_learns_from_everyone(table: Table) -> None:
    tasks = (table.task(), table.task().without(table.groups[:50]))
    everyone, fewer = (table.fit(MultitaskClassifier(**TINY), Fitting(rounds=2, tasks=(task,))) for task in tasks)
    assert (everyone.best_iteration_, everyone.history_) == (2, [])
    assert (everyone.predict_proba(table.X) != fewer.predict_proba(table.X)).any()


def test_predicting_costs_what_a_plain_network_costs(table: Table) -> None:
    tasks = tuple(table.task(name) for name in "abc")
    fitted = table.fit(MultitaskClassifier(**TINY), Fitting(rounds=1, tasks=tasks))
    plain = table.fit(NetworkClassifier(**TINY), Fitting(rounds=1))
    shapes = [{name: part.shape for name, part in one.weights_.items()} for one in (fitted, plain)]
    assert shapes[0] == shapes[1]


def test_a_handful_of_own_rows_is_heard_among_many_others(table: Table) -> None:
    task = table.task()
    own = np.concatenate([np.flatnonzero(table.y == label)[:5] for label in (0, 1)])
    fitted = MultitaskClassifier(**TINY).fit(table.X.iloc[own], table.y[own], table.groups[own], Fitting(tasks=(task,)))
    assert fitted.best_iteration_ == 10
    assert np.isfinite(fitted.predict_proba(table.X)).all()


def test_a_task_left_without_rows_or_with_one_class_does_no_harm(table: Table) -> None:
    X = table.X.to_numpy()
    empty = RelatedTask("empty", X[:0], np.zeros(0, dtype=np.int8), table.groups[:0])
    one_class = RelatedTask("all", X[:50], np.ones(50, dtype=np.int8), table.groups[:50])
    fitted = table.fit(MultitaskClassifier(**TINY, max_epochs=2), Fitting(tasks=(empty, one_class)))
    assert np.isfinite(fitted.predict_proba(table.X)).all()


def test_tasks_without_groups_or_with_other_columns_are_refused_with_a_sentence(table: Table) -> None:
    task = table.task()
    with pytest.raises(ValueError, match="Give groups"):
        MultitaskClassifier(**TINY).fit(table.X, table.y, fitting=Fitting(tasks=(task,)))
    narrow = replace(task, X=task.X[:, :3])
    with pytest.raises(ValueError, match='"another" has 3 columns and the table 5'):
        MultitaskClassifier(**TINY).fit(table.X, table.y, table.groups, Fitting(tasks=(narrow,)))
