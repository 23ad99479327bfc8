"""What the API server is told about pods: in order, again and again until it hears.

Belongs here: pod status and confirmed deletions, from one thread. While the API server is away they wait.
"""

import sys
import threading
from typing import Any

import kubernetes as k
import urllib3

from tests.cluster.node.pod import Pod

RETRY_SECONDS = 1


def complain(what: str, error: Exception) -> None:
    """One line to the node's log."""
    print(what, repr(error)[:300].replace("\n", " "), file=sys.stderr, flush=True)


class Reporter:
    """Takes what there is to tell; `start` begins telling."""

    def __init__(self, core: k.client.CoreV1Api) -> None:
        self._core = core
        self._pods: dict[str, Pod] = {}
        self._others: list[tuple[dict, dict[str, Any] | None]] = []
        self._waiting = threading.Condition()
        self._silent = False

    def start(self) -> None:
        threading.Thread(target=self._tell_forever, daemon=True).start()

    def silence(self) -> None:
        """Nothing is told from now on."""
        self._silent = True

    def tell(self, pod: Pod) -> None:
        """Its status as it is when its turn comes; and its deletion, when that was asked for and everything ended."""
        with self._waiting:
            self._pods[pod.uid] = pod
            self._waiting.notify()

    def tell_other(self, manifest: dict, status: dict[str, Any] | None) -> None:
        """The status of a pod that does not run here; without one, its deletion is confirmed."""
        with self._waiting:
            self._others.append((manifest, status))
            self._waiting.notify()

    def _tell_forever(self) -> None:
        while True:
            with self._waiting:
                while not self._pods and not self._others:
                    self._waiting.wait()
                pods, self._pods = list(self._pods.values()), {}
                others, self._others = self._others, []
            for position, (manifest, status) in enumerate(others):
                if not self._try(self._tell_other, manifest, status):
                    with self._waiting:
                        self._others = others[position:] + self._others
                    break
            for pod in pods:
                if not self._try(self._tell_pod, pod):
                    with self._waiting:
                        self._pods.setdefault(pod.uid, pod)

    def _try(self, step: Any, *arguments: Any) -> bool:
        """False when it must be tried again, after a pause. A pod that is gone needs no telling."""
        if self._silent:
            return True
        try:
            step(*arguments)
        except k.client.ApiException as error:
            if error.status in (404, 409):
                return True
            complain("status", error)
        except urllib3.exceptions.HTTPError as error:
            complain("status", error)
        else:
            return True
        threading.Event().wait(RETRY_SECONDS)
        return False

    def _tell_pod(self, pod: Pod) -> None:
        ended = pod.ended.is_set()
        self._patch(pod.manifest, pod.status)
        if ended and pod.deleted:
            self._delete(pod.manifest)

    def _tell_other(self, manifest: dict, status: dict[str, Any] | None) -> None:
        if status is None:
            self._delete(manifest)
        else:
            self._patch(manifest, status)

    def _patch(self, manifest: dict, status: dict[str, Any]) -> None:
        metadata = manifest["metadata"]
        # The uid: another pod of that name must not get this one's status.
        body = {"metadata": {"uid": metadata["uid"]}, "status": status}
        self._core.patch_namespaced_pod_status(metadata["name"], metadata["namespace"], body, _request_timeout=10)

    def _delete(self, manifest: dict) -> None:
        metadata = manifest["metadata"]
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
        self._core.delete_namespaced_pod(metadata["name"], metadata["namespace"], body=body, _request_timeout=10)
