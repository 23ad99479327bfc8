"""What kube-linter looks for and neither checkov nor the other tests here do, over what is deployed.

Each function is named as kube-linter's check; each check is tried on what it finds nothing in and on what it does.
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.deploy.manifests import OVERLAYS, Manifest, of_kind, overlay, pod_templates, selects

pytestmark = pytest.mark.programs("kubectl")

PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
# dagster-k8s' labels of the pods that no manifest makes.
OF_RUNS = ({"app.kubernetes.io/component": "run_worker"}, {"app.kubernetes.io/component": "step_worker"})
LONGEST_KEPT = 24 * 3600


def workloads(objects: list[Manifest]) -> list[Manifest]:
    return [item for kind in ("Deployment", "StatefulSet") for item in of_kind(objects, kind).values()]


def mismatching_selector(objects: list[Manifest]) -> Iterator[str]:
    for item in workloads(objects):
        if not selects(item["spec"]["selector"], item["spec"]["template"]["metadata"]["labels"]):
            yield f"{item['metadata']['name']} does not select its own pods"


def liveness_port(objects: list[Manifest]) -> Iterator[str]:
    """And readiness-port and startup-port."""
    for pod in pod_templates(objects):
        for container in pod.containers:
            ports = container.get("ports") or []
            declared = {port.get("name") for port in ports} | {port["containerPort"] for port in ports}
            for probe in PROBES:
                for handler in ("httpGet", "tcpSocket", "grpc"):
                    asked = (container.get(probe) or {}).get(handler, {}).get("port")
                    if asked is not None and asked not in declared:
                        yield f"{pod.owner}: {probe} asks port {asked}, which {container['name']} does not declare"


def duplicate_env_var(objects: list[Manifest]) -> Iterator[str]:
    for pod in pod_templates(objects):
        for container in pod.containers:
            counted = Counter(entry["name"] for entry in container.get("env") or [])
            yield from (f"{pod.owner}: {name} comes {times} times" for name, times in counted.items() if times > 1)


def env_var_from_config_map(objects: list[Manifest]) -> Iterator[str]:
    """kube-linter's env-value-from; of config maps, because Secrets are not deployed from here."""
    maps = of_kind(objects, "ConfigMap")
    for pod in pod_templates(objects):
        for container in pod.containers:
            for entry in container.get("envFrom") or []:
                if entry.get("configMapRef", {}).get("name") not in maps:
                    yield f"{pod.owner}: takes its environment from {entry}, which is not deployed"
            for entry in container.get("env") or []:
                wanted = (entry.get("valueFrom") or {}).get("configMapKeyRef")
                if wanted and wanted["key"] not in maps.get(wanted["name"], {}).get("data", {}):
                    yield f"{pod.owner}: {entry['name']} is taken from {wanted}, which is not deployed"


def dangling_network_policy(objects: list[Manifest]) -> Iterator[str]:
    """And dangling-networkpolicypeer-podselector."""
    labels = [*OF_RUNS, *(pod.labels for pod in pod_templates(objects))]
    for name, policy in of_kind(objects, "NetworkPolicy").items():
        rules = [*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])]
        peers = [peer for rule in rules for peer in (*rule.get("from", []), *rule.get("to", []))]
        ours = [peer["podSelector"] for peer in peers if "podSelector" in peer and "namespaceSelector" not in peer]
        for selector in (policy["spec"]["podSelector"], *ours):
            if not any(selects(selector, of_pod) for of_pod in labels):
                yield f"{name}: {selector} selects no pod"


def no_anti_affinity(objects: list[Manifest]) -> Iterator[str]:
    for item in workloads(objects):
        affinity = item["spec"]["template"]["spec"].get("affinity", {}).get("podAntiAffinity")
        if item["spec"]["replicas"] > 1 and not affinity:
            yield f"{item['metadata']['name']}: all its pods may be on one node"


Check = Callable[[list[Manifest]], Iterator[str]]
CHECKS: tuple[Check, ...] = (
    mismatching_selector,
    liveness_port,
    duplicate_env_var,
    env_var_from_config_map,
    dangling_network_policy,
    no_anti_affinity,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ["kind", "gke"])
def test_nothing_is_found(check: Check, name: str) -> None:
    assert list(check(overlay(name))) == []


def breaking(kind: str, name: str, path: list[Any], value: Any) -> list[Manifest]:
    objects = copy.deepcopy(overlay("gke"))
    target: Any = of_kind(objects, kind)[name]
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return objects


POD = ["spec", "template", "spec"]
CONTAINER = [*POD, "containers", 0]
BROKEN: dict[Check, tuple[str, str, list[Any], Any]] = {
    mismatching_selector: ("Deployment", "janitor", ["spec", "selector"], {"matchLabels": {"app": "other"}}),
    liveness_port: ("Deployment", "janitor", [*CONTAINER, "livenessProbe", "httpGet", "port"], 9465),
    duplicate_env_var: ("Deployment", "janitor", [*CONTAINER, "env"], [{"name": "A", "value": "1"}, {"name": "A"}]),
    env_var_from_config_map: ("Deployment", "janitor", [*CONTAINER, "envFrom"], [{"configMapRef": {"name": "none"}}]),
    dangling_network_policy: ("NetworkPolicy", "metrics", ["spec", "podSelector"], {"matchLabels": {"app": "none"}}),
    no_anti_affinity: ("Deployment", "dagster-webserver", [*POD, "affinity"], {}),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_breaks_a_check_is_found(check: Check) -> None:
    assert list(check(breaking(*BROKEN[check])))


def test_no_job_of_a_run_is_kept_for_ever(jobs_of_runs: dict[str, Manifest]) -> None:
    """kube-linter's job-ttl-seconds-after-finished."""
    assert {0 < sent["spec"]["ttlSecondsAfterFinished"] <= LONGEST_KEPT for sent in jobs_of_runs.values()} == {True}


@pytest.mark.parametrize("name", OVERLAYS)
def test_nobody_uses_the_old_name_of_a_service_account_or_another_restart_policy_than_always(name: str) -> None:
    """kube-linter's deprecated-service-account-field and restart-policy."""
    for pod in pod_templates(overlay(name)):
        assert "serviceAccount" not in pod.spec
        assert pod.spec.get("restartPolicy", "Always") == "Always"
