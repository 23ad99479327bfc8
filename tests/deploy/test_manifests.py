"""The manifests of deploy/kubernetes: valid, restricted, pinned, and impossible to deploy with a placeholder left."""

import copy
import json
import os
import re
from pathlib import Path

import kubernetes_validate
import pytest

from platform_assets.environment import EnvironmentVariableError, environment_from_variables
from platform_assets.operations.pinned import write_component
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
from tests.deploy.pod_security import house_violations, unpinned_images, violations

pytestmark = pytest.mark.programs("kubectl")

VERSIONS = ("1.31", "1.32", "1.33", "1.34", "1.35")
# Tags that stand for a commit until somebody puts one in; `test` is the cluster tests' own.
PLACEHOLDERS = {"test": (":test",), "kind": (":REPLACE-commit",), "gke": ("@sha256:REPLACE-digest",)}


def objects_of_everything() -> list[Manifest]:
    """Each object once, whichever overlays it is in."""
    distinct = {json.dumps(item, sort_keys=True): item for name in OVERLAYS for item in overlay(name)}
    return list(distinct.values())


def everywhere() -> list[tuple[str, PodTemplate]]:
    return [(name, pod) for name in OVERLAYS for pod in pod_templates(overlay(name))]


def accounts_with_a_role(objects: list[Manifest]) -> set[str]:
    bindings = of_kind(objects, "RoleBinding").values()
    return {subject["name"] for binding in bindings for subject in binding["subjects"]}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid_to_the_letter(version: str) -> None:
    for item in objects_of_everything():
        kubernetes_validate.validate(item, version, strict=True)


def test_an_object_with_a_field_that_kubernetes_does_not_know_would_be_found() -> None:
    deployment = copy.deepcopy(of_kind(overlay("gke"), "Deployment")["janitor"])
    deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[0], strict=True)


def test_no_pod_would_be_refused_by_the_namespace() -> None:
    assert [found for _, pod in everywhere() for found in violations(pod)] == []
    for name in OVERLAYS:
        labels = overlay(name)[0]["metadata"]["labels"]
        assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")} == {"restricted"}


def test_every_pod_has_requests_and_limits_a_read_only_root_and_a_token_only_if_it_has_a_role() -> None:
    found = []
    for name in OVERLAYS:
        callers = accounts_with_a_role(overlay(name))
        for pod in pod_templates(overlay(name)):
            found += house_violations(pod, may_call_api=pod.spec["serviceAccountName"] in callers)
    assert found == []


def test_no_image_can_change_under_its_name() -> None:
    assert [found for name, pod in everywhere() for found in unpinned_images(pod, PLACEHOLDERS[name])] == []


@pytest.mark.parametrize("name", OVERLAYS)
def test_runs_get_the_very_image_of_their_code_location(name: str) -> None:
    [container] = of_kind(overlay(name), "Deployment")["code-platform"]["spec"]["template"]["spec"]["containers"]
    [current] = [entry["value"] for entry in container["env"] if entry["name"] == "DAGSTER_CURRENT_IMAGE"]
    assert current == container["image"]


@pytest.mark.parametrize("name", ["kind", "gke"])
def test_a_drain_is_never_stopped_for_good_and_never_takes_all_of_what_there_is_two_of(name: str) -> None:
    budgets = of_kind(overlay(name), "PodDisruptionBudget").values()
    for kind in ("Deployment", "StatefulSet"):
        for workload in of_kind(overlay(name), kind).values():
            labels, replicas = workload["spec"]["template"]["metadata"]["labels"], workload["spec"]["replicas"]
            [budget] = [item["spec"] for item in budgets if selects(item["spec"]["selector"], labels)]
            evictable = replicas - budget["minAvailable"] if "minAvailable" in budget else budget["maxUnavailable"]
            assert 1 <= evictable <= max(1, replicas - 1), workload["metadata"]["name"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_service_finds_its_pods_and_their_port(name: str) -> None:
    pods = list(pod_templates(overlay(name)))
    for service in of_kind(overlay(name), "Service").values():
        [pod] = [pod for pod in pods if selects({"matchLabels": service["spec"]["selector"]}, pod.labels)]
        ports = {port["name"] for container in pod.containers for port in container["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


@pytest.mark.parametrize("name", OVERLAYS)
def test_what_a_pod_refers_to_is_deployed_too(name: str) -> None:
    """Service accounts, priority classes, config maps and claims; Secrets alone are made by whoever deploys."""
    objects = overlay(name)
    for pod in pod_templates(objects):
        assert pod.spec["serviceAccountName"] in of_kind(objects, "ServiceAccount")
        assert pod.spec["priorityClassName"] in of_kind(objects, "PriorityClass")
        for volume in pod.spec.get("volumes", []):
            assert volume.get("configMap", {"name": "dagster-instance"})["name"] in of_kind(objects, "ConfigMap")
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in of_kind(objects, "PersistentVolumeClaim")
    assert "Secret" not in {item["kind"] for item in objects}


def test_a_placeholder_left_in_the_gke_overlay_is_refused_by_the_platform() -> None:
    variables = of_kind(overlay("gke"), "ConfigMap")["platform-environment"]["data"]
    given = {name: value for name, value in variables.items() if name.startswith("PLATFORM_")}
    filled = {"PLATFORM_PROJECT": "my-project", "PLATFORM_STAGE": "prod", "PLATFORM_BUCKET": "my-bucket"}
    assert {name for name, value in given.items() if "REPLACE" in value} == set(filled)
    assert environment_from_variables(given | filled).name == "gcp"
    logs = variables["DAGSTER_LOGS_BUCKET"].replace(variables["PLATFORM_BUCKET"], filled["PLATFORM_BUCKET"])
    cloud = environment_from_variables(given | filled).cloud
    assert cloud is not None
    assert logs == cloud.open_bucket
    for forgotten in filled:
        with pytest.raises(EnvironmentVariableError, match=forgotten):
            environment_from_variables(given | {**filled, forgotten: given[forgotten]})


def test_a_placeholder_left_in_an_image_is_no_name_that_a_registry_takes() -> None:
    images = {container["image"] for pod in pod_templates(overlay("gke")) for container in pod.containers}
    repository = re.compile(r"[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
    ours = {image for image in images if "REPLACE" in image}
    assert len(ours) == 1
    for image in ours:
        name, _, digest = image.partition("@")
        assert not repository.fullmatch(name.partition("/")[2])
        assert not re.fullmatch(r"sha256:[0-9a-f]{64}", digest)


@pytest.mark.parametrize("name", ["kind", "test"])
def test_the_environment_of_an_overlay_is_one_that_the_platform_takes(name: str) -> None:
    variables = of_kind(overlay(name), "ConfigMap")["platform-environment"]["data"]
    emulators = {
        "BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:9050",
        "STORAGE_EMULATOR_HOST": "http://127.0.0.1:4443",
        "PLATFORM_BIGQUERY_STORAGE_HOST": "127.0.0.1:9060",
    }
    environment = environment_from_variables(variables | (emulators if name == "test" else {}))
    assert environment.cloud is None or environment.cloud.open_bucket == variables["DAGSTER_LOGS_BUCKET"]
    assert (environment.name, environment.executor) == ({"kind": "local", "test": "emulated"}[name], "kubernetes")


def test_a_kustomization_over_the_test_overlay_adds_addresses_and_the_password(tmp_path: Path) -> None:
    address = {"name": "platform-environment", "behavior": "merge", "literals": ["DAGSTER_POSTGRES_HOST=127.0.0.1"]}
    objects = kustomize(
        tmp_path,
        resources=[os.path.relpath(KUBERNETES / "overlays" / "test", tmp_path.resolve())],
        namespace=NAMESPACE,
        configMapGenerator=[address],
        secretGenerator=[{"name": "postgres-owner", "literals": ["username=dagster", "password=secret"]}],
        generatorOptions={"disableNameSuffixHash": True},
    )
    before = of_kind(overlay("test"), "ConfigMap")["platform-environment"]["data"]
    merged = of_kind(objects, "ConfigMap")["platform-environment"]["data"]
    assert merged == before | {"DAGSTER_POSTGRES_HOST": "127.0.0.1"}
    assert of_kind(objects, "Secret")["postgres-owner"]["metadata"]["namespace"] == NAMESPACE
    assert len(objects) == len(overlay("test")) + 1


def test_the_test_overlay_holds_nothing_that_its_old_control_plane_refuses() -> None:
    text = json.dumps(overlay("test"))
    assert "PodDisruptionBudget" not in text
    assert '"grpc":' not in text
    assert "volumeClaimTemplates" not in text


def test_a_pinned_campaign_is_a_code_location_of_its_own_from_its_commits_image(tmp_path: Path) -> None:
    write_component(tmp_path / "pinned", {"winback": "1" * 40}, "registry/audience-platform")
    relative = os.path.relpath(KUBERNETES / "overlays" / "kind", tmp_path.resolve())
    objects = kustomize(tmp_path, namespace=NAMESPACE, resources=[relative], components=["pinned"])
    [pod] = [pod for pod in pod_templates(objects) if pod.owner == "Deployment/pinned-winback"]
    variables = {entry["name"]: entry.get("value") for entry in pod.containers[0]["env"]}
    assert variables["DAGSTER_CURRENT_IMAGE"] == pod.containers[0]["image"] == "registry/audience-platform:" + "1" * 40
    assert variables["PLATFORM_SCOPE"] == "only:winback"
    assert violations(pod) == house_violations(pod, may_call_api=False) == unpinned_images(pod) == []
    assert pod.spec["serviceAccountName"] in of_kind(objects, "ServiceAccount")
    service = of_kind(objects, "Service")["pinned-winback"]
    served = [
        each.owner
        for each in pod_templates(objects)
        if selects({"matchLabels": service["spec"]["selector"]}, each.labels)
    ]
    assert served == [pod.owner]
    new = [item for item in objects if item["metadata"]["name"] == "pinned-winback"]
    assert {item["kind"] for item in new} == {"Deployment", "Service", "PodDisruptionBudget"}
    for item in new:
        kubernetes_validate.validate(item, VERSIONS[-1], strict=True)
