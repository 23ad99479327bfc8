"""A campaign's ensemble: weights chosen out of fold, calibration, a bundle, and an honest account of how good it is."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_assets.artifacts import Artifact, ArtifactStore, Recipe, code_of
from platform_assets.campaigns.fitting import TrainingRows, folds_of, out_of_fold, require_training_set

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from platform_assets.learning.bundle import Bundle
    from platform_assets.learning.ensemble import Ensemble
    from platform_assets.learning.fold_fit import FoldResult

BUNDLE_FOLDER = "bundle"
EVALUATION_FILE = "evaluation.json"
OOF_FILE = "out_of_fold.parquet"
ENSEMBLE = "ensemble"
MANY_TIMES = 24


def build_ensemble(
    name: str, models: Mapping[str, Artifact], training: Artifact, seed: int, store: ArtifactStore
) -> Artifact:
    """The ensemble of gathered models: found, or selected, calibrated, evaluated and bundled.

    Its files: `bundle/`, `evaluation.json` (leaderboard, figures by time, importance) and `out_of_fold.parquet`
    (entity key, as_of, label, calibrated out-of-fold probability).

    Raises:
        OtherTrainingSet: a model was made from another training set.
    """
    for model in models.values():
        require_training_set(model, training)
    recipe = Recipe(
        key=f"{name}/ensemble",
        code=code_of("platform_assets.campaigns.ensembling"),
        config={"seed": seed},
        inputs={
            "training_set": training.ref.content_hash,
            **{f"models/{family}": model.ref.content_hash for family, model in sorted(models.items())},
        },
    )

    def build(folder: Path) -> dict[str, Any]:
        from platform_assets.learning.bundle import Bundle
        from platform_assets.learning.calibration import fit_calibrator
        from platform_assets.learning.ensemble import select_ensemble
        from platform_assets.learning.explain import population_medians

        rows = TrainingRows.of(training)
        predictions = {family: out_of_fold(model) for family, model in sorted(models.items())}
        ensemble = select_ensemble(predictions, rows.labels)
        raw = ensemble.combine(predictions)
        calibrator, losses = fit_calibrator(raw, rows.labels, groups=rows.frame[rows.key].to_numpy(), seed=seed)
        calibrated = calibrator.predict(raw)
        weighted = {family: folds_of(model, store) for family, model in models.items() if ensemble.weights[family] > 0}
        fitted = {family: (family, [part.estimator for part in parts]) for family, parts in weighted.items()}
        medians = {key: None if value != value else value for key, value in population_medians(rows.values).items()}
        bundle = Bundle.of(ensemble.weights, fitted, calibrator, rows.features, {"campaign": name, "medians": medians})
        bundle.save(folder / BUNDLE_FOLDER)
        _write_out_of_fold(folder / OOF_FILE, rows, calibrated)
        evaluation = {
            "ensemble": ensemble.to_json(),
            "calibration": {"method": calibrator.method, "log_loss": losses},
            "leaderboard": _leaderboard(rows, predictions, calibrated, ensemble, seed),
            "by_time": _by_time(rows, calibrated),
            "importance": _importance(ensemble, weighted, rows, seed),
        }
        (folder / EVALUATION_FILE).write_text(json.dumps(evaluation, indent=1, allow_nan=False))
        return {"training_set": training.ref.content_hash, **_headline(rows, calibrated, ensemble)}

    return store.get_or_build(recipe, build)


def load_bundle(ensemble: Artifact) -> "Bundle":
    """The bundle of an ensemble artifact."""
    from platform_assets.learning.bundle import Bundle

    return Bundle.load(ensemble.folder() / BUNDLE_FOLDER)


def evaluation_of(ensemble: Artifact) -> dict[str, Any]:
    """Leaderboard, figures by time and importance of an ensemble artifact."""
    return dict(json.loads(Path(ensemble.path(EVALUATION_FILE)).read_text()))


def _write_out_of_fold(path: Path, rows: TrainingRows, calibrated: "npt.NDArray[np.float64]") -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(rows.frame[[rows.key, "as_of", "label"]], preserve_index=False)
    pq.write_table(table.append_column("probability", pa.array(calibrated)), path, compression="zstd")


def _leaderboard(
    rows: TrainingRows,
    predictions: "Mapping[str, npt.NDArray[np.float64]]",
    calibrated: "npt.NDArray[np.float64]",
    ensemble: "Ensemble",
    seed: int,
) -> list[dict[str, Any]]:
    from platform_assets.learning.evaluate import Candidate, baseline_candidates, leaderboard

    candidates = {family: Candidate(values, ensemble.weights[family]) for family, values in predictions.items()}
    candidates[ENSEMBLE] = Candidate(calibrated)
    candidates |= baseline_candidates(rows.values, rows.labels, rows.frame["fold"].to_numpy(), seed)
    # Timings are left out: equal models must have equal content.
    return [
        {
            "model": row.model,
            "auc": row.auc,
            "auc_se": row.auc_se,
            "log_loss": row.log_loss,
            "weight": row.weight,
            "note": row.note,
        }
        for row in leaderboard(rows.labels, candidates)
    ]


def _by_time(rows: TrainingRows, calibrated: "npt.NDArray[np.float64]") -> list[dict[str, Any]]:
    """Out-of-fold figures per as-of date; own as-of times of each row are taken together by month."""
    from platform_assets.learning.evaluate import metrics_by_as_of

    times = rows.frame["as_of"].dt.tz_convert(rows.timezone)
    names = times.dt.strftime("%Y-%m" if times.nunique() > MANY_TIMES else "%Y-%m-%d").to_numpy()
    figures = metrics_by_as_of(rows.labels, calibrated, names)
    return [
        {
            "when": str(row["as_of"]),
            "rows": int(row["rows"]),
            "positives": int(row["positives"]),
            "auc": None if row["auc"] != row["auc"] else float(row["auc"]),
            "predicted": float(calibrated[names == row["as_of"]].mean()),
            "actual": float(row["base_rate"]),
        }
        for row in figures.to_dict("records")
    ]


def _importance(
    ensemble: "Ensemble", weighted: "Mapping[str, list[FoldResult]]", rows: TrainingRows, seed: int
) -> list[dict[str, Any]]:
    """Permutation importance of the members fitted without fold 0, on fold 0: rows they have not seen."""
    from platform_assets.learning.bundle import Bundle
    from platform_assets.learning.explain import permutation_importance

    first = {
        family: (family, [part.estimator for part in parts if part.fold == 0]) for family, parts in weighted.items()
    }
    unseen = Bundle.of(ensemble.weights, first, None, rows.features)
    held_out = (rows.frame["fold"] == 0).to_numpy()
    found = permutation_importance(unseen, rows.values[held_out], rows.labels[held_out], seed=seed)
    return [{"feature": row["feature"], "importance": float(row["auc_drop"])} for row in found.to_dict("records")]


def _headline(rows: TrainingRows, calibrated: "npt.NDArray[np.float64]", ensemble: "Ensemble") -> dict[str, Any]:
    from platform_assets.learning import metrics

    estimate = metrics.auc_interval(rows.labels, calibrated)
    return {
        "auc": estimate.auc,
        "auc_se": estimate.standard_error,
        "auc_low": estimate.low,
        "auc_high": estimate.high,
        "log_loss": metrics.log_loss(rows.labels, calibrated),
        "weights": {family: round(weight, 4) for family, weight in ensemble.weights.items()},
        "rows": len(rows.labels),
        "positives": int(rows.labels.sum()),
    }
