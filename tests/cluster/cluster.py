"""A Kubernetes cluster as tests use it: this machine's test cluster, or any other by its kubeconfig.

Belongs here: what a test may ask of a cluster. How the pieces run: control_plane.py, nodes.py, cloud.py.
"""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes as k

from tests.cluster import control_plane
from tests.cluster.control_plane import ClusterFailed, ClusterMissing, ControlPlane, Process
from tests.cluster.images import all_images
from tests.cluster.nodes import NODES, Node

PATIENCE_SECONDS = 60


class Cluster:
    """kubeconfig: the administrator's; core, batch, apps, rbac: API clients; nodes: by name, empty when not ours."""

    def __init__(self, kubeconfig: Path, plane: ControlPlane | None = None) -> None:
        self.kubeconfig = kubeconfig
        self.api = k.config.new_client_from_config(str(kubeconfig))
        self.core, self.batch = k.client.CoreV1Api(self.api), k.client.BatchV1Api(self.api)
        self.apps, self.rbac = k.client.AppsV1Api(self.api), k.client.RbacAuthorizationV1Api(self.api)
        self.nodes: dict[str, Node] = {}
        self._plane = plane
        self._images = plane.folder / "images.json" if plane else None

    @property
    def own(self) -> bool:
        """Made of processes of this machine: nodes can be lost, the API server can be away."""
        return self._plane is not None

    def kubectl(self, *arguments: str, input: str | None = None, check: bool = True) -> str:
        """What kubectl prints; with check, raises AssertionError with what it complained of."""
        command = ["kubectl", f"--kubeconfig={self.kubeconfig}", *arguments]
        done = subprocess.run(command, input=input, capture_output=True, text=True)
        assert not check or done.returncode == 0, f"kubectl {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def apply(self, *manifests: dict[str, Any], namespace: str = "default") -> None:
        """Creates or changes these objects, in this order."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(listed))

    @contextlib.contextmanager
    def namespace(self, prefix: str = "test") -> Iterator[str]:
        """A namespace nobody used before; when the context closes, its pods are gone and the rest of it is going."""
        name = f"{prefix}-{secrets.token_hex(3)}"
        self.core.create_namespace({"metadata": {"name": name}})
        try:
            self.wait_for(
                "it has a service account",
                lambda: bool(self.kubectl("get", "sa", "default", "-n", name, "--ignore-not-found")),
            )
            yield name
        finally:
            self.kubectl("delete", "jobs,deployments,statefulsets", "--all", "-n", name)
            self.kubectl("delete", "pods", "--all", "-n", name, "--grace-period=1", "--timeout=90s")
            self.kubectl("delete", "namespace", name, "--wait=false")

    def wait_for(self, what: str, condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
        """The condition's value, once it is true. Raises AssertionError with all pods' states after this time."""
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > deadline:
                pods = self.kubectl("get", "pods,nodes", "-A", "-o", "wide", check=False)
                raise AssertionError(f"After {seconds} s it is not so that {what}.\n{pods}")
            time.sleep(0.25)
        return value

    def pod(self, namespace: str, name: str) -> Any:
        """The pod as it is now; None when there is none."""
        try:
            return self.core.read_namespaced_pod(name, namespace)
        except k.client.ApiException as error:
            if error.status != 404:
                raise
            return None

    def wait_for_pod(self, namespace: str, name: str, phase: str, seconds: float = PATIENCE_SECONDS) -> Any:
        """The pod, once it is in this phase."""

        def there() -> Any | None:
            pod = self.pod(namespace, name)
            return pod if pod is not None and pod.status.phase == phase else None

        return self.wait_for(f"pod {namespace}/{name} is {phase}", there, seconds)

    def without_api_server(self) -> contextlib.AbstractContextManager[None]:
        """The API server is away as long as the context is open. Own cluster only."""
        assert self._plane is not None, "the API server of somebody else's cluster is left alone"
        return self._plane.without_api_server()

    def provide_image(self, name: str, described: dict[str, Any]) -> None:
        """From now on every node has this image (name or name:tag; tests/cluster/images). Own cluster only."""
        assert self._images is not None, "images of somebody else's cluster come from a registry"
        images = json.loads(self._images.read_text()) if self._images.exists() else {}
        written = self._images.with_suffix(".new")
        written.write_text(json.dumps(images | {name: described}, indent=1))
        written.replace(self._images)

    def restore_nodes(self) -> None:
        """Every node runs, is ready and takes pods: as a test should find them."""
        for node in self.nodes.values():
            node.start(wait=False)
        for node in self.nodes.values():
            node.wait_until_ready()
            if self.core.read_node(node.name).spec.unschedulable:
                node.uncordon()

    def start_nodes(self, stack: contextlib.ExitStack) -> None:
        """The nodes of nodes.py, and what a cloud adds."""
        assert self._plane is not None
        assert self._images is not None
        if os.geteuid() != 0:
            raise ClusterMissing("The test cluster's nodes mount file systems for their pods: run the tests as root.")
        for name, described in all_images().items():
            self.provide_image(name, described)
        folder = self._plane.folder / "nodes"
        folder.mkdir()
        cloud = [sys.executable, "-m", "tests.cluster.cloud", f"--kubeconfig={self.kubeconfig}"]
        cloud.append(f"--folder={self._plane.folder / 'volumes'}")
        stack.callback(Process("cloud", cloud, self._plane.folder / "cloud.log").stop)
        for name, kind in NODES.items():
            self.nodes[name] = Node(name, kind, self, folder, self._plane.pki, self._images)
            stack.callback(self.nodes[name].kill)
        self.restore_nodes()


@contextlib.contextmanager
def serving(folder: Path | None = None) -> Iterator[Cluster]:
    """The test cluster with all its nodes, as long as the context is open and no longer than this process.

    folder: see control_plane.running. Raises ClusterMissing and ClusterFailed.
    """
    with contextlib.ExitStack() as stack:
        plane = stack.enter_context(control_plane.running(folder))
        cluster = Cluster(plane.kubeconfig, plane)
        cluster.start_nodes(stack)
        yield cluster


def reached(kubeconfig: Path) -> Cluster:
    """Somebody else's cluster. Raises ClusterFailed when it does not answer."""
    try:
        cluster = Cluster(kubeconfig)
        k.client.VersionApi(cluster.api).get_code(_request_timeout=10)
    except Exception as error:
        raise ClusterFailed(f"The cluster of {kubeconfig} does not answer: {error}") from error
    return cluster
