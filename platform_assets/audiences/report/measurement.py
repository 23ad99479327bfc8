"""What came true: a promoted model against the rows it was not trained on, once their labels are known.

For an event label these are the people scored as of the date; for a teacher file, its rows from the date on. The best
one-column rule is the peer: the column and direction that rank best on the training set, as a person would have picked
it; the column that would have ranked best in hindsight stands beside it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from platform_assets.campaigns.declaration.question import Question
from platform_assets.campaigns.declaration.spec import TeacherLabel
from platform_assets.campaigns.registry.workspace import Workspace
from platform_assets.campaigns.training_sets.label import is_known
from platform_assets.campaigns.training_sets.training_set import LabelledRows, event_rows, teacher_rows

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from platform_assets.learning.bundle import Bundle

FEWEST_OF_A_CLASS = 10
TOP = 0.1


def held_out_labels(question: Question, work: Workspace) -> LabelledRows | None:
    """The rows that tell how well a score did; None while no label from its date on is known."""
    if isinstance(question.spec.label, TeacherLabel):
        rows = teacher_rows(question.spec, work, lambda as_of: as_of >= question.instant)
        return rows if rows.spines else None
    return event_rows(question, work, [question.as_of]) if is_known(question, work.warehouse) else None


def enough(labels: "pa.Table") -> bool:
    """Whether there are enough labels of each class for a figure to mean anything."""
    values = labels["label"].to_pylist()
    return min(values.count(0), values.count(1)) >= FEWEST_OF_A_CLASS


def measure(
    bundle: "Bundle", training: "pd.DataFrame", held_out: "pd.DataFrame", features: Sequence[str], key: str
) -> dict[str, Any]:
    """Figures of a bundle on held-out rows, beside the one-column rule, logistic regression and the best in hindsight.

    Args:
        training, held_out: columns (entity key, as_of, label, features).
        key: the entity key's column.
    """
    from platform_assets.learning.families.baselines import OneColumnRule
    from platform_assets.learning.families.registry import make_estimator
    from platform_assets.learning.figures import metrics
    from platform_assets.learning.figures.intervals import differences_with_intervals

    names = list(features)
    truth = held_out["label"].to_numpy()
    score = bundle.predict(held_out[names])
    rule = OneColumnRule().fit(training[names], training["label"])
    logistic = make_estimator("logistic").fit(training[names], training["label"], groups=training[key].to_numpy())
    ruled = rule.predict_proba(held_out[names])[:, 1]
    regressed = logistic.predict_proba(held_out[names])[:, 1]
    hindsight = metrics.one_column_table(held_out[names], truth).iloc[0]
    estimate = metrics.auc_interval(truth, score)
    gained = differences_with_intervals(truth, score, ruled, held_out[key])["auc"]
    shared = set(training[key]) & set(held_out[key])
    return {
        "rows": len(truth),
        "positives": int(truth.sum()),
        "base_rate": float(truth.mean()),
        "people_also_in_training": len(shared),
        "people": int(held_out[key].nunique()),
        "auc": {"value": estimate.value, "low": estimate.low, "high": estimate.high},
        "log_loss": metrics.log_loss(truth, score),
        "brier": metrics.brier(truth, score),
        "average_precision": metrics.average_precision(truth, score),
        "predicted_over_actual": metrics.predicted_over_actual(truth, score),
        "logistic_auc": metrics.auc(truth, regressed),
        "rule": {"column": rule.column_name_, "direction": rule.direction_, "auc": metrics.auc(truth, ruled)},
        "best_column_in_hindsight": {"column": str(hindsight["column"]), "auc": float(hindsight["auc"])},
        "auc_over_rule": {"value": gained.value, "low": gained.low, "high": gained.high},
        "top": TOP,
        "top_rate": metrics.rate_at(truth, score, TOP),
        "rule_top_rate": metrics.rate_at(truth, ruled, TOP),
        "gains": metrics.gains_curve(truth, score).to_dict("records"),
        "rule_gains": metrics.gains_curve(truth, ruled).to_dict("records"),
        # A tenth without a positive has no ratio of predicted to actual, and JSON no word for that.
        "calibration": metrics.calibration_table(truth, score).drop(columns="ratio").to_dict("records"),
    }
