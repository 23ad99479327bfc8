"""Why a step found its result or made it: as its metadata says of the last time, and as a run would do now.

Belongs here: words. Does not belong here: the decision (`standing`).
"""

from datetime import UTC, datetime

import dagster as dg

from platform_assets.campaigns.training_sets.refusals import REFUSALS
from platform_assets.operations.asking.standing import Asked, stale_answer, stale_marts, stale_model


def last_step(asset: dg.AssetKey, instance: dg.DagsterInstance) -> list[str]:
    """What is known of an asset's newest materialisation, a line each."""
    event = instance.get_latest_materialization_event(asset)
    made = event.asset_materialization if event is not None else None
    if event is None or made is None:
        return [f"{asset.to_user_string()} was never made on this Dagster instance"]
    metadata = {name: value.value for name, value in made.metadata.items()}
    cache, reason = metadata.get("cache"), metadata.get("cache_reason")
    how = {"hit": "found", "miss": "made"}.get(str(cache))
    if how is None and "hit" in metadata:
        how, reason = (
            ("found", "no new export") if metadata["hit"] else ("loaded", f"{metadata.get('new')} new exports")
        )
    of = f" as of {made.partition}" if made.partition else ""
    at = datetime.fromtimestamp(event.timestamp, UTC).isoformat(timespec="seconds")
    seconds = metadata.get("seconds_saved", metadata.get("seconds_spent"))
    cost = f"; {seconds} s {'saved' if cache == 'hit' else 'spent'}" if seconds is not None else ""
    return [
        f"{asset.to_user_string()}{of}: {how or 'made'}: {reason or 'no reason is recorded'}{cost}",
        f"last step: {at}, run {event.run_id}",
    ]


def would_do(asked: Asked) -> str:
    """What `run` would do first for a campaign as its file asks, or why it would do nothing."""
    try:
        if why := stale_marts(asked.upstream):
            return f"a run would refresh the marts; {why}"
        day = asked.day(None)
        if why := stale_model(asked, day):
            return f"a run would train as of {day}; {why}"
        if why := stale_answer(asked, day):
            return f"a run would score as of {day}; {why}"
    except REFUSALS as refusal:
        return f"a run would be refused; {refusal}"
    return f"a run as of {day} would find everything: same code, settings and inputs"
