"""The nodes of the test cluster, seen from a test: made, lost, brought back, drained.

Belongs here: which nodes there are and starting their agents. What an agent does is process_node.py.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.control_plane import Process

SPOT = "platform-assets/spot"
POOL = "platform-assets/pool"
GPU = "nvidia.com/gpu"


@dataclass(frozen=True)
class NodeKind:
    """What a node registers as. taints: key=value:Effect."""

    labels: dict[str, str]
    taints: tuple[str, ...] = ()
    gpus: int = 0


NODES = {
    "system-1": NodeKind({POOL: "system"}),
    "cpu-spot-1": NodeKind({POOL: "cpu", SPOT: "true"}, (f"{SPOT}=true:NoSchedule",)),
    "cpu-spot-2": NodeKind({POOL: "cpu", SPOT: "true"}, (f"{SPOT}=true:NoSchedule",)),
    "gpu-spot-1": NodeKind({POOL: "gpu", SPOT: "true"}, (f"{GPU}=present:NoSchedule", f"{SPOT}=true:NoSchedule"), 1),
}


class Node:
    """A node of this cluster. The agent runs from `start` to `kill`, as often as wanted."""

    def __init__(self, name: str, kind: NodeKind, cluster: Any, folder: Path, pki: Path, images: Path) -> None:
        """folder: of all nodes; pki: with server.crt and server.key; images: JSON file."""
        self.name, self.kind = name, kind
        self._cluster, self._folder, self._pki, self._images = cluster, folder, pki, images
        self._agent: Process | None = None

    @property
    def running(self) -> bool:
        return self._agent is not None

    @property
    def ready(self) -> bool:
        """What the control plane thinks of it."""
        node = json.loads(self._cluster.kubectl("get", "node", self.name, "--ignore-not-found", "-o", "json") or "{}")
        conditions = (node.get("status") or {}).get("conditions") or []
        return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)

    def start(self, wait: bool = True) -> None:
        """The machine boots, empty. With wait, returns when the control plane takes it for ready."""
        if self._agent is not None:
            return
        options = [f"--label={key}={value}" for key, value in self.kind.labels.items()]
        options += [f"--taint={taint}" for taint in self.kind.taints]
        self._agent = Process(
            self.name,
            [
                *(sys.executable, "-m", "tests.cluster.process_node", self.name),
                f"--kubeconfig={self._cluster.kubeconfig}",
                f"--folder={self._folder}",
                f"--images={self._images}",
                f"--certificate={self._pki / 'server.crt'}",
                f"--key={self._pki / 'server.key'}",
                f"--gpus={self.kind.gpus}",
                *options,
            ],
            self._folder / f"{self.name}.log",
            leashed=False,
        )
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Raises ClusterFailed when the agent ends or takes too long."""
        assert self._agent is not None
        self._agent.wait_for(f"node {self.name} is ready", lambda: self.ready)

    def kill(self, forget: bool = False) -> None:
        """The machine is lost, and everything on it, when this returns; the control plane finds out by itself.

        forget: the Node object is deleted too, as a cloud does when a machine is gone for good; start makes it anew.
        """
        if self._agent is not None:
            self._agent.stop()
            self._agent = None
        if forget:
            self._cluster.kubectl("delete", "node", self.name, "--ignore-not-found")

    def drain(self, grace_seconds: int = -1, timeout_seconds: int = 60) -> None:
        """No new pods, and those it has are evicted gracefully; returns when they are gone. -1: each pod's own grace."""
        self._cluster.kubectl(
            *("drain", self.name, "--ignore-daemonsets", "--delete-emptydir-data", "--force"),
            *(f"--grace-period={grace_seconds}", f"--timeout={timeout_seconds}s"),
        )

    def uncordon(self) -> None:
        """It takes pods again."""
        self._cluster.kubectl("uncordon", self.name)
