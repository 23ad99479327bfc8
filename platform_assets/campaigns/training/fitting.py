"""Fitting a campaign's models: one cached artifact a fold, one for a fit on all rows."""

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.registry.past import Past
from platform_assets.campaigns.training.members import Member, members_of
from platform_assets.campaigns.training.watching import Watching
from platform_assets.campaigns.training_sets.training_rows import TrainingRows, related_task, rows_hash
from platform_assets.foundation.artifacts import Artifact, ArtifactStore, Recipe, code_of

if TYPE_CHECKING:
    from platform_assets.learning.families.fitting import Fitting, RelatedTask

REFIT_FOLDER = "estimator"
NOT_FITTED_FILE = "not_fitted.json"
NO_USE = "no use here: too few positives for it, or no earlier campaign that it could learn from"


def fit_fold_of(
    name: str,
    spec: CampaignSpec,
    model: str,
    fold: int,
    training: Artifact,
    store: ArtifactStore,
    watching: Watching | None = None,
) -> Artifact:
    """Fold `fold` of one model of campaign `name`: found, or fitted on every row of the other folds.

    A fit that was interrupted goes on from its last checkpoint. A model that these rows cannot bear, or have no use for, is
    an artifact that says so (`not_fitted` in its metadata): it costs its place in the ensemble, not the run.
    """
    from platform_assets.learning.families.fitting import CannotFit

    member = members_of(spec, training).get(model)
    if member is None:
        return not_fitted(name, model, fold, training, NO_USE, store)
    recipe = Recipe(
        key=f"{name}/models/{model}/fold_{fold}",
        code=code_of("platform_assets.learning.fold_fit", *_modules_of(member)),
        config={**member.settings, "fold": fold, "seed": spec.advanced.seed},
        inputs={"training_set": rows_hash(training), **_learned_before(member, training)},
    )

    def build(folder: Path, fitting: "Fitting") -> dict[str, Any]:
        from platform_assets.learning.fold_fit import fit_fold

        rows = TrainingRows.of(training)
        try:
            result = fit_fold(
                rows.values,
                rows.labels,
                rows.frame[rows.key].to_numpy(),
                rows.frame["fold"].to_numpy(),
                fold,
                member.family,
                member.params,
                spec.advanced.seed,
                selection=member.selection,
                fitting=fitting,
                training_set=rows_hash(training),
            )
        except CannotFit as error:
            return _told(folder, str(error))
        result.save(folder)
        return {
            "auc": result.auc,
            "log_loss": result.log_loss,
            "best_iteration": result.best_iteration,
            "ended_by": result.ended_by,
            "features": None if result.columns is None else list(result.columns),
            "excluded": list(member.excluded),
            "device": _device_of(member),
            "cpu_seconds": round(result.cpu_seconds, 3),
            "predict_cpu_seconds": round(result.predict_cpu_seconds, 4),
        }

    return _fitted(recipe, member, member.fit_seconds, build, training, store, watching)


def refit_of(
    name: str,
    spec: CampaignSpec,
    model: str,
    parts: Sequence[Artifact],
    training: Artifact,
    store: ArtifactStore,
    watching: Watching | None = None,
) -> Artifact:
    """One estimator on all rows in place of a model's folds, as many rounds as they kept: found, or fitted."""
    member = members_of(spec, training).get(model)
    told = next((part.metadata["not_fitted"] for part in parts if "not_fitted" in part.metadata), None)
    if member is None or told is not None:
        return not_fitted(name, model, "refit", training, told or "its folds were not fitted", store)
    recipe = Recipe(
        key=f"{name}/models/{model}/refit",
        code=code_of("platform_assets.learning.fold_fit", *_modules_of(member)),
        config={**member.settings, "seed": spec.advanced.seed},
        inputs={
            "training_set": rows_hash(training),
            **{f"part {index}": part.ref.content_hash for index, part in enumerate(parts)},
            **_learned_before(member, training),
        },
    )

    def build(folder: Path, fitting: "Fitting") -> dict[str, Any]:
        import time

        from platform_assets.learning.fold_fit import FoldResult, fit_whole

        rows = TrainingRows.of(training)
        results = [FoldResult.load(part.folder()) for part in parts]
        groups, begun = rows.frame[rows.key].to_numpy(), time.process_time()
        estimator = fit_whole(rows.values, rows.labels, groups, results, selection=member.selection, fitting=fitting)
        estimator.save(folder / REFIT_FOLDER)
        seconds = round(time.process_time() - begun, 3)
        return {"family": member.family, "ended_by": estimator.ended_by_, "cpu_seconds": seconds}

    return _fitted(recipe, member, member.refit_seconds, build, training, store, watching)


def _fitted(
    recipe: Recipe,
    member: Member,
    cpu_seconds: float,
    build: "Callable[[Path, Fitting], dict[str, Any]]",
    training: Artifact,
    store: ArtifactStore,
    watching: Watching | None,
) -> Artifact:
    """The artifact of a fit that may spend `cpu_seconds`: found, whatever it might have spent, or made.

    What a fit was allowed is part of its recipe only when it was not enough: otherwise any larger budget gives the same.
    """
    from platform_assets.learning.families.fitting import Fitting

    config = {**recipe.config, "cpu_seconds": round(cpu_seconds, 1)}
    limited = Recipe(recipe.key, recipe.code, config, recipe.inputs)
    found = store.find(recipe.fingerprint) or store.find(limited.fingerprint)
    if found is not None:
        return found
    checkpoint = store.checkpoint(recipe)

    def build_within(folder: Path) -> dict[str, Any]:
        stopped = store.find(limited.fingerprint)
        if stopped is not None:
            raise _OutOfBudget(stopped)
        fitting = Fitting(
            tasks=_tasks(training, store) if member.uses_tasks else (),
            body=_body(training, store) if member.uses_body else None,
            cpu_seconds=cpu_seconds,
            checkpoints=checkpoint,
        )
        with watching(recipe, member) if watching else nullcontext() as report:
            metadata = build(folder, replace(fitting, report=report))
        if metadata.get("ended_by") != "budget":
            return metadata

        def kept(aside: Path) -> dict[str, Any]:
            shutil.copytree(folder, aside, dirs_exist_ok=True)
            return metadata

        raise _OutOfBudget(store.get_or_build(limited, kept))

    try:
        made = store.get_or_build(recipe, build_within)
    except _OutOfBudget as stopped:
        made = stopped.made
    checkpoint.clear()
    return made


class _OutOfBudget(Exception):
    """A fit ended because its budget did; what there is of it is kept under the recipe that names the budget."""

    def __init__(self, made: Artifact) -> None:
        super().__init__(made.ref.key)
        self.made = made


def _device_of(member: Member) -> str:
    """Where this process fits a member: `cuda` when its family has a use for a GPU and torch finds one."""
    from platform_assets.learning.families.registry import ON_GPU

    if member.family not in ON_GPU or member.params.get("device") == "cpu":
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _modules_of(member: Member) -> list[str]:
    from platform_assets.learning.families.registry import family_module

    ranking = member.selection.families_used if member.selection else ()
    return [family_module(family) for family in (member.family, *ranking)]


def _learned_before(member: Member, training: Artifact) -> dict[str, str]:
    """Name → content hash of what a member looks at beside the training set's rows."""
    past = Past.of(training)
    tasks = {f"labels of {task.campaign}": task.training_set.content_hash for task in past.tasks}
    body = {"body": past.body.content_hash} if past.body else {}
    return (tasks if member.uses_tasks else {}) | (body if member.uses_body else {})


def _tasks(training: Artifact, store: ArtifactStore) -> "tuple[RelatedTask, ...]":
    """The labelled rows of earlier campaigns, with the columns of the training set; what they do not know is missing."""
    columns = list(TrainingRows.of(training).features)
    return tuple(
        related_task(task.campaign, store.open(task.training_set), columns) for task in Past.of(training).tasks
    )


def _body(training: Artifact, store: ArtifactStore) -> Path | None:
    body = Past.of(training).body
    return store.open(body).folder() if body else None


def _told(folder: Path, sentence: str) -> dict[str, Any]:
    (folder / NOT_FITTED_FILE).write_text(json.dumps({"not_fitted": sentence}))
    return {"not_fitted": sentence, "auc": None, "log_loss": None, "cpu_seconds": 0.0}


def not_fitted(
    name: str, model: str, fold: int | str, training: Artifact, sentence: str, store: ArtifactStore
) -> Artifact:
    """What stands in for a fold, a refit or a model that was not fitted."""
    recipe = Recipe(
        key=f"{name}/models/{model}/{fold}",
        code={},
        config={"not_fitted": sentence},
        inputs={"training_set": rows_hash(training)},
    )
    return store.get_or_build(recipe, lambda folder: _told(folder, sentence))
