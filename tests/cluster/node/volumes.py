"""A pod's volumes as folders of this machine.

Belongs here: what each kind of volume contains. They are filled when the pod starts; a ConfigMap that changes later
reaches pods that start later. Mounting is sandbox.py.
"""

import os
from pathlib import Path
from typing import Any

import kubernetes as k

from tests.cluster.node.sandbox import Mount
from tests.cluster.node.variables import ConfigMissing, config_map, expanded, field_of, secret


def prepared(core: k.client.CoreV1Api, pod: dict, folder: Path) -> dict[str, Path]:
    """Volume name → file or folder. Raises ConfigMissing when something a volume needs is not there (yet)."""
    return {
        volume["name"]: _volume(core, pod, volume, folder / volume["name"])
        for volume in pod["spec"].get("volumes") or []
    }


def _volume(core: k.client.CoreV1Api, pod: dict, volume: dict, place: Path) -> Path:
    namespace = pod["metadata"]["namespace"]
    if "hostPath" in volume:
        path = Path(volume["hostPath"]["path"])
        if volume["hostPath"].get("type") == "DirectoryOrCreate":
            path.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            raise ConfigMissing(f"hostPath {path} of volume {volume['name']} does not exist on this machine")
        return path
    if "persistentVolumeClaim" in volume:
        return _claimed(core, namespace, volume["persistentVolumeClaim"]["claimName"])
    place.mkdir(parents=True, exist_ok=True)
    if "emptyDir" in volume:
        group = (pod["spec"].get("securityContext") or {}).get("fsGroup")
        if group is not None:
            os.chown(place, -1, group)
        place.chmod(0o777 if group is None else 0o2777)
        return place
    sources = volume["projected"]["sources"] if "projected" in volume else [volume]
    for source in sources:
        for name, content in _files(core, pod, source).items():
            file = place / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            file.chmod(0o644)
    return place


def _claimed(core: k.client.CoreV1Api, namespace: str, name: str) -> Path:
    claim = core.read_namespaced_persistent_volume_claim(name, namespace)
    if not claim.spec.volume_name:
        raise ConfigMissing(f"persistentVolumeClaim {name} is not bound")
    volume = core.read_persistent_volume(claim.spec.volume_name).spec
    place = volume.host_path or volume.local
    if place is None:
        raise ConfigMissing(f"persistentVolumeClaim {name}: the test node mounts hostPath and local volumes only")
    return Path(place.path)


def _files(core: k.client.CoreV1Api, pod: dict, source: dict[str, Any]) -> dict[str, bytes]:
    namespace = pod["metadata"]["namespace"]
    if "configMap" in source:
        read, described = config_map, source["configMap"]
    elif "secret" in source:
        read, described = secret, source["secret"]
    elif "downwardAPI" in source:
        items = source["downwardAPI"].get("items") or []
        return {item["path"]: field_of(pod, item["fieldRef"]["fieldPath"]).encode() for item in items}
    elif "serviceAccountToken" in source:
        described = source["serviceAccountToken"]
        return {described["path"]: _token(core, pod, described).encode()}
    else:
        raise ConfigMissing(f"the test node has no volumes of kind {', '.join(source.keys() - {'name'})}")
    name, optional = described.get("secretName") or described["name"], described.get("optional", False)
    entries = read(core, namespace, name, optional)
    if not described.get("items"):
        return entries
    absent = [item["key"] for item in described["items"] if item["key"] not in entries]
    if absent and not optional:
        raise ConfigMissing(f"{name} has no key {', '.join(absent)}")
    return {item["path"]: entries[item["key"]] for item in described["items"] if item["key"] in entries}


def _token(core: k.client.CoreV1Api, pod: dict, described: dict) -> str:
    metadata, spec = pod["metadata"], pod["spec"]
    bound = {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]}
    wanted: dict[str, Any] = {"expirationSeconds": described.get("expirationSeconds", 3600), "boundObjectRef": bound}
    wanted["audiences"] = [described["audience"]] if described.get("audience") else []
    account = spec.get("serviceAccountName", "default")
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": wanted}
    answer = core.create_namespaced_service_account_token(account, metadata["namespace"], body)
    return str(answer.status.token)


def mounts(container: dict, volumes: dict[str, Path], values: dict[str, str]) -> list[Mount]:
    """A container's volume mounts. A subPath that is not there is made as a folder, as kubelets do."""
    found = []
    for mount in container.get("volumeMounts") or []:
        source = volumes[mount["name"]]
        inner = mount.get("subPath") or expanded(mount.get("subPathExpr") or "", values)
        if inner:
            source = source / inner
            if not source.exists():
                source.mkdir(parents=True)
                source.chmod(0o777)
        found.append(Mount(source, mount["mountPath"].rstrip("/"), mount.get("readOnly", False)))
    return found
