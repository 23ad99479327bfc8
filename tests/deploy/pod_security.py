"""What a pod may be: the Pod Security Standard `restricted`, field by field, and the rules of this project on top.

The standard is https://kubernetes.io/docs/concepts/security/pod-security-standards/ as Kubernetes 1.35 enforces it, with
everything of `baseline`, for Linux pods. Stricter in one point: what it allows only to pods with `hostUsers: false` is
refused. Belongs here: judging a pod's specification. Does not belong here: rendering, and what stands around a pod.
"""

import re
from collections.abc import Iterator
from typing import Any

from tests.deploy.manifests import Manifest, PodTemplate

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
}
SELINUX_TYPES = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
PROFILES = {"RuntimeDefault", "Localhost"}
APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
HOOKS = ("postStart", "preStop")
AMOUNTS = ("cpu", "memory", "ephemeral-storage")
PINNED = re.compile(r"@sha256:[0-9a-f]{64}$|:[0-9a-f]{40}$")


def violations(pod: PodTemplate) -> list[str]:
    """What the standard `restricted` refuses in a pod; empty when it would be admitted."""
    return [f"{pod.owner}: {found}" for found in (*_of_pod(pod), *_of_containers(pod))]


def house_violations(pod: PodTemplate, may_call_api: bool) -> list[str]:
    """What this project asks beyond the standard: requests and limits, a root that is read-only, tokens only where used.

    Args:
        may_call_api: whether the pod's service account has a role; it alone may mount its token.
    """
    found = []
    if pod.spec.get("automountServiceAccountToken") is not may_call_api:
        found.append(f"automountServiceAccountToken must be {str(may_call_api).lower()}, and said")
    if pod.spec.get("serviceAccountName", "default") == "default":
        found.append("needs a service account of its own")
    if pod.spec.get("enableServiceLinks") is not False:
        found.append("enableServiceLinks must be false: variables of Services drown the platform's own")
    if not pod.spec.get("priorityClassName"):
        found.append("needs a priorityClassName")
    for container in pod.containers:
        where = container["name"]
        resources = container.get("resources") or {}
        found += [
            f"{where}: resources.{kind} has no {amount}"
            for kind in ("requests", "limits")
            for amount in AMOUNTS
            if amount not in (resources.get(kind) or {})
        ]
        if (container.get("securityContext") or {}).get("readOnlyRootFilesystem") is not True:
            found.append(f"{where}: securityContext.readOnlyRootFilesystem must be true")
        writable = {mount["mountPath"] for mount in container.get("volumeMounts") or [] if not mount.get("readOnly")}
        if "/tmp" not in writable:
            found.append(f"{where}: needs a volume at /tmp, because its root is read-only")
    return [f"{pod.owner}: {text}" for text in found]


def unpinned_images(pod: PodTemplate, placeholders: tuple[str, ...] = ()) -> list[str]:
    """Images that do not name one content for ever: by digest, by commit, or by one of the placeholders for a commit."""
    return [
        f"{pod.owner}: {container['name']}: {container.get('image')} is neither of a commit nor of a digest"
        for container in pod.containers
        if not PINNED.search(container.get("image") or "")
        and not str(container.get("image")).endswith(placeholders or "\0")
    ]


def _of_pod(pod: PodTemplate) -> Iterator[str]:
    spec, context = pod.spec, pod.spec.get("securityContext") or {}
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"{field} is true"
    for volume in spec.get("volumes") or []:
        for kind in set(volume) - {"name"} - VOLUMES:
            yield f"volume {volume['name']}: {kind} is not an allowed type"
    for sysctl in context.get("sysctls") or []:
        if sysctl["name"] not in SYSCTLS:
            yield f"sysctl {sysctl['name']} is not safe"
    for key, value in (pod.metadata.get("annotations") or {}).items():
        if key.startswith(APPARMOR_ANNOTATION) and not re.fullmatch(r"runtime/default|localhost/.*", value):
            yield f"annotation {key}: {value} is not an allowed AppArmor profile"
    yield from _of_context("pod", context)


def _of_containers(pod: PodTemplate) -> Iterator[str]:
    above = pod.spec.get("securityContext") or {}
    for container in pod.containers:
        where, context = container["name"], container.get("securityContext") or {}
        capabilities = context.get("capabilities") or {}
        yield from _of_context(where, context)
        if context.get("privileged"):
            yield f"{where}: privileged"
        if context.get("allowPrivilegeEscalation") is not False:
            yield f"{where}: allowPrivilegeEscalation must be false, and said"
        if "ALL" not in (capabilities.get("drop") or []):
            yield f"{where}: capabilities.drop must hold ALL"
        for added in set(capabilities.get("add") or []) - {"NET_BIND_SERVICE"}:
            yield f"{where}: capability {added} is added"
        if context.get("procMount", "Default") != "Default":
            yield f"{where}: procMount is {context['procMount']}"
        if context.get("runAsNonRoot", above.get("runAsNonRoot")) is not True:
            yield f"{where}: runAsNonRoot must be true, of the container or of the pod"
        if _profile(context, "seccompProfile", _profile(above, "seccompProfile")) not in PROFILES:
            yield f"{where}: seccompProfile must be RuntimeDefault or Localhost, of the container or of the pod"
        for port in container.get("ports") or []:
            if port.get("hostPort"):
                yield f"{where}: hostPort {port['hostPort']}"
        yield from _of_handlers(where, container)


def _of_context(where: str, context: Manifest) -> Iterator[str]:
    """What is judged alike in the security context of a pod and of a container."""
    if context.get("runAsNonRoot") is False:
        yield f"{where}: runAsNonRoot is false"
    if context.get("runAsUser") == 0:
        yield f"{where}: runAsUser is 0"
    for field in ("seccompProfile", "appArmorProfile"):
        if field in context and _profile(context, field) not in PROFILES:
            yield f"{where}: {field} is {_profile(context, field)}"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type", "") not in SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield f"{where}: seLinuxOptions {selinux}"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield f"{where}: windowsOptions.hostProcess"


def _of_handlers(where: str, container: Manifest) -> Iterator[str]:
    handlers: dict[str, Any] = {name: container.get(name) or {} for name in PROBES}
    handlers |= {name: (container.get("lifecycle") or {}).get(name) or {} for name in HOOKS}
    for name, handler in handlers.items():
        for kind in ("httpGet", "tcpSocket"):
            if (handler.get(kind) or {}).get("host"):
                yield f"{where}: {name}.{kind}.host is set"


def _profile(context: Manifest, field: str, otherwise: str | None = None) -> str | None:
    return context[field].get("type") if context.get(field) else otherwise
