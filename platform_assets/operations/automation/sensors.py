"""Sensors: what sets a run off because something outside changed."""

import json
from collections.abc import Mapping

import dagster as dg

from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.environment import Environment
from platform_assets.operations.automation.jobs import REFRESH_JOB

EVERY_SECONDS = 60


def new_exports_sensor(sources: Mapping[str, ExportSourceSpec], environment: Environment) -> dg.SensorDefinition:
    """Refreshes the marts when an export finishes, or a finished one changes.

    Keyed on the content of the manifests: looking twice at the same exports starts one run. A source without exports
    starts none, and neither does an export still in progress. An unusable one starts a run, so that its failure shows
    where people look.
    """

    @dg.sensor(
        name="new_exports",
        job_name=REFRESH_JOB,
        minimum_interval_seconds=EVERY_SECONDS,
        description="Load new exports and rebuild the marts when AWS has finished writing one",
    )
    def new_exports(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        from platform_assets.data.exports.export import sha256
        from platform_assets.data.raw.discover import content_key

        nothing = sha256()
        seen = json.loads(context.cursor) if context.cursor else {}
        now = {name: content_key(spec, name, environment.exports) for name, spec in sorted(sources.items())}
        changed = [name for name in now if now[name] not in (seen.get(name), nothing)]
        if not changed:
            return dg.SkipReason("no export has finished since the last look")
        cursor = json.dumps(now)
        request = dg.RunRequest(run_key=cursor, tags={"new_exports": ", ".join(changed)})
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return new_exports
