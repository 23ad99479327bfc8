"""What a Job of the namespace may be: the platform's own are admitted, and what would reach for more is refused."""

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.deploy.admission import Policy
from tests.deploy.manifests import NAMESPACE, Manifest, of_kind, overlay
from tests.deploy.test_kubernetes_instance import PROFILES, jobs_on

pytestmark = pytest.mark.programs("kubectl")

# The test overlay is for a control plane that has no such kind.
WITH_POLICY = ("kind", "gke")
OTHER_SECRET = {"name": "X", "valueFrom": {"secretKeyRef": {"name": "postgres-owner", "key": "password"}}}


@pytest.fixture(scope="module", params=WITH_POLICY)
def jobs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Policy, list[Manifest]]:
    """An overlay's policy, and the Jobs that dagster-k8s makes there: a run's, and of a step of every profile."""
    name = request.param
    made = jobs_on(name, tmp_path_factory.mktemp(name))
    return Policy.among(overlay(name)), list(made.values())


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.among(overlay("gke"))


def test_every_job_of_the_platform_is_admitted_and_so_are_its_pods(jobs: tuple[Policy, list[Manifest]]) -> None:
    policy, made = jobs
    assert len(made) == 1 + len(PROFILES)
    for job in made:
        assert policy.refusals(job) == []
        assert policy.refusals(pod_of(job)) == []


def test_a_run_pod_is_admitted_with_the_token_that_the_api_server_mounts(jobs: tuple[Policy, list[Manifest]]) -> None:
    policy, (run, *_) = jobs
    pod = pod_of(run)
    pod["spec"]["volumes"].append(TOKEN)
    assert policy.refusals(pod) == []
    run["spec"]["template"]["spec"]["volumes"].append(TOKEN)
    assert policy.refusals(run) == [message(policy, "volumes")]
    run["spec"]["template"]["spec"]["volumes"].remove(TOKEN)


TOKEN = {
    "name": "kube-api-access-x7x7x",
    "projected": {
        "sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        ]
    },
}


def of_pod(**values: Any) -> Callable[[Manifest], object]:
    return lambda pod: pod.update(values)


def of_container(**values: Any) -> Callable[[Manifest], object]:
    return lambda pod: pod["containers"][0].update(values)


def of_context(**values: Any) -> Callable[[Manifest], object]:
    return lambda pod: pod["containers"][0]["securityContext"].update(values)


def volume(**source: Any) -> Callable[[Manifest], object]:
    return lambda pod: pod["volumes"].append({"name": "more", **source})


def beside(kind: str, **values: Any) -> Callable[[Manifest], object]:
    """Another container of a kind, like the first but for this."""
    return lambda pod: pod.setdefault(kind, []).append(
        {**copy.deepcopy(pod["containers"][0]), "name": "more", **values}
    )


# What is refused, and the field with which the sentence begins.
FORBIDDEN: dict[str, tuple[str, Callable[[Manifest], object]]] = {
    "another service account": ("serviceAccountName", of_pod(serviceAccountName="dagster-daemon")),
    "no service account": ("serviceAccountName", lambda pod: pod.pop("serviceAccountName")),
    "another by the old field": ("serviceAccountName", of_pod(serviceAccount="postgres")),
    "a token of steps": ("automountServiceAccountToken", of_pod(serviceAccountName="platform-step")),
    "a token of steps, unsaid": ("automountServiceAccountToken", lambda pod: (
        pod.update(serviceAccountName="platform-step"), pod.pop("automountServiceAccountToken"))),
    "another image": ("image", of_container(image="docker.io/library/busybox:1.36")),
    "an image that only begins alike": ("image", of_container(image="{image}-of-others:1")),
    "a repository below ours": ("image", of_container(image="{image}/evil:1")),
    "an image without a tag": ("image", of_container(image="{image}")),
    "another init container's image": ("image", beside("initContainers", image="busybox:1")),
    "another ephemeral container's image": ("image", beside("ephemeralContainers", image="busybox:1")),
    "a Secret as a variable": ("env", of_container(env=[OTHER_SECRET])),
    "a Secret as a variable of an init container": ("env", beside("initContainers", env=[OTHER_SECRET])),
    "a Secret as a variable of an ephemeral container": ("env", beside("ephemeralContainers", env=[OTHER_SECRET])),
    "a whole Secret": ("envFrom", of_container(envFrom=[{"secretRef": {"name": "postgres-run"}}])),
    "a whole Secret of an init container": ("envFrom", beside("initContainers", envFrom=[{"secretRef": {"name": "x"}}])),
    "a Secret as a volume": ("volumes", volume(secret={"secretName": "postgres-run"})),
    "a projected Secret": ("volumes", volume(projected={"sources": [{"secret": {"name": "x"}}]})),
    "a projected token": ("volumes", volume(projected={"sources": [{"serviceAccountToken": {"path": "token"}}]})),
    "a Secret by a driver": ("volumes", volume(csi={"driver": "secrets-store.csi.k8s.io"})),
    "a folder of the node": ("volumes", volume(hostPath={"path": "/"})),
    "a network file system": ("volumes", volume(nfs={"server": "10.0.0.1", "path": "/"})),
    "another claim": ("volumes", volume(persistentVolumeClaim={"claimName": "data-postgres-0"})),
    "a Secret to pull images with": ("imagePullSecrets", of_pod(imagePullSecrets=[{"name": "registry"}])),
    "the node's network": ("hostNetwork", of_pod(hostNetwork=True)),
    "the node's processes": ("hostNetwork", of_pod(hostPID=True)),
    "the node's IPC": ("hostNetwork", of_pod(hostIPC=True)),
    "privileged": ("securityContext", of_context(privileged=True)),
    "may become privileged": ("securityContext", of_context(allowPrivilegeEscalation=True)),
    "may become privileged, unsaid": ("securityContext", lambda pod: pod["containers"][0].pop("securityContext")),
    "a capability": ("securityContext", of_context(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]})),
    "a privileged init container": ("securityContext", beside("initContainers", securityContext={"privileged": True})),
    "a port of the node": ("volumeDevices", of_container(ports=[{"containerPort": 80, "hostPort": 80}])),
    "a device": ("volumeDevices", of_container(volumeDevices=[{"name": "data", "devicePath": "/dev/x"}])),
}  # fmt: skip


@pytest.mark.parametrize(("begins", "change"), FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_a_job_that_reaches_for_more_is_refused_and_so_is_its_pod(
    jobs: tuple[Policy, list[Manifest]], begins: str, change: Callable[[Manifest], object]
) -> None:
    policy, (run, *_) = jobs
    job = copy.deepcopy(run)
    change(job["spec"]["template"]["spec"])
    job = json.loads(json.dumps(job).replace("{image}", policy.parameters["data"]["image"]))
    assert message(policy, begins) in policy.refusals(job)
    assert message(policy, begins) in policy.refusals(pod_of(job))


def test_a_job_that_picks_its_node_is_refused_while_its_pod_is_bound_to_one(
    jobs: tuple[Policy, list[Manifest]],
) -> None:
    policy, (run, *_) = jobs
    job = copy.deepcopy(run)
    job["spec"]["template"]["spec"]["nodeName"] = "gpu-1"
    assert policy.refusals(job) == [message(policy, "nodeName")]
    assert policy.refusals(pod_of(job)) == []


def test_a_debugging_container_is_refused_when_it_is_added_to_a_pod_of_a_job(
    jobs: tuple[Policy, list[Manifest]],
) -> None:
    policy, (run, *_) = jobs
    before = pod_of(run)
    after = copy.deepcopy(before)
    beside("ephemeralContainers", image="busybox:1")(after["spec"])
    assert policy.refusals(after, before, "ephemeralcontainers") == [message(policy, "image")]


def test_what_was_made_before_the_policy_can_still_be_finished(jobs: tuple[Policy, list[Manifest]]) -> None:
    policy, (run, *_) = jobs
    before = copy.deepcopy(run)
    before["spec"]["template"]["spec"]["containers"][0]["env"] = [OTHER_SECRET]
    before["metadata"]["finalizers"] = ["batch.kubernetes.io/job-tracking"]
    after = copy.deepcopy(before)
    del after["metadata"]["finalizers"]
    assert policy.refusals(after) != []
    assert policy.refusals(after, before) == []


def test_pods_of_services_are_nobodys_jobs(policy: Policy) -> None:
    for workload in of_kind(overlay("gke"), "Deployment").values():
        pod = {"kind": "Pod", "metadata": {"ownerReferences": [{"kind": "ReplicaSet"}]}}
        assert policy.refusals(pod | {"spec": workload["spec"]["template"]["spec"]}) == []


def test_the_policy_holds_in_the_namespace_denies_and_fails_closed(policy: Policy) -> None:
    assert policy.binding["validationActions"] == ["Deny"]
    assert policy.binding["matchResources"]["namespaceSelector"] == {
        "matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}
    }
    assert policy.binding["paramRef"]["namespace"] == NAMESPACE
    assert policy.binding["paramRef"]["parameterNotFoundAction"] == "Deny"
    assert policy.spec["failurePolicy"] == "Fail"


def pod_of(job: Manifest) -> Manifest:
    """The pod that the Job controller makes of a Job."""
    template = copy.deepcopy(job["spec"]["template"])
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "some", "uid": "0", "controller": True}
    metadata = {**template["metadata"], "ownerReferences": [owner]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def message(policy: Policy, begins: str) -> str:
    """The one sentence of a policy that begins so."""
    [told] = [rule["message"] for rule in policy.spec["validations"] if re.split("[:,]", rule["message"])[0] == begins]
    return told
