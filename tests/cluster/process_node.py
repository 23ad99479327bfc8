"""The test node agent, a process a node: `python -m tests.cluster.process_node NAME …` runs pods as local processes.

It registers a Node, keeps its lease, runs the pods that the scheduler puts there and reports what becomes of them. Its
end, by SIGTERM, SIGKILL or because its standard input closed, is the loss of the machine: everything on it dies
at once and nothing is reported. While the API server is away, pods go on; what happened is reported afterwards.
Parts of it are in the folder `node`. Needs root and Linux with overlayfs.
"""

import argparse
import os
import shutil
import signal
import sys
import threading
import urllib.parse
from pathlib import Path
from typing import Any

import kubernetes as k
import urllib3

from tests.cluster.node import logs
from tests.cluster.node.container import ended_unseen, now
from tests.cluster.node.directory import Directory
from tests.cluster.node.images import Images
from tests.cluster.node.pod import Pod, Surroundings
from tests.cluster.node.reporter import Reporter, complain
from tests.cluster.node.watching import follow

HEARTBEAT_SECONDS = 2
GPU = "nvidia.com/gpu"


class Node:
    """The pods of one node and what the API server is told about them."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.name, self._options = options.name, options
        self._core, self._coordination = k.client.CoreV1Api(), k.client.CoordinationV1Api()
        self._pods: dict[str, Pod] = {}
        self._lock = threading.RLock()
        self._free_gpus = set(range(options.gpus))
        self.reporter = Reporter(self._core)
        server = urllib.parse.urlparse(self._core.api_client.configuration.host)
        folder = Path(options.folder) / options.name
        shutil.rmtree(folder, ignore_errors=True)  # of this node's last life; nothing of it runs any more
        folder.mkdir(parents=True)
        self._directory = Directory()
        assert server.hostname
        assert server.port
        images = Images(Path(options.images))
        self._surroundings = Surroundings(self._core, images, self._directory, (server.hostname, server.port), folder)

    def serve(self) -> None:
        """Never returns."""
        port = logs.serve(self._find, Path(self._options.certificate), Path(self._options.key))
        self._until_done(self._register)
        self._until_done(lambda: self._heartbeat(port))
        threading.Thread(target=self._beat, args=(port,), daemon=True).start()
        self.reporter.start()
        services = self._core.list_service_for_all_namespaces
        threading.Thread(
            target=follow, args=(services, self._directory.replace, self._directory.change), daemon=True
        ).start()
        self._directory.known.wait()  # the first pods want their hosts file complete
        follow(
            self._core.list_pod_for_all_namespaces,
            self._replace,
            self._change,
            field_selector=f"spec.nodeName={self.name}",
        )

    def lose(self) -> None:
        """The machine is gone: what ran on it ends at once, and the API server hears nothing of it."""
        self.reporter.silence()
        with self._lock:
            pods = list(self._pods.values())
        for pod in pods:
            pod.kill()
        for pod in pods:
            pod.ended.wait(5)
        os._exit(0)

    def _until_done(self, step: Any) -> None:
        while True:
            try:
                return step()
            except (k.client.ApiException, urllib3.exceptions.HTTPError) as error:
                complain("the API server does not take this node", error)
                threading.Event().wait(1)

    def _register(self) -> None:
        labels = {"kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux"}
        labels |= dict(item.split("=", 1) for item in self._options.label)
        node = {
            "metadata": {"name": self.name, "labels": labels},
            "spec": {"taints": [_taint(text) for text in self._options.taint]},
        }
        try:
            self._core.create_node(node)
        except k.client.ApiException as error:
            if error.status != 409:
                raise

    def _beat(self, port: int) -> None:
        while True:
            threading.Event().wait(HEARTBEAT_SECONDS)
            try:
                self._heartbeat(port)
            except (k.client.ApiException, urllib3.exceptions.HTTPError) as error:
                complain("heartbeat", error)
                if isinstance(error, k.client.ApiException) and error.status == 404:
                    self._until_done(self._register)

    def _heartbeat(self, port: int) -> None:
        capacity = {"cpu": "8", "memory": "16Gi", "pods": "60", "ephemeral-storage": "50Gi"}
        capacity |= dict(item.split("=", 1) for item in self._options.capacity)
        if self._options.gpus:
            capacity[GPU] = str(self._options.gpus)
        facts = ("machineID", "systemUUID", "bootID", "kernelVersion", "osImage")
        versions = ("containerRuntimeVersion", "kubeletVersion", "kubeProxyVersion")
        ready = {"type": "Ready", "status": "True", "reason": "ProcessNode", "message": "runs pods as processes"}
        status = {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": [ready | {"lastHeartbeatTime": now(), "lastTransitionTime": now()}],
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "nodeInfo": dict.fromkeys(facts + versions, "process-node")
            | {"operatingSystem": "linux", "architecture": "amd64"},
        }
        self._core.patch_node_status(self.name, {"status": status}, _request_timeout=5)
        moment = now().replace("Z", ".000000Z")
        spec = {"holderIdentity": self.name, "leaseDurationSeconds": 40, "renewTime": moment}
        lease = {"metadata": {"name": self.name, "namespace": "kube-node-lease"}, "spec": spec}
        try:
            self._coordination.patch_namespaced_lease(self.name, "kube-node-lease", lease, _request_timeout=5)
        except k.client.ApiException as error:
            if error.status != 404:
                raise
            self._coordination.create_namespaced_lease("kube-node-lease", lease)

    def _find(self, namespace: str, name: str) -> Pod | None:
        with self._lock:
            for pod in self._pods.values():
                metadata = pod.manifest["metadata"]
                if (metadata["namespace"], metadata["name"]) == (namespace, name):
                    return pod
        return None

    def _replace(self, manifests: list[dict]) -> None:
        present = {manifest["metadata"]["uid"] for manifest in manifests}
        with self._lock:
            gone = [pod for uid, pod in self._pods.items() if uid not in present]
        for pod in gone:
            self._change("DELETED", pod.manifest)
        for manifest in manifests:
            self._change("MODIFIED", manifest)

    def _change(self, kind: str, manifest: dict) -> None:
        uid = manifest["metadata"]["uid"]
        with self._lock:
            pod = self._pods.get(uid)
        if kind == "DELETED":
            if pod:
                pod.kill()
                threading.Thread(target=self._forget, args=(pod,), daemon=True).start()
        elif pod is None:
            self._meet(manifest)
        else:
            pod.manifest = manifest
            if pod.deleted:
                if pod.ended.is_set():
                    self.reporter.tell(pod)
                else:
                    pod.stop(manifest["metadata"].get("deletionGracePeriodSeconds") or 0)
            elif _ready(manifest["status"]) != _ready(pod.status):
                self.reporter.tell(pod)  # somebody else changed it: pods of a silent node are not ready

    def _meet(self, manifest: dict) -> None:
        """A pod that this process has not started: a new one, or one of the node's last life."""
        phase, statuses = manifest["status"]["phase"], manifest["status"].get("containerStatuses")
        if manifest["metadata"].get("deletionTimestamp"):
            self.reporter.tell_other(manifest, None)
        elif phase == "Pending" or (phase == "Running" and manifest["spec"]["restartPolicy"] != "Never"):
            with self._lock:
                pod = self._pods[manifest["metadata"]["uid"]] = Pod(manifest, self._surroundings, self.reporter.tell)
                wanted = sum(
                    int(((item.get("resources") or {}).get("limits") or {}).get(GPU, 0))
                    for item in manifest["spec"]["containers"]
                )
                pod.devices = [self._free_gpus.pop() for _ in range(min(wanted, len(self._free_gpus)))]
            pod.start()
        elif phase == "Running":
            state = ended_unseen("its node was lost")
            lost = [entry | {"ready": False, "state": state} for entry in statuses or []]
            self.reporter.tell_other(manifest, {"phase": "Failed", "containerStatuses": lost})

    def _forget(self, pod: Pod) -> None:
        pod.remove()
        with self._lock:
            self._pods.pop(pod.uid, None)
            self._free_gpus |= set(pod.devices)


def _ready(status: dict) -> bool:
    return any(item["type"] == "Ready" and item["status"] == "True" for item in status.get("conditions") or [])


def _taint(text: str) -> dict[str, str]:
    pair, _, effect = text.rpartition(":")
    key, _, value = pair.partition("=")
    return {"key": key, "value": value, "effect": effect}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument(
        "--folder", required=True, help="for the state of this node's pods; each node has its own in it"
    )
    parser.add_argument("--images", required=True, help="JSON file: see tests/cluster/node/images.py")
    parser.add_argument("--certificate", required=True, help="to serve logs under")
    parser.add_argument("--key", required=True)
    parser.add_argument("--label", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--taint", action="append", default=[], metavar="KEY=VALUE:EFFECT")
    parser.add_argument("--gpus", type=int, default=0)
    parser.add_argument("--capacity", action="append", default=[], metavar="RESOURCE=QUANTITY")
    options = parser.parse_args()
    k.config.load_kube_config(options.kubeconfig)
    node = Node(options)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=node.lose).start())

    def end_with_the_starter() -> None:
        sys.stdin.buffer.read()
        node.lose()

    threading.Thread(target=end_with_the_starter, daemon=True).start()
    node.serve()


if __name__ == "__main__":
    main()
