"""The checker itself: it finds each thing that the standard refuses, so that its silence means something."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.deploy.manifests import PodTemplate
from tests.deploy.pod_security import house_violations, unpinned_images, violations

AMOUNTS = {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"}
GOOD: dict[str, Any] = {
    "serviceAccountName": "someone",
    "automountServiceAccountToken": False,
    "enableServiceLinks": False,
    "priorityClassName": "some",
    "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {
            "name": "main",
            "image": "audience-platform:" + "0" * 40,
            "resources": {"requests": AMOUNTS, "limits": AMOUNTS},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        }
    ],
    "volumes": [{"name": "tmp", "emptyDir": {}}],
}


def pod(
    change: Callable[[dict[str, Any]], object] | None = None, annotations: dict[str, str] | None = None
) -> PodTemplate:
    spec = copy.deepcopy(GOOD)
    if change:
        change(spec)
    return PodTemplate("Pod/some", {"annotations": annotations or {}}, spec)


def of_pod(**values: Any) -> Callable[[dict[str, Any]], object]:
    return lambda spec: spec.update(values)


def of_pod_context(**values: Any) -> Callable[[dict[str, Any]], object]:
    return lambda spec: spec["securityContext"].update(values)


def of_container(**values: Any) -> Callable[[dict[str, Any]], object]:
    return lambda spec: spec["containers"][0].update(values)


def of_context(**values: Any) -> Callable[[dict[str, Any]], object]:
    return lambda spec: spec["containers"][0]["securityContext"].update(values)


def without(*path: str) -> Callable[[dict[str, Any]], object]:
    def change(spec: dict[str, Any]) -> None:
        for key in path[:-1]:
            spec = spec[key][0] if isinstance(spec[key], list) else spec[key]
        del spec[path[-1]]

    return change


REFUSED = {
    "host network": of_pod(hostNetwork=True),
    "host processes": of_pod(hostPID=True),
    "host IPC": of_pod(hostIPC=True),
    "host path": of_pod(volumes=[{"name": "host", "hostPath": {"path": "/"}}]),
    "network file system": of_pod(volumes=[{"name": "nfs", "nfs": {"server": "a", "path": "/"}}]),
    "unsafe sysctl": of_pod_context(sysctls=[{"name": "kernel.msgmax", "value": "1"}]),
    "root of the pod": of_pod_context(runAsUser=0),
    "root of the container": of_context(runAsUser=0),
    "perhaps root, pod": without("securityContext", "runAsNonRoot"),
    "perhaps root, container": of_context(runAsNonRoot=False),
    "no seccomp profile": without("securityContext", "seccompProfile"),
    "unconfined by seccomp, pod": of_pod_context(seccompProfile={"type": "Unconfined"}),
    "unconfined by seccomp, container": of_context(seccompProfile={"type": "Unconfined"}),
    "unconfined by AppArmor, pod": of_pod_context(appArmorProfile={"type": "Unconfined"}),
    "unconfined by AppArmor, container": of_context(appArmorProfile={"type": "Unconfined"}),
    "SELinux user": of_context(seLinuxOptions={"user": "system_u"}),
    "SELinux role": of_pod_context(seLinuxOptions={"role": "system_r"}),
    "SELinux type": of_context(seLinuxOptions={"type": "spc_t"}),
    "Windows host process": of_context(windowsOptions={"hostProcess": True}),
    "privileged": of_context(privileged=True),
    "escalation allowed": of_context(allowPrivilegeEscalation=True),
    "escalation not spoken of": without("containers", "securityContext", "allowPrivilegeEscalation"),
    "capabilities kept": of_context(capabilities={}),
    "not all capabilities dropped": of_context(capabilities={"drop": ["NET_RAW"]}),
    "capability added": of_context(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
    "unmasked /proc": of_context(procMount="Unmasked"),
    "host port": of_container(ports=[{"containerPort": 80, "hostPort": 80}]),
    "probe of another host": of_container(livenessProbe={"httpGet": {"host": "10.0.0.1", "port": 80}}),
    "hook to another host": of_container(lifecycle={"preStop": {"tcpSocket": {"host": "10.0.0.1", "port": 80}}}),
    "bad init container": of_pod(initContainers=[{"name": "first", "securityContext": {}}]),
    "bad ephemeral container": of_pod(ephemeralContainers=[{"name": "debug"}]),
}
HOUSE = {
    "token not spoken of": without("automountServiceAccountToken"),
    "token of somebody without a role": of_pod(automountServiceAccountToken=True),
    "default service account": of_pod(serviceAccountName="default"),
    "service links": without("enableServiceLinks"),
    "no priority": without("priorityClassName"),
    "no limits": of_container(resources={"requests": AMOUNTS}),
    "no requests": of_container(resources={"limits": AMOUNTS}),
    "no ephemeral storage": of_container(resources={"requests": AMOUNTS, "limits": {"cpu": "1", "memory": "1Gi"}}),
    "writable root": of_context(readOnlyRootFilesystem=False),
    "nowhere to write": of_container(volumeMounts=[]),
    "only read-only mounts": of_container(volumeMounts=[{"name": "tmp", "mountPath": "/tmp", "readOnly": True}]),
}


def test_a_pod_that_keeps_every_rule_is_not_complained_about() -> None:
    assert violations(pod()) == []
    assert house_violations(pod(), may_call_api=False) == []
    assert unpinned_images(pod()) == []


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED.keys())
def test_what_the_standard_refuses_is_found(change: Callable[[dict[str, Any]], object]) -> None:
    assert violations(pod(change))


def test_an_apparmor_annotation_that_lifts_confinement_is_found() -> None:
    key = "container.apparmor.security.beta.kubernetes.io/main"
    assert violations(pod(annotations={key: "unconfined"}))
    assert violations(pod(annotations={key: "runtime/default"})) == []


@pytest.mark.parametrize("change", HOUSE.values(), ids=HOUSE.keys())
def test_what_this_project_refuses_is_found(change: Callable[[dict[str, Any]], object]) -> None:
    assert house_violations(pod(change), may_call_api=False)


def test_a_token_that_is_needed_must_be_mounted() -> None:
    assert house_violations(pod(), may_call_api=True)


@pytest.mark.parametrize(
    "image", ["audience-platform", "audience-platform:latest", "postgres:17", "audience-platform:main"]
)
def test_an_image_that_can_change_is_found(image: str) -> None:
    assert unpinned_images(pod(of_container(image=image)))
    assert unpinned_images(pod(of_container(image="postgres@sha256:" + "a" * 64))) == []
