"""Small pods for tests of the cluster: a shell command each.

Belongs here: manifests that test_cluster.py starts from. The platform's own manifests are in deploy/kubernetes.
"""

from typing import Any

GPU = "nvidia.com/gpu"
SPOT = "platform-assets/spot"
ANYWHERE = [{"key": SPOT, "operator": "Exists"}, {"key": GPU, "operator": "Exists"}]
# Process 1 ignores SIGTERM unless it handles it.
SLEEP = "trap 'exit 0' TERM; while :; do sleep 0.2; done"


def pod_spec(command: str, **spec: Any) -> dict[str, Any]:
    """A pod's spec: one container `main` that runs a shell command. `container`: more of the container's fields."""
    container = {"name": "main", "image": "busybox:1", "command": ["sh", "-c", command]} | spec.pop("container", {})
    return {"restartPolicy": "Never", "terminationGracePeriodSeconds": 5, "containers": [container]} | spec


def pod(name: str, command: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec(command, **spec)}


def on_node(node: str) -> dict[str, Any]:
    """Only there, whatever its taints."""
    return {"nodeSelector": {"kubernetes.io/hostname": node}, "tolerations": ANYWHERE}


def with_gpu() -> dict[str, Any]:
    """Takes one GPU."""
    return {"tolerations": ANYWHERE, "container": {"resources": {"limits": {GPU: "1"}}}}


def job(name: str, command: str, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": pod_spec(command, **spec)}
    return _object("batch/v1", "Job", name, {"backoffLimit": 0, "template": template})


def deployment(name: str, command: str, replicas: int = 1, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": pod_spec(command, restartPolicy="Always", **spec)}
    selector = {"matchLabels": {"app": name}}
    return _object("apps/v1", "Deployment", name, {"replicas": replicas, "selector": selector, "template": template})


def service(name: str, port: int, target_port: int) -> dict[str, Any]:
    ports = [{"port": port, "targetPort": target_port}]
    return _object("v1", "Service", name, {"selector": {"app": name}, "ports": ports})


def claim(name: str) -> dict[str, Any]:
    """A volume of the default storage class."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    return _object("v1", "PersistentVolumeClaim", name, spec)


def _object(api_version: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}
