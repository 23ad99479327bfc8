"""In words which schedules and sensors a place does not run by itself.

Belongs here: their names, and how they are turned on. Does not belong here: the definitions (schedules.py, sensors.py).
"""

from collections.abc import Mapping

from platform_assets.campaigns.declaration.spec import CampaignSpec, by_entity
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.fetching.spec import SaasExportsSpec
from platform_assets.environment import Environment
from platform_assets.operations.automation.requests import REQUEST_SCHEDULE, REQUESTED_SENSOR, requesting
from platform_assets.operations.automation.schedules import (
    fetching_schedule_name,
    scoring_schedule_name,
    training_schedule_name,
)
from platform_assets.operations.automation.sensors import NEW_EXPORTS_SENSOR


def off_here(
    campaigns: Mapping[str, CampaignSpec], sources: Mapping[str, ExportSourceSpec], environment: Environment
) -> str:
    """Which campaigns' `schedule`, and which services' loads, start nothing here by themselves, and what to do; empty where all
    run."""
    stated = [f"{name} ({spec.schedule.every})" for name, spec in campaigns.items() if spec.schedule is not None]
    stated += [f"{name} ({spec.saas.every})" for name, spec in sources.items() if isinstance(spec, SaasExportsSpec)]
    if environment.starts_by_itself or not stated:
        return ""
    return (
        f"off here unless turned on: {', '.join(stated)}; turn them on in Dagster's UI under Automation, or set "
        "PLATFORM_SCHEDULES=1"
    )


def schedules_here(
    campaigns: Mapping[str, CampaignSpec], sources: Mapping[str, ExportSourceSpec], environment: Environment
) -> str:
    """Whether schedules and sensors run by themselves here, with the names of those that do not."""
    if environment.starts_by_itself:
        return "on, unless somebody turned one off in Dagster's UI; they run while `dagster-daemon` does"
    names = [training_schedule_name(name, spec.schedule.every) for name, spec in campaigns.items() if spec.schedule]
    names += [fetching_schedule_name(name) for name, spec in sources.items() if isinstance(spec, SaasExportsSpec)]
    names += [scoring_schedule_name(entity) for entity in by_entity(campaigns)]
    names += [NEW_EXPORTS_SENSOR, *([REQUEST_SCHEDULE, REQUESTED_SENSOR] if requesting(sources) else ())]
    return f"off unless turned on in Dagster's UI: {', '.join(names)}; PLATFORM_SCHEDULES=1 turns them on"
