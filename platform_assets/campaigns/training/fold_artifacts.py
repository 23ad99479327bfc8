"""A campaign's fits: one cached artifact a fold of each model, and one for a fit on all rows.

Belongs here: their recipes, budgets and checkpoints, and what stands in for a fit that cannot be. Does not belong here: how a
fold is fitted (`learning.cross_fitting`), joining folds (`out_of_fold`).
"""

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.registry.past import Past
from platform_assets.campaigns.training.members import members_of
from platform_assets.campaigns.training.watching import Watching
from platform_assets.campaigns.training_sets.training_rows import TrainingRows, related_task, rows_hash
from platform_assets.foundation.artifacts import Artifact, ArtifactStore, Recipe, code_of

if TYPE_CHECKING:
    from platform_assets.learning.cross_fitting import FoldedTable, ModelSettings
    from platform_assets.learning.families.fitting import Fitting, RelatedTask
    from platform_assets.learning.portfolio import PlannedMember

REFIT_FOLDER = "estimator"
NOT_FITTED_FILE = "not_fitted.json"
NO_USE = "no use here: too few positives for it, or no earlier campaign that it could learn from"


@dataclass(frozen=True)
class TrainingTask:
    """One campaign to be trained on one training set.

    Attributes:
        name: the campaign's.
        training: the training set.
        store: where every part is found, or kept.
        watching: who sees the fits' progress.
    """

    name: str
    spec: CampaignSpec
    training: Artifact
    store: ArtifactStore
    watching: Watching | None = None

    def key(self, model: str) -> str:
        """Under which key a model's artifacts are kept."""
        return f"{self.name}/models/{model}"


def fit_fold_of(task: TrainingTask, model: str, fold: int) -> Artifact:
    """Fold `fold` of one model: found, or fitted on every row of the other folds.

    A fit that was interrupted goes on from its last checkpoint. A model that these rows cannot bear, or have no use for, is
    an artifact that says so (`not_fitted` in its metadata): it costs its place in the ensemble, not the run.
    """
    from platform_assets.learning.cross_fitting import fit_fold
    from platform_assets.learning.families.fitting import CannotFit

    member = members_of(task.spec, task.training).get(model)
    if member is None:
        return not_fitted(task, model, fold, NO_USE)

    def build(folder: Path, fitting: "Fitting") -> dict[str, Any]:
        try:
            result = fit_fold(folded_table(task.training), fold, member.model, fitting)
        except CannotFit as error:
            return _stand_in(folder, str(error))
        result.save(folder)
        return {
            "auc": result.auc,
            "log_loss": result.log_loss,
            "best_iteration": result.best_iteration,
            "ended_by": result.ended_by,
            "features": None if result.columns is None else list(result.columns),
            "excluded": list(member.model.excluded),
            "device": _device_of(member.model),
            "cpu_seconds": round(result.cpu_seconds, 3),
            "predict_cpu_seconds": round(result.predict_cpu_seconds, 4),
        }

    recipe = _recipe(task, member, f"{task.key(model)}/fold_{fold}", {"fold": fold}, {})
    return _fitted(task, recipe, member, member.fit_seconds, build)


def refit_of(task: TrainingTask, model: str, parts: Sequence[Artifact]) -> Artifact:
    """One estimator on all rows in place of a model's folds, as many rounds as they kept: found, or fitted."""
    from platform_assets.learning.cross_fitting import FoldResult, fit_whole

    member = members_of(task.spec, task.training).get(model)
    reason = why_not_fitted(parts)
    if member is None or reason is not None:
        return not_fitted(task, model, "refit", reason or "its folds were not fitted")

    def build(folder: Path, fitting: "Fitting") -> dict[str, Any]:
        table, folds = folded_table(task.training), [FoldResult.load(part.folder()) for part in parts]
        begun = time.process_time()
        estimator = fit_whole(table, folds, member.model, fitting)
        estimator.save(folder / REFIT_FOLDER)
        seconds = round(time.process_time() - begun, 3)
        return {"family": member.model.family, "ended_by": estimator.ended_by_, "cpu_seconds": seconds}

    inputs = {f"part {index}": part.ref.content_hash for index, part in enumerate(parts)}
    recipe = _recipe(task, member, f"{task.key(model)}/refit", {}, inputs)
    return _fitted(task, recipe, member, member.refit_seconds, build)


def folded_table(training: Artifact) -> "FoldedTable":
    """A training set as models are fitted on it."""
    from platform_assets.learning.cross_fitting import FoldedTable

    rows = TrainingRows.of(training)
    return FoldedTable(rows.values, rows.labels, rows.people, rows.frame["fold"].to_numpy(), rows_hash(training))


def _recipe(
    task: TrainingTask, member: "PlannedMember", key: str, config: Mapping[str, Any], inputs: Mapping[str, str]
) -> Recipe:
    """Of a fit: what every one depends on, with what this one does."""
    from platform_assets.learning.families.registry import family_module

    model, past = member.model, Past.of(task.training)
    ranking = model.selection.families_used if model.selection else ()
    tasks = {f"labels of {one.campaign}": one.training_set.content_hash for one in past.tasks}
    body = {"body": past.body.content_hash} if past.body else {}
    before = {"tasks": tasks, "body": body, None: {}}[member.needs]
    return Recipe(
        key=key,
        code=code_of("platform_assets.learning.cross_fitting", *map(family_module, (model.family, *ranking))),
        config={**model.to_json(), **config},
        inputs={"training_set": rows_hash(task.training), **inputs, **before},
    )


def _fitted(
    task: TrainingTask,
    recipe: Recipe,
    member: "PlannedMember",
    cpu_seconds: float,
    build: "Callable[[Path, Fitting], dict[str, Any]]",
) -> Artifact:
    """The artifact of a fit that may spend `cpu_seconds`: found, whatever it might have spent, or made.

    What a fit was allowed is part of its recipe only when it was not enough: otherwise any larger budget gives the same.
    """
    from platform_assets.learning.families.fitting import Fitting

    store = task.store
    config = {**recipe.config, "cpu_seconds": round(cpu_seconds, 1)}
    limited = Recipe(recipe.key, recipe.code, config, recipe.inputs)
    earlier = store.find(recipe.fingerprint) or store.find(limited.fingerprint)
    if earlier is not None:
        return earlier
    checkpoint = store.checkpoint(recipe)

    def build_within(folder: Path) -> dict[str, Any]:
        stopped = store.find(limited.fingerprint)
        if stopped is not None:
            raise _OutOfBudget(stopped)
        fitting = Fitting(
            tasks=_related(task) if member.needs == "tasks" else (),
            body=_body(task) if member.needs == "body" else None,
            cpu_seconds=cpu_seconds,
            checkpoints=checkpoint,
        )
        with task.watching(recipe, member.model) if task.watching else nullcontext() as report:
            metadata = build(folder, replace(fitting, report=report))
        if metadata.get("ended_by") != "budget":
            return metadata

        def kept(aside: Path) -> dict[str, Any]:
            shutil.copytree(folder, aside, dirs_exist_ok=True)
            return metadata

        raise _OutOfBudget(store.get_or_build(limited, kept))

    try:
        artifact = store.get_or_build(recipe, build_within)
    except _OutOfBudget as stopped:
        artifact = stopped.artifact
    checkpoint.clear()
    return artifact


class _OutOfBudget(Exception):
    """A fit ended because its budget did; what there is of it is kept under the recipe that names the budget."""

    def __init__(self, artifact: Artifact) -> None:
        super().__init__(artifact.ref.key)
        self.artifact = artifact


def _device_of(model: "ModelSettings") -> str:
    """Where this process fits a model: `cuda` when its family has a use for a GPU and torch finds one."""
    from platform_assets.learning.families.registry import ON_GPU

    if model.family not in ON_GPU or model.params.get("device") == "cpu":
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _related(task: TrainingTask) -> "tuple[RelatedTask, ...]":
    """The labelled rows of earlier campaigns, with the columns of the training set; what they do not know is missing."""
    columns = list(TrainingRows.of(task.training).features)
    return tuple(
        related_task(one.campaign, task.store.open(one.training_set), columns) for one in Past.of(task.training).tasks
    )


def _body(task: TrainingTask) -> Path | None:
    body = Past.of(task.training).body
    return task.store.open(body).folder() if body else None


def _stand_in(folder: Path, sentence: str) -> dict[str, Any]:
    (folder / NOT_FITTED_FILE).write_text(json.dumps({"not_fitted": sentence}))
    return {"not_fitted": sentence, "auc": None, "log_loss": None, "cpu_seconds": 0.0}


def not_fitted(task: TrainingTask, model: str, part: int | str, sentence: str) -> Artifact:
    """What stands in for a fold, a refit or a model that was not fitted."""
    inputs = {"training_set": rows_hash(task.training)}
    recipe = Recipe(key=f"{task.key(model)}/{part}", code={}, config={"not_fitted": sentence}, inputs=inputs)
    return task.store.get_or_build(recipe, lambda folder: _stand_in(folder, sentence))


def why_not_fitted(parts: Sequence[Artifact]) -> str | None:
    """What the first of a model's parts that was not fitted says, None when all were."""
    return next((part.metadata["not_fitted"] for part in parts if "not_fitted" in part.metadata), None)
