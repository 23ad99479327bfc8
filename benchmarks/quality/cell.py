"""The one small cell that CI runs: our search against LightGBM as it comes and a logistic regression, on CDNOW.

Belongs here: that cell and what must hold of it. Does not belong here: AutoGluon, anything kept.
"""

from __future__ import annotations

import numpy as np

from benchmarks.quality import contenders
from benchmarks.quality.cells import table_of
from benchmarks.quality.contenders import Question
from benchmarks.quality.figures import score
from platform_assets.learning.families.registry import make_estimator

TABLE = "cdnow_1998_01_01"
CPU_SECONDS = 20.0


def figures() -> dict[str, dict[str, float]]:
    """AUC, log loss and fitting CPU seconds of `ours` (refitted), `lightgbm` and `logistic` on CDNOW under seed 0."""
    table = table_of(TABLE, 0)
    X, X_test = table.floats()
    question = Question(X, table.y, table.groups, X_test, table.grouped, latest=table.latest)
    logistic = make_estimator("logistic").fit(X, table.y, table.groups).predict_proba(X_test)[:, 1]
    found = {"logistic": score(table.y_test, np.asarray(logistic))}
    ours = contenders.ours(question, CPU_SECONDS, seed=0, refit=True)
    for answer in (ours, contenders.lightgbm_defaults(question)):
        for name, predicted in answer.predicted.items():
            found[name] = {**score(table.y_test, predicted), "fit_cpu_seconds": answer.fit_cpu_seconds[name]}
    return found


def complaints(found: dict[str, dict[str, float]]) -> list[str]:
    """What is wrong with the figures, a sentence each; empty when they are as they should be.

    Bounds leave two standard errors of a paired difference, .002, for the draw of rows and folds.
    """
    ours, wrong = found["ours"], []
    if not 0.79 < ours["auc"] < 0.83:
        wrong.append(
            f"Our AUC is {ours['auc']:.4f}; on this table good models reach .805 to .810, and .83 would be a leak."
        )
    if ours["auc"] < found["logistic"]["auc"] - 0.002:
        wrong.append(f"Our AUC {ours['auc']:.4f} is below a logistic regression's {found['logistic']['auc']:.4f}.")
    if ours["auc"] < found["lightgbm"]["auc"] + 0.004:
        wrong.append(f"Our AUC {ours['auc']:.4f} is not .004 above plain LightGBM's {found['lightgbm']['auc']:.4f}.")
    if ours["log_loss"] > found["lightgbm"]["log_loss"]:
        wrong.append(
            f"Our log loss {ours['log_loss']:.4f} is above plain LightGBM's {found['lightgbm']['log_loss']:.4f}."
        )
    return wrong
