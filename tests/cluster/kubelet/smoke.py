"""Tries one fold as a Job on a real node and tells what came of it; run by test_smoke.py inside `node.isolated`.

Belongs here: the Job and what is read back of it. What the container runs is fold.py.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from kubernetes import client, config

from platform_assets.environment import REPOSITORY
from tests.cluster import control_plane
from tests.cluster.kubelet import images, node

NAMESPACE, JOB = "default", "fold"
SECONDS = 300
# What the fold's log said, and how long its Job took.
TOLD = "told.json"
# As the platform's pods are: what the `restricted` Pod Security Standard asks for, and a root that cannot be written.
POD_SECURITY = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


class JobFailed(Exception):
    """The Job did not succeed; the message holds its pods' state, events and log."""


def main(folder: Path, image: str, archive: Path | None) -> None:
    """archive: of the platform's image; without it, an empty image on which the machine's own folders are mounted."""
    made = folder / "images"
    made.mkdir()
    images.write_pause_image(made / "pause.tar", node.BUSYBOX)
    if archive is None:
        images.write_empty_image(made / "empty.tar", _machine_folders())
        archive = made / "empty.tar"
    node.prepare_namespaces()
    with (
        control_plane.running(folder / "control_plane") as plane,
        node.running(plane, folder, [made / "pause.tar", archive], images.PAUSE),
    ):
        api = config.new_client_from_config(str(plane.kubeconfig))
        started = time.monotonic()
        log = _run_job(api, job(image))
        told = json.loads(log.splitlines()[-1]) | {"job_seconds": round(time.monotonic() - started, 1)}
        (folder / TOLD).write_text(json.dumps(told))


def job(image: str) -> dict[str, Any]:
    """The Job that fits a fold in `image`, or with the machine's own Python where `image` is the empty one."""
    container: dict[str, Any] = {
        "name": "fold",
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["python", "/smoke/fold.py", "/tmp/artifacts"],
        "securityContext": CONTAINER_SECURITY,
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "2", "memory": "2Gi"}},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "code", "mountPath": "/smoke"}],
    }
    volumes: list[dict[str, Any]] = [
        {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
        {"name": "code", "configMap": {"name": JOB}},
    ]
    if image == images.EMPTY:
        container["command"][0] = sys.executable
        container["env"] = [{"name": "PYTHONPATH", "value": str(REPOSITORY)}, {"name": "OMP_NUM_THREADS", "value": "1"}]
        for number, path in enumerate(_machine_folders()):
            volumes.append({"name": f"machine-{number}", "hostPath": {"path": str(path), "type": "Directory"}})
            container["volumeMounts"].append({"name": f"machine-{number}", "mountPath": str(path), "readOnly": True})
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": JOB},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": SECONDS,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "securityContext": POD_SECURITY,
                    "containers": [container],
                    "volumes": volumes,
                }
            },
        },
    }


def _run_job(api: client.ApiClient, body: dict[str, Any]) -> str:
    """The pod's log, read through the API server. Raises JobFailed."""
    core, batch = client.CoreV1Api(api), client.BatchV1Api(api)
    code = Path(__file__).with_name("fold.py").read_text()
    core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": JOB}, "data": {"fold.py": code}})
    batch.create_namespaced_job(NAMESPACE, body)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        status = batch.read_namespaced_job_status(JOB, NAMESPACE).status
        if status.succeeded or status.failed:
            break
        time.sleep(0.2)
    pods = core.list_namespaced_pod(NAMESPACE, label_selector=f"job-name={JOB}").items
    logs = [_log(core, pod.metadata.name) for pod in pods if _started(pod)]
    if not status.succeeded:
        events = [f"{event.reason}: {event.message}" for event in core.list_namespaced_event(NAMESPACE).items]
        raise JobFailed("\n".join([*(str(pod.status) for pod in pods), *events, *logs]))
    [log] = logs
    return log


def _log(core: client.CoreV1Api, pod: str) -> str:
    # The client would read a line of JSON as an object.
    return str(core.read_namespaced_pod_log(pod, NAMESPACE, _preload_content=False).data, "utf-8")


def _started(pod: client.V1Pod) -> bool:
    return any(
        container.state.running or container.state.terminated for container in pod.status.container_statuses or []
    )


def _machine_folders() -> list[Path]:
    """Where this machine keeps Python, the environment and the repository."""
    wanted = [Path("/usr"), Path(sys.base_prefix), Path(sys.prefix), REPOSITORY / "platform_assets"]
    return [path for path in wanted if not any(other in path.parents for other in wanted)]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]) if len(sys.argv) > 3 else None)
