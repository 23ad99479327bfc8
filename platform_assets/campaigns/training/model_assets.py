"""The Dagster face of a campaign's models: a graph of K fold steps each, gathered into one asset.

Belongs here: the steps of one model, and what every step of a campaign shares: metadata, outputs, refusals. The work is in the
functions these call.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg

from platform_assets.campaigns.declaration.families import families_of
from platform_assets.campaigns.declaration.resources import fold_settings, needs_gpu, step_tags
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.training.watching import event_files, shown_where
from platform_assets.data.quality import Verdicts
from platform_assets.data.quality.assets import require_verdict
from platform_assets.environment import Environment
from platform_assets.foundation.artifacts import Artifact, ArtifactRef, ArtifactStore, ArtifactUnusable
from platform_assets.foundation.execution.profiles import Profiles

ANY_TIME = "current"
REFIT = "refit"


def verdict_table(name: str) -> str:
    """Under which name the audits of a campaign's training set are kept."""
    return f"{name}/training_set"


def shown(artifact: Artifact, *names: str) -> dict[str, Any]:
    """An artifact's own metadata that people should see, and where it came from."""
    return {
        **{name: artifact.metadata[name] for name in names if name in artifact.metadata},
        **artifact.dagster_metadata(),
    }


@contextmanager
def not_retried(*refusals: type[Exception]) -> Iterator[None]:
    """While in it, errors of these kinds, and what is stored and cannot be used, fail the step with their own sentence: another
    attempt would meet them again.
    """
    kinds: tuple[type[Exception], ...] = (*refusals, ArtifactUnusable)
    try:
        yield
    except kinds as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def output_of(artifact: Artifact, metadata: Mapping[str, Any], name: str = "result") -> dg.Output[ArtifactRef]:
    """An artifact's reference as a step's output, with its content hash as data version."""
    return dg.Output(
        artifact.ref, output_name=name, metadata=dict(metadata), data_version=dg.DataVersion(artifact.ref.content_hash)
    )


def model_asset(
    name: str, spec: CampaignSpec, model: str, environment: Environment, profiles: Profiles
) -> dg.AssetsDefinition:
    folds, family = spec.advanced.folds, families_of(spec)[model]
    fits = {
        _fit_step(spec, fold): _fit_op(name, spec, model, fold, environment, profiles)
        for fold in range(folds + spec.advanced.refit)
    }

    @dg.op(
        name=f"{name}__{model}__gather",
        ins={part: dg.In(ArtifactRef) for part in (*fits, "training_set")},
        out=dg.Out(ArtifactRef),
        tags=step_tags(name, spec, environment, profiles),
    )
    def gather(
        context: dg.OpExecutionContext, training_set: ArtifactRef, **parts: ArtifactRef
    ) -> dg.Output[ArtifactRef]:
        from platform_assets.campaigns.training.fold_artifacts import TrainingTask
        from platform_assets.campaigns.training.out_of_fold import gather_folds

        store = ArtifactStore(environment.artifacts)
        with not_retried():
            opened = [store.open(parts[part]) for part in fits]
            task = TrainingTask(name, spec, store.open(training_set), store)
            artifact = gather_folds(task, model, opened[:folds], opened[folds] if spec.advanced.refit else None)
        names = ("not_fitted", "auc", "auc_se", "log_loss", "fold_auc", "cpu_seconds")
        return output_of(artifact, shown(artifact, *names) | shown_where(f"{name}/models/{model}", environment))

    @dg.graph_asset(
        key=[name, "models", model],
        ins={"training_set": dg.AssetIn([name, "training_set"])},
        group_name=name,
        owners=[spec.owner],
        kinds={family if family == "lightgbm" else "pytorch"},
        description=f"{model}: {folds} folds grouped by person, each a step of its own, and their out-of-fold predictions.",
    )
    def fitted(training_set: Any) -> Any:
        parts: dict[str, Any] = {}
        for step, fit in fits.items():
            parts[step] = fit(training_set) if step != REFIT else fit(training_set=training_set, **parts)
        return gather(training_set=training_set, **parts)

    return fitted


def _fit_op(
    name: str, spec: CampaignSpec, model: str, fold: int, environment: Environment, profiles: Profiles
) -> dg.OpDefinition:
    """A step that fits one fold, or, after the last of K, all rows: the refit, which looks at the K."""
    count, step = spec.advanced.folds, _fit_step(spec, fold)
    before = [f"fold_{earlier}" for earlier in range(count)] if fold == count else []

    @dg.op(
        name=f"{name}__{model}__{step}",
        ins={part: dg.In(ArtifactRef) for part in ("training_set", *before)},
        out=dg.Out(ArtifactRef),
        **fold_settings(name, spec, model, fold, environment, profiles),
    )
    def fit(context: dg.OpExecutionContext, training_set: ArtifactRef, **parts: ArtifactRef) -> dg.Output[ArtifactRef]:
        from platform_assets.campaigns.training.fold_artifacts import TrainingTask, fit_fold_of, refit_of
        from platform_assets.foundation.gpus.required import GpuUnusable

        with not_retried(GpuUnusable), _fitting(name, model, context.op.name, spec, environment, profiles) as used:
            require_audited(name, training_set, environment)
            store = ArtifactStore(environment.artifacts)
            task = TrainingTask(name, spec, store.open(training_set), store, event_files(environment))
            if fold < count:
                artifact = fit_fold_of(task, model, fold)
            else:
                artifact = refit_of(task, model, [store.open(parts[part]) for part in before])
        names = ("not_fitted", "auc", "log_loss", "best_iteration", "ended_by", "cpu_seconds")
        where = shown_where(f"{name}/models/{model}/{step}", environment)
        return dg.Output(artifact.ref, metadata=shown(artifact, *names) | where | used())

    return fit


def _fit_step(spec: CampaignSpec, fold: int) -> str:
    return f"fold_{fold}" if fold < spec.advanced.folds else REFIT


@contextmanager
def _fitting(
    name: str, model: str, step: str, spec: CampaignSpec, environment: Environment, profiles: Profiles
) -> Iterator[Callable[[], dict[str, Any]]]:
    """Around a fit: refuses a GPU model that was not launched, or whose GPU does not compute, and measures the GPU's use; the
    metadata of it.
    """
    if not needs_gpu(spec, model, profiles):
        yield dict
        return
    profile = spec.advanced.resources.profile
    _require_launched(name, model, profile, environment)
    if environment.executor != "kubernetes":
        yield dict
        return
    from platform_assets.foundation.gpus.required import require_gpus
    from platform_assets.foundation.gpus.use import gpu_use

    _require_commit_of_run(environment)
    # Where emulators stand in for the cloud, nodes say that they have GPUs and have none.
    if environment.name != "emulated":
        require_gpus(profile, profiles[profile].gpus)
    with gpu_use(name, step, environment.metrics_port) as use:
        yield use.metadata


def _require_commit_of_run(environment: Environment) -> None:
    """Refuse to compute with other code than the run's: the image with CUDA is named beside the other, and pushed by itself."""
    if environment.run_commit not in (None, environment.commit):
        raise dg.Failure(
            f"this step's image is of commit {environment.commit}, and its run's of {environment.run_commit}: deploy both images of "
            f"one commit (the CUDA image is <name>-cuda:<commit>, or what DAGSTER_CONTAINER_CONTEXT of the code location names)",
            allow_retries=False,
        )


def require_audited(name: str, training_set: ArtifactRef, environment: Environment) -> None:
    require_verdict(Verdicts(environment.verdicts), verdict_table(name), ANY_TIME, training_set.fingerprint)


def _require_launched(name: str, family: str, profile: str, environment: Environment) -> None:
    """Refuse to compute in the cloud what asks for a GPU on whatever machine the command was typed."""
    if environment.name == "gcp" and environment.executor == "in_process":
        raise dg.Failure(
            f"{name}/models/{family} asks for a GPU (resource profile {profile}), and this command computes on the machine "
            f"it is typed on. Launch it on the cluster: from the web UI, or with `kubectl exec deploy/dagster-webserver -- "
            f"dagster job launch -w /opt/dagster/home/workspace.yaml -j train_{name}`",
            allow_retries=False,
        )
