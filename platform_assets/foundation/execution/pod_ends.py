"""Why a pod ended that did not end by itself: by its own use of memory or disk, or by something that was not its fault.

Belongs here: reading a pod's status. Does not belong here: what follows from it (`pods`). Imports kubernetes.

What the kubelet writes: a container that was killed for memory ends with the reason `OOMKilled`; a pod that was evicted has the
reason `Evicted`, and a message that says what it exceeded, or begins with "The node was low on resource" when all pods of the node
together used too much (kubernetes/pkg/kubelet/eviction: eviction_manager.go, helpers.go).
"""

from collections.abc import Iterable

from kubernetes.client import V1ContainerStatus, V1Pod

_NOT_ITS_FAULT = "The node was low on resource"


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


def _killed_for_memory(container: V1ContainerStatus) -> bool:
    states = (container.state, container.last_state)
    return any(state and state.terminated and state.terminated.reason == "OOMKilled" for state in states)
