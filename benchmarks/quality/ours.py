"""Our ensemble on one table, in a process of its own so that its CPU is its own: `python -m benchmarks.quality.ours <folder>`.

Belongs here: one search, its predictions, and what both cost. Does not belong here: which table, splits, any figure.
`folder` holds train.parquet (float columns, `label`, `group` and, where there are several as-of dates, `latest`), test.parquet,
request.json and, for each related task the request names, task_<name>.parquet as train.parquet; answer.parquet and
answer.json are written beside them.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.quality.search import SearchSettings, search
from platform_assets.learning.cross_fitting import FoldedTable
from platform_assets.learning.families.fitting import RelatedTask
from platform_assets.learning.folds import assign_folds

# As many as a campaign has when its file says nothing.
FOLDS = 5


def cpu_seconds() -> float:
    """CPU seconds of this process and of its children that have ended."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def predict_cpu_seconds(predict: Callable[[pd.DataFrame], object], X: pd.DataFrame) -> float:
    """CPU seconds of predicting `X`, warm, the median of three."""
    predict(X.head(100))
    costs = []
    for _ in range(3):
        started = cpu_seconds()
        predict(X)
        costs.append(cpu_seconds() - started)
    return sorted(costs)[1]


def main(folder: Path) -> None:
    request = json.loads((folder / "request.json").read_text())
    train, test = pd.read_parquet(folder / "train.parquet"), pd.read_parquet(folder / "test.parquet")
    y, groups = train.pop("label").to_numpy(np.int8), train.pop("group").to_numpy()
    latest = train.pop("latest").to_numpy(bool) if "latest" in train else None
    tasks = []
    for name in request["tasks"]:
        task = pd.read_parquet(folder / f"task_{name}.parquet")
        labels, people = task.pop("label").to_numpy(np.int8), task.pop("group").to_numpy()
        tasks.append(RelatedTask(name, task.to_numpy(np.float64), labels, people))
    settings = SearchSettings(
        cpu_seconds=request["cpu_seconds"],
        seed=request["seed"],
        tasks=tuple(tasks),
        past_scores=tuple(request["past_scores"]),
        refit=request["refit"],
    )
    started = cpu_seconds()
    folds = assign_folds(groups, FOLDS, settings.seed)
    found = search(FoldedTable(train, y, groups, folds), settings, latest)
    answer: dict[str, Any] = {"fit_cpu_seconds": {"ours": cpu_seconds() - started}}
    answer["predict_cpu_seconds"] = {"ours": predict_cpu_seconds(found.bundle.predict, test)}
    pd.DataFrame({"ours": found.bundle.predict(test).astype("float32")}).to_parquet(folder / "answer.parquet")
    answer["leaderboard"] = [asdict(row) for row in found.leaderboard]
    answer["failures"] = dict(found.not_fitted)
    answer["member_cpu_seconds"] = dict(found.cpu_seconds)
    (folder / "answer.json").write_text(json.dumps(answer, indent=1, default=str))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
