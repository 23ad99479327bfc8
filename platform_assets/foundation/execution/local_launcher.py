"""The run launcher of one machine: Dagster's own, which also knows when a run's process is gone.

A code server tells when a run's process dies. When it dies with it (`kill -9`, no memory, no power), nobody does: the run
stays started, and holds its place in the queue for ever. Dagster's run monitoring asks the launcher, and Dagster's own of
one machine has no answer.

Belongs here: whether a run's process lives, and ending it. Does not belong here: what becomes of a run that is lost
(Dagster's run monitoring), and runs in pods (`pod_launcher`).
"""

import json
import math
import os
import signal
from dataclasses import dataclass

from dagster import DagsterEventType, DagsterRun, DefaultRunLauncher

from platform_assets.foundation.dagster_internals.core import (
    GRPC_INFO_TAG,
    CheckRunHealthResult,
    DagsterUserCodeUnreachableError,
    WorkerStatus,
)
from platform_assets.foundation.execution.run_tags import PROCESS_TAG

THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
# Between the clocks of events and of processes.
SLACK_SECONDS = 2.0


class LocalRunLauncher(DefaultRunLauncher):
    """A `DefaultRunLauncher` that run monitoring can ask whether a run's process lives."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the process that executes a run is there. One that cannot be seen from here counts as there."""
        worker = self._worker_of(run)
        if worker is None or worker.alive:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, worker.loss)

    def terminate(self, run_id: str) -> bool:
        """End a run: through its code server, or directly where that is gone or is another one by now."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        worker = self._worker_of(run)
        if worker is not None and not worker.alive:
            self._instance.report_run_canceled(run, worker.loss)
            return True
        try:
            if super().terminate(run_id):
                return True
        except DagsterUserCodeUnreachableError:
            if worker is None:
                raise
        if worker is None or not worker.alive:
            return False
        # As the code server has a run's process do to itself.
        os.kill(worker.pid, signal.SIGINT)
        return True

    def _worker_of(self, run: DagsterRun) -> "_Worker | None":
        """The process that executes a run; None: it has not said so yet, or is another machine's.

        When it started is written down while the run is young: compared with the run's start later on, a clock that was
        set in between would make it look like another that got its number.
        """
        noted = json.loads(run.tags.get(PROCESS_TAG, "{}"))
        # A run that is executed again carries the tags of the one before.
        if noted.get("run") == run.run_id:
            return _Worker(noted["pid"], noted["started"])
        if json.loads(run.tags.get(GRPC_INFO_TAG, "{}")).get("host", THIS_MACHINE[0]) not in THIS_MACHINE:
            return None
        starts = self._instance.get_records_for_run(run.run_id, of_type=DagsterEventType.RUN_START, limit=1).records
        if not starts or (pid := starts[0].event_log_entry.get_dagster_event().pid) is None:
            return None
        worker = _Worker(pid, _started(pid, before=starts[0].event_log_entry.timestamp))
        if worker.alive:
            note = {"run": run.run_id, "pid": worker.pid, "started": worker.started}
            self._instance.add_run_tags(run.run_id, {PROCESS_TAG: json.dumps(note)})
        return worker


@dataclass(frozen=True)
class _Worker:
    """A run's process; `started`: seconds after the machine's own start, which no setting of the clock alters."""

    pid: int
    started: float

    @property
    def alive(self) -> bool:
        return abs(_started(self.pid) - self.started) <= SLACK_SECONDS

    @property
    def loss(self) -> str:
        return (
            f"its process {self.pid} is gone and did not say how the run ended: it was killed, ran out of memory, or the "
            "machine stopped; start the run again, and what its finished steps made is found again"
        )


def _started(pid: int, before: float = math.inf) -> float:
    """Seconds between the machine's start and a process's; NaN: there is none of this number that started `before`."""
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or process.create_time() > before + SLACK_SECONDS:
            return math.nan
        return round(process.create_time() - psutil.boot_time(), 2)
    except psutil.NoSuchProcess:
        return math.nan
