"""The Kubernetes API as runs need it: a minute without the API server is waited for, and a repeated request is no error.

Belongs here: what dagster-k8s' client gives up on too early. Imports kubernetes.
"""

import logging
import time

import urllib3
from dagster_k8s.client import (
    DagsterK8sAPIRetryLimitExceeded,
    DagsterK8sUnrecoverableAPIError,
    DagsterKubernetesClient,
)
from kubernetes.client import V1Job, V1JobStatus
from kubernetes.client.rest import ApiException

log = logging.getLogger(__name__)
PATIENCE_SECONDS = 600.0
PAUSE_SECONDS = 5.0
# What a request ends with while the API server is away, or too busy to answer.
UNREACHABLE = (urllib3.exceptions.HTTPError, DagsterK8sAPIRetryLimitExceeded)


class PatientClient(DagsterKubernetesClient):
    """dagster-k8s' client, which waits for an API server that is away before it gives up making a Job."""

    @classmethod
    def production(cls) -> "PatientClient":
        """A client with the configuration that the process has loaded."""
        plain = DagsterKubernetesClient.production_client()
        return cls(plain.batch_api, plain.core_api, plain.logger, plain.sleeper, plain.timer)

    def create_namespaced_job_with_retries(
        self, body: V1Job, namespace: str, wait_time_between_attempts: float = PAUSE_SECONDS
    ) -> None:
        """Make a Job; one of its name that is there already is taken for it, because names belong to one attempt.

        Raises:
            DagsterK8sAPIRetryLimitExceeded: the API server was away for ten minutes.
            DagsterK8sUnrecoverableAPIError: it refused.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return super().create_namespaced_job_with_retries(body, namespace, wait_time_between_attempts)
            except DagsterK8sAPIRetryLimitExceeded:
                if time.monotonic() > deadline:
                    raise
                log.warning("the Kubernetes API server does not answer; waiting to make Job %s", body.metadata.name)
            except DagsterK8sUnrecoverableAPIError as refused:
                if isinstance(refused.k8s_api_exception, ApiException) and refused.k8s_api_exception.status == 409:
                    return None
                raise

    def delete_in_background(self, job: str, namespace: str) -> None:
        """Delete a Job that may be gone by now; its pods are told to go."""
        try:
            self.batch_api.delete_namespaced_job(job, namespace, propagation_policy="Background")
        except ApiException as refused:
            if refused.status != 404:
                raise
        except UNREACHABLE as error:
            log.warning("Job %s stays: the Kubernetes API server does not answer: %s", job, error)


def ended_as(status: V1JobStatus) -> str | None:
    """`Complete` or `Failed` when a Job has ended, else None.

    Told by its conditions: its counts may show a pod as active that was deleted because the Job had ended.
    """
    conditions = {condition.type for condition in status.conditions or [] if condition.status == "True"}
    return next((name for name in ("Complete", "Failed") if name in conditions), None)
