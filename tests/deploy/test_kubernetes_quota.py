"""The quotas hold what the platform makes at most, and every pod states what they count."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

import pytest
from kubernetes.utils import parse_quantity

from tests.deploy.manifests import OVERLAYS, Manifest, PodTemplate, of_kind, overlay, pod_templates
from tests.deploy.test_kubernetes_instance import PROFILES, configuration

pytestmark = pytest.mark.programs("kubectl")

# Of a run whose pod is lost, the next pod is there before the last of the old one is gone.
LEAVING = 5
PINNED_CAMPAIGNS = 12
# Of one run, at once.
STEPS_ON_CPUS, STEPS_ON_OTHERS = 10, 1
# What Kubernetes counts by priority class, beside GPUs; a quota with a scope and anything else is refused.
BY_CLASS = {f"{kind}.{amount}" for kind in ("requests", "limits") for amount in ("cpu", "memory")} | {"pods"}
DISK = {"requests.ephemeral-storage", "limits.ephemeral-storage"}


def asked(pod: PodTemplate) -> Counter[str]:
    """What a pod counts in a quota, by the names that quotas have for it."""
    counted: Counter[str] = Counter(pods=1)
    for container in pod.containers:
        for kind in ("requests", "limits"):
            for amount, quantity in container["resources"][kind].items():
                counted[f"{kind}.{amount}"] += parse_quantity(quantity)
    return counted


def times(number: int, pod: PodTemplate) -> Counter[str]:
    return Counter({name: number * amount for name, amount in asked(pod).items()})


def quotas(objects: list[Manifest], priority_class: str) -> list[Manifest]:
    """The quotas that count pods of a priority class."""
    operators = {"In": lambda values: priority_class in values, "NotIn": lambda values: priority_class not in values}
    return [
        quota["spec"]["hard"]
        for quota in of_kind(objects, "ResourceQuota").values()
        for rule in quota["spec"].get("scopeSelector", {}).get("matchExpressions", [])
        if operators[rule["operator"]](rule["values"])
    ]


def at_most(hard: Manifest, name: str) -> Decimal:
    return Decimal(parse_quantity(hard[name]))


def beyond(objects: list[Manifest], priority_class: str, needed: Counter[str]) -> dict[str, tuple[Decimal, Decimal]]:
    """What pods of a class need and their quota does not hold: (needed, held) by name."""
    [hard] = quotas(objects, priority_class)
    counted = {name: amount for name, amount in needed.items() if name in hard}
    assert counted, f"the quota of {priority_class} counts nothing"
    return {
        name: (Decimal(amount), at_most(hard, name)) for name, amount in counted.items() if amount > at_most(hard, name)
    }


def services(objects: list[Manifest]) -> Counter[str]:
    """The long-lived services while every one of them rolls out, and so many pinned code locations like the main one."""
    needed: Counter[str] = Counter()
    templates = {pod.owner: pod for pod in pod_templates(objects)}
    for kind in ("Deployment", "StatefulSet"):
        for name, workload in of_kind(objects, kind).items():
            surge = workload["spec"].get("strategy", {}).get("rollingUpdate", {}).get("maxSurge", 0)
            needed += times(workload["spec"]["replicas"] + surge, templates[f"{kind}/{name}"])
    return needed + times(2 * PINNED_CAMPAIGNS, templates["Deployment/code-platform"])


def everything(pods_of_runs: dict[str, PodTemplate]) -> Iterator[tuple[list[Manifest], PodTemplate]]:
    for name in OVERLAYS:
        yield from ((overlay(name), pod) for pod in (*pod_templates(overlay(name)), *pods_of_runs.values()))


def test_the_quota_of_services_holds_all_of_them_while_they_roll_out_and_twelve_pinned_campaigns() -> None:
    assert beyond(overlay("gke"), "platform-system", services(overlay("gke"))) == {}


def steps(pods_of_runs: dict[str, PodTemplate]) -> Counter[str]:
    """Of every profile, for as many runs as the queue lets go."""
    runs = configuration("gke")["run_coordinator"]["config"]["max_concurrent_runs"]
    needed: Counter[str] = Counter()
    for name in PROFILES:
        needed += times(runs * (STEPS_ON_CPUS if name == "cpu" else STEPS_ON_OTHERS), pods_of_runs[name])
    return needed


def runs(pods_of_runs: dict[str, PodTemplate]) -> Counter[str]:
    return times(
        configuration("gke")["run_coordinator"]["config"]["max_concurrent_runs"] + LEAVING, pods_of_runs["run"]
    )


def test_the_quota_of_runs_holds_as_many_as_the_queue_lets_go(pods_of_runs: dict[str, PodTemplate]) -> None:
    assert runs(pods_of_runs)["pods"] == 20 + LEAVING
    assert beyond(overlay("gke"), "platform-run", runs(pods_of_runs)) == {}


def test_the_quota_of_steps_holds_those_of_every_profile_for_twenty_runs(pods_of_runs: dict[str, PodTemplate]) -> None:
    classes = {PROFILES[name].priority_class for name in PROFILES}
    assert [beyond(overlay("gke"), one, steps(pods_of_runs)) for one in classes] == [{}] * len(classes)
    assert all(quotas(overlay("gke"), one) == quotas(overlay("gke"), "platform-step") for one in classes)


def test_the_disk_of_all_of_them_together_is_held_too(pods_of_runs: dict[str, PodTemplate]) -> None:
    hard = of_kind(overlay("gke"), "ResourceQuota")["everything"]["spec"]["hard"]
    needed = services(overlay("gke")) + runs(pods_of_runs) + steps(pods_of_runs)
    assert {name for name in DISK if 0 < needed[name] <= at_most(hard, name)} == DISK


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_quota_by_priority_class_counts_nothing_that_kubernetes_does_not_count_by_it(name: str) -> None:
    for quota in of_kind(overlay(name), "ResourceQuota").values():
        if "scopeSelector" in quota["spec"]:
            assert quota["spec"]["hard"].keys() - BY_CLASS <= {"requests.nvidia.com/gpu"}


def test_a_quota_that_is_too_small_would_be_seen(pods_of_runs: dict[str, PodTemplate]) -> None:
    assert set(beyond(overlay("gke"), "platform-run", times(1000, pods_of_runs["run"]))) >= {"pods", "limits.memory"}


def test_every_pod_is_counted_by_one_quota_and_states_all_that_it_counts(pods_of_runs: dict[str, PodTemplate]) -> None:
    for objects, pod in everything(pods_of_runs):
        [hard] = quotas(objects, pod.spec["priorityClassName"])
        assert {name for name in hard if "nvidia" not in name} <= asked(pod).keys(), pod.owner
        assert not any("nvidia" in name for name in asked(pod).keys() - hard.keys() if name.startswith("requests"))


def test_a_pod_of_no_class_of_ours_is_counted_too_and_gets_no_gpu() -> None:
    for name in OVERLAYS:
        for stranger in ("", "system-node-critical"):
            [hard] = quotas(overlay(name), stranger)
            assert (hard["requests.nvidia.com/gpu"], at_most(hard, "pods") <= 3) == ("0", True)


def test_no_container_or_claim_is_larger_than_the_namespace_takes(pods_of_runs: dict[str, PodTemplate]) -> None:
    for objects, pod in everything(pods_of_runs):
        most = {entry["type"]: entry["max"] for entry in of_kind(objects, "LimitRange")["containers"]["spec"]["limits"]}
        for container in pod.containers:
            for amount, largest in most["Container"].items():
                limit = parse_quantity(container["resources"]["limits"][amount])
                assert limit <= parse_quantity(largest), f"{pod.owner}: {amount}"
        claims = [
            *of_kind(objects, "PersistentVolumeClaim").values(),
            *(claim for item in of_kind(objects, "StatefulSet").values() for claim in item["spec"].get("volumeClaimTemplates", [])),
        ]  # fmt: skip
        storage = [parse_quantity(claim["spec"]["resources"]["requests"]["storage"]) for claim in claims]
        assert all(size <= parse_quantity(most["PersistentVolumeClaim"]["storage"]) for size in storage)
        of_all = of_kind(objects, "ResourceQuota")["everything"]["spec"]["hard"]
        assert len(claims) <= int(of_all["persistentvolumeclaims"])
        assert sum(storage) <= at_most(of_all, "requests.storage")


@pytest.mark.parametrize("name", OVERLAYS)
def test_no_service_of_ours_is_of_a_kind_that_the_quota_forbids(name: str) -> None:
    assert {service["spec"].get("type", "ClusterIP") for service in of_kind(overlay(name), "Service").values()} == {
        "ClusterIP"
    }
    hard = of_kind(overlay(name), "ResourceQuota")["everything"]["spec"]["hard"]
    assert (hard["services.loadbalancers"], hard["services.nodeports"]) == ("0", "0")
