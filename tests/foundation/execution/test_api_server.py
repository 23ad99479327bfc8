"""An API server that has just come back is waited for; one that goes on refusing is believed.

The server here answers what it is told to: when a real one has read its roles cannot be chosen. tests/cluster has that.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from dagster_k8s.client import DagsterK8sAPIRetryLimitExceeded, DagsterK8sUnrecoverableAPIError
from kubernetes import client

from platform_assets.foundation.execution import api_server
from platform_assets.foundation.execution.api_server import PatientClient
from tests.support.answering import Reply, Request, answering, json_reply

JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "fold"}, "status": {"active": 1}}


@dataclass
class ApiServer:
    """Answers requests with the statuses it is given, the last of them from then on."""

    statuses: list[int] = field(default_factory=lambda: [201])
    asked: list[str] = field(default_factory=list)

    def reply(self, request: Request) -> Reply:
        self.asked.append(request.command)
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        refusal: dict[str, object] = {"kind": "Status", "code": status}
        return json_reply(status, JOB if status < 300 else refusal)


@pytest.fixture
def server() -> ApiServer:
    return ApiServer()


@pytest.fixture
def patient(server: ApiServer) -> Iterator[PatientClient]:
    with answering(server.reply) as url:
        calls = client.ApiClient(client.Configuration(host=url))
        yield PatientClient(client.BatchV1Api(calls), client.CoreV1Api(calls), print, lambda _: None, lambda: 0.0)


def make(patient: PatientClient) -> None:
    job = client.V1Job(metadata=client.V1ObjectMeta(name="fold"))
    patient.create_namespaced_job_with_retries(job, "platform", wait_time_between_attempts=0.01)


def test_a_job_is_made_once_the_api_server_knows_its_roles(patient: PatientClient, server: ApiServer) -> None:
    server.statuses = [403, 403, 403, 201]
    make(patient)
    assert server.asked == ["POST"] * 4


def test_a_job_that_stays_forbidden_is_refused(
    patient: PatientClient, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_server, "FORBIDDEN_BELIEVED_AFTER_SECONDS", 0.05)
    server.statuses = [403]
    with pytest.raises(DagsterK8sUnrecoverableAPIError):
        make(patient)
    assert len(server.asked) > 1


def test_a_job_that_is_there_already_is_taken_for_it(patient: PatientClient, server: ApiServer) -> None:
    server.statuses = [409]
    make(patient)
    assert server.asked == ["POST"]


def test_any_other_refusal_is_believed_at_once(patient: PatientClient, server: ApiServer) -> None:
    server.statuses = [422]
    with pytest.raises(DagsterK8sUnrecoverableAPIError):
        make(patient)
    assert server.asked == ["POST"]


def test_a_forbidden_status_counts_as_no_answer_until_it_is_believed(
    patient: PatientClient, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.statuses = [403, 200, 403]
    with pytest.raises(DagsterK8sAPIRetryLimitExceeded):
        patient.get_job_status("fold", "platform")
    status = patient.get_job_status("fold", "platform")
    assert status is not None
    assert status.active == 1
    with pytest.raises(DagsterK8sAPIRetryLimitExceeded):
        patient.get_job_status("fold", "platform")
    monkeypatch.setattr(api_server, "FORBIDDEN_BELIEVED_AFTER_SECONDS", -1.0)
    with pytest.raises(DagsterK8sUnrecoverableAPIError):
        patient.get_job_status("fold", "platform")
