"""Fitting one fold of one model, and its result as a folder.

Belongs here: the unit of work that is cached and retried alone. Does not belong here: joining folds
(`ensemble`), storing whole models (`bundle`).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
    FeatureSelection,
    SelectedColumnsClassifier,
    chosen_columns,
    load_estimator,
)

RESULT_FILE = "fold.json"
PREDICTIONS_FILE = "predictions.safetensors"
ESTIMATOR_FOLDER = "estimator"
REFIT_GROWTH = 1.1


@dataclass(frozen=True)
class FoldResult:
    """What fitting fold `fold` gave: the estimator, and its predictions for the rows it did not see.

    `rows` are positions in the training set (m,), `predictions` the probabilities of class 1 (m,).
    `training_set` identifies rows, labels and fold ids; `model` the family with its parameters, seed and selection.
    `auc` and `log_loss` are of the held-out rows, `auc` None when they hold one class. `history` is the inner
    validation log loss a round, `ended_by` what ended the fit (`TableClassifier`), `columns` the names of the columns
    chosen to be seen, None for all. `seconds` (wall) and `cpu_seconds` are of fitting alone, `predict_cpu_seconds` of
    predicting the held-out rows; they are not saved, so that equal fits leave equal files, and are NaN after `load`.
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
    seconds: float
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
            seconds=float("nan"),
            cpu_seconds=float("nan"),
            predict_cpu_seconds=float("nan"),
            **state,
        )


_NOT_JSON = ("estimator", "rows", "predictions", "seconds", "cpu_seconds", "predict_cpu_seconds")
_JSON_FIELDS = tuple(name for name in FoldResult.__dataclass_fields__ if name not in _NOT_JSON)


def fit_fold(
    X: pd.DataFrame | npt.NDArray[np.float64],
    y: npt.ArrayLike,
    groups: npt.ArrayLike,
    fold_ids: npt.ArrayLike,
    k: int,
    family: str,
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    *,
    selection: FeatureSelection | None = None,
    fitting: Fitting | None = None,
    training_set: str | None = None,
) -> FoldResult:
    """Fit `family` with `params` on every row whose fold id is not `k`, and predict the rows whose fold id
    is.

    `X` (n, d), `y` (n,) coded 0/1, `groups` (n,) entity ids, `fold_ids` (n,) as from `assign_folds`.
    `selection` chooses columns from the rows fitted on; without it all are seen. Related tasks of `fitting` lose the rows
    of held-out entities. `training_set` names the training set; without it, the hash of the four is its name. The
    estimator's seed is `seed` + `k`. Raises ValueError when fold `k` holds no row, the rest has one class, an entity lies in
    two folds, or lengths differ; UnknownFamily and UnknownParameter as `make_estimator` does.
    """
    target, ids, folds = np.asarray(y), np.asarray(groups), np.asarray(fold_ids)
    if not len(X) == len(target) == len(ids) == len(folds):
        raise ValueError(
            f"X, y, groups and fold_ids hold {len(X)}, {len(target)}, {len(ids)} and {len(folds)} rows; "
            "give one of each a row."
        )
    if not np.isin(target, (0, 1)).all():
        raise ValueError("Labels must be 0 or 1.")
    codes = pd.factorize(ids)[0]
    homes = np.unique(np.column_stack([codes, folds]), axis=0)
    if len(homes) != len(np.unique(codes)):
        raise ValueError(f"{len(homes) - len(np.unique(codes))} entities lie in more than one fold; use assign_folds.")
    held_out = folds == k
    if not held_out.any():
        raise ValueError(f"Fold {k} holds none of {len(folds)} rows; use fewer folds for so few entities.")
    if len(np.unique(target[~held_out])) < 2:
        raise ValueError(f"Without fold {k} the labels hold one class only; use fewer folds or more positives.")
    rows = np.flatnonzero(held_out)
    seen, holding = (X.loc[~held_out], X.loc[held_out]) if isinstance(X, pd.DataFrame) else (X[~held_out], X[held_out])
    given = fitting or Fitting()
    given = replace(given, tasks=tuple(task.without(ids[held_out]) for task in given.tasks))
    estimator = estimator_of(family, params, seed + k, selection)
    wall, cpu = time.perf_counter(), time.process_time()
    estimator.fit(seen, target[~held_out].astype(np.int8), groups=ids[~held_out], fitting=given)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    predicting = time.process_time()
    predictions = estimator.predict_proba(holding)[:, 1]
    predicting = time.process_time() - predicting
    two_classes = len(np.unique(target[held_out])) == 2
    return FoldResult(
        training_set=training_set or training_set_id(X, target, ids, folds),
        model=_described(family, params, seed, selection),
        family=family,
        params=dict(params or {}),
        seed=seed,
        fold=int(k),
        n_rows=len(folds),
        estimator=estimator,
        rows=rows.astype(np.int64),
        predictions=predictions,
        seconds=wall,
        cpu_seconds=cpu,
        predict_cpu_seconds=predicting,
        best_iteration=int(estimator.best_iteration_),
        history=tuple(estimator.history_),
        ended_by=estimator.ended_by_,
        columns=chosen_columns(estimator),
        auc=metrics.auc(target[held_out], predictions) if two_classes else None,
        log_loss=metrics.log_loss(target[held_out], predictions),
    )


def fit_whole(
    X: pd.DataFrame | npt.NDArray[np.float64],
    y: npt.ArrayLike,
    groups: npt.ArrayLike,
    folds: Sequence[FoldResult],
    *,
    selection: FeatureSelection | None = None,
    fitting: Fitting | None = None,
) -> TableClassifier:
    """One estimator on all rows in place of the fold models of one member, so that it predicts for the cost of one.

    It runs as many rounds as the folds kept on average, times `REFIT_GROWTH`: more rows bear more rounds. Rows as for
    `fit_fold`; `selection` chooses columns anew, from all rows.
    """
    first = folds[0]
    kept = float(np.mean([part.best_iteration for part in folds]))
    rounds = max(1, round(kept * REFIT_GROWTH)) if kept else None
    estimator = estimator_of(first.family, first.params, first.seed, selection)
    target = np.asarray(y).astype(np.int8)
    return estimator.fit(X, target, groups=groups, fitting=replace(fitting or Fitting(), rounds=rounds))


def estimator_of(
    family: str, params: Mapping[str, Any] | None, seed: int, selection: FeatureSelection | None = None
) -> TableClassifier:
    """An unfitted estimator of `family` that sees every column, or those that `selection` will choose.

    Raises UnknownFamily and UnknownParameter as `make_estimator` does.
    """
    if selection is None or selection.keeps_all:
        return make_estimator(family, params, seed)
    check_parameters(family, params or {})
    return SelectedColumnsClassifier(family, dict(params or {}), selection.to_json(), seed)


def _described(family: str, params: Mapping[str, Any] | None, seed: int, selection: FeatureSelection | None) -> str:
    seen = "" if selection is None or selection.keeps_all else f" {json.dumps(selection.to_json(), sort_keys=True)}"
    return f"{family} {json.dumps(dict(params or {}), sort_keys=True)} seed {seed}{seen}"


def training_set_id(
    X: pd.DataFrame | npt.NDArray[np.float64],
    y: npt.ArrayLike,
    groups: npt.ArrayLike,
    fold_ids: npt.ArrayLike,
) -> str:
    """SHA-256 over column names, values, labels, entity ids and fold ids: the same name for the same training
    set.
    """
    digest = hashlib.sha256()
    names = [str(name) for name in X.columns] if isinstance(X, pd.DataFrame) else []
    digest.update(json.dumps([names, list(np.shape(X))]).encode())
    digest.update(np.ascontiguousarray(X, dtype=np.float64).tobytes())
    digest.update(np.asarray(y, dtype=np.int8).tobytes())
    digest.update(pd.util.hash_array(np.asarray(groups)).tobytes())
    digest.update(np.asarray(fold_ids, dtype=np.int8).tobytes())
    return digest.hexdigest()
