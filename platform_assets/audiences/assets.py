"""The Dagster face of audiences: audience and report of each campaign; scores, of all of an entity's, in `score_steps`.

All are partitioned by as-of date. Belongs here: keys, metadata and failures. The work is in the functions these call.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from platform_assets.audiences.scoring.assets import NO_TAGS, data_errors
from platform_assets.campaigns.assets import not_retried, output_of, shown
from platform_assets.campaigns.declaration.columns import LINEAGE, SCHEMA, audience_lineage, audience_schema
from platform_assets.campaigns.declaration.question import Question
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.data.engines.engine import AudienceTable
from platform_assets.data.engines.opening import open_engine
from platform_assets.data.features.assets import day_asked
from platform_assets.data.features.holdings import Holdings
from platform_assets.environment import Environment
from platform_assets.foundation.artifacts import Artifact, ArtifactRef


def audience_assets(
    name: str,
    spec: CampaignSpec,
    environment: Environment,
    holdings: Holdings,
    as_of: dg.PartitionsDefinition,
    step_tags: Mapping[str, str] = NO_TAGS,
) -> list[dg.AssetsDefinition]:
    """A campaign's audience and report; `step_tags` go on their steps."""
    asset = partial(dg.asset, group_name=name, owners=[spec.owner], partitions_def=as_of, op_tags=step_tags)

    def answer_of(
        build: Callable[..., Artifact], upstream: ArtifactRef, context: dg.AssetExecutionContext
    ) -> tuple[Question, Artifact]:
        """The question as of the step's date, and what `build` makes of `upstream` and the model promoted by then."""
        from platform_assets.campaigns.registry.opening import open_workspace

        work = open_workspace(environment, holdings, f"{name} {context.asset_key.path[-1]}")
        question = work.question(name, spec, day_asked(context))
        with not_retried(*data_errors()):
            promotion = work.promoted.require(name, question.as_of)
            return question, build(question, work.store.open(upstream), promotion, work)

    @asset(
        key=[name, "audience"],
        kinds={"parquet", "csv"},
        ins={"scores": dg.AssetIn([name, "scores"])},
        description=f"{spec.description}: the people to act on, ranked, with reasons and a held-out share.",
        metadata={SCHEMA: audience_schema(spec, holdings)},
    )
    def audience(context: dg.AssetExecutionContext, scores: ArtifactRef) -> dg.Output[ArtifactRef]:
        from platform_assets.audiences.audience.audience import CSV_FILE, FILE, MEANINGS, build_audience
        from platform_assets.audiences.audience.publication import folder_of, publish_file

        question, answer = answer_of(build_audience, scores, context)
        folder = folder_of(environment.audiences, name, context.partition_key)
        places = [publish_file(answer.path(file), folder, file) for file in (FILE, CSV_FILE)]
        metadata = shown(
            answer, "people", "eligible", "selected", "treat", "holdout", "mean_score", "expected_value", "why_not"
        )
        parquet, csv = (dg.MetadataValue.path(place.location) for place in places)
        metadata |= {"audience": parquet, "csv": csv}
        table = AudienceTable(name, spec.description, {question.entity.key: "The person.", **MEANINGS})
        file, uri = Path(answer.path(FILE)), places[0].location
        metadata[LINEAGE] = audience_lineage(name, spec, holdings)
        metadata["table"] = open_engine(environment).publish_audience(table, file, uri, question.instant)
        return output_of(answer, {key: value for key, value in metadata.items() if value is not None})

    @asset(
        key=[name, "report"],
        kinds={"html"},
        ins={"audience": dg.AssetIn([name, "audience"])},
        description="A page for people: the audience, what came true, how far the model can be trusted, what it was made from.",
    )
    def report(context: dg.AssetExecutionContext, audience: ArtifactRef) -> dg.Output[ArtifactRef]:
        from platform_assets.audiences.audience.publication import folder_of, publish_file
        from platform_assets.audiences.report.figures import build_report
        from platform_assets.audiences.report.files import FIGURES_FILE, FILE, PICTURE_FILE

        _, page = answer_of(build_report, audience, context)
        folder = folder_of(environment.reports, name, context.partition_key)
        for file in (FIGURES_FILE, PICTURE_FILE):
            publish_file(page.path(file), folder, file)
        place = publish_file(page.path(FILE), folder, FILE)
        link, picture = (
            environment.page_url("reports", f"{name}/{context.partition_key}/{file}") for file in (FILE, PICTURE_FILE)
        )
        # The UI shows them in this order, and folds Markdown that is longer than a picture's name.
        metadata = {"headline": page.metadata["headline"], "open": dg.MetadataValue.url(link or place.link)}
        if picture:
            metadata["lift"] = dg.MetadataValue.md(f"![Lift by tenth of people]({picture})")
        metadata |= {"report": dg.MetadataValue.path(place.location), **shown(page)}
        if page.metadata["held_out"]:
            metadata["held_out"] = dg.MetadataValue.md(_held_out_table(page.metadata["held_out"]))
        return output_of(page, metadata)

    return [audience, report]


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
