"""A step whose pod never starts gives its slot back, after its Job is gone, and says what Kubernetes said of it.

The API server here answers what a real one does of such pods; tests/cluster has a real one, and a run on it.
"""

import json
import time
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pytest
from kubernetes import client

from platform_assets.foundation.execution import pods, start_watch
from platform_assets.foundation.execution.executor import kubernetes_executor
from platform_assets.foundation.execution.pod_status import Waiting, newest_complaint, why_waiting
from platform_assets.foundation.execution.profiles import K8S_TAG, PROFILE_TAG, SPOT_TAG, START_LIMIT_TAG
from platform_assets.foundation.execution.start_watch import Wait
from tests.foundation.execution.conftest import Executing, errors_of
from tests.support.answering import Reply, Request, json_reply

NOWHERE = "0/4 nodes are available: 4 node(s) didn't match node selector."
UNSCHEDULABLE: dict[str, Any] = {
    "phase": "Pending",
    "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": NOWHERE}],
}
RUNNING = {"phase": "Running"}
LONG, SHORT = "600", "0.2"
GPU_TAGS = {PROFILE_TAG: "gpu", SPOT_TAG: "false", K8S_TAG: "{}"}


def held(reason: str, message: str = "") -> dict[str, Any]:
    """The status of a pod whose container waits."""
    waiting = {"state": {"waiting": {"reason": reason, "message": message}}}
    return {"phase": "Pending", "containerStatuses": [waiting]}


def pod_with(status: dict[str, Any], node: str | None = "gpu-1") -> dict[str, Any]:
    containers = [
        {"name": "dagster", "image": "i", "imageID": "i", "ready": False, "restartCount": 0, **container}
        for container in status.get("containerStatuses", [])
    ]
    spec = {"nodeName": node, "containers": [{"name": "dagster"}]}
    return {"metadata": {"name": "fold-x"}, "spec": spec, "status": status | {"containerStatuses": containers}}


def read(kind: str, document: dict[str, Any]) -> Any:
    """The object as the client makes it of the API server's answer."""
    return client.ApiClient().deserialize(type("Answer", (), {"data": json.dumps(document)})(), kind)


def why(status: dict[str, Any], node: str | None = "gpu-1") -> Waiting:
    waiting = why_waiting([read("V1Pod", pod_with(status, node))])
    assert waiting is not None
    return waiting


@pytest.mark.parametrize(
    ("reason", "said", "for_good"),
    [
        ("ErrImagePull", "its image cannot be had (ErrImagePull: no such manifest)", False),
        ("ImagePullBackOff", "its image cannot be had (ImagePullBackOff: no such manifest)", False),
        ("InvalidImageName", "its image cannot be had (InvalidImageName: no such manifest)", True),
        ("CreateContainerConfigError", "its container cannot be made (CreateContainerConfigError: no such", False),
    ],
)
def test_a_container_that_cannot_be_made_is_told_from_a_node_that_is_awaited(
    reason: str, said: str, for_good: bool
) -> None:
    waiting = why(held(reason, "no such manifest.\n"))
    assert waiting.why.startswith(said)
    assert (waiting.broken, waiting.for_good) == (True, for_good)


def test_a_pod_that_no_node_takes_is_told_with_the_schedulers_words() -> None:
    waiting = why(UNSCHEDULABLE, None)
    assert waiting.why == f"no node takes it (Unschedulable: {NOWHERE.rstrip('.')})"
    assert not waiting.broken
    assert waiting.events_of == "fold-x"


def test_a_pod_on_a_node_and_a_job_without_pods_are_told_apart() -> None:
    assert why(held("ContainerCreating")).why == "node gpu-1 has not started it"
    assert why({"phase": "Pending"}, None).why == "it was not given a node"
    without = why_waiting([])
    assert without is not None
    assert without.why == "Kubernetes has made no pod for it"


@pytest.mark.parametrize("phase", ["Running", "Succeeded", "Failed"])
def test_a_pod_past_pending_has_started(phase: str) -> None:
    assert why_waiting([read("V1Pod", pod_with({"phase": phase}))]) is None


def event(kind: str, reason: str, message: str, at: str) -> Any:
    known = {"type": kind, "reason": reason, "message": message, "lastTimestamp": f"2026-01-01T00:00:{at}Z"}
    return read("CoreV1Event", known | {"metadata": {"name": "e"}, "involvedObject": {}})


def test_the_newest_complaint_counts_and_what_is_no_complaint_does_not() -> None:
    quota = event("Warning", "FailedCreate", 'pods "fold-x" is forbidden: exceeded quota: gpus', "02")
    events = [event("Warning", "FailedMount", "no such secret", "01"), quota, event("Normal", "Pulling", "x", "03")]
    assert newest_complaint(events) == 'FailedCreate: pods "fold-x" is forbidden: exceeded quota: gpus'
    assert newest_complaint(events[2:]) is None
    full = event("Normal", "NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached", "04")
    assert "max node group size" in str(newest_complaint([*events, full]))
    assert newest_complaint([event("Warning", "FailedScheduling", NOWHERE, "05")]) is None


def test_only_time_in_which_the_api_server_answers_counts_as_waiting() -> None:
    wait = Wait()
    for now in (0.0, 5.0, 10.0):
        wait.look(now, broken=False)
    assert (wait.seconds, wait.broken_seconds) == (10.0, 0.0)
    wait.blind()
    wait.look(700.0, broken=True)
    assert (wait.seconds, wait.broken_seconds) == (10.0, 0.0)
    wait.look(705.0, broken=True)
    assert (wait.seconds, wait.broken_seconds) == (15.0, 5.0)
    wait.look(2000.0, broken=False)
    assert wait.seconds == 15.0 + start_watch.LONGEST_LOOK_SECONDS
    assert wait.broken_seconds == 0.0


@dataclass
class ApiServer:
    """Takes Jobs and says how their pods do: of each Job by its looks, the last of them from then on.

    Attributes:
        looks: of the pod of a Job; None: the server is away.
        beside: how often another pod with the same demands runs when it is asked for.
        events: of every object.
        asked: what was asked, in order; `gone` when a Job was.
        slots: how many slots of the pool were held whenever a Job on its way out was asked for.
    """

    instance: dg.DagsterInstance
    looks: list[dict[str, Any] | None]
    beside: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    going: dict[str, int] = field(default_factory=dict)
    looked: dict[str, int] = field(default_factory=dict)
    away_until: float = 0.0

    def reply(self, request: Request) -> Reply | None:
        if time.monotonic() < self.away_until:
            return None
        place, _, query = request.path.partition("?")
        if request.command == "POST":
            job = json.loads(request.body)
            self.jobs[job["metadata"]["name"]] = job
            self.asked.append("made")
            return json_reply(201, job)
        if place.endswith("/events"):
            return json_reply(200, {"kind": "EventList", "items": self.events})
        if place.endswith("/pods"):
            return self._pods(query)
        name = place.removesuffix("/status").rpartition("/")[2]
        if request.command == "DELETE":
            self.asked.append(f"deleted, {dict(pair.split('=') for pair in query.split('&'))['propagationPolicy']}")
            self.going[name] = 3
            return json_reply(200, {"kind": "Status", "status": "Success"})
        if name in self.going:
            info = self.instance.event_log_storage.get_concurrency_info("gpu")
            self.slots.append(len(info.claimed_slots))
            self.going[name] -= 1
            if self.going[name] <= 0:
                self.asked += ["gone"] if self.going[name] == 0 else []
                return json_reply(404, {"kind": "Status", "code": 404})
        ended = self._look(name) == {"phase": "Failed"}
        status: dict[str, Any] = {"conditions": [{"type": "Failed", "status": "True"}]} if ended else {"active": 1}
        return json_reply(200, self.jobs[name] | {"status": status})

    def _look(self, name: str) -> dict[str, Any] | None:
        return self.looks[min(self.looked.get(name, 0), len(self.looks) - 1)]

    def _pods(self, query: str) -> Reply | None:
        if "job-name" not in query:
            self.asked.append("others?")
            self.beside -= 1
            job = next(iter(self.jobs.values()))
            like_it = pod_with(RUNNING) | {"spec": job["spec"]["template"]["spec"]}
            other = pod_with(RUNNING) | {"spec": like_it["spec"] | {"nodeSelector": {"pool": "cpu"}}}
            return json_reply(200, {"kind": "PodList", "items": [other, *([like_it] if self.beside >= 0 else [])]})
        name = query.partition("job-name%3D")[2].partition("&")[0]
        status = self._look(name)
        self.looked[name] = self.looked.get(name, 0) + 1
        if status is None:
            self.away_until = time.monotonic() + 3 * float(SHORT)
            return None
        # Without a status it is a Job that Kubernetes makes no pod of.
        node = None if status == UNSCHEDULABLE else "gpu-1"
        spec = self.jobs[name]["spec"]["template"]["spec"] | {"nodeName": node}
        return json_reply(200, {"kind": "PodList", "items": [pod_with(status) | {"spec": spec}] if status else []})


RETRIED = dg.RetryPolicy(max_retries=2)


@dg.op(tags=GPU_TAGS | {START_LIMIT_TAG: SHORT}, pool="gpu", retry_policy=RETRIED)
def fold() -> None: ...


@dg.op(tags=GPU_TAGS | {START_LIMIT_TAG: SHORT}, pool="gpu", retry_policy=RETRIED)
def fold_2() -> None: ...


@dg.op(tags=GPU_TAGS | {START_LIMIT_TAG: LONG}, pool="gpu")
def patient() -> None: ...


@dg.job(executor_def=kubernetes_executor("all"))
def trains() -> None:
    fold()


@dg.job(executor_def=kubernetes_executor("all"))
def trains_twice() -> None:
    fold()
    fold_2()


@dg.job(executor_def=kubernetes_executor("all"))
def waits_long() -> None:
    patient()


@dg.op(tags=GPU_TAGS | {START_LIMIT_TAG: SHORT}, pool="gpu")
def lost_once() -> None: ...


@dg.job(executor_def=kubernetes_executor("all"))
def loses_its_pod() -> None:
    lost_once()


@pytest.fixture
def one_slot(launches_pods: dg.DagsterInstance) -> dg.DagsterInstance:
    launches_pods.event_log_storage.set_concurrency_slots("gpu", 1)
    return launches_pods


def free_slots(instance: dg.DagsterInstance) -> int:
    info = instance.event_log_storage.get_concurrency_info("gpu")
    return info.slot_count - len(info.claimed_slots)


def test_a_step_that_never_starts_gives_its_slot_back_after_its_job_is_gone_and_is_not_tried_again(
    executing: Executing, one_slot: dg.DagsterInstance
) -> None:
    server = ApiServer(one_slot, [UNSCHEDULABLE])
    [told] = errors_of(executing(trains, server.reply), "fold")
    assert server.asked == ["made", "others?", "deleted, Foreground", "gone"]
    assert server.slots == [1, 1, 1]
    assert free_slots(one_slot) == 1
    assert f"The pod of fold did not start within 0.2 seconds: no node takes it (Unschedulable: {NOWHERE[:-1]})" in told
    assert "Its resource profile is gpu, with spot: false" in told
    assert "start_limit_seconds" in told


def test_a_job_that_no_pod_is_made_of_is_told_with_its_event(
    executing: Executing, one_slot: dg.DagsterInstance
) -> None:
    quota = {"type": "Warning", "reason": "FailedCreate", "message": "exceeded quota: gpus, requested: 1, limited: 0"}
    events = [quota | {"metadata": {"name": "e"}, "involvedObject": {}, "lastTimestamp": "2026-01-01T00:00:00Z"}]
    server = ApiServer(one_slot, [{}], events=events)
    [told] = errors_of(executing(trains, server.reply), "fold")
    assert "Kubernetes has made no pod for it (FailedCreate: exceeded quota: gpus, requested: 1, limited: 0)" in told
    assert free_slots(one_slot) == 1


def test_an_image_that_cannot_be_had_is_not_waited_for_as_long_as_a_node(
    executing: Executing, one_slot: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start_watch, "BROKEN_LIMIT_SECONDS", 0.05)
    server = ApiServer(one_slot, [held("ErrImagePull"), held("ImagePullBackOff", "no such manifest")])
    [told] = errors_of(executing(waits_long, server.reply), "patient")
    assert "its image cannot be had (ImagePullBackOff: no such manifest)" in told
    assert "others?" not in server.asked


def test_an_image_name_that_no_registry_could_know_is_given_up_at_once(
    executing: Executing, one_slot: dg.DagsterInstance
) -> None:
    server = ApiServer(one_slot, [held("InvalidImageName", "could not parse")])
    [told] = errors_of(executing(waits_long, server.reply), "patient")
    assert "did not start: its image cannot be had (InvalidImageName: could not parse)" in told


def test_a_step_that_started_in_time_is_left_alone_and_so_is_one_seen_pending_beside_an_outage(
    executing: Executing, one_slot: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ApiServer(one_slot, [UNSCHEDULABLE, None, UNSCHEDULABLE, RUNNING, RUNNING, RUNNING, {"phase": "Failed"}])
    monkeypatch.setattr(pods, "LOST_PODS_FORGIVEN", 0)
    told = errors_of(executing(loses_its_pod, server.reply), "lost_once")
    assert ["is lost" in one for one in told] == [True]
    assert "deleted, Foreground" not in server.asked


@pytest.mark.parametrize("look", [UNSCHEDULABLE, {}], ids=["no node", "no pod"])
def test_a_step_whose_like_run_on_such_nodes_waits_for_its_turn(
    executing: Executing, one_slot: dg.DagsterInstance, look: dict[str, Any]
) -> None:
    server = ApiServer(one_slot, [look], beside=2)
    result = executing(trains, server.reply)
    assert server.asked == ["made", "others?", "others?", "others?", "deleted, Foreground", "gone"]
    waits = [item.message for item in result.all_events if item.message and "goes on waiting" in item.message]
    assert len(waits) == 2


@pytest.mark.parametrize("look", [UNSCHEDULABLE, held("ErrImagePull")], ids=["no node", "no image"])
def test_steps_with_the_demands_of_one_that_never_started_are_not_waited_for_as_long_again(
    executing: Executing, one_slot: dg.DagsterInstance, look: dict[str, Any]
) -> None:
    server = ApiServer(one_slot, [look])
    result = executing(trains_twice, server.reply)
    told = {step: errors_of(result, step) for step in ("fold", "fold_2")}
    assert sorted(len(one) for one in told.values()) == [1, 1]
    at_once = [step for step, [error] in told.items() if "did not start at first look" in error]
    assert len(at_once) == 1
    [first] = set(told) - set(at_once)
    assert f"and {first}, which asks for the same, did not within 0.2 seconds" in told[at_once[0]][0]
    assert free_slots(one_slot) == 1
