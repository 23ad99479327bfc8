"""The Dagster face of training one campaign: training set → models, K fold steps each → ensemble → promoted model.

Belongs here: keys, steps, metadata, checks and failures. The work is in the functions these call.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import dagster as dg

from platform_assets.artifacts import Artifact, ArtifactRef, ArtifactStore
from platform_assets.campaigns.feature_choice import chosen_groups
from platform_assets.campaigns.resources import fold_settings, needs_gpu, step_tags
from platform_assets.campaigns.spec import CampaignSpec
from platform_assets.environment import Environment
from platform_assets.execution.profiles import Profiles
from platform_assets.quality import AuditFailed, Verdicts
from platform_assets.quality.assets import audit_check_result, audit_check_spec, require_verdict
from platform_assets.warehouse.catalog import Catalog

GATE = "promotion_gate"
ANY_TIME = "current"


class Replay(dg.Config):
    """Train as of a past date, as if nothing later were known."""

    score_at: str | None = None


def campaign_assets(
    name: str, spec: CampaignSpec, environment: Environment, catalog: Catalog, profiles: Profiles
) -> list[dg.AssetsDefinition]:
    """The assets of one campaign up to its promoted model, in the group of its name."""
    tags = step_tags(name, spec, environment, profiles)
    return [
        _training_set(name, spec, environment, catalog, tags),
        *(_model(name, spec, family, environment, profiles) for family in spec.advanced.models),
        _ensemble(name, spec, environment, tags),
        _promoted_model(name, spec, environment, tags),
    ]


def verdict_table(name: str) -> str:
    """Under which name the audits of a campaign's training set are kept."""
    return f"{name}/training_set"


def shown(artifact: Artifact, *names: str) -> dict[str, Any]:
    """An artifact's own metadata that people should see, and where it came from."""
    return {
        **{name: artifact.metadata[name] for name in names if name in artifact.metadata},
        **artifact.dagster_metadata(),
    }


def output_of(artifact: Artifact, metadata: Mapping[str, Any], name: str = "result") -> dg.Output[ArtifactRef]:
    """An artifact's reference as a step's output, with its content hash as data version."""
    return dg.Output(
        artifact.ref, output_name=name, metadata=dict(metadata), data_version=dg.DataVersion(artifact.ref.content_hash)
    )


def _training_set(
    name: str, spec: CampaignSpec, environment: Environment, catalog: Catalog, tags: Mapping[str, str]
) -> dg.AssetsDefinition:
    key = dg.AssetKey([name, "training_set"])

    @dg.asset(
        key=key,
        group_name=name,
        owners=[spec.owner],
        kinds={"parquet", "great_expectations"},
        # It asks for dates of its own; without a mapping Dagster would look up every partition there ever was.
        deps=[
            dg.AssetDep(["features", spec.entity, group], partition_mapping=dg.LastPartitionMapping())
            for group in chosen_groups(spec)
        ],
        op_tags=tags,
        check_specs=[audit_check_spec(key)],
        metadata={"campaign": dg.MetadataValue.json(spec.resolved())},
        description=f"{spec.description}: labels joined to features as of the same times.\n\n"
        "Config `score_at` (YYYY-MM-DD) trains as of a past date.",
    )
    def training_set(
        context: dg.AssetExecutionContext, config: Replay
    ) -> Iterator[dg.Output[ArtifactRef] | dg.AssetCheckResult]:
        from platform_assets.campaigns.label import ImmatureLabel
        from platform_assets.campaigns.teacher import TeacherError
        from platform_assets.campaigns.times import NotCovered
        from platform_assets.campaigns.training_set import TooFewPositives, build_training_set
        from platform_assets.features.tables import AsOfNotCovered
        from platform_assets.warehouse.opening import open_warehouse
        from platform_assets.warehouse.published import MartMissing, MartRefused

        store = ArtifactStore(environment.artifacts)
        verdicts = Verdicts(environment.verdicts)
        warehouse = open_warehouse(environment, catalog, f"{name} training_set")
        try:
            made = build_training_set(name, spec, warehouse, store, environment.teachers, _as_date(config.score_at))
        except AuditFailed as error:
            verdicts.refuse(verdict_table(name), ANY_TIME, "", str(error))
            yield audit_check_result(error.result, key)
            raise dg.Failure(str(error), allow_retries=False) from error
        except (
            AsOfNotCovered,
            ImmatureLabel,
            MartMissing,
            MartRefused,
            NotCovered,
            TeacherError,
            TooFewPositives,
        ) as error:
            # What was trained before must not pass for an answer to what was asked now.
            verdicts.refuse(verdict_table(name), ANY_TIME, "", str(error))
            raise dg.Failure(str(error), allow_retries=False) from error
        verdicts.passed(verdict_table(name), ANY_TIME, made.ref.fingerprint)
        found = shown(made, "rows", "positives", "base_rate", "score_at", "set_aside", "as_of", "by_time")
        yield output_of(made, found | warehouse.cost())
        yield audit_check_result(made.metadata["audit"], key)

    return training_set


def _model(
    name: str, spec: CampaignSpec, family: str, environment: Environment, profiles: Profiles
) -> dg.AssetsDefinition:
    folds = range(spec.advanced.folds)
    fold_ops = [_fold_op(name, spec, family, fold, environment, profiles) for fold in folds]

    @dg.op(
        name=f"{name}__{family}__gather",
        ins={**{f"fold_{fold}": dg.In(ArtifactRef) for fold in folds}, "training_set": dg.In(ArtifactRef)},
        out=dg.Out(ArtifactRef),
        tags=step_tags(name, spec, environment, profiles),
    )
    def gather(
        context: dg.OpExecutionContext, training_set: ArtifactRef, **parts: ArtifactRef
    ) -> dg.Output[ArtifactRef]:
        from platform_assets.campaigns.fitting import gather_folds

        store = ArtifactStore(environment.artifacts)
        ordered = [store.open(parts[f"fold_{fold}"]) for fold in folds]
        made = gather_folds(name, family, len(folds), ordered, store.open(training_set), store)
        return output_of(made, shown(made, "auc", "auc_se", "log_loss", "fold_auc", "cpu_seconds"))

    @dg.graph_asset(
        key=[name, "models", family],
        ins={"training_set": dg.AssetIn([name, "training_set"])},
        group_name=name,
        owners=[spec.owner],
        kinds={family if family == "lightgbm" else "pytorch"},
        description=f"{family}: {len(folds)} folds grouped by person, each a step of its own, and their out-of-fold predictions.",
    )
    def model(training_set: Any) -> Any:
        return gather(
            training_set=training_set,
            **{f"fold_{fold}": op(training_set) for fold, op in zip(folds, fold_ops, strict=True)},
        )

    return model


def _fold_op(
    name: str, spec: CampaignSpec, family: str, fold: int, environment: Environment, profiles: Profiles
) -> dg.OpDefinition:
    parameters = spec.advanced.models[family]
    on_gpu = needs_gpu(spec, family, profiles)

    @dg.op(
        name=f"{name}__{family}__fold_{fold}",
        ins={"training_set": dg.In(ArtifactRef)},
        out=dg.Out(ArtifactRef),
        **fold_settings(name, spec, family, fold, environment, profiles),
    )
    def fit(context: dg.OpExecutionContext, training_set: ArtifactRef) -> dg.Output[ArtifactRef]:
        from platform_assets.campaigns.fitting import fit_fold_of

        if on_gpu:
            _require_launched(name, family, spec.advanced.resources.profile, environment)
        _require_audited(name, training_set, environment)
        store = ArtifactStore(environment.artifacts)
        training = store.open(training_set)
        if not (on_gpu and environment.executor == "kubernetes"):
            made, used = fit_fold_of(name, family, parameters, fold, spec.advanced.seed, training, store), {}
        else:
            from platform_assets.execution.gpu import gpu_use

            with gpu_use(name, context.op.name, environment.metrics_port) as use:
                made = fit_fold_of(name, family, parameters, fold, spec.advanced.seed, training, store)
            used = use.metadata()
        return dg.Output(made.ref, metadata=shown(made, "auc", "log_loss", "best_iteration", "cpu_seconds") | used)

    return fit


def _ensemble(name: str, spec: CampaignSpec, environment: Environment, tags: Mapping[str, str]) -> dg.AssetsDefinition:
    families = list(spec.advanced.models)

    @dg.asset(
        key=[name, "ensemble"],
        group_name=name,
        owners=[spec.owner],
        kinds={"scikitlearn"},
        ins={
            "training_set": dg.AssetIn([name, "training_set"]),
            **{family: dg.AssetIn([name, "models", family]) for family in families},
        },
        op_tags=tags,
        description="Members weighted out of fold, calibrated, bundled; the leaderboard with the one-column rule, logistic regression and random.",
    )
    def ensemble(
        context: dg.AssetExecutionContext, training_set: ArtifactRef, **models: ArtifactRef
    ) -> dg.Output[ArtifactRef]:
        from platform_assets.campaigns.ensembling import build_ensemble, evaluation_of
        from platform_assets.campaigns.fitting import OtherTrainingSet

        _require_audited(name, training_set, environment)
        store = ArtifactStore(environment.artifacts)
        opened = {family: store.open(models[family]) for family in families}
        try:
            made = build_ensemble(name, opened, store.open(training_set), spec.advanced.seed, store)
        except OtherTrainingSet as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        metadata = shown(made, "auc", "auc_se", "auc_low", "auc_high", "log_loss", "weights")
        metadata["leaderboard"] = dg.MetadataValue.md(_leaderboard_table(evaluation_of(made)["leaderboard"]))
        return output_of(made, metadata)

    return ensemble


def _promoted_model(
    name: str, spec: CampaignSpec, environment: Environment, tags: Mapping[str, str]
) -> dg.AssetsDefinition:
    key = dg.AssetKey([name, "promoted_model"])

    @dg.asset(
        key=key,
        group_name=name,
        owners=[spec.owner],
        ins={"training_set": dg.AssetIn([name, "training_set"]), "ensemble": dg.AssetIn([name, "ensemble"])},
        op_tags=tags,
        check_specs=[dg.AssetCheckSpec(GATE, asset=key, description="The challenger may replace the champion")],
        description="The gate: a challenger becomes the champion from its scoring date on, or the champion stays.",
    )
    def promoted_model(
        context: dg.AssetExecutionContext, training_set: ArtifactRef, ensemble: ArtifactRef
    ) -> Iterator[dg.Output[ArtifactRef] | dg.AssetCheckResult]:
        from platform_assets.campaigns.fitting import OtherTrainingSet
        from platform_assets.campaigns.promotion import NotPromoted, PromotedModels, decide_promotion

        _require_audited(name, training_set, environment)
        store = ArtifactStore(environment.artifacts)
        try:
            made = decide_promotion(
                name, store.open(ensemble), store.open(training_set), store, PromotedModels(environment.artifacts)
            )
        except NotPromoted as error:
            yield dg.AssetCheckResult(asset_key=key, check_name=GATE, passed=False, description=str(error))
            raise dg.Failure(str(error), allow_retries=False) from error
        except OtherTrainingSet as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        promoted = made.metadata["outcome"] == "promoted"
        yield output_of(
            made,
            {**shown(made, "outcome", "reason", "score_at"), **{k: v for k, v in made.metadata.items() if "auc" in k}},
        )
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=GATE,
            passed=promoted,
            severity=dg.AssetCheckSeverity.WARN,
            description=made.metadata["reason"],
        )

    return promoted_model


def _require_audited(name: str, training_set: ArtifactRef, environment: Environment) -> None:
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


def _as_date(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise dg.Failure(f"score_at: {text!r} is not a date such as 1998-01-31", allow_retries=False) from error


def _leaderboard_table(rows: list[dict[str, Any]]) -> str:
    lines = ["| model | AUC | ± se | log loss | weight |", "|---|---|---|---|---|"]
    for row in rows:
        weight = "" if row["weight"] is None else f"{row['weight']:.2f}"
        lines.append(f"| {row['model']} | {row['auc']:.4f} | {row['auc_se']:.4f} | {row['log_loss']:.4f} | {weight} |")
    return "\n".join(lines)
