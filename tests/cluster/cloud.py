"""What a cloud adds to a cluster, as a process of the test cluster: Services with a port of their own, and volumes.

Belongs here: a TCP forwarder for each Service port that is not its pods' port, and folders for PersistentVolumeClaims of
the storage class `folders` (the default one). `python -m tests.cluster.cloud --kubeconfig FILE --folder FOLDER`.
"""

import argparse
import shutil
import signal
import socket
import socketserver
import sys
import threading
from pathlib import Path

import kubernetes as k

from tests.cluster.node.watching import follow

ADDRESS = "127.0.0.1"
STORAGE_CLASS = "folders"
PROVISIONER = "platform-assets.test/folders"


class Forwarders:
    """Listens on each Service's port and passes connections on to where its ready endpoints listen."""

    def __init__(self) -> None:
        self._targets: dict[int, int] = {}
        self._servers: dict[int, socketserver.ThreadingTCPServer] = {}
        self._services: dict[tuple[str, str], dict] = {}
        self._endpoints: dict[tuple[str, str], dict] = {}
        self._lock = threading.Lock()

    def watch(self, core: k.client.CoreV1Api) -> None:
        for listing, known in (
            (core.list_service_for_all_namespaces, self._services),
            (core.list_endpoints_for_all_namespaces, self._endpoints),
        ):
            arguments = (listing, lambda found, known=known: self._replace(known, found))
            change = lambda kind, item, known=known: self._change(known, kind, item)  # noqa: E731
            threading.Thread(target=follow, args=(*arguments, change), daemon=True).start()

    def _replace(self, known: dict, found: list[dict]) -> None:
        with self._lock:
            known.clear()
            known.update({_key(item): item for item in found})
            self._arrange()

    def _change(self, known: dict, kind: str, item: dict) -> None:
        with self._lock:
            known.pop(_key(item), None)
            if kind != "DELETED":
                known[_key(item)] = item
            self._arrange()

    def _arrange(self) -> None:
        wanted: dict[int, int] = {}
        for key, service in self._services.items():
            subsets = (self._endpoints.get(key) or {}).get("subsets") or []
            ready = [port for subset in subsets if subset.get("addresses") for port in subset.get("ports") or []]
            for port in service["spec"].get("ports") or []:
                for target in ready:
                    if target.get("name") == port.get("name") and target["port"] != port["port"]:
                        wanted[port["port"]] = target["port"]
        self._targets = wanted
        for port in self._servers.keys() - wanted.keys():
            server = self._servers.pop(port)
            server.shutdown()
            server.server_close()
        for port in wanted.keys() - self._servers.keys():
            try:
                server = _Server((ADDRESS, port), self._handler(port))
            except OSError as error:
                print(f"Service port {port} cannot be served on this machine: {error}", file=sys.stderr, flush=True)
                continue
            self._servers[port] = server
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def _handler(self, port: int) -> type[socketserver.BaseRequestHandler]:
        forwarders = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                try:
                    target = socket.create_connection((ADDRESS, forwarders._targets[port]), 10)
                except (OSError, KeyError):
                    return  # nobody there: the connection closes
                target.settimeout(None)
                with target:
                    threading.Thread(target=_pour, args=(target, self.request), daemon=True).start()
                    _pour(self.request, target)

        return Handler


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def _pour(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return  # one side went away: so does the other


class Folders:
    """A folder for each claim, gone with it."""

    def __init__(self, core: k.client.CoreV1Api, folder: Path) -> None:
        self._core, self._folder = core, folder

    def watch(self, storage: k.client.StorageV1Api) -> None:
        marked = {"storageclass.kubernetes.io/is-default-class": "true"}
        storage.create_storage_class(
            {
                "metadata": {"name": STORAGE_CLASS, "annotations": marked},
                "provisioner": PROVISIONER,
                "reclaimPolicy": "Delete",
                "volumeBindingMode": "Immediate",
            }
        )
        claims = self._core.list_persistent_volume_claim_for_all_namespaces
        volumes = self._core.list_persistent_volume
        for listing, change in ((claims, self._claim), (volumes, self._volume)):
            every = lambda found, change=change: [change("ADDED", item) for item in found]  # noqa: E731
            threading.Thread(target=follow, args=(listing, every, change), daemon=True).start()

    def _claim(self, kind: str, claim: dict) -> None:
        spec, metadata = claim["spec"], claim["metadata"]
        if kind == "DELETED" or spec.get("volumeName") or spec.get("storageClassName") != STORAGE_CLASS:
            return
        name = f"folder-{metadata['uid']}"
        place = self._folder / name
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o777)
        reference = {"namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}
        volume = {
            "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
            "spec": {
                "capacity": {"storage": spec["resources"]["requests"]["storage"]},
                "accessModes": spec["accessModes"],
                "storageClassName": STORAGE_CLASS,
                "persistentVolumeReclaimPolicy": "Delete",
                "hostPath": {"path": str(place)},
                "claimRef": reference | {"apiVersion": "v1", "kind": "PersistentVolumeClaim"},
            },
        }
        try:
            self._core.create_persistent_volume(volume)
        except k.client.ApiException as error:
            if error.status != 409:
                raise

    def _volume(self, kind: str, volume: dict) -> None:
        if kind != "DELETED" and volume["status"].get("phase") in ("Released", "Failed"):
            if volume["spec"].get("storageClassName") != STORAGE_CLASS:
                return
            shutil.rmtree(volume["spec"]["hostPath"]["path"], ignore_errors=True)
            self._core.delete_persistent_volume(volume["metadata"]["name"])


def _key(item: dict) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--folder", required=True)
    options = parser.parse_args()
    k.config.load_kube_config(options.kubeconfig)
    Forwarders().watch(k.client.CoreV1Api())
    Folders(k.client.CoreV1Api(), Path(options.folder)).watch(k.client.StorageV1Api())
    signal.pause()  # the leash ends it
