"""One pod on this node: its volumes, its containers in order, its status, its end.

Belongs here: what a kubelet makes of a pod's specification. Which pods there are is process_node.py.
"""

import os
import shutil
import signal
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes as k

from tests.cluster.node import volumes
from tests.cluster.node.container import RETRY_SECONDS, Container, ended_unseen, now
from tests.cluster.node.directory import Directory
from tests.cluster.node.images import SYSTEM_PATH, Image, Images
from tests.cluster.node.sandbox import Sandbox
from tests.cluster.node.variables import ConfigMissing, environment, expanded


@dataclass(frozen=True)
class Surroundings:
    """What all pods of a node have in common. api_server: host and port under which pods reach it."""

    core: k.client.CoreV1Api
    images: Images
    directory: Directory
    api_server: tuple[str, int]
    folder: Path


class Pod:
    """Runs in threads of its own from `start`; `status` is what to tell the API server after each `changed`."""

    def __init__(self, manifest: dict, surroundings: Surroundings, changed: Callable[["Pod"], None]) -> None:
        self.manifest, self._surroundings = manifest, surroundings
        self.uid = manifest["metadata"]["uid"]
        self.folder = surroundings.folder / self.uid
        self.devices: list[int] = []
        self._changed = changed
        self._started_at = now()
        self._stopping = threading.Event()
        self._kill_at: float | None = None
        self._overdue = False
        self._transitions: dict[str, tuple[str, str]] = {}
        self._volumes: dict[str, Path] = {}
        self._problem: dict[str, str] | None = None
        self._initialized = False
        self.ended = threading.Event()
        policy = self.spec["restartPolicy"]
        once = "Never" if policy == "Never" else "OnFailure"
        self._first = [self._container(item, once) for item in self.spec.get("initContainers") or []]
        self._main = [self._container(item, policy) for item in self.spec["containers"]]

    @property
    def spec(self) -> dict:
        return self.manifest["spec"]

    @property
    def deleted(self) -> bool:
        """Somebody asked for its deletion."""
        return bool(self.manifest["metadata"].get("deletionTimestamp"))

    @property
    def host_name(self) -> str:
        return str(self.spec.get("hostname") or self.manifest["metadata"]["name"])[:63]

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self, grace_seconds: float) -> None:
        """SIGTERM now, SIGKILL after the grace; a shorter grace later on counts. Returns at once."""
        kill_at = time.monotonic() + grace_seconds
        earlier = self._kill_at is None or kill_at < self._kill_at
        if earlier:
            self._kill_at = kill_at
        if not self._stopping.is_set():
            self._stopping.set()
            for container in self._first + self._main:
                threading.Thread(target=self._terminate, args=(container,), daemon=True).start()
        if earlier:
            threading.Thread(target=self._kill_when_over, args=(kill_at,), daemon=True).start()

    def kill(self) -> None:
        """SIGKILL to everything, at once."""
        self._stopping.set()
        for container in self._first + self._main:
            container.stopping.set()
            container.signal(signal.SIGKILL)

    def remove(self) -> None:
        """Blocks until everything ended, then its folder is gone."""
        self.ended.wait()
        self._surroundings.directory.forget(self.folder / "hosts")
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_of(self, container: str, previous: bool) -> Path | None:
        """The log of the container's present or previous run. None: no such container or no such run."""
        for item in self._first + self._main:
            if item.spec["name"] == container and (not previous or item.restarts):
                return item.logs / f"{item.restarts - previous}.log"
        return None

    @property
    def phase(self) -> str:
        if self.ended.is_set() and (self.spec["restartPolicy"] != "Always" or self._overdue):
            codes = [container.exit_code for container in self._first + self._main]
            return "Succeeded" if all(code == 0 for code in codes) and not self._overdue else "Failed"
        begun = any("waiting" not in container.state or container.restarts for container in self._main)
        return "Running" if begun else "Pending"

    @property
    def status(self) -> dict[str, Any]:
        ready = not self.ended.is_set() and all(container.ready for container in self._main)
        facts = {"Initialized": self._initialized, "Ready": ready, "ContainersReady": ready}
        address = f"198.18.{zlib.crc32(self.uid.encode()) >> 8 & 255}.{zlib.crc32(self.uid.encode()) & 255}"
        status = {
            "phase": self.phase,
            "conditions": [self._condition(kind, "True" if fact else "False") for kind, fact in facts.items()],
            "hostIP": "127.0.0.1",
            # Endpoints refuse addresses in 127/8. This one, of the range for benchmarks, is a name and leads nowhere.
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": self._started_at,
            "containerStatuses": [container.status for container in self._main],
        }
        if self._first:
            status["initContainerStatuses"] = [container.status for container in self._first]
        if self._overdue:
            status |= {
                "reason": "DeadlineExceeded",
                "message": "Pod was active on the node longer than the specified deadline",
            }
        elif self._problem:
            status |= self._problem
        return status

    def _condition(self, kind: str, status: str) -> dict[str, str]:
        if self._transitions.get(kind, ("", ""))[0] != status:
            self._transitions[kind] = (status, now())
        return {"type": kind, "status": status, "lastTransitionTime": self._transitions[kind][1]}

    def _run(self) -> None:
        self._changed(self)
        deadline = self.spec.get("activeDeadlineSeconds")
        if deadline:
            timer = threading.Timer(deadline, self._exceed)
            timer.daemon = True
            timer.start()
        if self._prepare_volumes():
            for container in self._first:
                container.run()
                if container.exit_code != 0:
                    break
            else:
                self._initialized = True
                threads = [threading.Thread(target=container.run, daemon=True) for container in self._main]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
        for container in self._first + self._main:
            if container.exit_code is None and self._stopping.is_set():
                container.state = ended_unseen("stopped before it was started")
        self.ended.set()
        self._changed(self)

    def _prepare_volumes(self) -> bool:
        """False when the pod is stopped before all its volumes can be had."""
        while not self._stopping.is_set():
            try:
                self._volumes = volumes.prepared(self._surroundings.core, self.manifest, self.folder / "volumes")
            except (ConfigMissing, k.client.ApiException, OSError) as missing:
                problem = {"reason": "FailedMount", "message": str(missing)[:500]}
                if problem != self._problem:
                    self._problem = problem
                    self._changed(self)
                self._stopping.wait(RETRY_SECONDS)
            else:
                self._problem = None
                return True
        return False

    def _exceed(self) -> None:
        if not self.ended.is_set():
            self._overdue = True
            self.stop(self.spec.get("terminationGracePeriodSeconds", 30))

    def _terminate(self, container: Container) -> None:
        container.before_stop()
        container.stopping.set()
        container.signal(signal.SIGTERM)

    def _kill_when_over(self, kill_at: float) -> None:
        if not self.ended.wait(max(0.0, kill_at - time.monotonic())):
            self.kill()

    def _container(self, spec: dict, restart_policy: str) -> Container:
        logs = self.folder / "logs" / spec["name"]
        return Container(spec, logs, self._prepare, lambda: self._changed(self), restart_policy)

    def _prepare(self, container: Container) -> tuple[list[str], dict[str, str], Sandbox]:
        around, spec = self._surroundings, container.spec
        image = around.images.find(spec["image"])
        security = (self.spec.get("securityContext") or {}) | (spec.get("securityContext") or {})
        user = security.get("runAsUser", image.user)
        if security.get("runAsNonRoot") and user == 0:
            raise ConfigMissing("container has runAsNonRoot and image will run as root")
        values = self._variables(spec, image, user)
        command = spec.get("command") or list(image.entrypoint)
        arguments = spec.get("args") or ([] if spec.get("command") else list(image.arguments))
        host, name = self.folder / "hosts", self.manifest["metadata"]["namespace"]
        mounts = volumes.mounts(spec, self._volumes, values)
        hosts = around.directory.hosts_file(host, name, self.host_name)
        sandbox = Sandbox(
            layer=self.folder / "layers" / spec["name"] / str(container.restarts),
            host_name=self.host_name,
            cwd=spec.get("workingDir") or image.cwd,
            user=user,
            group=security.get("runAsGroup", image.group_of(user)),
            groups=tuple(security.get("supplementalGroups") or ()) + tuple(filter(None, [security.get("fsGroup")])),
            mounts=[*mounts, volumes.Mount(hosts, "/etc/hosts")],
            folders=image.mounts,
            traversable=image.traversable,
            accounts=image.accounts,
            writable=image.writable,
            read_only=security.get("readOnlyRootFilesystem", False),
            no_new_privileges=security.get("allowPrivilegeEscalation") is False,
        )
        return [expanded(word, values) for word in [*command, *arguments]], values, sandbox

    def _variables(self, spec: dict, image: Image, user: int) -> dict[str, str]:
        around = self._surroundings
        host, port = around.api_server
        base = {"PATH": os.pathsep.join((*image.path, *SYSTEM_PATH)), "HOSTNAME": self.host_name}
        base |= {"HOME": image.home_of(user)} | image.env
        if self.spec.get("enableServiceLinks", True):
            base |= around.directory.variables(self.manifest["metadata"]["namespace"])
        base |= {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": str(port)}
        base |= {"KUBERNETES_SERVICE_PORT_HTTPS": str(port), "KUBERNETES_PORT": f"tcp://{host}:{port}"}
        base["NVIDIA_VISIBLE_DEVICES"] = ",".join(map(str, self.devices)) or "void"
        return environment(around.core, self.manifest, spec, base)
