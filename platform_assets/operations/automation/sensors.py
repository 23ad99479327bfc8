"""Sensors: what sets a run off because something outside changed."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dagster as dg

from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.environment import Environment
from platform_assets.foundation.execution.run_tags import NEW_EXPORTS_TAG
from platform_assets.foundation.storage import StorageRefused
from platform_assets.operations.automation.jobs import REFRESH_JOB

NEW_EXPORTS_SENSOR = "new_exports"
# No source is called so: beside their keys, the cursor keeps what their listings came to.
_LISTINGS = "/listings"
EVERY_SECONDS = 60
_AT_ONCE = 8


def sensor_status_in(environment: Environment) -> dg.DefaultSensorStatus:
    """Whether a sensor runs before anybody turned it on or off."""
    return dg.DefaultSensorStatus.RUNNING if environment.starts_by_itself else dg.DefaultSensorStatus.STOPPED


def new_exports_sensor(sources: Mapping[str, ExportSourceSpec], environment: Environment) -> dg.SensorDefinition:
    """Refreshes the marts when an export finishes, or a finished one changes.

    Keyed on the content of the manifests: looking twice at the same exports starts one run. While the listing of a source is
    what it was, as the cursor remembers, nothing is read. A source without exports starts none, and neither does an export
    still in progress. An unusable one starts a run, so that its failed check shows where people look. A lake that does not
    say what is there fails the look, unless another source has news: then the run fails where it loads that source.
    """

    @dg.sensor(
        name=NEW_EXPORTS_SENSOR,
        job_name=REFRESH_JOB,
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=sensor_status_in(environment),
        description="Load new exports and rebuild the marts when AWS has finished writing one",
    )
    def new_exports(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        from platform_assets.data.exports.export import sha256
        from platform_assets.data.raw.known import known_exports
        from platform_assets.data.raw.looks import Look, look

        nothing = sha256()
        seen: dict[str, Any] = json.loads(context.cursor) if context.cursor else {}
        listings: dict[str, str] = seen.pop(_LISTINGS, {})

        def look_at(name: str) -> Look | StorageRefused:
            spec = sources[name]
            before = Look(seen.get(name, nothing), listings.get(name))
            try:
                return look(spec, name, environment.exports, known_exports(environment, name, spec), before)
            except StorageRefused as refusal:
                return refusal

        # At once, as a storage that does not answer is tried for half a minute, and a look may take one.
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            answers = dict(zip(sorted(sources), pool.map(look_at, sorted(sources)), strict=True))
        looks = {name: each for name, each in answers.items() if isinstance(each, Look)}
        refusals = {str(each) for each in answers.values() if isinstance(each, StorageRefused)}
        changed = [name for name, each in looks.items() if each.key not in (seen.get(name), nothing)]
        if refusals and not changed:
            raise StorageRefused("\n".join(sorted(refusals)))
        now = seen | {name: each.key for name, each in looks.items() if changed}
        keys = {name: now[name] for name in sorted(now) if name in sources}
        for name, each in looks.items():
            # A listing stands for the key that is kept beside it.
            if each.listing is not None and each.key == keys.get(name):
                listings[name] = each.listing
            else:
                listings.pop(name, None)
        listings = {name: listings[name] for name in sorted(listings) if name in keys}
        cursor = json.dumps(keys | {_LISTINGS: listings})
        if not changed:
            return dg.SensorResult(skip_reason="no export has finished since the last look", cursor=cursor)
        request = dg.RunRequest(run_key=json.dumps(keys), tags={NEW_EXPORTS_TAG: ", ".join(changed)})
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return new_exports
