"""A campaign's ensemble: weights chosen out of fold, calibration, a bundle, and an honest account of how good it is."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_assets.campaigns.declaration.families import families_of
from platform_assets.campaigns.declaration.spec import CampaignSpec
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
from platform_assets.campaigns.training.gathering import estimators_of, out_of_fold
from platform_assets.campaigns.training_sets.training_rows import TrainingRows, require_training_set, rows_hash
from platform_assets.foundation.artifacts import Artifact, ArtifactStore, Recipe, code_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from platform_assets.learning.bundle import Bundle
    from platform_assets.learning.calibration import Calibrator
    from platform_assets.learning.ensemble import Ensemble

EVALUATION_FILE = "evaluation.json"
OOF_FILE = "out_of_fold.parquet"
FEWEST_TO_CALIBRATE = 50


class NothingFitted(RuntimeError):
    """No model of a campaign could be fitted; the message says why for each."""


def build_ensemble(
    name: str, spec: CampaignSpec, models: Mapping[str, Artifact], training: Artifact, store: ArtifactStore
) -> Artifact:
    """The ensemble of gathered models: found, or selected, calibrated, evaluated and bundled.

    Its files: `bundle/`, `evaluation.json` (leaderboard, figures by time, importance) and `out_of_fold.parquet`
    (entity key, as_of, label, calibrated out-of-fold probability); `alone/`, the best bundle of members that look at no
    other campaign's score, when some do. A model that was not fitted is listed under `not_fitted` in its metadata.

    Raises:
        NothingFitted: no model was fitted.
        OtherTrainingSet: a model was made from another training set.
    """
    told = {member: model.metadata["not_fitted"] for member, model in models.items() if "not_fitted" in model.metadata}
    fitted = {member: model for member, model in sorted(models.items()) if member not in told}
    if not fitted:
        why = "; ".join(f"{member}: {sentence}" for member, sentence in told.items())
        raise NothingFitted(f"{name}: none of its models could be fitted. {why}")
    for model in fitted.values():
        require_training_set(model, training)
    seed = spec.advanced.seed
    past = Past.of(training)
    recipe = Recipe(
        key=f"{name}/ensemble",
        code=code_of("platform_assets.campaigns.training.ensembling"),
        config={"seed": seed, "refit": spec.advanced.refit, "horizon_days": spec.horizon.days, "not_fitted": told},
        inputs={
            "training_set": rows_hash(training),
            **{f"models/{member}": model.ref.content_hash for member, model in fitted.items()},
            **{f"past score {score.column}": score.ensemble.content_hash for score in past.scores},
        },
    )

    def build(folder: Path) -> dict[str, Any]:
        rows = TrainingRows.of(training)
        predictions = {member: out_of_fold(model) for member, model in fitted.items()}
        best = _combined(predictions, rows, spec)
        about = {"campaign": name, "past_scores": past.to_json()["scores"]}
        _bundled(best, fitted, rows, about, store).save(folder / BUNDLE_FOLDER)
        columns = [score.column for score in past.scores]
        blind = {m: predictions[m] for m, model in fitted.items() if set(columns) <= set(model.metadata["excluded"])}
        if columns and blind:
            about |= {"past_scores": []}
            _bundled(_combined(blind, rows, spec), fitted, rows, about, store).save(folder / ALONE_FOLDER)
        _write_out_of_fold(folder / OOF_FILE, rows, best.calibrated)
        weights = best.ensemble.weights
        importance = importance_of(weights, fitted, rows, seed, store)
        leaderboard, over_rule = leaderboard_of(rows, fitted, predictions, best.calibrated, weights, seed)
        evaluation = {
            "ensemble": best.ensemble.to_json(),
            "calibration": best.calibration,
            "leaderboard": leaderboard,
            "over_rule": over_rule,
            "not_fitted": told,
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
            "not_fitted": told,
            # What others need to know for its score; None when it has none of its own.
            "alone_features": features if blind else None,
            **_headline(rows, best),
        }

    return store.get_or_build(recipe, build)


@dataclass(frozen=True)
class _Combined:
    """Members weighted and calibrated: out-of-fold probabilities (n,), and how they were calibrated."""

    ensemble: "Ensemble"
    calibrator: "Calibrator"
    calibrated: "npt.NDArray[np.float64]"
    calibration: dict[str, Any]


def _combined(
    predictions: "Mapping[str, npt.NDArray[np.float64]]", rows: TrainingRows, spec: CampaignSpec
) -> _Combined:
    from platform_assets.learning.calibration import fit_calibrator
    from platform_assets.learning.ensemble import drop_costly, select_ensemble
    from platform_assets.learning.families.registry import ON_GPU

    ensemble = select_ensemble(predictions, rows.labels)
    if spec.advanced.refit:
        families = families_of(spec)
        ensemble = drop_costly(ensemble, predictions, rows.labels, [m for m in predictions if families[m] in ON_GPU])
    raw = ensemble.combine(predictions)
    latest = latest_window(rows, spec)
    groups = rows.frame[rows.key].to_numpy()
    calibrator, losses = fit_calibrator(raw, rows.labels, rows=latest, groups=groups, seed=spec.advanced.seed)
    found = {"method": calibrator.method, "log_loss": losses, "rows": int(latest.sum())}
    return _Combined(ensemble, calibrator, calibrator.predict(raw), found)


def latest_window(rows: TrainingRows, spec: CampaignSpec) -> "npt.NDArray[np.bool_]":
    """The rows (n,) of the last horizon before the newest as-of time: what is likeliest to hold when scores are used.

    Base rates drift, so older rows promise what was true then. All rows when too few of a class lie in that window.
    """
    import numpy as np

    recent = (rows.frame["as_of"] > rows.frame["as_of"].max() - spec.horizon).to_numpy()
    positives = int(rows.labels[recent].sum())
    enough = min(positives, int(recent.sum()) - positives) >= FEWEST_TO_CALIBRATE
    return recent if enough else np.ones(len(recent), dtype=bool)


def _bundled(
    combined: _Combined,
    models: Mapping[str, Artifact],
    rows: TrainingRows,
    about: dict[str, Any],
    store: ArtifactStore,
) -> "Bundle":
    from platform_assets.learning.bundle import Bundle
    from platform_assets.learning.explain import population_medians

    weights = combined.ensemble.weights
    estimators = {
        member: (models[member].metadata["family"], estimators_of(models[member], store))
        for member, weight in weights.items()
        if weight > 0
    }
    medians = {key: None if value != value else value for key, value in population_medians(rows.values).items()}
    return Bundle.of(weights, estimators, combined.calibrator, rows.features, {**about, "medians": medians})


def evaluation_of(ensemble: Artifact) -> dict[str, Any]:
    """Leaderboard, figures by time and importance of an ensemble artifact."""
    return dict(json.loads(Path(ensemble.path(EVALUATION_FILE)).read_text()))


def _write_out_of_fold(path: Path, rows: TrainingRows, calibrated: "npt.NDArray[np.float64]") -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(rows.frame[[rows.key, "as_of", "label"]], preserve_index=False)
    pq.write_table(table.append_column("probability", pa.array(calibrated)), path, compression="zstd")


def _headline(rows: TrainingRows, best: _Combined) -> dict[str, Any]:
    from platform_assets.learning.figures import metrics

    estimate = metrics.auc_interval(rows.labels, best.calibrated)
    return {
        "auc": estimate.auc,
        "auc_se": estimate.standard_error,
        "auc_low": estimate.low,
        "auc_high": estimate.high,
        "log_loss": metrics.log_loss(rows.labels, best.calibrated),
        "weights": {member: round(weight, 4) for member, weight in best.ensemble.weights.items()},
        "rows": len(rows.labels),
        "positives": int(rows.labels.sum()),
    }
