"""A step that asks for more than its pod may have is tried once more and told; one whose pod was taken away, twenty times.

The API server here answers what a real one does of such pods; tests/cluster/test_cluster.py has a real one say it.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pytest
from kubernetes import client

from platform_assets.foundation.execution import pods
from platform_assets.foundation.execution.executor import kubernetes_executor
from platform_assets.foundation.execution.pod_status import over_its_limit
from platform_assets.foundation.execution.profiles import PROFILE_TAG
from tests.foundation.execution.conftest import Executing, errors_of
from tests.support.answering import Reply, Request, json_reply

KILLED = {"exitCode": 137, "reason": "OOMKilled", "startedAt": None, "finishedAt": None}
# Statuses as kubelets report them; of the messages, what differs from release to release.
OVER: dict[str, dict[str, Any]] = {
    "killed for memory": {"phase": "Failed", "containerStatuses": [{"state": {"terminated": KILLED}}]},
    "killed for memory, and restarted": {
        "phase": "Running",
        "containerStatuses": [{"state": {"running": {}}, "lastState": {"terminated": KILLED}}],
    },
    "a container over its disk": {
        "phase": "Failed",
        "reason": "Evicted",
        "message": 'Container dagster exceeded its local ephemeral storage limit "8Gi". ',
    },
    "a pod over its disk": {
        "phase": "Failed",
        "reason": "Evicted",
        "message": "Pod ephemeral local storage usage exceeds the total limit of containers 8Gi. ",
    },
    "an empty folder over its size": {
        "phase": "Failed",
        "reason": "Evicted",
        "message": 'Usage of EmptyDir volume "tmp" exceeds the limit "1Gi". ',
    },
}
TAKEN_AWAY: dict[str, dict[str, Any]] = {
    "a node short of memory": {
        "phase": "Failed",
        "reason": "Evicted",
        "message": "The node was low on resource: memory. Container dagster was using 9Gi, which exceeds its request of 8Gi. ",
    },
    "pre-empted": {"phase": "Failed", "reason": "Preempting", "message": "Preempted in order to admit critical pod"},
    "a spot node that went": {"phase": "Failed", "reason": "Terminated", "message": "Pod was terminated in response to imminent node shutdown."},
    "killed by somebody": {
        "phase": "Failed",
        "containerStatuses": [{"state": {"terminated": KILLED | {"reason": "Error"}}}],
    },
    "nothing known": {"phase": "Failed"},
}  # fmt: skip


def pod_with(status: dict[str, Any]) -> dict[str, Any]:
    containers = [
        {"name": "dagster", "image": "i", "imageID": "i", "ready": False, "restartCount": 0, **container}
        for container in status.get("containerStatuses", [])
    ]
    return {"metadata": {"name": "fold"}, "status": status | {"containerStatuses": containers}}


def read(status: dict[str, Any]) -> Any:
    """The pod as the client makes it of the API server's answer."""
    answer = type("Answer", (), {"data": json.dumps(pod_with(status))})()
    return client.ApiClient().deserialize(answer, "V1Pod")


@pytest.mark.parametrize("how", OVER)
def test_a_pod_that_used_more_than_it_may_is_known_by_its_status(how: str) -> None:
    said = over_its_limit([read(TAKEN_AWAY["nothing known"]), read(OVER[how])])
    assert said is not None
    assert ("memory" in said) == ("memory" in how)


@pytest.mark.parametrize("how", TAKEN_AWAY)
def test_a_pod_that_was_taken_away_is_not_blamed(how: str) -> None:
    assert over_its_limit([read(TAKEN_AWAY[how])]) is None
    assert over_its_limit([]) is None


@dataclass
class ApiServer:
    """Takes Jobs, and says of each that it failed, and how its pod ended."""

    ended: Callable[[int], Reply]
    made: list[str] = field(default_factory=list)

    def reply(self, request: Request) -> Reply:
        if request.command == "POST":
            self.made.append(json.loads(request.body)["metadata"]["name"])
            return json_reply(201, json.loads(request.body))
        if "/pods" in request.path:
            return self.ended(len(self.made))
        failed = {"conditions": [{"type": "Failed", "status": "True"}]}
        return json_reply(200, {"kind": "Job", "metadata": {"name": "fold"}, "status": failed})


def pods_that(*statuses: dict[str, Any]) -> Callable[[int], Reply]:
    """How each attempt's pod ended; the last of these from then on."""

    def ended(attempt: int) -> Reply:
        status = statuses[min(attempt, len(statuses)) - 1]
        return json_reply(200, {"kind": "PodList", "items": [pod_with(status)]})

    return ended


@dg.op(tags={PROFILE_TAG: "cpu"})
def fold() -> None: ...


@dg.job(executor_def=kubernetes_executor("all"))
def fits() -> None:
    fold()


@pytest.fixture
def run(executing: Executing) -> Callable[[ApiServer], list[str]]:
    """Runs a job of one step on an API server; what its step's attempts ended with, in order."""

    def ran(server: ApiServer) -> list[str]:
        result = executing(fits, server.reply)
        assert not result.success
        return errors_of(result, "fold")

    return ran


def test_a_step_over_its_limit_is_tried_once_more_and_then_told_with_its_profile(
    run: Callable[[ApiServer], list[str]],
) -> None:
    server = ApiServer(pods_that(OVER["killed for memory"]))
    again, failed = run(server)
    assert len(server.made) == 2
    what = "memory than it may and was killed (OOMKilled)"
    assert f"The pod of fold asked for more than its resource profile gives: it used more {what}" in again
    assert again.endswith("It is tried once more.")
    assert what in failed
    assert re.search("Its resource profile is cpu: name a larger one under `advanced.resources`", failed)


def test_a_step_whose_pods_are_taken_away_is_started_again_as_often_as_before(
    run: Callable[[ApiServer], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pods.LOST_PODS_FORGIVEN == 20
    monkeypatch.setattr(pods, "LOST_PODS_FORGIVEN", 4)
    server = ApiServer(pods_that(TAKEN_AWAY["pre-empted"]))
    told = run(server)
    assert len(told) == len(server.made) == 5
    assert all("The pod of fold is lost: it was deleted or killed, or its node went away" in one for one in told)


def test_pods_taken_away_between_do_not_count_as_over_the_limit(run: Callable[[ApiServer], list[str]]) -> None:
    lost, over = TAKEN_AWAY["pre-empted"], OVER["killed for memory"]
    told = run(ApiServer(pods_that(lost, lost, over, lost, over)))
    assert ["is lost" in one for one in told] == [True, True, False, True, False]
    assert "So it was before" in told[-1]


def test_where_pods_may_not_be_listed_a_step_counts_as_lost(run: Callable[[ApiServer], list[str]]) -> None:
    refusal = json_reply(403, {"kind": "Status", "code": 403})
    ended = pods_that(OVER["killed for memory"])
    told = run(ApiServer(lambda attempt: refusal if attempt == 1 else ended(attempt)))
    assert ["is lost" in one for one in told] == [True, False, False]
