"""Who is compared: each takes training rows, labels and test rows, and answers with predictions and what they cost.

Belongs here: handing rows to a contender's own process and reading its answer. Does not belong here: which rows, what is
kept. CPU seconds are the contender process's own and its children's, its imports at start left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.environment import REPOSITORY
from platform_assets.learning.folds import assign_folds

AUTOGLUON = REPOSITORY / ".autogluon"
# AutoGluon's own number of bagged folds under `best_quality`.
AUTOGLUON_FOLDS = 8
SINGLE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


class ContenderFailed(Exception):
    """A contender's process ended without an answer; the message ends with what it said last."""


@dataclass(frozen=True)
class Question:
    """What every contender is asked. `X`, `X_test`: what this contender may see; `y` (n,) 0/1; `groups` (n,) persons.

    `grouped`: a person has several training rows. `latest` (n,): the rows of the newest as-of date, where there are
    several. `tasks`: other questions' (X, y, groups) with the columns of `X`;
    `past_scores`: the columns of `X` that are scores of past campaigns.
    """

    X: pd.DataFrame
    y: npt.NDArray[np.int8]
    groups: npt.NDArray[np.int64]
    X_test: pd.DataFrame
    grouped: bool = False
    tasks: Mapping[str, tuple[pd.DataFrame, npt.NDArray[np.int8], npt.NDArray[np.int64]]] | None = None
    past_scores: tuple[str, ...] = ()
    latest: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Answer:
    """Predictions on the test rows by name, CPU seconds of fitting and of predicting them by the same names, and JSON
    facts such as the leaderboard.
    """

    predicted: Mapping[str, npt.NDArray[np.float64]]
    fit_cpu_seconds: Mapping[str, float]
    predict_cpu_seconds: Mapping[str, float]
    facts: Mapping[str, Any] = field(default_factory=dict)


def ours(question: Question, cpu_seconds: float, seed: int, refit: bool) -> Answer:
    """Our search within `cpu_seconds` over float columns; its predictions are named `ours`."""
    tasks = question.tasks or {}
    request = {
        "cpu_seconds": cpu_seconds,
        "seed": seed,
        "refit": refit,
        "tasks": list(tasks),
        "past_scores": list(question.past_scores),
    }
    with tempfile.TemporaryDirectory(prefix="ours-") as name:
        folder = Path(name)
        train = question.X.assign(label=question.y, group=question.groups)
        if question.latest is not None:
            train["latest"] = question.latest
        train.to_parquet(folder / "train.parquet")
        question.X_test.to_parquet(folder / "test.parquet")
        for task, (X, y, groups) in tasks.items():
            X.assign(label=y, group=groups).to_parquet(folder / f"task_{task}.parquet")
        return _answer(folder, request, [sys.executable, "-m", "benchmarks.quality.ours", name])


def autogluon(question: Question, cpu_seconds: float, refit: bool) -> Answer:
    """AutoGluon's `best_quality` with a limit of `cpu_seconds` over columns with raw categories; named `autogluon`, and
    `refitted` with `refit`: its best model refitted on all rows.

    Raises ContenderFailed when its environment is not installed.
    """
    python = AUTOGLUON / "bin" / "python"
    if not python.exists():
        raise ContenderFailed(f"AutoGluon is not installed: run benchmarks/quality/peer/install.sh {AUTOGLUON}.")
    with tempfile.TemporaryDirectory(prefix="autogluon-") as name:
        folder = Path(name)
        text = list(question.X.select_dtypes("object"))
        train = question.X.astype(dict.fromkeys(text, "category")).assign(label=question.y)
        if question.grouped:
            train["fold"] = assign_folds(question.groups, AUTOGLUON_FOLDS, seed=0)
        train.to_parquet(folder / "train.parquet")
        question.X_test.astype(dict.fromkeys(text, "category")).to_parquet(folder / "test.parquet")
        script = Path(__file__).parent / "peer" / "autogluon_cell.py"
        return _answer(folder, {"cpu_seconds": cpu_seconds, "refit": refit}, [str(python), str(script), name])


def lightgbm_defaults(question: Question) -> Answer:
    """LightGBM as it comes, one thread, over float columns; in this process; named `lightgbm`."""
    from lightgbm import LGBMClassifier

    started = time.process_time()
    model = LGBMClassifier(n_jobs=1, verbosity=-1, deterministic=True).fit(question.X.to_numpy(), question.y)
    fitted = time.process_time()
    predicted = np.asarray(model.predict_proba(question.X_test.to_numpy()))[:, 1]
    predict_cost = time.process_time() - fitted
    return Answer({"lightgbm": predicted}, {"lightgbm": fitted - started}, {"lightgbm": predict_cost})


def lightgbm_five_folds(question: Question) -> Answer:
    """LightGBM, slow and small, stopped early by each of five folds; the mean of the five, named `lightgbm`."""
    from lightgbm import LGBMClassifier, early_stopping

    X, X_test, folds = question.X.to_numpy(), question.X_test.to_numpy(), assign_folds(question.groups, 5, seed=0)
    started, models = time.process_time(), []
    for fold in range(5):
        held_out = folds == fold
        model = LGBMClassifier(
            n_estimators=2000, learning_rate=0.02, num_leaves=15, n_jobs=1, verbosity=-1, deterministic=True
        )
        model.fit(
            X[~held_out],
            question.y[~held_out],
            eval_X=X[held_out],
            eval_y=question.y[held_out],
            callbacks=[early_stopping(100, verbose=False)],
        )
        models.append(model)
    fitted = time.process_time()
    predicted = np.mean([np.asarray(model.predict_proba(X_test))[:, 1] for model in models], axis=0)
    return Answer({"lightgbm": predicted}, {"lightgbm": fitted - started}, {"lightgbm": time.process_time() - fitted})


def _answer(folder: Path, request: Mapping[str, Any], command: list[str]) -> Answer:
    (folder / "request.json").write_text(json.dumps(request))
    log, started = folder / "log", time.time()
    with log.open("wb") as output:
        done = subprocess.run(
            command, env={**os.environ, **SINGLE_THREAD}, cwd=REPOSITORY, stdout=output, stderr=output, check=False
        )
    if done.returncode != 0:
        said = log.read_text(errors="replace").strip().splitlines()[-15:]
        raise ContenderFailed(f"{' '.join(command)} ended with {done.returncode}:\n" + "\n".join(said))
    facts = json.loads((folder / "answer.json").read_text())
    predicted = pd.read_parquet(folder / "answer.parquet").astype("float64")
    costs = facts.pop("fit_cpu_seconds"), facts.pop("predict_cpu_seconds")
    facts["wall_seconds"] = time.time() - started
    return Answer({str(name): predicted[name].to_numpy() for name in predicted}, *costs, facts)
