"""Steps that call a service outside the cluster: a way out and a key for them alone, and only where an overlay says so."""

import os
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from dagster._core.test_utils import instance_for_test

from platform_assets.foundation.execution.profiles import KEYS_SECRET, way_out
from tests.deploy.admission import Policy
from tests.deploy.manifests import (
    KUBERNETES,
    NAMESPACE,
    OVERLAYS,
    Manifest,
    PodTemplate,
    kustomize,
    of_kind,
    overlay,
    pod_templates,
    selects,
)
from tests.deploy.test_kubernetes_admission import message
from tests.deploy.test_kubernetes_egress import within
from tests.deploy.test_kubernetes_instance import (
    VARIABLES,
    check_pod,
    job_of_step,
    launcher_configuration,
    pod_of,
)

pytestmark = pytest.mark.programs("kubectl")

ADDRESS, ELSEWHERE = "198.51.100.7", "203.0.113.9"
# An exception → the tags of the steps that it is for.
STEPS = {"egress-stripe": way_out("stripe", "STRIPE_API_KEY"), "egress-s3": way_out("s3")}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Manifest]:
    """An exception → the Job of a step that it is for."""
    [container] = of_kind(overlay("gke"), "Deployment")["code-platform"]["spec"]["template"]["spec"]["containers"]
    launcher = launcher_configuration("gke", tmp_path_factory.mktemp("services"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in VARIABLES.items():
            patch.setenv(name, value)
        with instance_for_test(overrides={"run_launcher": launcher}) as instance:
            image = f"{container['image'].partition('@')[0]}@sha256:{'1' * 64}"
            return {name: job_of_step(instance, tags, image) for name, tags in STEPS.items()}


@cache
def with_exception(name: str) -> list[Manifest]:
    """The gke overlay with an exception, and the address of its service written down; not to be changed."""
    with TemporaryDirectory() as folder:
        place = {
            part: os.path.relpath(KUBERNETES / part, Path(folder).resolve())
            for part in ("overlays/gke", f"exceptions/{name}")
        }
        patch = f"- {{op: replace, path: /spec/egress/0/to, value: [{{ipBlock: {{cidr: {ADDRESS}/32}}}}]}}\n"
        return kustomize(
            Path(folder),
            namespace=NAMESPACE,
            resources=[place["overlays/gke"]],
            components=[place[f"exceptions/{name}"]],
            patches=[{"target": {"kind": "NetworkPolicy", "name": name}, "patch": patch}],
        )


def reaches(objects: list[Manifest], labels: dict[str, str], address: str) -> bool:
    return any(
        within(address, peer["ipBlock"])
        for item in of_kind(objects, "NetworkPolicy").values()
        if selects(item["spec"]["podSelector"], labels)
        for rule in item["spec"].get("egress", [])
        for peer in rule["to"]
        if "ipBlock" in peer and any(port["port"] == 443 for port in rule["ports"])
    )


@pytest.mark.parametrize("name", STEPS)
def test_a_step_that_calls_a_service_reaches_it_and_no_other_pod_does(
    name: str, jobs: dict[str, Manifest], pods_of_runs: dict[str, PodTemplate]
) -> None:
    objects, before = with_exception(name), overlay("gke")
    assert {one["metadata"]["name"] for one in objects} == {one["metadata"]["name"] for one in before} | {name}
    calling = pod_of(jobs[name]).labels
    assert reaches(objects, calling, ADDRESS)
    assert not reaches(before, calling, ADDRESS)
    assert not reaches(objects, calling, ELSEWHERE)
    others = [pod_of(job) for other, job in jobs.items() if other != name] + [
        *pods_of_runs.values(),
        *pod_templates(objects),
    ]
    assert not any(reaches(objects, pod.labels, ADDRESS) for pod in others)


def test_a_step_that_fetches_keeps_the_rules_and_gets_its_key_where_the_overlay_admits_the_secret(
    jobs: dict[str, Manifest],
) -> None:
    job = jobs["egress-stripe"]
    [container] = check_pod("gke", job, may_call_api=False).containers
    held = {entry["name"]: entry for entry in container["env"]}["STRIPE_API_KEY"]
    assert held["valueFrom"] == {"secretKeyRef": {"name": KEYS_SECRET, "key": "STRIPE_API_KEY", "optional": True}}
    policy = Policy.among(overlay("gke"))
    assert policy.refusals(job) == [message(policy, "env")]
    assert Policy.among(with_exception("egress-stripe")).refusals(job) == []


@pytest.mark.parametrize("name", STEPS)
def test_no_overlay_has_the_exception_and_a_placeholder_left_is_no_address(name: str) -> None:
    assert not any(name in of_kind(overlay(each), "NetworkPolicy") for each in OVERLAYS)
    text = (KUBERNETES / "exceptions" / name / "network.yaml").read_text()
    [left] = [word.rstrip("}") for word in text.split() if word.startswith("REPLACE-")]
    with pytest.raises(ValueError, match="REPLACE"):
        ip_network(left)
