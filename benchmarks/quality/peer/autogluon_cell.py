"""AutoGluon on one table, in AutoGluon's own environment: `python autogluon_cell.py <folder>`.

Belongs here: one fit, its predictions, and what both cost. Does not belong here: which table, splits, any figure. It
imports nothing of ours: `folder` holds train.parquet (with columns `label` and, to keep persons in one fold, `fold`),
test.parquet and request.json {"cpu_seconds", "refit"}; answer.parquet and answer.json are written beside them.

AutoGluon stops by the wall clock. Here `time.time` runs at the pace of this process's own CPU time, so that a limit means
CPU seconds however busy the machine is.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

STARTED = time.time()


def cpu_seconds() -> float:
    """CPU seconds of this process and of its children that have ended."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


time.time = lambda: STARTED + cpu_seconds()

import pandas as pd  # noqa: E402
from autogluon.tabular import TabularPredictor, __version__  # type: ignore[import-not-found] # noqa: E402


def main(folder: Path) -> None:
    request = json.loads((folder / "request.json").read_text())
    train, test = pd.read_parquet(folder / "train.parquet"), pd.read_parquet(folder / "test.parquet")
    groups = "fold" if "fold" in train else None
    predictor = TabularPredictor(
        "label", problem_type="binary", eval_metric="log_loss", groups=groups, path=str(folder / "models"), verbosity=2
    )
    imported = cpu_seconds()
    predictor.fit(
        train,
        presets="best_quality",
        time_limit=request["cpu_seconds"],
        num_cpus=1,
        num_gpus=0,
        # With folds by person these are fitted once a fold, run out of time, and are thrown away: a third of the limit lost.
        excluded_model_types=["RF", "XT"] if groups else None,
    )
    fit_cost = {"autogluon": cpu_seconds() - imported}
    best = predictor.model_best
    models = {"autogluon": best}
    answer: dict[str, Any] = {"version": __version__, "models": len(predictor.model_names())}
    answer["leaderboard"] = predictor.leaderboard()[["model", "score_val", "fit_time"]].to_dict("records")
    if request["refit"]:
        models["refitted"] = predictor.refit_full(best, num_cpus=1, num_gpus=0)[best]
        fit_cost["refitted"] = cpu_seconds() - imported
    columns, predict_cost = {}, {}
    for name, model in models.items():
        columns[name], predict_cost[name] = _predict(predictor, test, model)
    answer |= {"fit_cpu_seconds": fit_cost, "predict_cpu_seconds": predict_cost, "predicted_by": models}
    pd.DataFrame(columns).astype("float32").to_parquet(folder / "answer.parquet")
    (folder / "answer.json").write_text(json.dumps(answer, indent=1, default=str))


def _predict(predictor: TabularPredictor, test: pd.DataFrame, model: str) -> tuple[pd.Series, float]:
    """Probabilities of label 1, and CPU seconds: the models are in memory and warm, the median of three counts."""
    predictor.persist([model], max_memory=None)
    predictor.predict_proba(test.head(100), model=model)
    costs = []
    for _ in range(3):
        started = cpu_seconds()
        predicted = predictor.predict_proba(test, model=model)[1]
        costs.append(cpu_seconds() - started)
    predictor.unpersist()
    return predicted, sorted(costs)[1]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
