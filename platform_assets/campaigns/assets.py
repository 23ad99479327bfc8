"""The Dagster face of training one campaign: training set → models, K fold steps each → ensemble → promoted model.

Belongs here: keys, steps, metadata, checks and failures. The work is in the functions these call.
"""

from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from typing import Any

import dagster as dg

from platform_assets.campaigns.declaration.columns import LINEAGE, SCHEMA, training_lineage, training_schema
from platform_assets.campaigns.declaration.families import families_of
from platform_assets.campaigns.declaration.feature_choice import chosen_groups
from platform_assets.campaigns.declaration.resources import step_tags
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.training.leaderboard_table import leaderboard_table
from platform_assets.campaigns.training.model_assets import (
    ANY_TIME,
    model_asset,
    not_retried,
    output_of,
    require_audited,
    shown,
    verdict_table,
)
from platform_assets.data.features.holdings import Groups, Holdings
from platform_assets.data.quality import AuditFailed, Verdicts
from platform_assets.data.quality.assets import audit_check_result, audit_check_spec
from platform_assets.environment import Environment
from platform_assets.foundation.artifacts import ArtifactRef, ArtifactStore
from platform_assets.foundation.execution.profiles import Profiles

GATE = "promotion_gate"
ALL_FITTED = "models_fitted"
LEAKS = "leaks"


class TrainingDate(dg.Config):
    """Train as of a past date, as if nothing later were known."""

    score_at: str | None = None


def campaign_assets(
    name: str, spec: CampaignSpec, environment: Environment, holdings: Holdings, profiles: Profiles
) -> list[dg.AssetsDefinition]:
    """The assets of one campaign up to its promoted model, in the group of its name."""
    tags = step_tags(name, spec, environment, profiles)
    asset = partial(dg.asset, group_name=name, owners=[spec.owner], op_tags=tags)
    return [
        _training_set(asset, name, spec, environment, holdings),
        *(model_asset(name, spec, model, environment, profiles) for model in families_of(spec)),
        _ensemble(asset, name, spec, environment),
        _promoted_model(asset, name, spec, environment, holdings.groups),
    ]


def _training_set(
    asset: Callable[..., Any], name: str, spec: CampaignSpec, environment: Environment, holdings: Holdings
) -> dg.AssetsDefinition:
    key = dg.AssetKey([name, "training_set"])

    @asset(
        key=key,
        kinds={"parquet", "great_expectations"},
        # It asks for dates of its own; without a mapping Dagster would look up every partition there ever was.
        deps=[
            dg.AssetDep(["features", spec.entity, group], partition_mapping=dg.LastPartitionMapping())
            for group in chosen_groups(spec, holdings.groups)
        ],
        check_specs=[
            audit_check_spec(key),
            dg.AssetCheckSpec(LEAKS, asset=key, description="No feature looks as if it knew the answer"),
        ],
        metadata={"campaign": dg.MetadataValue.json(spec.resolved()), SCHEMA: training_schema(spec, holdings)},
        description=f"{spec.description}: labels joined to features as of the same times.\n\n"
        "Config `score_at` (YYYY-MM-DD) trains as of a past date.",
    )
    def training_set(
        context: dg.AssetExecutionContext, config: TrainingDate
    ) -> Iterator[dg.Output[ArtifactRef] | dg.AssetCheckResult]:
        from platform_assets.campaigns.registry.opening import open_workspace
        from platform_assets.campaigns.registry.past import Past
        from platform_assets.campaigns.training_sets.refusals import REFUSALS
        from platform_assets.campaigns.training_sets.training_set import build_training_set, question_of

        verdicts = Verdicts(environment.verdicts, environment.data_docs, partial(environment.page_url, "audits"))
        work = open_workspace(environment, holdings, f"{name} training_set")
        score_at = _as_date(config.score_at)
        try:
            rows = build_training_set(question_of(name, spec, work, score_at), work)
        except AuditFailed as error:
            verdicts.refuse(verdict_table(name), ANY_TIME, "", str(error), error.result.metadata())
            yield audit_check_result(error.result, key, verdicts.page(verdict_table(name), ANY_TIME))
            raise dg.Failure(str(error), allow_retries=False) from error
        except REFUSALS as error:
            # What was trained before must not pass for an answer to what was asked now.
            verdicts.refuse(verdict_table(name), ANY_TIME, "", str(error))
            raise dg.Failure(str(error), allow_retries=False) from error
        verdicts.passed(verdict_table(name), ANY_TIME, rows.ref.fingerprint, rows.metadata["audit"])
        summary = shown(
            rows,
            "rows",
            "positives",
            "base_rate",
            "score_at",
            "set_aside",
            "as_of",
            "by_time",
            "past_scores",
            "past_labels",
            "warnings",
            "ageing",
            "ageing_choice",
        )
        past = {score.column: score.features for score in Past.of(rows).scores}
        columns = {SCHEMA: training_schema(spec, holdings, past), LINEAGE: training_lineage(spec, holdings, past)}
        yield output_of(rows, {**summary, **work.warehouse.cost(), **columns})
        yield audit_check_result(rows.metadata["audit"], key, verdicts.page(verdict_table(name), ANY_TIME))
        yield _warning(key, LEAKS, not rows.metadata["warnings"], " ".join(rows.metadata["warnings"]))

    return training_set


def _ensemble(
    asset: Callable[..., Any], name: str, spec: CampaignSpec, environment: Environment
) -> dg.AssetsDefinition:
    key = dg.AssetKey([name, "ensemble"])
    members = list(families_of(spec))

    @asset(
        key=key,
        kinds={"scikitlearn"},
        ins={
            "training_set": dg.AssetIn([name, "training_set"]),
            **{member: dg.AssetIn([name, "models", member]) for member in members},
        },
        check_specs=[dg.AssetCheckSpec(ALL_FITTED, asset=key, description="Every model that has a use was fitted")],
        description="Members weighted out of fold, calibrated, bundled; the leaderboard with the one-column rule, logistic regression and random.",
    )
    def ensemble(
        context: dg.AssetExecutionContext, training_set: ArtifactRef, **models: ArtifactRef
    ) -> Iterator[dg.Output[ArtifactRef] | dg.AssetCheckResult]:
        from platform_assets.campaigns.training.ensemble_artifact import build_ensemble, evaluation_of
        from platform_assets.campaigns.training.fold_artifacts import NO_USE, TrainingTask
        from platform_assets.campaigns.training_sets.training_rows import OtherTrainingSet
        from platform_assets.learning.portfolio import NothingFitted

        require_audited(name, training_set, environment)
        store = ArtifactStore(environment.artifacts)
        with not_retried(NothingFitted, OtherTrainingSet):
            opened = {member: store.open(models[member]) for member in members}
            weighted = build_ensemble(TrainingTask(name, spec, store.open(training_set), store), opened)
        metadata = shown(weighted, "auc", "auc_se", "auc_low", "auc_high", "log_loss", "weights", "not_fitted")
        metadata["leaderboard"] = dg.MetadataValue.md(leaderboard_table(evaluation_of(weighted)["leaderboard"], opened))
        yield output_of(weighted, metadata)
        not_fitted = weighted.metadata["not_fitted"]
        sentences = "; ".join(f"{member}: {why}" for member, why in not_fitted.items())
        yield _warning(key, ALL_FITTED, set(not_fitted.values()) <= {NO_USE}, sentences)

    return ensemble


def _promoted_model(
    asset: Callable[..., Any], name: str, spec: CampaignSpec, environment: Environment, groups: Groups
) -> dg.AssetsDefinition:
    key = dg.AssetKey([name, "promoted_model"])

    @asset(
        key=key,
        ins={"training_set": dg.AssetIn([name, "training_set"]), "ensemble": dg.AssetIn([name, "ensemble"])},
        check_specs=[dg.AssetCheckSpec(GATE, asset=key, description="The challenger may replace the champion")],
        description="The gate: a challenger becomes the champion from its scoring date on, or the champion stays.",
    )
    def promoted_model(
        context: dg.AssetExecutionContext, training_set: ArtifactRef, ensemble: ArtifactRef
    ) -> Iterator[dg.Output[ArtifactRef] | dg.AssetCheckResult]:
        from platform_assets.campaigns.promotion.card import Judged, build_card, publish_card
        from platform_assets.campaigns.promotion.gate import NotPromoted, decide_promotion
        from platform_assets.campaigns.promotion.last_decision import publish_decision
        from platform_assets.campaigns.registry.promoted import PromotedModels, RegistryDamaged
        from platform_assets.campaigns.training_sets.training_rows import OtherTrainingSet

        require_audited(name, training_set, environment)
        store = ArtifactStore(environment.artifacts)
        with not_retried(NotPromoted, OtherTrainingSet, RegistryDamaged):
            trained, weighted = store.open(training_set), store.open(ensemble)
            try:
                decision = decide_promotion(name, weighted, trained, store, PromotedModels(environment.artifacts))
            except NotPromoted as error:
                publish_decision(name, trained.metadata["score_at"], "refused", str(error), environment)
                yield dg.AssetCheckResult(asset_key=key, check_name=GATE, passed=False, description=str(error))
                raise
        score_at, outcome, reason = (str(decision.metadata[what]) for what in ("score_at", "outcome", "reason"))
        publish_decision(name, score_at, outcome, reason, environment)
        promoted = decision.metadata["outcome"] == "promoted"
        metadata = {
            **shown(decision, "outcome", "reason", "score_at"),
            **{key: value for key, value in decision.metadata.items() if "auc" in key},
        }
        if promoted:
            card = build_card(name, spec, Judged(trained, weighted, decision), groups, environment)
            where, link = publish_card(name, trained.metadata["score_at"], card, environment)
            metadata |= {"model_card": dg.MetadataValue.path(where), "open": dg.MetadataValue.url(link)}
            metadata["limits"] = dg.MetadataValue.md("\n".join(f"- {limit}" for limit in card.metadata["limits"]))
        yield output_of(decision, metadata)
        yield _warning(key, GATE, promoted, decision.metadata["reason"])

    return promoted_model


def _warning(key: dg.AssetKey, check: str, passed: bool, sentence: str) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(asset_key=key, check_name=check, passed=passed, severity=severity, description=sentence)


def _as_date(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise dg.Failure(f"score_at: {text!r} is not a date such as 1998-01-31", allow_retries=False) from error
