"""What the janitor tells Prometheus, under names that begin with `platform_`.

Gauges say what is so at the last sweep. Counters begin at 0 with the process, as Prometheus expects (`rate` and `increase`
allow for it); each thing is counted once in the life of a process: runs by their ids, lost pods by their run's events
(`lost_pods.py`). Does not belong here: what a GPU does, which its own pod serves (`foundation/gpus/use.py`).
"""

from datetime import datetime, timedelta
from functools import partial
from threading import Thread
from wsgiref.simple_server import WSGIServer

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from platform_assets.operations.janitor.ageing import queued_runs, waited_seconds
from platform_assets.operations.janitor.lost_pods import NOT_KNOWN, LossWatch, Plans, gpus_by_step
from platform_assets.operations.janitor.slots import pool_states
from platform_assets.operations.janitor.sweeping import Swept

STATUSES = {
    "queued": DagsterRunStatus.QUEUED,
    "starting": DagsterRunStatus.STARTING,
    "started": DagsterRunStatus.STARTED,
    "canceling": DagsterRunStatus.CANCELING,
}
WAIT_BUCKETS = (5, 15, 30, 60, 120, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600)
# How far back runs are looked at that have just started or ended; longer than any pause between two sweeps that succeed.
LOOK_BACK = timedelta(minutes=30)


class Metrics:
    """The janitor's metrics in a registry of their own."""

    def __init__(self, instance: DagsterInstance, since: datetime) -> None:
        """`since`: when the process began, with time zone; what was before is not counted."""
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._instance, self._since = instance, since
        self._plans = Plans(instance)
        self._losses = LossWatch(instance, self._plans, since)
        self._counted: dict[str, set[str]] = {"started": set(), "finished": set()}
        self._previous = since
        self.registry = CollectorRegistry()
        gauge, counter = partial(Gauge, registry=self.registry), partial(Counter, registry=self.registry)
        waits = "From a run's creation to its start, of runs that started"
        lost = "Step pods lost, by campaign, whether they may be on spot machines, and reason"
        whose = ["campaign", "spot"]
        self._runs = gauge("platform_runs", "Runs that are not finished, by status", ["status"])
        self._finished = counter(
            "platform_runs_finished", "Runs that ended, by status and campaign", ["status", "campaign"]
        )
        self._oldest = gauge("platform_queue_oldest_wait_seconds", "For how long the oldest queued run has waited")
        self._waits = Histogram("platform_queue_wait_seconds", waits, buckets=WAIT_BUCKETS, registry=self.registry)
        self._limit = gauge("platform_pool_slots_limit", "Slots a pool has", ["pool"])
        self._used = gauge("platform_pool_slots_used", "Slots of a pool that steps hold", ["pool"])
        self._pending = gauge("platform_pool_steps_pending", "Steps that wait for a slot of a pool", ["pool"])
        self._lost = counter("platform_step_pods_lost", lost, [*whose, "reason"])
        self._gpus = gauge("platform_gpus_held", "GPUs that running step pods hold", whose)
        self._gpu_seconds = counter("platform_gpu_held_seconds", "GPUs held by step pods, times seconds", whose)
        self._deleted = counter(
            "platform_orphans_deleted", "Jobs and pods deleted that outlived their run", ["kind", "why"]
        )
        self._freed = counter("platform_slots_freed", "Stuck slots freed or handed on, by pool", ["pool", "why"])
        self._old = counter("platform_runs_deleted", "Runs deleted because of their age")
        self._swept = gauge(
            "platform_janitor_last_success_timestamp_seconds", "When the janitor last swept all it sweeps"
        )

    def serve(self, bind: str, port: int) -> tuple[WSGIServer, Thread]:
        """Serves `/metrics` from a thread; to end it: `shutdown()` and `server_close()` of the server.

        Raises:
            OSError: the port is taken or the address is none of this machine.
        """
        from prometheus_client import start_http_server

        return start_http_server(port, addr=bind, registry=self.registry)

    def observe(self, swept: Swept, now: datetime) -> None:
        """Brings all metrics up to date after a sweep."""
        self._observe_runs(now)
        self._observe_pools()
        for freed in swept.freed:
            self._freed.labels(freed.pool, freed.why).inc()
        self._old.inc(len(swept.runs_deleted))
        if swept.unreachable is None:
            self._observe_cluster(swept, now)
            self._swept.set(now.timestamp())

    def _observe_cluster(self, swept: Swept, now: datetime) -> None:
        for deleted in swept.deleted:
            self._deleted.labels(deleted.kind, deleted.why).inc()
        for step, reason in self._losses.losses(list(swept.pods), now):
            self._lost.labels(step.campaign, step.spot, reason).inc()
        self._gpus.clear()
        elapsed = max(0.0, (now - self._previous).total_seconds())
        self._previous = now
        for step, gpus in gpus_by_step(list(swept.pods), self._plans).items():
            self._gpus.labels(step.campaign, step.spot).set(gpus)
            self._gpu_seconds.labels(step.campaign, step.spot).inc(gpus * elapsed)
        self._plans.forget_all_but({pod.metadata.labels["dagster/run-id"] for pod in swept.pods})

    def _observe_runs(self, now: datetime) -> None:
        for name, status in STATUSES.items():
            self._runs.labels(name).set(self._instance.get_runs_count(RunsFilter(statuses=[status])))
        self._oldest.set(max((waited_seconds(record, now) for record in queued_runs(self._instance)), default=0.0))
        recent = self._instance.get_run_records(RunsFilter(updated_after=now - LOOK_BACK))
        for record in recent:
            run = record.dagster_run
            if self._is_news("started", run.run_id, record.start_time, now):
                self._waits.observe(max(0.0, (record.start_time or 0.0) - record.create_timestamp.timestamp()))
            if run.is_finished and self._is_news("finished", run.run_id, record.end_time, now):
                self._finished.labels(run.status.value.lower(), run.tags.get("campaign", NOT_KNOWN)).inc()
        seen = {record.dagster_run.run_id for record in recent}
        self._counted = {what: run_ids & seen for what, run_ids in self._counted.items()}

    def _is_news(self, what: str, run_id: str, happened: float | None, now: datetime) -> bool:
        # What is older than the look back may have been counted and forgotten.
        earliest = max(self._since, now - LOOK_BACK).timestamp()
        if happened is None or happened < earliest or run_id in self._counted[what]:
            return False
        self._counted[what].add(run_id)
        return True

    def _observe_pools(self) -> None:
        for gauge in (self._limit, self._used, self._pending):
            gauge.clear()
        for pool in pool_states(self._instance):
            self._limit.labels(pool.concurrency_key).set(pool.slot_count)
            self._used.labels(pool.concurrency_key).set(len(pool.claimed_slots))
            self._pending.labels(pool.concurrency_key).set(pool.pending_step_count)
