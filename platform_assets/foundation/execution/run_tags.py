"""The tags of runs: what each is stamped with (scope, campaign, priority, profile), and which it may not bring along.

Pure functions of the run's own tags and of the steps it is going to execute, so that a re-execution, which carries its
parent's stamp, is admitted and stamped the same again.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any

from platform_assets.foundation.execution.profiles import K8S_TAG, PROFILE_TAG, SPOT_TAG

CAMPAIGN_TAG = "campaign"
# On the steps of a code location that defines its campaign and nothing shared; its pods define the same.
ALONE_TAG = "platform/alone"
DEADLINE_TAG = "platform/deadline"
IMAGE_TAG = "platform/image"
PRIORITY_TAG = "dagster/priority"
SCOPE_VARIABLE = "PLATFORM_SCOPE"
BASE_PRIORITY_TAG = "platform/base_priority"
PROCESS_TAG = "platform/process"
# Of the platform's sensors and jobs: a run keeps them when it is executed again after the code that gave them has changed.
ENTITY_TAG = "entity"
NEW_EXPORTS_TAG = "new_exports"
_OURS = frozenset(
    {CAMPAIGN_TAG, ENTITY_TAG, NEW_EXPORTS_TAG, BASE_PRIORITY_TAG, IMAGE_TAG, PROCESS_TAG, PROFILE_TAG, SPOT_TAG}
)
_DAGSTERS = ("dagster/", ".dagster/")
# Beyond this many days a deadline does not matter yet.
HORIZON_DAYS = 100
# As an hour of waiting counts one (`operations/janitor/ageing.py`), and more than a campaign has folds, whose priorities let
# campaigns of equal deadline take turns.
PRIORITY_OF_A_DAY = 24


def stamp(
    tags: Mapping[str, str],
    steps: Sequence[Mapping[str, str]],
    today: date,
    image: str | None = None,
    selected: Collection[str] | None = None,
) -> dict[str, str]:
    """The tags to add to a run.

    Args:
        tags: the run's own.
        steps: the tags of each step it is going to execute.
        image: that the run's code location runs, where it is known.
        selected: first parts of the keys of the assets that were asked for, where the run names them: a step that makes
            assets of several campaigns is then scoped to those asked for.

    Returns:
        `campaign` when the run is of one campaign alone; `dagster/priority` unless somebody set it; the profiles of its
        steps; and `dagster-k8s/config` with the run pod's scope among what was there.
    """
    named = {name for step in steps for name in step.get(CAMPAIGN_TAG, "").split(",") if name}
    campaigns = sorted(named if selected is None else named.intersection(selected))
    reach = "only" if any(ALONE_TAG in step for step in steps) else "campaign"
    scope = f"{reach}:{','.join(campaigns)}" if campaigns else "shared"
    added = {K8S_TAG: json.dumps(_with_scope(tags.get(K8S_TAG), scope), sort_keys=True)}
    if len(campaigns) == 1:
        added[CAMPAIGN_TAG] = campaigns[0]
    priority = max((_priority(step[DEADLINE_TAG], today) for step in steps if DEADLINE_TAG in step), default=0)
    # One that is there beside its base was stamped, and aged, on the run that this one executes again.
    if BASE_PRIORITY_TAG in tags or (priority and PRIORITY_TAG not in tags):
        added |= {PRIORITY_TAG: str(priority), BASE_PRIORITY_TAG: str(priority)}
    for tag in (PROFILE_TAG, SPOT_TAG):
        if values := sorted({step[tag] for step in steps if tag in step}):
            added[tag] = ",".join(values)
    return added | ({IMAGE_TAG: image} if image else {})


def unknown_tags(tags: Mapping[str, str]) -> list[str]:
    """The tags of a run that neither Dagster nor the platform gives: the run's job must have them in code.

    `dagster-k8s/config` is among them when it says more than a run's scope: it reaches the specification of the run's pod,
    and could mount any Secret there.
    """
    return sorted(
        key
        for key, value in tags.items()
        if key not in _OURS and not key.startswith(_DAGSTERS) and not (key == K8S_TAG and _without_scope(value) == {})
    )


def foreign_tags(tags: Mapping[str, str], declared: Mapping[str, str]) -> list[str]:
    """The tags of a run that it may not bring along.

    Args:
        tags: the run's own.
        declared: those that its job has in code.
    """
    pod = _without_scope(declared.get(K8S_TAG, "{}"))
    return [
        key
        for key in unknown_tags(tags)
        if (key not in declared or tags[key] != declared[key])
        and not (key == K8S_TAG and _without_scope(tags[key]) == pod)
    ]


def _priority(deadline: str, today: date) -> int:
    """Higher the nearer; a deadline that has passed counts as today's."""
    return PRIORITY_OF_A_DAY * max(0, HORIZON_DAYS - max(0, (date.fromisoformat(deadline) - today).days))


def _with_scope(config: str | None, scope: str) -> dict[str, Any]:
    """A run's pod configuration with the scope as an environment variable of its container."""
    pod: dict[str, Any] = json.loads(config) if config else {}
    container = dict(pod.get("container_config", {}))
    others = [entry for entry in container.get("env", []) if entry["name"] != SCOPE_VARIABLE]
    container["env"] = [*others, {"name": SCOPE_VARIABLE, "value": scope}]
    return {**pod, "container_config": container}


def _without_scope(config: str) -> dict[str, Any] | None:
    """A run's pod configuration but for the stamp; None: it is none that a stamp could have been put on."""
    try:
        pod = json.loads(config)
        container = dict(pod.get("container_config", {}))
        others = [entry for entry in container.pop("env", []) if entry["name"] != SCOPE_VARIABLE]
    except (ValueError, TypeError, AttributeError, KeyError):
        return None
    if others:
        container["env"] = others
    rest = {key: value for key, value in pod.items() if key != "container_config"}
    return {**rest, "container_config": container} if container else rest
