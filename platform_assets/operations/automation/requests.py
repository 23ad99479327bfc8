"""Asking AWS for exports by a schedule, and awaiting them by a sensor. Neither waits for AWS, and neither starts a run.

Belongs here: when a look is taken, and what it tells Dagster. Does not belong here: what a look does (`data.requests`). What
AWS has finished is seen, brought and loaded as any other export is (`sensors`).

A look asks nothing of AWS where, by the record and the clock, nothing is due. Refusals fail a look, so that they are seen
where people look for what does not run.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.raw.usable_exports import NAME as USABLE
from platform_assets.data.requests.record import RequestRefused
from platform_assets.environment import Environment
from platform_assets.operations.automation.jobs import REFRESH_JOB
from platform_assets.operations.automation.schedules import status_in
from platform_assets.operations.automation.sensors import sensor_status_in

if TYPE_CHECKING:
    from platform_assets.data.requests.asking import Look

REQUEST_SCHEDULE, REQUESTED_SENSOR = "request_exports", "requested_exports"
CRON, EVERY_SECONDS = "*/15 * * * *", 120
_AT_ONCE = 4


def requesting(sources: Mapping[str, ExportSourceSpec]) -> dict[str, ExportSourceSpec]:
    """The sources whose exports the platform asks for itself."""
    return {name: spec for name, spec in sources.items() if spec.request is not None}


def request_schedules(sources: Mapping[str, ExportSourceSpec], environment: Environment) -> list[dg.ScheduleDefinition]:
    """The schedule that asks for what is due; none where no source says so."""
    asking = requesting(sources)

    @dg.schedule(
        name=REQUEST_SCHEDULE,
        job_name=REFRESH_JOB,
        cron_schedule=CRON,
        execution_timezone="UTC",
        default_status=status_in(environment),
        description="Ask AWS for the exports that are due, and again for those that failed",
    )
    def request_exports(context: dg.ScheduleEvaluationContext) -> dg.SkipReason:
        from platform_assets.data.requests.asking import ask

        now = context.scheduled_execution_time.astimezone(UTC)
        looks = dict(_looks(asking, lambda spec: ask(spec, environment.exports, now)))
        sentences = [
            f"{name}.{said}" for name, of_source in looks.items() for look in of_source for said in look.sentences
        ]
        refusals = [said for of_source in looks.values() for look in of_source for said in look.refusals]
        if refusals:
            raise RequestRefused("\n".join([*refusals, *sentences]))
        return dg.SkipReason("\n".join(sentences) or "no export is due")

    return [request_exports] if asking else []


def requested_sensors(sources: Mapping[str, ExportSourceSpec], environment: Environment) -> list[dg.SensorDefinition]:
    """The sensor that awaits what was asked for; none where no source asks."""
    asking = requesting(sources)

    @dg.sensor(
        name=REQUESTED_SENSOR,
        job_name=REFRESH_JOB,
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=sensor_status_in(environment),
        description="Look how far AWS is with the exports that it was asked for",
    )
    def requested_exports(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        from platform_assets.data.requests.asking import await_exports

        now = datetime.now(UTC)
        looks = dict(_looks(asking, lambda spec: await_exports(spec, environment.exports, now)))
        events = [event for name, of_source in looks.items() for event in _events(name, of_source)]
        sentences = [
            f"{name}.{said}" for name, of_source in looks.items() for look in of_source for said in look.sentences
        ]
        refusals = [said for of_source in looks.values() for look in of_source for said in look.refusals]
        # What is new is shown first, as a look that fails keeps nothing; the next one fails.
        if refusals and not events:
            raise RequestRefused("\n".join([*refusals, *sentences]))
        said = "\n".join([*refusals, *sentences]) or "nothing that was asked for is in progress"
        return dg.SensorResult(skip_reason=said, asset_events=events)

    return [requested_exports] if asking else []


def _looks(
    sources: Mapping[str, ExportSourceSpec], take: Callable[[ExportSourceSpec], list["Look"]]
) -> Iterator[tuple[str, list["Look"]]]:
    # At once, as an AWS that does not answer costs each half a minute.
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        yield from zip(sources, pool.map(take, sources.values()), strict=True)


def _events(source: str, looks: list["Look"]) -> Iterator[dg.AssetObservation | dg.AssetCheckEvaluation]:
    """What is new of each raw table, and that nothing more is asked for of it."""
    from platform_assets.data.raw.requested import requested_metadata

    for look in looks:
        if not look.news:
            continue
        for key in (dg.AssetKey(["raw", source, table]) for table in look.tables):
            yield dg.AssetObservation(key, metadata=requested_metadata(look.requests, look.refusals))
            if look.refusals:
                yield dg.AssetCheckEvaluation(
                    asset_key=key,
                    check_name=USABLE,
                    passed=False,
                    severity=dg.AssetCheckSeverity.ERROR,
                    description="\n".join(look.refusals),
                )
