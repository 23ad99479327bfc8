"""Step pods that were lost, and whose they were.

That a pod was lost is taken from the run's events: the executor says there that a step "failed health check", or the step
that it was interrupted (`foundation/execution/pods.py`). A pod can come and go between two sweeps, an event cannot. Why it
was lost is taken from the pods seen in sweeps, whose status says it until the Job is deleted; of a pod that left no trace
the reason is `deleted`, as a drained node or a taken machine leaves none. Counts begin with the process: what is lost while
no janitor runs is not counted, and nothing is counted twice.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from platform_assets.foundation.dagster_internals.core import SerializableErrorInfo
from platform_assets.foundation.execution.profiles import NEVER_STARTED
from platform_assets.operations.janitor.orphans import RUN_LABEL

STEP_LABEL = "dagster/op"
LOST = "failed health check"
NOT_KNOWN = "none"
# What a pod's `status.reason` or the reason of its condition DisruptionTarget means.
REASONS = {
    "Evicted": "evicted",
    "EvictionByEvictionAPI": "evicted",
    "Preempting": "preempted",
    "PreemptionByScheduler": "preempted",
    "NodeLost": "node_lost",
    "DeletionByPodGC": "node_lost",
    "DeletionByTaintManager": "node_lost",
    "NodeShutdown": "node_lost",
    "Shutdown": "node_lost",
    "Terminated": "node_lost",
    "TerminationByKubelet": "node_lost",
}


@dataclass(frozen=True)
class Step:
    """Whose a step is: the campaign that its tag names, and whether its pod may be on a machine that can be taken away."""

    campaign: str = NOT_KNOWN
    spot: str = "false"


@dataclass
class Plans:
    """The steps of runs by what their pods' labels say; read once a run."""

    instance: dg.DagsterInstance
    steps: dict[str, Mapping[str, Step]] = field(default_factory=dict)

    def step(self, run: dg.DagsterRun | str, step_key: str) -> Step:
        """Whose a step is; `step_key` may be the label of its pod."""
        run_id = run if isinstance(run, str) else run.run_id
        if run_id not in self.steps:
            record = self.instance.get_run_by_id(run) if isinstance(run, str) else run
            self.steps[run_id] = self._read(record) if record is not None else {}
        return self.steps[run_id].get(_label(step_key), Step())

    def forget_all_but(self, run_ids: set[str]) -> None:
        self.steps = {run_id: steps for run_id, steps in self.steps.items() if run_id in run_ids}

    def _read(self, run: dg.DagsterRun) -> dict[str, Step]:
        if run.execution_plan_snapshot_id is None:
            return {}
        plan = self.instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
        return {
            _label(step.key): Step(tags.get("campaign", NOT_KNOWN), tags.get("platform/spot", "false"))
            for step in plan.steps
            if (tags := step.tags or {}) is not None
        }


class LossWatch:
    """Counts each lost step pod once, for as long as the process lives."""

    def __init__(self, instance: dg.DagsterInstance, plans: Plans, since: datetime) -> None:
        self._instance, self._plans, self._since = instance, plans, since
        self._cursors: dict[str, str] = {}
        self._reasons: dict[tuple[str, str], str] = {}

    def losses(self, pods: list[Any], now: datetime) -> list[tuple[Step, str]]:
        """(whose it was, why it was lost) of each step pod lost, at most one an attempt of a step.

        Those said since the last call, of runs that are live or ended within the last ten minutes.
        """
        for pod in pods:
            labels = pod.metadata.labels
            reason = why_lost(pod)
            if reason and STEP_LABEL in labels:
                self._reasons[labels[RUN_LABEL], labels[STEP_LABEL]] = reason
        recent = self._instance.get_runs(dg.RunsFilter(updated_after=now - timedelta(minutes=10)))
        live = self._instance.get_runs(
            dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])
        )
        watched = {run.run_id: run for run in (*recent, *live)}
        losses = [loss for run in watched.values() for loss in self._of_run(run)]
        self._cursors = {run_id: cursor for run_id, cursor in self._cursors.items() if run_id in watched}
        self._reasons = {key: reason for key, reason in self._reasons.items() if key[0] in watched}
        return losses

    def _of_run(self, run: dg.DagsterRun) -> list[tuple[Step, str]]:
        page = self._instance.get_records_for_run(
            run.run_id,
            cursor=self._cursors.get(run.run_id),
            of_type={dg.DagsterEventType.STEP_UP_FOR_RETRY, dg.DagsterEventType.STEP_FAILURE},
        )
        self._cursors[run.run_id] = page.cursor
        losses = []
        for record in page.records:
            entry = record.event_log_entry
            error = getattr(entry.get_dagster_event().event_specific_data, "error", None)
            if entry.timestamp < self._since.timestamp() or not _says_lost(error):
                continue
            step_key = entry.step_key or ""
            reason = self._reasons.pop((run.run_id, _label(step_key)), "deleted")
            losses.append((self._plans.step(run, step_key), reason))
        return losses


def _says_lost(error: SerializableErrorInfo | None) -> bool:
    """Whether a step's error is that its pod went, or was told to go; one that never started was not lost."""
    if error is None or NEVER_STARTED in error.message:
        return False
    return error.cls_name == dg.DagsterExecutionInterruptedError.__name__ or LOST in error.message


def why_lost(pod: Any) -> str | None:
    """Why a pod did not end by itself: evicted, preempted, node_lost, oom_killed, deleted or crashed; None: it was not lost."""
    if pod.status.phase == "Succeeded":
        return None
    reasons = [pod.status.reason, *(c.reason for c in pod.status.conditions or () if c.type == "DisruptionTarget")]
    for reason in reasons:
        if reason in REASONS:
            return REASONS[reason]
    ended = [entry.state.terminated for entry in pod.status.container_statuses or () if entry.state.terminated]
    if any(state.reason == "OOMKilled" for state in ended):
        return "oom_killed"
    if pod.metadata.deletion_timestamp:
        return "deleted"
    return "crashed" if pod.status.phase == "Failed" else None


def gpus_by_step(pods: list[Any], plans: Plans) -> dict[Step, float]:
    """How many GPUs the running pods hold, by whose step they are."""
    gpus_of: dict[Step, float] = defaultdict(float)
    for pod in pods:
        labels = pod.metadata.labels
        if pod.status.phase != "Running" or STEP_LABEL not in labels:
            continue
        limits = [container.resources.limits or {} for container in pod.spec.containers if container.resources]
        gpus = sum(float(limit.get("nvidia.com/gpu", 0)) for limit in limits)
        if gpus:
            gpus_of[plans.step(labels[RUN_LABEL], labels[STEP_LABEL])] += gpus
    return dict(gpus_of)


def _label(step_key: str) -> str:
    from platform_assets.foundation.dagster_internals.on_kubernetes import sanitize_k8s_label

    return str(sanitize_k8s_label(step_key))
