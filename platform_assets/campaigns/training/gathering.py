"""A campaign's models: the fan-in of exactly K folds of one training set, and what they predict with."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_assets.campaigns.training.fitting import REFIT_FOLDER, not_fitted
from platform_assets.campaigns.training_sets.training_rows import TrainingRows, rows_hash
from platform_assets.foundation.artifacts import Artifact, ArtifactRef, ArtifactStore, Recipe, code_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from platform_assets.learning.families.estimator import TableClassifier
    from platform_assets.learning.fold_fit import FoldResult

OOF_FILE = "out_of_fold.safetensors"
FOLDS_FILE = "folds.json"


def gather_folds(
    name: str,
    model: str,
    folds: int,
    parts: Sequence[Artifact],
    refitted: Artifact | None,
    training: Artifact,
    store: ArtifactStore,
) -> Artifact:
    """One model: its K folds, the out-of-fold prediction of every training row, and its refit where there is one.

    Raises:
        IncompleteFolds: the parts are not exactly the K folds of this training set.
    """
    told = next((part.metadata["not_fitted"] for part in parts if "not_fitted" in part.metadata), None)
    if told is not None:
        return not_fitted(name, model, "model", training, told, store)
    recipe = Recipe(
        key=f"{name}/models/{model}",
        code=code_of("platform_assets.campaigns.training.gathering"),
        config={"model": model, "folds": folds},
        inputs={
            "training_set": rows_hash(training),
            **{f"part {index}": part.ref.content_hash for index, part in enumerate(parts)},
            **({"refit": refitted.ref.content_hash} if refitted else {}),
        },
    )

    def build(folder: Path) -> dict[str, Any]:
        from safetensors.numpy import save_file

        from platform_assets.learning.ensemble import IncompleteFolds, fan_in
        from platform_assets.learning.figures import metrics

        results = [load_fold(part) for part in parts]
        foreign = [result.fold for result in results if result.training_set != rows_hash(training)]
        if foreign:
            raise IncompleteFolds(
                f"{name}/models/{model}: folds {foreign} were fitted on another training set; fit them again"
            )
        out_of_fold = fan_in(results, folds)
        save_file({"predictions": out_of_fold}, folder / OOF_FILE)
        listed = {
            "folds": [part.ref.to_json() for part in parts],
            "refit": refitted.ref.to_json() if refitted else None,
        }
        (folder / FOLDS_FILE).write_text(json.dumps(listed, indent=1))
        labels = TrainingRows.of(training).labels
        estimate = metrics.auc_interval(labels, out_of_fold)
        costs = [*parts, *([refitted] if refitted else [])]
        return {
            "family": results[0].family,
            "parameters": dict(results[0].params),
            "excluded": parts[0].metadata["excluded"],
            "device": ", ".join(sorted({part.metadata["device"] for part in parts})),
            "training_set": rows_hash(training),
            "auc": estimate.auc,
            "auc_se": estimate.standard_error,
            "log_loss": metrics.log_loss(labels, out_of_fold),
            "fold_auc": [part.metadata["auc"] for part in parts],
            "fold_log_loss": [part.metadata["log_loss"] for part in parts],
            "ended_by": sorted({part.metadata["ended_by"] for part in costs}),
            "cpu_seconds": round(sum(part.metadata["cpu_seconds"] for part in costs), 3),
            "rows_a_cpu_second": round(len(labels) / max(sum(p.metadata["predict_cpu_seconds"] for p in parts), 1e-4)),
        }

    return store.get_or_build(recipe, build)


def load_fold(part: Artifact) -> "FoldResult":
    """The fold result an artifact holds."""
    from platform_assets.learning.fold_fit import FoldResult

    return FoldResult.load(part.folder())


def folds_of(model: Artifact, store: ArtifactStore) -> list["FoldResult"]:
    """The fold results a gathered model consists of, in order of fold."""
    refs = json.loads(Path(model.path(FOLDS_FILE)).read_text())["folds"]
    return [load_fold(store.open(ArtifactRef.from_json(ref))) for ref in refs]


def estimators_of(model: Artifact, store: ArtifactStore) -> list["TableClassifier"]:
    """What a gathered model predicts with: its refit where there is a finished one, or one estimator a fold."""
    from platform_assets.learning.selection import load_estimator

    ref = json.loads(Path(model.path(FOLDS_FILE)).read_text())["refit"]
    refitted = store.open(ArtifactRef.from_json(ref)) if ref else None
    if refitted is None or refitted.metadata["ended_by"] == "budget":
        return [result.estimator for result in folds_of(model, store)]
    return [load_estimator(refitted.metadata["family"], refitted.folder() / REFIT_FOLDER)]


def out_of_fold(model: Artifact) -> "npt.NDArray[np.float64]":
    """The out-of-fold prediction of every training row, shape (n,)."""
    from safetensors.numpy import load_file

    return load_file(model.path(OOF_FILE))["predictions"]
