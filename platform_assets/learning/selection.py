"""Which columns a model sees: chosen from the rows it is fitted on, never from those it is judged by.

Belongs here: the ways to choose columns, and the classifier that fits a family on its own choice. Does not belong here:
which way a campaign wants, folds of a training set.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.learning.families.estimator import Floats, TableClassifier
from platform_assets.learning.families.fitting import Fitting, RelatedTask
from platform_assets.learning.families.registry import family_class, make_estimator
from platform_assets.learning.figures.metrics import one_column_table
from platform_assets.learning.folds import assign_folds

INNER_FOLDS = 3
GAIN_ROUNDS = 50
RANKING_FAMILY = "lightgbm"
ESTIMATOR_FOLDER = "estimator"
# Faster and less random than a model that is kept: these trees only rank columns.
RANKING_TREES: Mapping[str, Any] = {"learning_rate": 0.1, "extra_trees": False}

Labels = npt.NDArray[np.int8]


@dataclass(frozen=True)
class ColumnSelection:
    """How columns are chosen.

    Attributes:
        method: "all"; "top_gain": the `k` columns with the most LightGBM gain, averaged over three inner folds grouped by
            entity; "permutation": the columns whose gain beats what they gain from permuted labels (Altmann et al. 2010);
            "correlated": of columns that rank rows alike, only the one with the best AUC of its own.
        k: how many columns "top_gain" keeps.
        permutations: how often "permutation" permutes the labels.
        level: at most this share of (permuted and own) gains reaches a kept column's gain: the p-value of "permutation".
        threshold: Spearman correlation, either way, above which "correlated" takes two columns to rank alike.
        excluded: names of columns that are not seen, whatever the method.
    """

    method: Literal["all", "top_gain", "permutation", "correlated"] = "all"
    k: int = 50
    permutations: int = 19
    level: float = 0.05
    threshold: float = 0.95
    excluded: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f'There is no feature selection "{self.method}"; there are {", ".join(METHODS)}.')
        if self.k < 1 or self.permutations < 1:
            raise ValueError(f"k is {self.k} and permutations {self.permutations}; give numbers of at least 1.")
        if not 0 < self.level < 1 or not 0 < self.threshold <= 1:
            raise ValueError(f"level is {self.level} and threshold {self.threshold}; give numbers between 0 and 1.")
        if self.method == "permutation" and 1 / (self.permutations + 1) > self.level + 1e-12:
            raise ValueError(
                f"With {self.permutations} permutations no p-value is below {1 / (self.permutations + 1):.3g}; "
                f"give more permutations, or a level above {self.level:g}."
            )

    def without(self, columns: Sequence[str]) -> Self:
        """The same selection among all columns but these too."""
        return replace(self, excluded=tuple(dict.fromkeys([*self.excluded, *columns])))

    @property
    def families_used(self) -> tuple[str, ...]:
        """Families whose estimators rank columns for it."""
        return (RANKING_FAMILY,) if self.method in ("top_gain", "permutation") else ()

    @property
    def keeps_all(self) -> bool:
        """Whether every column is seen, so that there is nothing to fit."""
        return self.method == "all" and not self.excluded

    def to_json(self) -> dict[str, Any]:
        """Plain values that `from_json` understands."""
        return {**asdict(self), "excluded": list(self.excluded)}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        """The selection `to_json` described; what is not named has its default."""
        return cls(**{**state, "excluded": tuple(state.get("excluded", ()))})

    def choose(
        self,
        X: Floats,
        y: Labels,
        groups: npt.ArrayLike | None = None,
        names: Sequence[str] | None = None,
        seed: int = 0,
    ) -> npt.NDArray[np.int64]:
        """Positions of the chosen columns of `X` (n, d), ascending; at least one. `y` (n,) is coded 0/1.

        Raises ValueError when an excluded column is not among `names`, or none is left.
        """
        known = [f"x{position}" for position in range(X.shape[1])] if names is None else list(names)
        foreign = sorted(set(self.excluded) - set(known))
        if foreign:
            raise ValueError(f"Columns to leave out are not in the table: {', '.join(foreign)}.")
        offered = np.asarray([place for place, name in enumerate(known) if name not in self.excluded], dtype=np.int64)
        if not len(offered):
            raise ValueError("Every column is left out; leave at least one to learn from.")
        chosen = METHODS[self.method](self, X[:, offered], y, groups, seed)
        return np.sort(offered[chosen])


def _all(selection: ColumnSelection, X: Floats, y: Labels, groups: npt.ArrayLike | None, seed: int) -> Any:
    return np.arange(X.shape[1])


def _top_gain(selection: ColumnSelection, X: Floats, y: Labels, groups: npt.ArrayLike | None, seed: int) -> Any:
    if selection.k >= X.shape[1]:
        return np.arange(X.shape[1])
    folds = assign_folds(np.arange(len(y)) if groups is None else groups, INNER_FOLDS, seed)
    shares = np.zeros(X.shape[1])
    for fold in range(INNER_FOLDS):
        rows = folds != fold
        if len(np.unique(y[rows])) == 2:
            gain = _gain(X[rows], y[rows], seed + fold)
            shares += gain / max(gain.sum(), 1e-12)
    return np.argsort(-shares, kind="stable")[: selection.k]


def _permutation(selection: ColumnSelection, X: Floats, y: Labels, groups: npt.ArrayLike | None, seed: int) -> Any:
    generator = np.random.default_rng(seed)
    gain = _gain(X, y, seed)
    reached = np.ones(X.shape[1])
    for _ in range(selection.permutations):
        reached += _gain(X, generator.permutation(y), seed) >= gain
    kept = np.flatnonzero((reached / (selection.permutations + 1) <= selection.level + 1e-12) & (gain > 0))
    # Where nothing beats chance there must still be a model to show it.
    return kept if len(kept) else np.asarray([np.argmax(gain)])


def _correlated(selection: ColumnSelection, X: Floats, y: Labels, groups: npt.ArrayLike | None, seed: int) -> Any:
    # Missing values rank lowest, as they do in a column's own AUC.
    ranks = pd.DataFrame(X).rank(na_option="top").to_numpy()
    alone = one_column_table(X, y, [str(position) for position in range(X.shape[1])])
    spread = ranks.std(axis=0)
    standard = (ranks - ranks.mean(axis=0)) / np.where(spread > 0, spread, np.inf)
    alike = np.abs(standard.T @ standard) / len(X) > selection.threshold
    kept: list[int] = []
    for column in alone["column"].astype(int):
        if not alike[column, kept].any():
            kept.append(column)
    return np.asarray(kept)


METHODS: Mapping[str, Any] = {
    "all": _all,
    "top_gain": _top_gain,
    "permutation": _permutation,
    "correlated": _correlated,
}


def _gain(X: Floats, y: Labels, seed: int) -> Floats:
    # By its name: only what chooses by gain depends on how trees are fitted (`families_used`).
    trees: Any = make_estimator(RANKING_FAMILY, RANKING_TREES, seed)
    return trees.fit(X, y, fitting=Fitting(rounds=GAIN_ROUNDS)).gain_


class SelectedColumnsClassifier(TableClassifier):
    """A `family` with `params` on the columns that `selection` (`ColumnSelection.to_json`) chooses in `fit`.

    Fits and predicts on the full table. After `fit`: `positions_` of the chosen columns, `columns_`, their names, and
    `estimator_`, which sees nothing else. Choosing counts against the CPU-seconds of the fit.
    """

    positions_: npt.NDArray[np.int64]
    estimator_: TableClassifier

    def __init__(
        self,
        family: str = "lightgbm",
        params: Mapping[str, Any] | None = None,
        selection: Mapping[str, Any] | None = None,
        random_state: int = 0,
    ) -> None:
        self.family = family
        self.params = params
        self.selection = selection
        self.random_state = random_state

    @property
    def columns_(self) -> tuple[str, ...]:
        """Names of the chosen columns, x<position> when fitted on an array."""
        return tuple(self._names(self.positions_))

    def _fit(self, X: Floats, y: Labels, groups: npt.ArrayLike | None, fitting: Fitting) -> None:
        started = time.process_time()
        selection = ColumnSelection.from_json(self.selection or {})
        every = range(X.shape[1])
        self.positions_ = selection.choose(X, y, groups, self._names(every), self.random_state)
        left = None if fitting.cpu_seconds is None else fitting.cpu_seconds - (time.process_time() - started)
        tasks = tuple(RelatedTask(task.name, task.X[:, self.positions_], task.y, task.groups) for task in fitting.tasks)
        self.estimator_ = make_estimator(self.family, self.params, self.random_state)
        self.estimator_.fit(self._chosen(X), y, groups, replace(fitting, tasks=tasks, cpu_seconds=left))
        self.best_iteration_, self.history_ = self.estimator_.best_iteration_, self.estimator_.history_
        self.ended_by_ = self.estimator_.ended_by_

    def positive_probability(self, X: Floats) -> Floats:
        return self.estimator_.positive_probability(np.ascontiguousarray(X[:, self.positions_]))

    def _chosen(self, X: Floats) -> pd.DataFrame | Floats:
        chosen = X[:, self.positions_]
        return pd.DataFrame(chosen, columns=self._names(self.positions_)) if self._named else chosen

    @property
    def _named(self) -> bool:
        return getattr(self, "feature_names_in_", None) is not None

    def _names(self, positions: Any) -> list[str]:
        if self._named:
            return [str(self.feature_names_in_[position]) for position in positions]
        return [f"x{position}" for position in positions]

    def _write(self, folder: Path) -> dict[str, Any]:
        self.estimator_.save(folder / ESTIMATOR_FOLDER)
        return {"positions": self.positions_.tolist()}

    def _read(self, folder: Path, fitted: dict[str, Any]) -> None:
        self.positions_ = np.asarray(fitted["positions"], dtype=np.int64)
        self.estimator_ = family_class(self.family).load(folder / ESTIMATOR_FOLDER)


def load_estimator(family: str, folder: Path) -> TableClassifier:
    """The estimator of `family` saved in `folder`, whether it sees every column or its own choice of them."""
    chosen = (folder / ESTIMATOR_FOLDER).is_dir()
    return (SelectedColumnsClassifier if chosen else family_class(family)).load(folder)


def chosen_columns(estimator: TableClassifier) -> tuple[str, ...] | None:
    """Names of the columns an estimator chose to see, None where it sees all."""
    return estimator.columns_ if isinstance(estimator, SelectedColumnsClassifier) else None
