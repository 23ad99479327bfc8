"""Tables with a signal in them, small enough to fit in a blink."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from platform_assets.learning.cross_fitting import FoldedTable
from platform_assets.learning.folds import assign_folds


@dataclass(frozen=True)
class Table:
    X: pd.DataFrame
    y: np.ndarray
    groups: np.ndarray

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


@pytest.fixture(scope="session")
def table() -> Table:
    return make_table()
