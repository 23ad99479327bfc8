"""A campaign's ensemble: its models combined, as a bundle, and an honest account of how good it is.

Belongs here: the ensemble's artifact, and reading it. Does not belong here: weights and calibration (`learning.combine`), any
figure (`evaluation`).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_assets.campaigns.registry.bundles import ALONE_FOLDER, BUNDLE_FOLDER
from platform_assets.campaigns.registry.past import Past
from platform_assets.campaigns.training.evaluation import (
    by_time,
    calibration_table,
    figures_of,
    importance_of,
    leaderboard_of,
    slices_of,
)
from platform_assets.campaigns.training.fold_artifacts import TrainingTask, why_not_fitted
from platform_assets.campaigns.training.out_of_fold import estimators_of, fitted_member
from platform_assets.campaigns.training_sets.training_rows import TrainingRows, require_training_set, rows_hash
from platform_assets.foundation.artifacts import Artifact, Recipe, code_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from platform_assets.learning.combine import Combination

EVALUATION_FILE = "evaluation.json"
OOF_FILE = "out_of_fold.parquet"


def build_ensemble(task: TrainingTask, models: Mapping[str, Artifact]) -> Artifact:
    """The ensemble of gathered models: found, or combined, evaluated and bundled.

    Its files: `bundle/`, `evaluation.json` (leaderboard, figures by time, importance) and `out_of_fold.parquet`
    (entity key, as_of, label, calibrated out-of-fold probability); `alone/`, the best bundle of members that look at no
    other campaign's score, when some do. A model that was not fitted is listed under `not_fitted` in its metadata.

    Raises:
        NothingFitted: no model was fitted.
        OtherTrainingSet: a model was made from another training set.
    """
    from platform_assets.learning.portfolio import NothingFitted

    name, spec, training, store = task.name, task.spec, task.training, task.store
    reasons = {member: reason for member, model in models.items() if (reason := why_not_fitted([model]))}
    fitted = {member: model for member, model in sorted(models.items()) if member not in reasons}
    if not fitted:
        why = "; ".join(f"{member}: {sentence}" for member, sentence in reasons.items())
        raise NothingFitted(f"{name}: none of its models could be fitted. {why}")
    for model in fitted.values():
        require_training_set(model, training)
    seed, refit = spec.advanced.seed, spec.advanced.refit
    past = Past.of(training)
    recipe = Recipe(
        key=f"{name}/ensemble",
        code=code_of("platform_assets.campaigns.training.ensemble_artifact"),
        config={"seed": seed, "refit": refit, "horizon_days": spec.horizon.days, "not_fitted": reasons},
        inputs={
            "training_set": rows_hash(training),
            **{f"models/{member}": model.ref.content_hash for member, model in fitted.items()},
            **{f"past score {score.column}": score.ensemble.content_hash for score in past.scores},
        },
    )

    def build(folder: Path) -> dict[str, Any]:
        from platform_assets.learning.combine import combine
        from platform_assets.learning.explain import population_medians

        rows = TrainingRows.of(training)
        medians = {key: None if value != value else value for key, value in population_medians(rows.values).items()}
        # The last horizon before the newest as-of time.
        latest = (rows.frame["as_of"] > rows.frame["as_of"].max() - spec.horizon).to_numpy()

        def combined(names: Iterable[str], past_scores: Sequence[Any], into: str) -> "Combination":
            members = {member: fitted_member(fitted[member]) for member in names}
            combination = combine(members, rows.labels, rows.people, latest=latest, refit=refit, seed=seed)
            about = {"campaign": name, "past_scores": past_scores, "medians": medians}
            bundle = combination.bundle(lambda member: estimators_of(fitted[member], store), rows.features, about)
            bundle.save(folder / into)
            return combination

        best = combined(fitted, past.to_json()["scores"], BUNDLE_FOLDER)
        columns = [score.column for score in past.scores]
        blind = [member for member, model in fitted.items() if set(columns) <= set(model.metadata["excluded"])]
        if columns and blind:
            combined(blind, [], ALONE_FOLDER)
        _write_out_of_fold(folder / OOF_FILE, rows, best.calibrated)
        importance = importance_of(best.ensemble.weights, fitted, rows, seed, store)
        leaderboard, over_rule = leaderboard_of(rows, best, fitted, seed)
        evaluation = {
            "ensemble": asdict(best.ensemble),
            "calibration": best.calibration,
            "leaderboard": leaderboard,
            "over_rule": over_rule,
            "not_fitted": reasons,
            "figures": figures_of(rows, best.calibrated, seed),
            "by_time": by_time(rows, best.calibrated, seed),
            "slices": slices_of(rows, best.calibrated, [row["feature"] for row in importance]),
            "calibration_table": calibration_table(rows, best.calibrated),
            "importance": importance,
        }
        (folder / EVALUATION_FILE).write_text(json.dumps(evaluation, indent=1, allow_nan=False))
        features = [column for column in rows.features if column not in columns]
        return {
            "training_set": rows_hash(training),
            "not_fitted": reasons,
            # What others need to know for its score; None when it has none of its own.
            "alone_features": features if blind else None,
            **_headline(rows, best),
        }

    return store.get_or_build(recipe, build)


def evaluation_of(ensemble: Artifact) -> dict[str, Any]:
    """Leaderboard, figures by time and importance of an ensemble artifact."""
    return dict(json.loads(Path(ensemble.path(EVALUATION_FILE)).read_text()))


def _write_out_of_fold(path: Path, rows: TrainingRows, calibrated: "npt.NDArray[np.float64]") -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(rows.frame[[rows.key, "as_of", "label"]], preserve_index=False)
    pq.write_table(table.append_column("probability", pa.array(calibrated)), path, compression="zstd")


def _headline(rows: TrainingRows, best: "Combination") -> dict[str, Any]:
    from platform_assets.learning.figures import metrics

    estimate = metrics.auc_interval(rows.labels, best.calibrated)
    return {
        "auc": estimate.value,
        "auc_se": estimate.standard_error,
        "auc_low": estimate.low,
        "auc_high": estimate.high,
        "log_loss": metrics.log_loss(rows.labels, best.calibrated),
        "weights": {member: round(weight, 4) for member, weight in best.ensemble.weights.items()},
        "rows": len(rows.labels),
        "positives": int(rows.labels.sum()),
    }
