"""Schedules: fetching by the source's clock, training by the campaign's, scoring once a day for each entity.

A scoring tick asks for the latest as-of date that the exports cover: on a day without a new export that is the date of the
day before, and what has not changed since is found rather than made.
"""

from collections.abc import Collection, Mapping

import dagster as dg

from platform_assets.campaigns.declaration.spec import CampaignSpec, by_entity
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.features.holdings import Groups, Holdings
from platform_assets.data.fetching.assets import fetched_key
from platform_assets.data.fetching.spec import SaasExportsSpec
from platform_assets.environment import Environment
from platform_assets.operations.automation.jobs import pretraining_job_name, score_job_name, train_job_name

CRON = {"day": "0 4 * * *", "week": "0 4 * * 1", "month": "0 4 1 * *"}
SCORING_CRON = "0 6 * * *"
# Past the full hour, when everybody else asks; what a day's load brings is in the marts before training and scoring.
FETCHING_CRON = {"hour": "17 * * * *", "day": "17 2 * * *"}


def status_in(environment: Environment) -> dg.DefaultScheduleStatus:
    """Whether a schedule runs before anybody turned it on or off."""
    return dg.DefaultScheduleStatus.RUNNING if environment.starts_by_itself else dg.DefaultScheduleStatus.STOPPED


def fetching_schedule_name(source: str) -> str:
    return f"fetch_{source}"


def training_schedule_name(campaign: str, every: str) -> str:
    return f"{train_job_name(campaign)}_{every}ly".replace("dayly", "daily")


def scoring_schedule_name(entity: str) -> str:
    return f"{score_job_name(entity)}_daily"


def fetching_schedules(
    sources: Mapping[str, ExportSourceSpec], environment: Environment
) -> list[dg.ScheduleDefinition]:
    """A load of every service as often as its source says; what it makes is loaded by the sensor, as any export that finishes."""
    return [
        dg.ScheduleDefinition(
            name=fetching_schedule_name(name),
            target=dg.AssetSelection.assets(fetched_key(name)),
            cron_schedule=FETCHING_CRON[spec.saas.every],
            execution_timezone=environment.timezone,
            default_status=status_in(environment),
            description=f"Fetch {name} every {spec.saas.every}",
        )
        for name, spec in sources.items()
        if isinstance(spec, SaasExportsSpec)
    ]


def campaign_schedules(name: str, spec: CampaignSpec, environment: Environment) -> list[dg.ScheduleDefinition]:
    """The campaign's training schedule, when its file states one."""
    if spec.schedule is None:
        return []
    return [
        dg.ScheduleDefinition(
            name=training_schedule_name(name, spec.schedule.every),
            job_name=train_job_name(name),
            cron_schedule=CRON[spec.schedule.every],
            execution_timezone=spec.schedule.timezone or environment.timezone,
            default_status=status_in(environment),
            description=f"Train {name} again every {spec.schedule.every}",
        )
    ]


def pretraining_schedules(groups: Groups, timezone: str) -> list[dg.ScheduleDefinition]:
    """A monthly schedule for each entity's pre-trained body, off until somebody turns it on."""
    return [
        dg.ScheduleDefinition(
            name=f"{pretraining_job_name(entity)}_monthly",
            job_name=pretraining_job_name(entity),
            cron_schedule=CRON["month"],
            execution_timezone=timezone,
            description=f"Pre-train the body of {entity} again every month",
        )
        for entity in groups
    ]


def scoring_schedules(
    campaigns: Mapping[str, CampaignSpec], environment: Environment, holdings: Holdings, as_of: dg.PartitionsDefinition
) -> list[dg.ScheduleDefinition]:
    """One daily schedule for each entity that has campaigns; `as_of` are the dates that can be asked for."""
    return [
        _scoring_schedule(entity, own.values(), environment, holdings, as_of)
        for entity, own in by_entity(campaigns).items()
    ]


def _scoring_schedule(
    entity: str,
    specs: Collection[CampaignSpec],
    environment: Environment,
    holdings: Holdings,
    as_of: dg.PartitionsDefinition,
) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=scoring_schedule_name(entity),
        job_name=score_job_name(entity),
        cron_schedule=SCORING_CRON,
        execution_timezone=environment.timezone,
        default_status=status_in(environment),
        description=f"Score all campaigns of {entity} as of the latest date the exports cover",
    )
    def scoring(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        from platform_assets.data.catalog.business_day import latest_as_of
        from platform_assets.data.catalog.pointer import MartMissing, MartRefused
        from platform_assets.data.engines.opening import open_warehouse

        warehouse = open_warehouse(environment, holdings.catalog, f"schedule {entity}")
        try:
            watermark = warehouse.watermark(*_marts_read(entity, specs, holdings))
        except (MartMissing, MartRefused) as error:
            return dg.SkipReason(str(error))
        day = latest_as_of(watermark, holdings.catalog.entities[entity].timezone).isoformat()
        last = as_of.get_last_partition_key()
        if last is not None and day > last:
            return dg.SkipReason(
                f"{day} is later than {last}, the last date that was known when these definitions were loaded; reload the code "
                f"location in Dagster's UI, under Deployment"
            )
        return dg.RunRequest(run_key=day, partition_key=day)

    return scoring


def _marts_read(entity: str, specs: Collection[CampaignSpec], holdings: Holdings) -> list[str]:
    """Every mart that the scoring job of an entity reads, for its feature groups or for a campaign."""
    from platform_assets.campaigns.training_sets.training_set import marts_of

    of_groups = {mart for group in holdings.groups.get(entity, {}).values() for mart in group.marts}
    return sorted(of_groups.union(*(marts_of(spec, holdings) for spec in specs)))
