"""What Kubernetes says of a step's pod: why it ended that did not end by itself, and why it has not started.

Belongs here: reading the status of pods, and events. Does not belong here: what follows from it (`pods`, `start_watch`). Imports kubernetes.

What the kubelet writes: a container that was killed for memory ends with the reason `OOMKilled`; a pod that was evicted has the
reason `Evicted`, and a message that says what it exceeded, or begins with "The node was low on resource" when all pods of the node
together used too much (kubernetes/pkg/kubelet/eviction: eviction_manager.go, helpers.go). A container that cannot be made
waits with a reason (kubernetes/pkg/kubelet/images/types.go, kuberuntime/kuberuntime_container.go). That no node takes a pod
is a condition that the scheduler writes; that a Job can make no pod is an event alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubernetes.client import CoreV1Event, V1ContainerStatus, V1Pod, V1PodSpec

_NOT_ITS_FAULT = "The node was low on resource"
# More nodes help none of these; the first ones pass when a registry or a Secret is put right, the others never do.
_UNPULLED = {"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError"}
_UNMADE = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_NEVER = {"InvalidImageName", "ErrImageNeverPull"}
# Told by a cluster autoscaler as nothing out of the ordinary.
_NO_NODE_COMES = "NotTriggerScaleUp"
# Said by the pod's condition too.
_NO_NODE_TAKES_IT = "FailedScheduling"


def over_its_limit(pods: Iterable[V1Pod]) -> str | None:
    """What a step's pods used more of than they may, in words; None when that is not how they ended."""
    for pod in pods:
        status = pod.status
        for container in status.container_statuses or []:
            if _killed_for_memory(container):
                return "it used more memory than it may and was killed (OOMKilled)"
        message = (status.message or "").strip()
        if status.reason == "Evicted" and "exceed" in message and not message.startswith(_NOT_ITS_FAULT):
            return f"it used more disk than it may and was evicted ({message.rstrip('.')})"
    return None


@dataclass(frozen=True)
class Waiting:
    """Why a step's pod has not started.

    Attributes:
        why: in words, with those of Kubernetes; ends without a full stop.
        broken: its container cannot be made, however many nodes there are.
        for_good: no waiting changes that.
        events_of: the name of the object whose events may say more; None when there is no such object.
    """

    why: str
    broken: bool = False
    for_good: bool = False
    events_of: str | None = None


def why_waiting(pods: Iterable[V1Pod]) -> Waiting | None:
    """Why none of a Job's pods has started; None when one has."""
    waiting = Waiting("Kubernetes has made no pod for it")
    for pod in pods:
        if pod.status.phase != "Pending":
            return None
        waiting = _why_pending(pod)
    return waiting


def demands(spec: V1PodSpec) -> dict[str, Any]:
    """What a pod asks of the node that is to take it. Tolerations follow from it, and Kubernetes adds some of its own."""
    asked = [container.resources for container in spec.containers]
    affinity = spec.affinity.node_affinity if spec.affinity else None
    return {"nodes": spec.node_selector or {}, "affinity": affinity, "resources": asked}


def newest_complaint(events: Iterable[CoreV1Event]) -> str | None:
    """What Kubernetes complained of last, with its reason; None when it did not."""
    complaints = [
        event
        for event in events
        if (event.type == "Warning" and event.reason != _NO_NODE_TAKES_IT) or event.reason == _NO_NODE_COMES
    ]
    if not complaints:
        return None
    newest = max(complaints, key=_told_at)
    return _said(newest.reason, newest.message)


def _why_pending(pod: V1Pod) -> Waiting:
    containers = [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]
    states = [item.state.waiting for item in containers if item.state and item.state.waiting]
    for state in states:
        said = _said(state.reason, state.message)
        if state.reason in _UNPULLED | _NEVER:
            return Waiting(f"its image cannot be had ({said})", broken=True, for_good=state.reason in _NEVER)
        if state.reason in _UNMADE:
            return Waiting(f"its container cannot be made ({said})", broken=True)
    name = pod.metadata.name
    for condition in pod.status.conditions or []:
        if condition.type == "PodScheduled" and condition.status == "False":
            return Waiting(f"no node takes it ({_said(condition.reason, condition.message)})", events_of=name)
    if not pod.spec.node_name:
        return Waiting("it was not given a node", events_of=name)
    return Waiting(f"node {pod.spec.node_name} has not started it", events_of=name)


def _said(reason: str | None, message: str | None) -> str:
    said = " ".join((message or "").split()).rstrip(".")
    return ": ".join(part for part in (reason, said) if part) or "without a reason"


def _told_at(event: CoreV1Event) -> datetime:
    told = event.last_timestamp or event.event_time or event.metadata.creation_timestamp
    return told or datetime.min.replace(tzinfo=UTC)


def _killed_for_memory(container: V1ContainerStatus) -> bool:
    states = (container.state, container.last_state)
    return any(state and state.terminated and state.terminated.reason == "OOMKilled" for state in states)
