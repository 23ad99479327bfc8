"""A container's environment variables, from values, Secrets, ConfigMaps and the pod's own fields.

Belongs here: what `env`, `envFrom` and $(VAR) mean, and reading ConfigMaps and Secrets, which volumes need as well.
"""

import base64
import math
import re
from typing import Any, TypeAlias

import kubernetes as k

NotThere: TypeAlias = k.client.ApiException


class ConfigMissing(Exception):
    """A ConfigMap, a Secret or a key of one that a container needs is not there (yet)."""


def config_map(core: k.client.CoreV1Api, namespace: str, name: str, optional: bool = False) -> dict[str, bytes]:
    """Its entries. Empty when it is not there and optional; otherwise raises ConfigMissing."""
    try:
        found = core.read_namespaced_config_map(name, namespace)
    except NotThere as error:
        return _absent(error, "ConfigMap", name, optional)
    plain = {key: text.encode() for key, text in (found.data or {}).items()}
    return plain | {key: base64.b64decode(text) for key, text in (found.binary_data or {}).items()}


def secret(core: k.client.CoreV1Api, namespace: str, name: str, optional: bool = False) -> dict[str, bytes]:
    """Its entries, decoded. Empty when it is not there and optional; otherwise raises ConfigMissing."""
    try:
        found = core.read_namespaced_secret(name, namespace)
    except NotThere as error:
        return _absent(error, "Secret", name, optional)
    return {key: base64.b64decode(text) for key, text in (found.data or {}).items()}


def _absent(error: NotThere, kind: str, name: str, optional: bool) -> dict[str, bytes]:
    if error.status != 404:
        raise error
    if optional:
        return {}
    raise ConfigMissing(f'{kind} "{name}" not found') from None


def field_of(pod: dict, path: str) -> str:
    """A field of the pod by its path in the downward API; addresses are those under which the pod is reached."""
    metadata, spec = pod["metadata"], pod["spec"]
    entry = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
    if entry:
        return str((metadata.get(entry[1]) or {}).get(entry[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        found = metadata.get(path.removeprefix("metadata.")) or {}
        return "".join(f'{key}="{value}"\n' for key, value in sorted(found.items()))
    known = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec["nodeName"],
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.hostIP": "127.0.0.1",
        "status.podIP": "127.0.0.1",
        "status.podIPs": "127.0.0.1",
    }
    if path not in known:
        raise ConfigMissing(f"the test node knows no field {path}")
    return str(known[path])


def resource_of(container: dict, reference: dict) -> str:
    """A request or limit in whole units of the divisor (1 core, 1 byte), rounded up; 0 when there is none."""
    kind, _, name = reference["resource"].partition(".")
    quantity = ((container.get("resources") or {}).get(kind) or {}).get(name, "0")
    divisor = k.utils.parse_quantity(reference.get("divisor") or "1") or 1
    return str(math.ceil(k.utils.parse_quantity(quantity) / divisor))


def expanded(text: str, values: dict[str, str]) -> str:
    """$(NAME) replaced where NAME is known, $$ by $: as in `env`, `command` and `args`."""

    def value(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else values.get(found[1], found[0])

    return re.sub(r"\$\$|\$\(([A-Za-z_.-][\w.-]*)\)", value, text)


def environment(core: k.client.CoreV1Api, pod: dict, container: dict, base: dict[str, str]) -> dict[str, str]:
    """Base variables, `envFrom`, `env`, later ones winning. Raises ConfigMissing."""
    namespace, values = pod["metadata"]["namespace"], dict(base)
    for source in container.get("envFrom") or []:
        for key, read in (("configMapRef", config_map), ("secretRef", secret)):
            if key in source:
                found = read(core, namespace, source[key]["name"], source[key].get("optional", False))
                values |= {source.get("prefix", "") + name: content.decode() for name, content in found.items()}
    for item in container.get("env") or []:
        origin = item.get("valueFrom")
        value = _from(core, pod, container, origin) if origin else expanded(item.get("value") or "", values)
        if value is not None:
            values[item["name"]] = value
    return values


def _from(core: k.client.CoreV1Api, pod: dict, container: dict, origin: dict[str, Any]) -> str | None:
    if "fieldRef" in origin:
        return field_of(pod, origin["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in origin:
        return resource_of(container, origin["resourceFieldRef"])
    key, read = ("secretKeyRef", secret) if "secretKeyRef" in origin else ("configMapKeyRef", config_map)
    reference = origin[key]
    optional = reference.get("optional", False)
    entries = read(core, pod["metadata"]["namespace"], reference["name"], optional)
    if reference["key"] not in entries:
        if optional:
            return None
        raise ConfigMissing(f"couldn't find key {reference['key']} in {key.removesuffix('KeyRef')} {reference['name']}")
    return entries[reference["key"]].decode()
