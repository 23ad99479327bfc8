"""How long the pods of a run's steps may take to start, and giving those up that do not. Imports kubernetes.

Belongs here: counting, and deleting a Job so that nothing of it starts later. Does not belong here: reading a pod's status
(`pod_status`), and failing the step, which gives its slot of a pool back (`pods`).
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kubernetes.client import V1JobStatus, V1Pod
from kubernetes.client.rest import ApiException

from platform_assets.foundation.execution.api_server import UNREACHABLE, PatientClient
from platform_assets.foundation.execution.pod_status import Waiting, demands, newest_complaint, why_waiting
from platform_assets.foundation.execution.profiles import (
    K8S_TAG,
    NEVER_STARTED,
    PROFILE_TAG,
    SPOT_TAG,
    START_LIMIT_SECONDS,
    START_LIMIT_TAG,
)

log = logging.getLogger(__name__)
# A registry that is away comes back within minutes; a tag that nobody pushed does not come.
BROKEN_LIMIT_SECONDS = 300.0
# What lies between two looks counts as waiting up to here: the executor may have waited for the API server in between.
LONGEST_LOOK_SECONDS = 60.0
_REMEDY_BROKEN = "Put right what Kubernetes names, and re-execute the run from failure."
_REMEDY = (
    "Give the cluster nodes that take such a pod (docs/how-to/deploy-on-kubernetes.md), or name another profile or `spot` "
    "under `advanced.resources` in the campaign's file; where nodes only take longer to come, raise start_limit_seconds "
    "of the profile in the file that PLATFORM_PROFILES names. Then re-execute the run from failure."
)


@dataclass(frozen=True)
class Starting:
    """An attempt at a step.

    Attributes:
        tags: of the step.
        tell: writes a sentence into the run's log.
        has_ended: whether the run's log says how the attempt ended.
    """

    step: str
    job: str
    tags: Mapping[str, str]
    tell: Callable[[str], None]
    has_ended: Callable[[], bool]

    @property
    def asked(self) -> str:
        """What its pod asks of Kubernetes: two steps of which this is equal start on the same nodes."""
        return self.tags.get(K8S_TAG, "")


class Wait:
    """How long a pod has not started, at a stretch, as far as the API server was there to say so.

    Attributes:
        seconds: of waiting for whatever it was.
        broken_seconds: of these, at the end, with a container that could not be made.
    """

    def __init__(self) -> None:
        self.seconds = self.broken_seconds = 0.0
        self._looked: float | None = None

    def look(self, now: float, broken: bool) -> None:
        """It was seen waiting, at `now` of a clock in seconds."""
        since = 0.0 if self._looked is None else min(now - self._looked, LONGEST_LOOK_SECONDS)
        self._looked = now
        self.seconds += since
        self.broken_seconds = self.broken_seconds + since if broken else 0.0

    def blind(self) -> None:
        """The API server did not say: what lies before the next look counts as nothing."""
        self._looked = None

    def is_over(self, waiting: Waiting, limit: float) -> bool:
        """Whether it has lasted as long as a pod may wait for what it waits for; `limit` is that for a node, in seconds."""
        if waiting.broken:
            return waiting.for_good or self.broken_seconds >= broken_limit(limit)
        return self.seconds >= limit


class StartWatch:
    """The steps of one run, as long as the process lives that executes it.

    Attributes:
        given_up: by Job, why its step never started. The Job is on its way out, or gone.
    """

    def __init__(self, client: PatientClient, namespace: str) -> None:
        self._client, self._namespace = client, namespace
        self.given_up: dict[str, str] = {}
        self._waits: dict[str, Wait] = {}
        # By what was asked: one that never started, and how long it was waited for, in words.
        self._in_vain: dict[str, str] = {}

    def blind(self, job: str) -> None:
        """The API server did not answer."""
        self._waits.setdefault(job, Wait()).blind()

    def look(self, starting: Starting, status: V1JobStatus) -> None:
        """Gives a step up whose pod does not start: deletes its Job, with which its pods go."""
        if status.ready:
            self._waits.pop(starting.job, None)
            return
        try:
            pods = self._client.get_pods_in_job(starting.job, self._namespace)
            waiting = why_waiting(pods)
            if waiting is None:
                self._waits.pop(starting.job, None)
            elif self._is_over(starting, waiting):
                self._give_up(starting, waiting, pods)
        except UNREACHABLE as error:
            self.blind(starting.job)
            log.warning(
                "%s: the Kubernetes API server does not say whether its pod has started: %s", starting.step, error
            )
        except ApiException as refused:
            self.blind(starting.job)
            log.warning(
                "%s: the Kubernetes API server refuses what giving its pod up takes: %s", starting.step, refused
            )

    def _is_over(self, starting: Starting, waiting: Waiting) -> bool:
        wait = self._waits.setdefault(starting.job, Wait())
        wait.look(time.monotonic(), waiting.broken)
        return wait.is_over(waiting, self._limit(starting)) and not starting.has_ended()

    def _limit(self, starting: Starting) -> float:
        """For how long its pod may wait for a node, in seconds; not at all where its like waited in vain."""
        stated = float(starting.tags.get(START_LIMIT_TAG, START_LIMIT_SECONDS))
        return 0.0 if starting.asked in self._in_vain else stated

    def _give_up(self, starting: Starting, waiting: Waiting, pods: Sequence[V1Pod]) -> None:
        step, job, tags = starting.step, starting.job, starting.tags
        if not waiting.broken and self._its_like_run(job, pods):
            self._waits.pop(job, None)
            self._in_vain.pop(starting.asked, None)
            starting.tell(
                f"The pod of {step} waits: {waiting.why}. Others that ask for the same run: it goes on waiting."
            )
            return
        reason = f"{waiting.why}{self._complaint(job, waiting)}"
        self._client.delete_with_pods(job, self._namespace)
        how_long = self._how_long(starting, waiting)
        self._in_vain.setdefault(starting.asked, f"{step}, which asks for the same, did not{how_long}")
        self.given_up[job] = (
            f"The pod of {step} {NEVER_STARTED}{how_long}: {reason}. Job {job} and its pod were deleted, so that it cannot "
            f"start later. It is not tried again, which would wait as long. Its resource profile is "
            f"{tags.get(PROFILE_TAG, 'none')}, with spot: {tags.get(SPOT_TAG, 'false')}. "
            f"{_REMEDY_BROKEN if waiting.broken else _REMEDY}"
        )

    def _how_long(self, starting: Starting, waiting: Waiting) -> str:
        """How long a step was waited for in vain, to go after `did not start`."""
        if before := self._in_vain.get(starting.asked):
            return f" at first look, and {before}"
        if waiting.for_good:
            return ""
        limit = self._limit(starting)
        return f" within {_long(broken_limit(limit) if waiting.broken else limit)}"

    def _its_like_run(self, job: str, pods: Sequence[V1Pod]) -> bool:
        """Whether pods of other steps run that ask for the same of their nodes: such nodes are there, and one may get free."""
        own = pods[-1] if pods else self._client.batch_api.read_namespaced_job(job, self._namespace).spec.template
        asked = demands(own.spec)
        steps = self._client.core_api.list_namespaced_pod(
            self._namespace,
            label_selector="app.kubernetes.io/component=step_worker",
            field_selector="status.phase=Running",
        )
        return any(demands(pod.spec) == asked for pod in steps.items)

    def _complaint(self, job: str, waiting: Waiting) -> str:
        """What Kubernetes complained of last about a pod, or about a Job that has none; in parentheses."""
        if waiting.broken:
            return ""
        selector = f"involvedObject.name={waiting.events_of or job}"
        try:
            events = self._client.core_api.list_namespaced_event(self._namespace, field_selector=selector)
        except ApiException as refused:
            return f" (its events may not be read: {refused.status})"
        complaint = newest_complaint(events.items)
        return f" ({complaint})" if complaint else ""


def broken_limit(limit: float) -> float:
    """How long a container may be one that cannot be made, where its pod may wait so long for a node; both in seconds."""
    return min(BROKEN_LIMIT_SECONDS, limit)


def _long(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 120 else f"{seconds:g} seconds"
