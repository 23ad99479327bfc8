"""The cluster's Services as this node's pods find them: names in /etc/hosts and variables in the environment.

Belongs here: watching Services. All pods share the machine's network, so that every Service is at 127.0.0.1; where its
port is not its pods' port, tests/cluster/cloud.py forwards.
"""

import threading
from pathlib import Path

ADDRESS = "127.0.0.1"


class Directory:
    """Knows all Services; keeps the hosts files of running pods up to date."""

    def __init__(self) -> None:
        self._services: dict[tuple[str, str], dict] = {}
        self._files: dict[Path, tuple[str, str]] = {}
        self._lock = threading.Lock()
        self.known = threading.Event()

    def replace(self, services: list[dict]) -> None:
        """The complete list, as read from the API server."""
        with self._lock:
            self._services = {_key(service): service for service in services}
            self._rewrite()
        self.known.set()

    def change(self, kind: str, service: dict) -> None:
        """One event of a watch."""
        with self._lock:
            self._services.pop(_key(service), None)
            if kind != "DELETED":
                self._services[_key(service)] = service
            self._rewrite()

    def hosts_file(self, file: Path, namespace: str, host_name: str) -> Path:
        """Writes a pod's hosts file and keeps it current until `forget`. The same file each time: it is bind-mounted."""
        with self._lock:
            self._files[file] = (namespace, host_name)
            self._rewrite()
        return file

    def forget(self, file: Path) -> None:
        with self._lock:
            self._files.pop(file, None)

    def variables(self, namespace: str) -> dict[str, str]:
        """What Kubernetes puts into each container about each Service of its namespace: NAME_SERVICE_HOST and so on."""
        found: dict[str, str] = {}
        with self._lock:
            services = [service for (where, _), service in sorted(self._services.items()) if where == namespace]
        for service in services:
            ports = service["spec"].get("ports") or []
            if not ports or service["spec"].get("clusterIP") in (None, "None"):
                continue
            name = service["metadata"]["name"].upper().replace("-", "_")
            found[f"{name}_SERVICE_HOST"] = ADDRESS
            found[f"{name}_SERVICE_PORT"] = str(ports[0]["port"])
            found[f"{name}_PORT"] = f"tcp://{ADDRESS}:{ports[0]['port']}"
            for port in ports:
                if port.get("name"):
                    found[f"{name}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
                prefix = f"{name}_PORT_{port['port']}_TCP"
                found |= {
                    prefix: f"tcp://{ADDRESS}:{port['port']}",
                    f"{prefix}_PROTO": "tcp",
                    f"{prefix}_PORT": str(port["port"]),
                    f"{prefix}_ADDR": ADDRESS,
                }
        return found

    def _rewrite(self) -> None:
        for file, (namespace, host_name) in self._files.items():
            lines = [f"{ADDRESS} localhost {host_name}\n"]
            for where, name in sorted(self._services):
                names = [f"{name}.{where}{rest}" for rest in ("", ".svc", ".svc.cluster.local")]
                lines.append(f"{ADDRESS} {' '.join([name, *names] if where == namespace else names)}\n")
            text = "".join(lines)
            if not file.exists() or file.read_text() != text:
                file.write_text(text)


def _key(service: dict) -> tuple[str, str]:
    return service["metadata"]["namespace"], service["metadata"]["name"]
