"""The Dagster face of audiences: audience and report of each campaign; scores, of all of an entity's, in `score_steps`.

All are partitioned by as-of date. Belongs here: keys, metadata and failures. The work is in the functions these call.
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from platform_assets.audiences.scoring.assets import NO_TAGS, data_errors, score_assets
from platform_assets.campaigns.assets import output_of, shown
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.data.catalog.catalog import Catalog
from platform_assets.environment import Environment
from platform_assets.foundation.artifacts import ArtifactRef

__all__ = ["audience_assets", "score_assets"]


def audience_assets(
    name: str,
    spec: CampaignSpec,
    environment: Environment,
    catalog: Catalog,
    as_of: dg.PartitionsDefinition,
    step_tags: Mapping[str, str] = NO_TAGS,
) -> list[dg.AssetsDefinition]:
    """A campaign's audience and report; `step_tags` go on their steps."""
    args = (name, spec, environment, catalog, as_of, step_tags)
    return [_audience(*args), _report(*args)]


def _audience(
    name: str,
    spec: CampaignSpec,
    environment: Environment,
    catalog: Catalog,
    as_of: dg.PartitionsDefinition,
    step_tags: Mapping[str, str],
) -> dg.AssetsDefinition:
    @dg.asset(
        key=[name, "audience"],
        group_name=name,
        owners=[spec.owner],
        kinds={"parquet", "csv"},
        partitions_def=as_of,
        op_tags=step_tags,
        ins={"scores": dg.AssetIn([name, "scores"])},
        description=f"{spec.description}: the people to act on, ranked, with reasons and a held-out share.",
    )
    def audience(context: dg.AssetExecutionContext, scores: ArtifactRef) -> dg.Output[ArtifactRef]:
        from platform_assets.audiences.audience.audience import CSV_FILE, FILE, build_audience
        from platform_assets.audiences.audience.publication import folder_of, publish_file
        from platform_assets.campaigns.registry.opening import open_workspace

        work = open_workspace(environment, catalog, f"{name} audience")
        question = work.question(name, spec, date.fromisoformat(context.partition_key))
        try:
            promotion = work.promoted.require(name, question.as_of)
            answer = build_audience(question, work.store.open(scores), promotion, work)
        except data_errors() as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        folder = folder_of(environment.audiences, name, context.partition_key)
        places = [publish_file(answer.path(file), folder, file) for file in (FILE, CSV_FILE)]
        metadata = shown(
            answer, "people", "eligible", "selected", "treat", "holdout", "mean_score", "expected_value", "why_not"
        )
        metadata |= {
            "audience": dg.MetadataValue.path(places[0].location),
            "csv": dg.MetadataValue.path(places[1].location),
        }
        if environment.cloud is not None:
            from platform_assets.audiences.audience.audience import MEANINGS
            from platform_assets.data.engines.bigquery.audience_table import AudienceTable, publish_table
            from platform_assets.data.engines.bigquery.connection import BigQuery

            table = AudienceTable(name, spec.description, {question.entity.key: "The person.", **MEANINGS})
            file, uri = Path(answer.path(FILE)), places[0].location
            metadata["table"] = publish_table(BigQuery(environment.cloud), table, file, uri, question.instant)
        return output_of(answer, {key: value for key, value in metadata.items() if value is not None})

    return audience


def _report(
    name: str,
    spec: CampaignSpec,
    environment: Environment,
    catalog: Catalog,
    as_of: dg.PartitionsDefinition,
    step_tags: Mapping[str, str],
) -> dg.AssetsDefinition:
    @dg.asset(
        key=[name, "report"],
        group_name=name,
        owners=[spec.owner],
        kinds={"html"},
        partitions_def=as_of,
        op_tags=step_tags,
        ins={"audience": dg.AssetIn([name, "audience"])},
        description="A page for people: the audience, what came true, how far the model can be trusted, what it was made from.",
    )
    def report(context: dg.AssetExecutionContext, audience: ArtifactRef) -> dg.Output[ArtifactRef]:
        from platform_assets.audiences.audience.publication import folder_of, publish_file
        from platform_assets.audiences.report.figures import FIGURES_FILE, FILE, build_report
        from platform_assets.campaigns.registry.opening import open_workspace

        work = open_workspace(environment, catalog, f"{name} report")
        question = work.question(name, spec, date.fromisoformat(context.partition_key))
        try:
            promotion = work.promoted.require(name, question.as_of)
            page = build_report(question, work.store.open(audience), promotion, work)
        except data_errors() as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        folder = folder_of(environment.audiences, name, context.partition_key)
        publish_file(page.path(FIGURES_FILE), folder, FIGURES_FILE)
        place = publish_file(page.path(FILE), folder, FILE)
        metadata = {
            **shown(page),
            "report": dg.MetadataValue.path(place.location),
            "open": dg.MetadataValue.url(place.link),
        }
        if page.metadata["held_out"]:
            metadata["held_out"] = dg.MetadataValue.md(_held_out_table(page.metadata["held_out"]))
        return output_of(page, metadata)

    return report


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
