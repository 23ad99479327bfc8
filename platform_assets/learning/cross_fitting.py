"""Cross-fitting: one fold of one model fitted on the other folds' rows, and its result as a folder.

Belongs here: the table cut into folds, and the unit of work that is cached and retried alone. Does not belong here: joining folds
(`ensemble`), storing whole models (`bundle`).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.learning.families.estimator import TableClassifier
from platform_assets.learning.families.fitting import Fitting
from platform_assets.learning.families.registry import check_parameters, make_estimator
from platform_assets.learning.figures import metrics
from platform_assets.learning.selection import (
    ColumnSelection,
    SelectedColumnsClassifier,
    chosen_columns,
    load_estimator,
)

RESULT_FILE = "fold.json"
PREDICTIONS_FILE = "predictions.safetensors"
ESTIMATOR_FOLDER = "estimator"
REFIT_GROWTH = 1.1


@dataclass(frozen=True)
class ModelSettings:
    """What a model is before it sees a row.

    Attributes:
        family: a name in the registry.
        params: parameters over the family's defaults.
        seed: fold k of it is fitted with `seed` + k.
        selection: how columns are chosen from the rows fitted on; without it all are seen.
    """

    family: str
    params: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    selection: ColumnSelection | None = None

    @property
    def excluded(self) -> tuple[str, ...]:
        """Columns it never sees."""
        return self.selection.excluded if self.selection else ()

    def to_json(self) -> dict[str, Any]:
        """Plain values: what its fits depend on beside rows and fold."""
        selection = self.selection.to_json() if self.selection else None
        return {"family": self.family, "parameters": dict(self.params), "seed": self.seed, "selection": selection}

    def __str__(self) -> str:
        chosen = self.selection is not None and not self.selection.keeps_all
        seen = f" {json.dumps(self.selection.to_json(), sort_keys=True)}" if self.selection and chosen else ""
        return f"{self.family} {json.dumps(dict(self.params), sort_keys=True)} seed {self.seed}{seen}"


@dataclass(frozen=True)
class FoldResult:
    """What fitting fold `fold` gave: the estimator, and its predictions for the rows it did not see.

    `rows` are positions in the training set (m,), `predictions` the probabilities of class 1 (m,).
    `training_set` identifies rows, labels and fold ids; `model` the family with its parameters, seed and selection.
    `auc` and `log_loss` are of the held-out rows, `auc` None when they hold one class. `history` is the inner
    validation log loss a round, `ended_by` what ended the fit (`TableClassifier`), `columns` the names of the columns
    chosen to be seen, None for all. `cpu_seconds` are of fitting alone, `predict_cpu_seconds` of predicting the held-out
    rows; they are not saved, so that equal fits leave equal files, and are NaN after `load`.
    """

    training_set: str
    model: str
    family: str
    params: Mapping[str, Any]
    seed: int
    fold: int
    n_rows: int
    estimator: TableClassifier
    rows: npt.NDArray[np.int64]
    predictions: npt.NDArray[np.float64]
    cpu_seconds: float
    predict_cpu_seconds: float
    best_iteration: int
    history: tuple[float, ...]
    ended_by: str
    columns: tuple[str, ...] | None
    auc: float | None
    log_loss: float

    def save(self, folder: Path) -> None:
        """Write the result into `folder` as JSON, text and safetensors; never a pickle."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        self.estimator.save(folder / ESTIMATOR_FOLDER)
        # safetensors writes the buffer behind a strided view, not the view.
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in ("rows", "predictions")}
        save_file(arrays, folder / PREDICTIONS_FILE)
        state = {name: getattr(self, name) for name in _JSON_FIELDS}
        (folder / RESULT_FILE).write_text(json.dumps(state, indent=1, sort_keys=True, allow_nan=False))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The result that `save` wrote into `folder`."""
        from safetensors.numpy import load_file

        state = json.loads((folder / RESULT_FILE).read_text())
        arrays = load_file(folder / PREDICTIONS_FILE)
        estimator = load_estimator(state["family"], folder / ESTIMATOR_FOLDER)
        state["history"] = tuple(state["history"])
        state["columns"] = None if state["columns"] is None else tuple(state["columns"])
        return cls(
            estimator=estimator,
            rows=arrays["rows"],
            predictions=arrays["predictions"],
            cpu_seconds=float("nan"),
            predict_cpu_seconds=float("nan"),
            **state,
        )


_NOT_JSON = ("estimator", "rows", "predictions", "cpu_seconds", "predict_cpu_seconds")
_JSON_FIELDS = tuple(name for name in FoldResult.__dataclass_fields__ if name not in _NOT_JSON)


@dataclass(frozen=True)
class FoldedTable:
    """Labelled rows, and the fold that each of them is held out in.

    Attributes:
        X: columns (n, d).
        y: labels (n,) coded 0/1.
        groups: entity ids (n,).
        folds: fold ids (n,) as from `assign_folds`.
        name: the training set's name; without it, `training_set` is the hash of the four.

    Raises ValueError when lengths differ, a label is neither 0 nor 1, or an entity lies in two folds.
    """

    X: pd.DataFrame
    y: npt.NDArray[Any]
    groups: npt.NDArray[Any]
    folds: npt.NDArray[Any]
    name: str = ""

    def __post_init__(self) -> None:
        lengths = [len(self.X), len(self.y), len(self.groups), len(self.folds)]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"X, y, groups and folds hold {', '.join(map(str, lengths[:-1]))} and {lengths[-1]} rows; "
                "give one of each a row."
            )
        if not np.isin(self.y, (0, 1)).all():
            raise ValueError("Labels must be 0 or 1.")
        codes = pd.factorize(self.groups)[0]
        torn = len(np.unique(np.column_stack([codes, self.folds]), axis=0)) - len(np.unique(codes))
        if torn:
            raise ValueError(f"{torn} entities lie in more than one fold; use assign_folds.")

    @cached_property
    def training_set(self) -> str:
        """The name, or the SHA-256 over column names, values, labels, entity ids and fold ids: the same for the same rows."""
        if self.name:
            return self.name
        digest = hashlib.sha256()
        digest.update(json.dumps([[str(name) for name in self.X.columns], list(np.shape(self.X))]).encode())
        digest.update(np.ascontiguousarray(self.X, dtype=np.float64).tobytes())
        digest.update(np.asarray(self.y, dtype=np.int8).tobytes())
        digest.update(pd.util.hash_array(np.asarray(self.groups)).tobytes())
        digest.update(np.asarray(self.folds, dtype=np.int8).tobytes())
        return digest.hexdigest()


def fit_fold(table: FoldedTable, fold: int, model: ModelSettings, fitting: Fitting | None = None) -> FoldResult:
    """Fit `model` on every row that `fold` does not hold out, and predict the rows that it does.

    Related tasks of `fitting` lose the rows of held-out entities. Raises ValueError when the fold holds no row, or the rest
    has one class; UnknownFamily and UnknownParameter as `make_estimator` does.
    """
    held_out = table.folds == fold
    if not held_out.any():
        raise ValueError(f"Fold {fold} holds none of {len(held_out)} rows; use fewer folds for so few entities.")
    labels, target = table.y[~held_out], table.y[held_out]
    if len(np.unique(labels)) < 2:
        raise ValueError(f"Without fold {fold} the labels hold one class only; use fewer folds or more positives.")
    inputs = fitting or Fitting()
    inputs = replace(inputs, tasks=tuple(task.without(table.groups[held_out]) for task in inputs.tasks))
    estimator = _estimator(model, model.seed + fold)
    seen, holding = table.X.loc[~held_out], table.X.loc[held_out]
    started = time.process_time()
    estimator.fit(seen, labels.astype(np.int8), groups=table.groups[~held_out], fitting=inputs)
    fitted = time.process_time()
    predictions = estimator.predict_proba(holding)[:, 1]
    predicted = time.process_time()
    return FoldResult(
        training_set=table.training_set,
        model=str(model),
        family=model.family,
        params=dict(model.params),
        seed=model.seed,
        fold=int(fold),
        n_rows=len(held_out),
        estimator=estimator,
        rows=np.flatnonzero(held_out).astype(np.int64),
        predictions=predictions,
        cpu_seconds=fitted - started,
        predict_cpu_seconds=predicted - fitted,
        best_iteration=int(estimator.best_iteration_),
        history=tuple(estimator.history_),
        ended_by=estimator.ended_by_,
        columns=chosen_columns(estimator),
        auc=metrics.auc(target, predictions) if len(np.unique(target)) == 2 else None,
        log_loss=metrics.log_loss(target, predictions),
    )


def fit_whole(
    table: FoldedTable, folds: Sequence[FoldResult], model: ModelSettings, fitting: Fitting | None = None
) -> TableClassifier:
    """One estimator on all rows in place of the fold models of one member, so that it predicts for the cost of one.

    It runs as many rounds as the folds kept on average, times `REFIT_GROWTH`: more rows bear more rounds. Columns are
    chosen anew, from all rows.
    """
    kept = float(np.mean([part.best_iteration for part in folds]))
    rounds = max(1, round(kept * REFIT_GROWTH)) if kept else None
    inputs = replace(fitting or Fitting(), rounds=rounds)
    return _estimator(model, model.seed).fit(table.X, table.y.astype(np.int8), groups=table.groups, fitting=inputs)


def _estimator(model: ModelSettings, seed: int) -> TableClassifier:
    """Unfitted; it sees every column, or those that the model's selection will choose."""
    if model.selection is None or model.selection.keeps_all:
        return make_estimator(model.family, model.params, seed)
    check_parameters(model.family, model.params)
    return SelectedColumnsClassifier(model.family, dict(model.params), model.selection.to_json(), seed)
