"""Every pod fits the nodes that the how-to makes for it, by what Kubernetes has of them and not by what the machines are called."""

import re
from collections.abc import Iterator
from decimal import Decimal

import pytest

from platform_assets.environment import PACKAGE, REPOSITORY
from platform_assets.foundation.execution.profiles import read_profiles
from tests.deploy.manifests import Manifest, of_kind, overlay
from tests.deploy.node_pools import GIB, MACHINES, Amounts, NodePool, amounts, node_pools
from tests.deploy.test_kubernetes_instance import configuration

PROFILES = read_profiles(PACKAGE / "foundation" / "execution" / "profiles.yaml")
POOLS = node_pools()
SYSTEM = "system"
NOTHING = amounts("0", "0", "0")


def requests(container: Manifest) -> Amounts:
    asked = container["resources"]["requests"]
    return amounts(str(asked["cpu"]), asked["memory"], asked["ephemeral-storage"])


def services() -> Iterator[Amounts]:
    """What each pod of the long-lived services asks for, one more of each that is replaced by a new one before it ends."""
    objects = overlay("gke")
    for kind in ("Deployment", "StatefulSet"):
        for name, item in of_kind(objects, kind).items():
            assert item["spec"]["template"]["spec"]["nodeSelector"] == {"platform-assets/pool": SYSTEM}, name
            pod = sum(map(requests, item["spec"]["template"]["spec"]["containers"]), NOTHING)
            replaced = kind == "Deployment" and item["spec"].get("strategy", {}).get("type") != "Recreate"
            yield from [pod] * (item["spec"].get("replicas", 1) + replaced)


def left_over(pods: list[Amounts], pool: NodePool) -> list[Amounts]:
    """The pods for which there is no room, when the largest are placed first, each on the first node that has room."""
    nodes, waiting = [pool.for_pods] * pool.most, list[Amounts]()
    for pod in sorted(pods, key=lambda pod: (pod.memory, pod.cpu), reverse=True):
        for at, free in enumerate(nodes):
            if pod.fits(free):
                nodes[at] = free - pod
                break
        else:
            waiting.append(pod)
    return waiting


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_fits_every_pool_that_is_made_for_it(profile: str) -> None:
    asked = PROFILES[profile]
    pools = [pool for pool in POOLS if pool.label == asked.pool]
    assert pools, f"the how-to makes no pool {asked.pool}"
    wanted = amounts(asked.cpu, asked.memory, asked.disk)
    assert [pool for pool in pools if not wanted.fits(pool.for_pods) or asked.gpus > pool.gpus] == []


@pytest.mark.programs("kubectl")
def test_the_system_pool_holds_the_services_and_twenty_run_pods() -> None:
    [system] = [pool for pool in POOLS if pool.label == SYSTEM]
    runs = configuration("gke")["run_coordinator"]["config"]["max_concurrent_runs"]
    run = requests(configuration("gke")["run_launcher"]["config"])
    assert runs == 20
    assert left_over([*services(), *[run] * runs], system) == []


def test_a_machine_that_is_large_enough_by_its_name_alone_is_found_out() -> None:
    nominal = amounts("8", "64Gi", "32Gi")
    assert MACHINES["n2-highmem-8"] == (8, 64)
    assert not nominal.fits(NodePool("gpu-large", "n2-highmem-8", 1).for_pods)


@pytest.mark.programs("kubectl")
def test_the_pools_of_gpus_have_a_slot_a_gpu_that_the_cluster_may_have() -> None:
    [janitor] = of_kind(overlay("gke"), "Deployment")["janitor"]["spec"]["template"]["spec"]["containers"]
    declared = dict(re.findall(r"--slots=([a-z-]+)=(\d+)", " ".join(janitor["command"])))
    gpus: dict[str, int] = {}
    for pool in POOLS:
        if pool.gpus:
            gpus[pool.label] = gpus.get(pool.label, 0) + pool.most * pool.gpus
    assert {label: int(slots) for label, slots in declared.items()} == gpus
    assert gpus.keys() == {profile.pool for profile in PROFILES.values() if profile.gpus}


def test_nodes_with_gpus_get_the_driver_that_the_locked_cuda_takes() -> None:
    assert {pool.setting for pool in POOLS if pool.gpus} == {"latest"}
    assert {pool.setting for pool in POOLS if not pool.gpus} == {None}


def test_the_table_of_machines_says_what_kubernetes_has_of_each() -> None:
    page = (REPOSITORY / "docs" / "explanation" / "kubernetes.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `([a-z0-9-]+)` \| (\d+), (\d+) GiB \| ([\d.]+), ([\d.]+) GiB \| ([\d.]+), ([\d.]+) GiB \|",
        page,
        re.MULTILINE,
    )
    told = {machine: tuple(map(Decimal, figures)) for machine, *figures in rows}
    assert told == {machine: figures_of(machine) for machine in {pool.machine for pool in POOLS}}


def figures_of(machine: str) -> tuple[Decimal, ...]:
    """A row of the table: nominal, allocatable, and left for our pods."""
    pool = NodePool("any", machine, 1)
    here = [pool.allocatable, pool.for_pods]
    tenth = Decimal("0.1")
    cores, gibibytes = map(Decimal, MACHINES[machine])
    return (
        cores,
        gibibytes,
        *(part for one in here for part in (one.cpu.quantize(Decimal("0.01")), (one.memory / GIB).quantize(tenth))),
    )
