"""Schedules: training by the campaign's clock, scoring once a day for each entity.

A scoring tick asks for the latest as-of date that the exports cover, so a day without a new export scores nothing twice.
"""

from collections.abc import Sequence

import dagster as dg

from platform_assets.automation.jobs import score_job_name, train_job_name
from platform_assets.campaigns.spec import CampaignSpec
from platform_assets.environment import Environment
from platform_assets.warehouse.catalog import Catalog

CRON = {"day": "0 4 * * *", "week": "0 4 * * 1", "month": "0 4 1 * *"}
SCORING_CRON = "0 6 * * *"


def campaign_schedules(name: str, spec: CampaignSpec, timezone: str) -> list[dg.ScheduleDefinition]:
    """The campaign's training schedule, when its file states one."""
    if spec.schedule is None:
        return []
    return [
        dg.ScheduleDefinition(
            name=f"{train_job_name(name)}_{spec.schedule.every}ly".replace("dayly", "daily"),
            job_name=train_job_name(name),
            cron_schedule=CRON[spec.schedule.every],
            execution_timezone=spec.schedule.timezone or timezone,
            description=f"Train {name} again every {spec.schedule.every}",
        )
    ]


def scoring_schedules(entities: Sequence[str], environment: Environment, catalog: Catalog) -> list[dg.ScheduleDefinition]:
    """One daily schedule an entity."""
    return [_scoring_schedule(entity, environment, catalog) for entity in entities]


def _scoring_schedule(entity: str, environment: Environment, catalog: Catalog) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{score_job_name(entity)}_daily",
        job_name=score_job_name(entity),
        cron_schedule=SCORING_CRON,
        execution_timezone=environment.timezone,
        description=f"Score all campaigns of {entity} as of the latest date the exports cover",
    )
    def scoring(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        from platform_assets.campaigns.times import latest_as_of
        from platform_assets.warehouse.published import MartMissing, MartRefused, MartStore

        declared = catalog.entities[entity]
        try:
            published = MartStore(environment.marts).require(declared.population)
        except (MartMissing, MartRefused) as error:
            return dg.SkipReason(str(error))
        as_of = latest_as_of(published.watermark, declared.timezone).isoformat()
        return dg.RunRequest(run_key=f"{as_of}/{published.content_hash[:12]}", partition_key=as_of)

    return scoring
