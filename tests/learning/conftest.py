"""Tables with a signal in them, small enough to fit in a blink."""

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pandas as pd
import pytest

from platform_assets.learning.cross_fitting import FoldedTable
from platform_assets.learning.families.estimator import TableClassifier
from platform_assets.learning.families.fitting import Fitting, RelatedTask
from platform_assets.learning.folds import assign_folds

Model = TypeVar("Model", bound=TableClassifier)


@dataclass(frozen=True)
class Table:
    X: pd.DataFrame
    y: np.ndarray
    groups: np.ndarray

    def fit(self, model: Model, fitting: Fitting | None = None) -> Model:
        """The model, fitted on all rows with nobody's on both sides of its validation."""
        return model.fit(self.X, self.y, self.groups, fitting)

    def with_other(self, part: str) -> "Table":
        """The table with one other value (`rows`), one other label (`labels`), or as it is."""
        first = np.arange(len(self.y)) == 0
        X = self.X.assign(orders=self.X["orders"] + first) if part == "rows" else self.X
        return Table(X, np.where(first, 1 - self.y, self.y) if part == "labels" else self.y, self.groups)

    def task(self, name: str = "another") -> RelatedTask:
        """The table as another question about the same people, with the same labels."""
        return RelatedTask(name, self.X.to_numpy(), self.y.astype(np.int8), self.groups)

    def folded(self, n_folds: int = 3) -> FoldedTable:
        return FoldedTable(self.X, self.y, self.groups, assign_folds(self.groups, n_folds, 0))


def make_table(rows: int = 1200, seed: int = 0) -> Table:
    """Two snapshots of rows / 2 people: columns that carry the label, noise, and gaps."""
    generator = np.random.default_rng(seed)
    groups = np.tile(np.arange(rows // 2), 2)
    orders = generator.poisson(3, rows).astype(float)
    recency = generator.exponential(60, rows)
    spent = np.exp(generator.normal(3, 1, rows))
    noise = generator.normal(size=(rows, 2))
    log_odds = 0.5 * orders - 0.03 * recency + 0.4 * np.log(spent) - 2.0
    y = (generator.random(rows) < 1 / (1 + np.exp(-log_odds))).astype(int)
    spent[generator.random(rows) < 0.1] = np.nan
    frame = pd.DataFrame({"orders": orders, "recency": recency, "spent": spent, "n0": noise[:, 0], "n1": noise[:, 1]})
    return Table(frame, y, groups)


class Stopped(Exception):
    """Stands for whatever ends a process in the middle of a fit."""


@dataclass
class LatestState:
    """A checkpoint in memory: keeps the latest state and all that were saved, and stops the fit after so many."""

    stop_after: int | None = None
    state: bytes | None = None
    saved: list[bytes] = field(default_factory=list)

    def load(self) -> bytes | None:
        return self.state

    def save(self, state: bytes) -> None:
        self.state = state
        self.saved.append(state)
        if len(self.saved) == self.stop_after:
            raise Stopped


@pytest.fixture(scope="session")
def table() -> Table:
    return make_table()
