"""An API server that has just come back is waited for; one that goes on refusing is believed.

The server here answers what it is told to: when a real one has read its roles cannot be chosen. tests/cluster has that.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from dagster_k8s.client import DagsterK8sAPIRetryLimitExceeded, DagsterK8sUnrecoverableAPIError
from kubernetes import client

from platform_assets.foundation.execution import api_server
from platform_assets.foundation.execution.api_server import PatientClient

JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "fold"}, "status": {"active": 1}}


class ApiServer(ThreadingHTTPServer):
    """Answers requests with the statuses it is given, the last of them from then on."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.statuses = [201]
        self.asked: list[str] = []


class Answer(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        server: Any = self.server
        server.asked.append(self.command)
        status = server.statuses.pop(0) if len(server.statuses) > 1 else server.statuses[0]
        body = json.dumps(JOB if status < 300 else {"kind": "Status", "code": status}).encode()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer

    def log_message(self, *_: Any) -> None:
        """Nothing on the test's output."""


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def patient(server: ApiServer) -> PatientClient:
    calls = client.ApiClient(client.Configuration(host=f"http://127.0.0.1:{server.server_port}"))
    return PatientClient(client.BatchV1Api(calls), client.CoreV1Api(calls), print, lambda _: None, lambda: 0.0)


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
