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
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": template},
    }


def deployment(name: str, command: str, replicas: int = 1, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": pod_spec(command, restartPolicy="Always", **spec)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def service(name: str, port: int, target_port: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": port, "targetPort": target_port}]},
    }
