"""A pod for each run, ended with everything it started, and not given up while Kubernetes is silent. Imports kubernetes."""

import logging
import time
from collections.abc import Mapping
from typing import Any

from dagster import DagsterRun
from dagster_k8s import K8sRunLauncher

from platform_assets.foundation.dagster_internals.core import CheckRunHealthResult, ResumeRunContext, WorkerStatus
from platform_assets.foundation.dagster_internals.on_kubernetes import get_job_name_from_run_id
from platform_assets.foundation.execution.api_server import UNREACHABLE, PatientClient, ended_as

log = logging.getLogger(__name__)
# More than a pod's grace. A pod on a node that went away without a word stays in the list for minutes, and does nothing.
OLD_WORKERS_GO_SECONDS = 30.0


class PodRunLauncher(K8sRunLauncher):
    """dagster-k8s' run launcher, with its configuration.

    Cancelling a run deletes the Jobs of its steps too: dagster-k8s leaves that to the run's own pod, which may be gone.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._api_client = PatientClient.production()

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> "PodRunLauncher":
        return cls(inst_data=inst_data, **config_value)

    def resume_run(self, context: ResumeRunContext) -> None:
        """Start another worker, after whatever is left of those before it.

        A Job that ended may have a pod that goes on: a deleted pod's replacement. Two workers would start the same steps.
        """
        run = context.dagster_run
        for attempt in range(context.resume_attempt_number or 1):
            job = get_job_name_from_run_id(run.run_id, resume_attempt_number=attempt or None)
            self._api_client.delete_in_background(job, self._namespace_of(run))
        deadline = time.monotonic() + OLD_WORKERS_GO_SECONDS
        while self._workers_of(run) and time.monotonic() < deadline:
            time.sleep(0.5)
        super().resume_run(context)

    def terminate(self, run_id: str) -> bool:
        ended = bool(super().terminate(run_id))
        run = self._instance.get_run_by_id(run_id)
        if run is not None:
            self._api_client.batch_api.delete_collection_namespaced_job(
                self._namespace_of(run), label_selector=f"dagster/run-id={run_id}", propagation_policy="Background"
            )
        return ended

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the run's Job goes on. Anything else makes run monitoring start another worker, and one is enough.

        A run is therefore not lost because the API server is, nor while Kubernetes replaces its pod.
        """
        job = get_job_name_from_run_id(run.run_id, resume_attempt_number=self._get_resume_attempt_number(run))
        try:
            status = self._api_client.get_job_status(job, self._namespace_of(run))
        except UNREACHABLE as error:
            log.warning("run %s: the Kubernetes API server does not answer: %s", run.run_id, error)
            return CheckRunHealthResult(WorkerStatus.RUNNING, "the Kubernetes API server does not answer")
        if status is None:
            return CheckRunHealthResult(WorkerStatus.UNKNOWN, f"Job {job} is gone")
        ended = ended_as(status)
        if ended is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if ended == "Complete" and run.is_finished:
            return CheckRunHealthResult(WorkerStatus.SUCCESS)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"Job {job} has ended, and the run has not")

    def _workers_of(self, run: DagsterRun) -> list[str]:
        """The pods of a run's workers that may still be executing it."""
        workers = f"dagster/run-id={run.run_id},app.kubernetes.io/component=run_worker"
        pods = self._api_client.core_api.list_namespaced_pod(self._namespace_of(run), label_selector=workers).items
        return [pod.metadata.name for pod in pods if pod.status.phase in ("Pending", "Running")]

    def _namespace_of(self, run: DagsterRun) -> str:
        namespace = self.get_container_context_for_run(run).namespace
        assert namespace is not None
        return namespace
