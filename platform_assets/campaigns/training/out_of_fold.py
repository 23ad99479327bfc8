"""A campaign's models: exactly K folds of one training set joined into out-of-fold predictions, and what they predict with.

Belongs here: a model's artifact, and reading it. Does not belong here: making the folds (`fold_artifacts`), weighing models
(`ensemble_artifact`).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_assets.campaigns.training.fold_artifacts import REFIT_FOLDER, TrainingTask, not_fitted, why_not_fitted
from platform_assets.campaigns.training_sets.training_rows import TrainingRows, rows_hash
from platform_assets.foundation.artifacts import Artifact, ArtifactRef, ArtifactStore, Recipe, code_of

if TYPE_CHECKING:
    from platform_assets.learning.combine import FittedMember
    from platform_assets.learning.cross_fitting import FoldResult
    from platform_assets.learning.families.estimator import TableClassifier

OOF_FILE = "out_of_fold.safetensors"
FOLDS_FILE = "folds.json"


def gather_folds(task: TrainingTask, model: str, parts: Sequence[Artifact], refitted: Artifact | None) -> Artifact:
    """One model: its K folds, the out-of-fold prediction of every training row, and its refit where there is one.

    Raises:
        IncompleteFolds: the parts are not exactly the K folds of this training set.
    """
    reason = why_not_fitted(parts)
    if reason is not None:
        return not_fitted(task, model, "model", reason)
    folds, costs = task.spec.advanced.folds, [*parts, *([refitted] if refitted else [])]
    recipe = Recipe(
        key=task.key(model),
        code=code_of("platform_assets.campaigns.training.out_of_fold"),
        config={"model": model, "folds": folds},
        inputs={
            "training_set": rows_hash(task.training),
            **{f"part {index}": part.ref.content_hash for index, part in enumerate(parts)},
            **({"refit": refitted.ref.content_hash} if refitted else {}),
        },
    )

    def build(folder: Path) -> dict[str, Any]:
        from safetensors.numpy import save_file

        from platform_assets.learning.combine import FittedMember
        from platform_assets.learning.cross_fitting import FoldResult
        from platform_assets.learning.ensemble import IncompleteFolds
        from platform_assets.learning.figures import metrics

        results = [FoldResult.load(part.folder()) for part in parts]
        foreign = [result.fold for result in results if result.training_set != rows_hash(task.training)]
        if foreign:
            raise IncompleteFolds(
                f"{task.key(model)}: folds {foreign} were fitted on another training set; fit them again"
            )
        member = FittedMember.of(results, folds, refitted.metadata["ended_by"] if refitted else None)
        save_file({"predictions": member.predictions}, folder / OOF_FILE)
        listed = {
            "folds": [part.ref.to_json() for part in parts],
            "refit": refitted.ref.to_json() if refitted else None,
        }
        (folder / FOLDS_FILE).write_text(json.dumps(listed, indent=1))
        labels = TrainingRows.of(task.training).labels
        estimate = metrics.auc_interval(labels, member.predictions)
        return {
            "family": member.family,
            "parameters": member.parameters,
            "excluded": parts[0].metadata["excluded"],
            "device": ", ".join(sorted({part.metadata["device"] for part in parts})),
            "training_set": rows_hash(task.training),
            "auc": estimate.value,
            "auc_se": estimate.standard_error,
            "log_loss": metrics.log_loss(labels, member.predictions),
            "fold_auc": list(member.fold_aucs),
            "fold_log_loss": [result.log_loss for result in results],
            "ended_by": list(member.ended_by),
            "cpu_seconds": round(sum(part.metadata["cpu_seconds"] for part in costs), 3),
            "rows_a_cpu_second": round(len(labels) / max(sum(p.metadata["predict_cpu_seconds"] for p in parts), 1e-4)),
        }

    return task.store.get_or_build(recipe, build)


def fitted_member(model: Artifact) -> "FittedMember":
    """What the folds of a gathered model say of the training rows."""
    from safetensors.numpy import load_file

    from platform_assets.learning.combine import FittedMember

    about = model.metadata
    return FittedMember(
        family=about["family"],
        parameters=about["parameters"],
        predictions=load_file(model.path(OOF_FILE))["predictions"],
        fold_aucs=tuple(about["fold_auc"]),
        ended_by=tuple(about["ended_by"]),
    )


def folds_of(model: Artifact, store: ArtifactStore) -> list["FoldResult"]:
    """The fold results a gathered model consists of, in order of fold."""
    from platform_assets.learning.cross_fitting import FoldResult

    refs = json.loads(Path(model.path(FOLDS_FILE)).read_text())["folds"]
    return [FoldResult.load(store.open(ArtifactRef.from_json(ref)).folder()) for ref in refs]


def estimators_of(model: Artifact, store: ArtifactStore) -> list["TableClassifier"]:
    """What a gathered model predicts with: its refit where there is a finished one, or one estimator a fold."""
    from platform_assets.learning.selection import load_estimator

    ref = json.loads(Path(model.path(FOLDS_FILE)).read_text())["refit"]
    refitted = store.open(ArtifactRef.from_json(ref)) if ref else None
    if refitted is None or refitted.metadata["ended_by"] == "budget":
        return [result.estimator for result in folds_of(model, store)]
    return [load_estimator(refitted.metadata["family"], refitted.folder() / REFIT_FOLDER)]
