"""Jobs: the assets that are run together.

A campaign's job ends at its promoted model: one failed training must not starve the scores of the others. Scores,
audiences and reports of all campaigns of an entity are a job of their own, over one as-of date.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg

from platform_assets.campaigns.declaration.families import families_of
from platform_assets.campaigns.declaration.spec import CampaignSpec, by_entity
from platform_assets.campaigns.training.body_assets import body_key
from platform_assets.components.loading import BROKEN_SOURCES_GROUP
from platform_assets.data.features.holdings import Groups
from platform_assets.foundation.execution.run_tags import CAMPAIGN_TAG, ENTITY_TAG

if TYPE_CHECKING:
    from platform_assets.foundation.dagster_internals.core import UnresolvedAssetJobDefinition

REFRESH_JOB = "refresh_marts"


def train_job_name(campaign: str) -> str:
    return f"train_{campaign}"


def score_job_name(entity: str) -> str:
    return f"score_{entity}"


def campaign_job(name: str, spec: CampaignSpec) -> "UnresolvedAssetJobDefinition":
    """The job that trains one campaign, from its training set to its promoted model."""
    models = (["models", member] for member in families_of(spec))
    keys = (dg.AssetKey([name, *path]) for path in (["training_set"], *models, ["ensemble"], ["promoted_model"]))
    return dg.define_asset_job(
        train_job_name(name),
        selection=dg.AssetSelection.assets(*keys),
        description=f"Train and, if it holds, promote: {spec.description}",
        tags={CAMPAIGN_TAG: name},
    )


def refresh_job() -> "UnresolvedAssetJobDefinition":
    """The job from exports to marts; a broken source file fails in it, and stops nothing else."""
    marts = dg.AssetSelection.groups("raw", "staging", "marts", BROKEN_SOURCES_GROUP)
    return dg.define_asset_job(REFRESH_JOB, selection=marts, description="Load new exports and rebuild the marts")


def pretraining_job_name(entity: str) -> str:
    return f"pretrain_{entity}"


def pretraining_jobs(groups: Groups) -> list["UnresolvedAssetJobDefinition"]:
    """For each entity the job that pre-trains the body its networks may start from."""
    return [
        dg.define_asset_job(
            pretraining_job_name(entity),
            selection=dg.AssetSelection.assets(body_key(entity)),
            description=f"Pre-train a body on the labels of every promoted campaign of {entity}",
            tags={ENTITY_TAG: entity},
        )
        for entity in groups
    ]


def scoring_jobs(campaigns: Mapping[str, CampaignSpec]) -> list["UnresolvedAssetJobDefinition"]:
    """For each entity the job from its features, where they are defined here, to the reports of its campaigns."""
    jobs = []
    for entity, own in by_entity(campaigns).items():
        results = [dg.AssetKey([name, step]) for name in own for step in ("scores", "audience", "report")]
        selection = dg.AssetSelection.key_prefixes(["features", entity]) | dg.AssetSelection.assets(*results)
        jobs.append(
            dg.define_asset_job(
                score_job_name(entity),
                selection=selection,
                description=f"Score every campaign of {entity} as of one date, and pick their audiences",
                tags={ENTITY_TAG: entity},
            )
        )
    return jobs
