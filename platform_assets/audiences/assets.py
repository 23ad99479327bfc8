"""The Dagster face of audiences: scores of all campaigns of an entity in one pass, then audience and report of each.

All are partitioned by as-of date. Belongs here: keys, metadata and failures. The work is in the functions these call.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import dagster as dg

from platform_assets.artifacts import ArtifactRef, ArtifactStore
from platform_assets.campaigns.assets import output_of, shown
from platform_assets.campaigns.feature_choice import chosen_groups
from platform_assets.campaigns.spec import CampaignSpec
from platform_assets.environment import Environment
from platform_assets.features.spine import instant_of
from platform_assets.warehouse.catalog import Catalog
from platform_assets.warehouse.opening import open_warehouse

MODEL_CHECK = "model_is_promoted"


def score_assets(
    campaigns: Mapping[str, CampaignSpec], environment: Environment, catalog: Catalog, as_of: dg.PartitionsDefinition
) -> list[dg.AssetsDefinition]:
    """One multi-asset an entity with a `scores` asset for each of its campaigns."""
    entities = sorted({spec.entity for spec in campaigns.values()})
    return [
        _scores(entity, {n: s for n, s in sorted(campaigns.items()) if s.entity == entity}, environment, catalog, as_of)
        for entity in entities
    ]


def audience_assets(
    name: str, spec: CampaignSpec, environment: Environment, catalog: Catalog, as_of: dg.PartitionsDefinition
) -> list[dg.AssetsDefinition]:
    """A campaign's audience and report."""
    return [_audience(name, spec, environment, catalog, as_of), _report(name, spec, environment, catalog, as_of)]


def _scores(
    entity: str,
    campaigns: Mapping[str, CampaignSpec],
    environment: Environment,
    catalog: Catalog,
    as_of: dg.PartitionsDefinition,
) -> dg.AssetsDefinition:
    outs = {
        name: dg.AssetOut(
            key=[name, "scores"],
            group_name=name,
            owners=[spec.owner],
            kinds={"parquet"},
            is_required=False,
            description="Calibrated scores of everyone the campaign asks about, from the promoted model.",
        )
        for name, spec in campaigns.items()
    }
    groups = sorted({group for spec in campaigns.values() for group in chosen_groups(spec)})
    # A campaign's scores depend on its own model only: one that cannot be trained holds up no other's.
    upstream = {
        name: {
            dg.AssetKey([name, "promoted_model"]),
            *(dg.AssetKey(["features", entity, group]) for group in chosen_groups(spec)),
        }
        for name, spec in campaigns.items()
    }

    @dg.multi_asset(
        name=f"scores_{entity}",
        outs=outs,
        can_subset=True,
        partitions_def=as_of,
        deps=sorted({key for keys in upstream.values() for key in keys}),
        internal_asset_deps=upstream,
        check_specs=[
            dg.AssetCheckSpec(
                MODEL_CHECK, asset=[name, "scores"], description="A promoted model is good as of the date"
            )
            for name in campaigns
        ],
    )
    def scores(context: dg.AssetExecutionContext) -> Iterator[dg.Output[ArtifactRef] | dg.AssetCheckResult]:
        from platform_assets.audiences.scoring import require_model, score_campaigns
        from platform_assets.campaigns.promotion import NothingPromoted, PromotedModels

        day = date.fromisoformat(context.partition_key)
        _require_features(entity, groups, day, environment)
        wanted = {
            name: spec
            for name, spec in campaigns.items()
            if dg.AssetKey([name, "scores"]) in context.selected_asset_keys
        }
        store, promoted = ArtifactStore(environment.artifacts), PromotedModels(environment.artifacts)
        ready, missing = {}, {}
        for name, spec in wanted.items():
            try:
                require_model(name, spec, store, promoted, day)
                ready[name] = spec
            except NothingPromoted as error:
                missing[name] = str(error)
        # A campaign that was never trained must not starve the others of their scores: its check fails instead.
        asked = {key.asset_key.path[0] for key in context.op_execution_context.selected_asset_check_keys}
        yield from (_model_check(name, missing.get(name)) for name in wanted if name in asked)
        if not ready:
            raise dg.Failure("\n".join(missing.values()), allow_retries=False)
        warehouse = open_warehouse(environment, catalog, f"scores {entity}")
        try:
            for scored in score_campaigns(ready, warehouse, store, promoted, day):
                metadata = shown(scored.scores, "people", "mean", "lowest", "highest", "model_good_from")
                metadata |= warehouse.cost()
                yield output_of(scored.scores, metadata, name=scored.campaign)
        except _data_errors() as error:
            raise dg.Failure(str(error), allow_retries=False) from error

    return scores


def _model_check(name: str, missing: str | None) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey([name, "scores"]), check_name=MODEL_CHECK, passed=missing is None, description=missing
    )


def _audience(
    name: str, spec: CampaignSpec, environment: Environment, catalog: Catalog, as_of: dg.PartitionsDefinition
) -> dg.AssetsDefinition:
    @dg.asset(
        key=[name, "audience"],
        group_name=name,
        owners=[spec.owner],
        kinds={"parquet", "csv"},
        partitions_def=as_of,
        ins={"scores": dg.AssetIn([name, "scores"])},
        description=f"{spec.description}: the people to act on, ranked, with reasons and a held-out share.",
    )
    def audience(context: dg.AssetExecutionContext, scores: ArtifactRef) -> dg.Output[ArtifactRef]:
        from platform_assets.audiences.audience import CSV_FILE, FILE, build_audience
        from platform_assets.audiences.publication import folder_of, publish_file
        from platform_assets.campaigns.promotion import PromotedModels

        day = date.fromisoformat(context.partition_key)
        store = ArtifactStore(environment.artifacts)
        warehouse = open_warehouse(environment, catalog, f"{name} audience")
        try:
            promotion = PromotedModels(environment.artifacts).require(name, day)
            made = build_audience(name, spec, store.open(scores), promotion, warehouse, store, day)
        except _data_errors() as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        folder = folder_of(environment.audiences, name, context.partition_key)
        places = [publish_file(made.path(file), folder, file) for file in (FILE, CSV_FILE)]
        metadata = shown(
            made, "people", "eligible", "selected", "treat", "holdout", "mean_score", "expected_value", "why_not"
        )
        metadata |= {
            "audience": dg.MetadataValue.path(places[0].location),
            "csv": dg.MetadataValue.path(places[1].location),
        }
        if environment.cloud is not None:
            from platform_assets.audiences.bigquery_table import publish_table
            from platform_assets.warehouse.bigquery.connection import BigQuery

            entity = catalog.entities[spec.entity]
            instant = instant_of(day, entity.timezone)
            bigquery, uri = BigQuery(environment.cloud), places[0].location
            metadata["table"] = publish_table(bigquery, name, spec.description, entity.key, made, uri, instant)
        return output_of(made, {key: value for key, value in metadata.items() if value is not None})

    return audience


def _report(
    name: str, spec: CampaignSpec, environment: Environment, catalog: Catalog, as_of: dg.PartitionsDefinition
) -> dg.AssetsDefinition:
    @dg.asset(
        key=[name, "report"],
        group_name=name,
        owners=[spec.owner],
        kinds={"html"},
        partitions_def=as_of,
        ins={"audience": dg.AssetIn([name, "audience"])},
        description="A page for people: the audience, what came true, how far the model can be trusted, what it was made from.",
    )
    def report(context: dg.AssetExecutionContext, audience: ArtifactRef) -> dg.Output[ArtifactRef]:
        from platform_assets.audiences.publication import folder_of, publish_file
        from platform_assets.audiences.reporting import FIGURES_FILE, FILE, build_report
        from platform_assets.campaigns.promotion import PromotedModels

        day = date.fromisoformat(context.partition_key)
        store = ArtifactStore(environment.artifacts)
        warehouse = open_warehouse(environment, catalog, f"{name} report")
        try:
            promotion = PromotedModels(environment.artifacts).require(name, day)
            made = build_report(
                name, spec, store.open(audience), promotion, warehouse, store, environment.teachers, day
            )
        except _data_errors() as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        folder = folder_of(environment.audiences, name, context.partition_key)
        publish_file(made.path(FIGURES_FILE), folder, FIGURES_FILE)
        place = publish_file(made.path(FILE), folder, FILE)
        metadata = {
            **shown(made),
            "report": dg.MetadataValue.path(place.location),
            "open": dg.MetadataValue.url(place.link),
        }
        if made.metadata["held_out"]:
            metadata["held_out"] = dg.MetadataValue.md(_held_out_table(made.metadata["held_out"]))
        return output_of(made, metadata)

    return report


def _require_features(entity: str, groups: list[str], day: date, environment: Environment) -> None:
    """Refuse a date whose newest feature audit failed, whatever was published before it."""
    from platform_assets.quality import Verdicts
    from platform_assets.quality.assets import require_verdict

    verdicts = Verdicts(environment.verdicts)
    for group in groups:
        require_verdict(verdicts, f"features/{entity}/{group}", day.isoformat())


def _data_errors() -> tuple[type[Exception], ...]:
    """What data, not code, can be wrong with: told in a sentence, not retried."""
    from platform_assets.audiences.scoring import OtherModel
    from platform_assets.campaigns.label import ImmatureLabel
    from platform_assets.campaigns.promotion import NothingPromoted
    from platform_assets.campaigns.teacher import TeacherError
    from platform_assets.features.tables import AsOfNotCovered
    from platform_assets.quality import AuditFailed
    from platform_assets.warehouse.published import MartMissing, MartRefused

    return (
        AsOfNotCovered, AuditFailed, ImmatureLabel, MartMissing, MartRefused, NothingPromoted, OtherModel, TeacherError,
    )  # fmt: skip


def _held_out_table(held_out: Mapping[str, Any]) -> str:
    return "\n".join(
        [
            "| | this model | " + held_out["rule"]["column"] + " alone | logistic |",
            "|---|---|---|---|",
            f"| AUC | {held_out['auc']['value']:.3f} | {held_out['rule']['auc']:.3f} | {held_out['logistic_auc']:.3f} |",
            f"| positives in the top tenth | {held_out['top_rate']:.1%} | {held_out['rule_top_rate']:.1%} | |",
            f"\nPredicted ÷ actual {held_out['predicted_over_actual']:.2f}; {held_out['rows']} rows, {held_out['positives']} positives.",
        ]
    )
