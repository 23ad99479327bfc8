"""The node pools that the how-to makes, and what a node of each has left for pods.

Belongs here: reading the how-to's commands, machine types as Google publishes them, and GKE's own arithmetic. Does not belong here:
what is to fit (the tests).
"""

import re
import shlex
from dataclasses import dataclass
from decimal import Decimal

from platform_assets.environment import REPOSITORY

HOW_TO = REPOSITORY / "docs" / "how-to" / "deploy-on-kubernetes.md"
UNITS = {"m": Decimal("0.001"), "": Decimal(1), "Mi": Decimal(2**20), "Gi": Decimal(2**30)}
GIB = Decimal(2**30)
# vCPUs and GiB: https://cloud.google.com/compute/docs/machine-resource
MACHINES = {
    "e2-standard-4": (4, 16),
    "n2-standard-8": (8, 32),
    "n2-highmem-8": (8, 64),
    "g2-standard-8": (8, 32),
    "g2-standard-32": (32, 128),
}
# GiB of a node's boot disk where the command names none.
BOOT_DISK = 100
# Shares of a machine that GKE keeps for itself: of the first so many cores or GiB, of the next so many, …
# https://cloud.google.com/kubernetes-engine/docs/concepts/plan-node-sizes
CPU_KEPT = ((1, "0.06"), (1, "0.01"), (2, "0.005"), (10**6, "0.0025"))
MEMORY_KEPT = ((4, "0.25"), (4, "0.20"), (8, "0.10"), (112, "0.06"), (10**6, "0.02"))
EVICTION = Decimal(100) * UNITS["Mi"]


@dataclass(frozen=True)
class Amounts:
    """CPUs, bytes of memory, bytes of ephemeral storage."""

    cpu: Decimal
    memory: Decimal
    disk: Decimal

    def fits(self, other: "Amounts") -> bool:
        return self.cpu <= other.cpu and self.memory <= other.memory and self.disk <= other.disk

    def __add__(self, other: "Amounts") -> "Amounts":
        return Amounts(self.cpu + other.cpu, self.memory + other.memory, self.disk + other.disk)

    def __sub__(self, other: "Amounts") -> "Amounts":
        return Amounts(self.cpu - other.cpu, self.memory - other.memory, self.disk - other.disk)


def quantity(text: str) -> Decimal:
    """A Kubernetes quantity as a number."""
    matched = re.fullmatch(r"([0-9.]+)(m|[MG]i|)", text)
    assert matched, text
    return Decimal(matched[1]) * UNITS[matched[2]]


def amounts(cpu: str, memory: str, disk: str) -> Amounts:
    return Amounts(quantity(cpu), quantity(memory), quantity(disk))


# What is published nowhere: the kernel's share of the memory, and GKE's own pods (network, logging, metrics, names, metadata
# server, GPU plug-in). Nodes reported by others keep 0.4 to 0.6 CPU and 0.4 to 1.1 GiB for it.
OF_GKE = amounts("700m", "2Gi", "2Gi")


@dataclass(frozen=True)
class NodePool:
    """Nodes of one machine type.

    Attributes:
        label: of the nodes, which profiles select (`platform-assets/pool`).
        most: how many nodes it may grow to.
        gpus: of each node.
        setting: the driver that GKE is asked to install.
    """

    label: str
    machine: str
    most: int
    gpus: int = 0
    setting: str | None = None

    @property
    def allocatable(self) -> Amounts:
        """What Kubernetes has of a node for all pods, GKE's own among them."""
        cores, gibibytes = map(Decimal, MACHINES[self.machine])
        memory = (gibibytes - _kept(gibibytes, MEMORY_KEPT)) * GIB - EVICTION
        disk = Decimal(BOOT_DISK)
        kept = min(disk / 2, 6 + disk * Decimal("0.35"), Decimal(100)) + disk / 10
        return Amounts(cores - _kept(cores, CPU_KEPT), memory, (disk - kept) * GIB)

    @property
    def for_pods(self) -> Amounts:
        return self.allocatable - OF_GKE


def _kept(amount: Decimal, shares: tuple[tuple[int, str], ...]) -> Decimal:
    kept = Decimal(0)
    for width, share in shares:
        part = min(amount, Decimal(width))
        kept, amount = kept + part * Decimal(share), amount - part
    return kept


def node_pools() -> list[NodePool]:
    """The pools that the how-to's commands make; `spot NAME MACHINE MOST …` is its own shell function."""
    pools = []
    text = HOW_TO.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        words = shlex.split(line.removeprefix("$ ")) if line.startswith(("$ spot ", "$ gcloud container")) else []
        if words[:1] == ["spot"]:
            pools.append(_pool(words[1], words[2], int(words[3]), words))
        elif "--machine-type" in words:
            label = re.search(r"platform-assets/pool=([a-z-]+)", line)
            assert label, line
            most = words[words.index("--max-nodes" if "--max-nodes" in words else "--num-nodes") + 1]
            pools.append(_pool(label[1], words[words.index("--machine-type") + 1], int(most), words))
    return pools


def _pool(label: str, machine: str, most: int, words: list[str]) -> NodePool:
    asked = words[words.index("--accelerator") + 1] if "--accelerator" in words else ""
    accelerator = dict(part.split("=") for part in asked.split(",") if part)
    return NodePool(label, machine, most, int(accelerator.get("count", 0)), accelerator.get("gpu-driver-version"))
