"""The Kubernetes API as runs need it: a minute without the API server is waited for, and a repeated request is no error.

Belongs here: what dagster-k8s' client gives up on too early. Imports kubernetes.
"""

import logging
import time

import urllib3
from kubernetes.client import V1Job, V1JobStatus
from kubernetes.client.rest import ApiException

from platform_assets.foundation.dagster_internals.on_kubernetes import (
    DagsterK8sAPIRetryLimitExceeded,
    DagsterK8sUnrecoverableAPIError,
    DagsterKubernetesClient,
)

log = logging.getLogger(__name__)
PATIENCE_SECONDS = 600.0
PAUSE_SECONDS = 5.0
# An API server that has just started answers before it has read its roles, and forbids everything meanwhile.
FORBIDDEN_BELIEVED_AFTER_SECONDS = 60.0
# What a request ends with while the API server is away, or too busy to answer.
UNREACHABLE = (urllib3.exceptions.HTTPError, DagsterK8sAPIRetryLimitExceeded)


class PatientClient(DagsterKubernetesClient):
    """dagster-k8s' client, which takes an API server that is away, or has just come back, for one that will answer."""

    _forbidden_since: float | None = None

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
            DagsterK8sUnrecoverableAPIError: it refused; it forbade the request for a minute, say.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                super().create_namespaced_job_with_retries(body, namespace, wait_time_between_attempts)
            except DagsterK8sAPIRetryLimitExceeded:
                if time.monotonic() > deadline:
                    raise
                log.warning("the Kubernetes API server does not answer; waiting to make Job %s", body.metadata.name)
            except DagsterK8sUnrecoverableAPIError as refused:
                if _status(refused) != 409:
                    self._raise_unless_starting(refused)
                    time.sleep(wait_time_between_attempts)
                    continue
            self._forbidden_since = None
            return

    def get_job_status(
        self, job_name: str, namespace: str, wait_time_between_attempts: float = PAUSE_SECONDS
    ) -> V1JobStatus | None:
        """A Job's status, or None when there is no such Job.

        Raises:
            DagsterK8sAPIRetryLimitExceeded: the API server is away, or has only just come back.
            DagsterK8sUnrecoverableAPIError: it refused.
        """
        try:
            status = super().get_job_status(job_name, namespace, wait_time_between_attempts)
        except DagsterK8sUnrecoverableAPIError as refused:
            self._raise_unless_starting(refused)
            raise DagsterK8sAPIRetryLimitExceeded(
                f"the API server forbids to read Job {job_name}",
                k8s_api_exception=refused.k8s_api_exception,
                original_exc_info=refused.original_exc_info,
                max_retries=0,
            ) from refused
        self._forbidden_since = None
        return status

    def _raise_unless_starting(self, refused: DagsterK8sUnrecoverableAPIError) -> None:
        """Return when a refusal may be that of an API server without its roles; raise it otherwise."""
        now = time.monotonic()
        since = self._forbidden_since or now
        if _status(refused) != 403 or now - since > FORBIDDEN_BELIEVED_AFTER_SECONDS:
            raise refused
        self._forbidden_since = since
        log.warning("the Kubernetes API server forbids what it allowed; it may have just started: %s", refused)

    def delete_in_background(self, job: str, namespace: str) -> None:
        """Delete a Job that may be gone by now; its pods are told to go."""
        try:
            self.batch_api.delete_namespaced_job(job, namespace, propagation_policy="Background")
        except ApiException as refused:
            if refused.status != 404:
                raise
        except UNREACHABLE as error:
            log.warning("Job %s stays: the Kubernetes API server does not answer: %s", job, error)

    def delete_with_pods(self, job: str, namespace: str) -> None:
        """Delete a Job that stays until its pods are gone, and makes no more of them meanwhile; it may be gone by now.

        Raises:
            ApiException: the API server refused.
            One of UNREACHABLE: it is away; whether the Job is on its way out is not known.
        """
        try:
            self.batch_api.delete_namespaced_job(job, namespace, propagation_policy="Foreground")
        except ApiException as refused:
            if refused.status != 404:
                raise


def _status(refused: DagsterK8sUnrecoverableAPIError) -> int | None:
    """The HTTP status of a refusal, None when there was no answer."""
    answer = refused.k8s_api_exception
    return answer.status if isinstance(answer, ApiException) else None


def ended_as(status: V1JobStatus) -> str | None:
    """`Complete` or `Failed` when a Job has ended, else None.

    Told by its conditions: its counts may show a pod as active that was deleted because the Job had ended.
    """
    conditions = {condition.type for condition in status.conditions or [] if condition.status == "True"}
    return next((name for name in ("Complete", "Failed") if name in conditions), None)
