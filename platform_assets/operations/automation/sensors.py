"""Sensors: what sets a run off because something outside changed."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import dagster as dg

from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.environment import Environment
from platform_assets.foundation.execution.run_tags import NEW_EXPORTS_TAG
from platform_assets.foundation.storage import StorageRefused
from platform_assets.operations.automation.jobs import REFRESH_JOB

NEW_EXPORTS_SENSOR = "new_exports"
EVERY_SECONDS = 60
_AT_ONCE = 8


def new_exports_sensor(sources: Mapping[str, ExportSourceSpec], environment: Environment) -> dg.SensorDefinition:
    """Refreshes the marts when an export finishes, or a finished one changes.

    Keyed on the content of the manifests: looking twice at the same exports starts one run. A source without exports
    starts none, and neither does an export still in progress. An unusable one starts a run, so that its failed check shows
    where people look. A lake that does not say what is there fails the look, unless another source has news: then the run
    fails where it loads that source.
    """

    @dg.sensor(
        name=NEW_EXPORTS_SENSOR,
        job_name=REFRESH_JOB,
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING
        if environment.starts_by_itself
        else dg.DefaultSensorStatus.STOPPED,
        description="Load new exports and rebuild the marts when AWS has finished writing one",
    )
    def new_exports(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        from platform_assets.data.exports.export import sha256
        from platform_assets.data.raw.discover import content_key

        def look(name: str) -> str | StorageRefused:
            try:
                return content_key(sources[name], name, environment.exports)
            except StorageRefused as refusal:
                return refusal

        nothing = sha256()
        seen = json.loads(context.cursor) if context.cursor else {}
        # At once, as a storage that does not answer is tried for half a minute, and a look may take one.
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            looks = dict(zip(sorted(sources), pool.map(look, sorted(sources)), strict=True))
        refusals = [refusal for refusal in looks.values() if isinstance(refusal, StorageRefused)]
        now = seen | {name: key for name, key in looks.items() if isinstance(key, str)}
        changed = [name for name, key in looks.items() if isinstance(key, str) and key not in (seen.get(name), nothing)]
        if refusals and not changed:
            raise StorageRefused("\n".join(sorted({str(refusal) for refusal in refusals})))
        if not changed:
            return dg.SkipReason("no export has finished since the last look")
        cursor = json.dumps({name: now[name] for name in sorted(now) if name in sources})
        request = dg.RunRequest(run_key=cursor, tags={NEW_EXPORTS_TAG: ", ".join(changed)})
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return new_exports
