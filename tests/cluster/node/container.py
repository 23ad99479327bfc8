"""One container of a pod: started, logged, probed, started again, stopped.

Belongs here: the life of a container and the state it reports. What isolates it is sandbox.py; what the pod makes of its
containers is pod.py.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from tests.cluster.node.images import ImageUnknown
from tests.cluster.node.probes import Probe, answers
from tests.cluster.node.sandbox import Sandbox
from tests.cluster.node.variables import ConfigMissing

LONGEST_BACK_OFF_SECONDS = 20
RETRY_SECONDS = 1
# The kernel kills what was started here when the thread that started it ends: this one ends with the node.
_starter = ThreadPoolExecutor(1, thread_name_prefix="starter")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def ended_unseen(message: str) -> dict[str, Any]:
    """The state of a container whose end nobody saw."""
    return {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": message}}


class Container:
    """Made of what the pod says and a function that gives command, variables and sandbox of a start."""

    def __init__(
        self,
        spec: dict,
        logs: Path,
        prepare: Callable[["Container"], tuple[list[str], dict[str, str], Sandbox]],
        changed: Callable[[], None],
        restart_policy: str,
    ) -> None:
        """logs: folder; one file a start, `logs/<number>.log`. restart_policy: Always, OnFailure or Never."""
        self.spec, self.logs, self.restart_policy = spec, logs, restart_policy
        self.state: dict[str, Any] = {"waiting": {"reason": "ContainerCreating"}}
        self.last_state: dict[str, Any] = {}
        self.restarts = 0
        self.started = self.ready = False
        self.stopping = threading.Event()
        self._prepare, self._changed = prepare, changed
        self._process: subprocess.Popen[bytes] | None = None
        self._sandbox: Sandbox | None = None
        self._variables: dict[str, str] = {}
        self._lock = threading.Lock()

    @property
    def status(self) -> dict[str, Any]:
        return {
            "name": self.spec["name"],
            "image": self.spec["image"],
            "imageID": f"process://{self.spec['image']}",
            "containerID": f"process://{self.logs}/{self.restarts}",
            "restartCount": self.restarts,
            "ready": self.ready,
            "started": self.started,
            "state": self.state,
            "lastState": self.last_state,
        }

    @property
    def exit_code(self) -> int | None:
        """Of the last run; None before it ended."""
        return self.state["terminated"]["exitCode"] if "terminated" in self.state else None

    @property
    def running(self) -> bool:
        return "running" in self.state

    def run(self) -> None:
        """Blocks until the container ended for good."""
        while not self.stopping.is_set():
            process = self._start()
            if process is None:
                self.stopping.wait(RETRY_SECONDS)
                continue
            started = now()
            probes = threading.Thread(target=self._probe, args=(process,), daemon=True)
            probed = [name for name in ("startupProbe", "readinessProbe", "livenessProbe") if self.spec.get(name)]
            self.started = "startupProbe" not in probed
            self.ready = self.started and "readinessProbe" not in probed
            self._become({"running": {"startedAt": started}})
            if probed:
                probes.start()
            assert process.stdout is not None
            _copy(process.stdout, self.logs / f"{self.restarts}.log")
            code = process.wait()
            code = code if code >= 0 else 128 - code
            self.started = self.ready = False
            reason = "Completed" if code == 0 else "Error"
            ended = {"exitCode": code, "reason": reason, "startedAt": started, "finishedAt": now()}
            self._become({"terminated": ended})
            over = self.restart_policy == "Never" or (self.restart_policy == "OnFailure" and code == 0)
            if over or self.stopping.wait(min(2**self.restarts, LONGEST_BACK_OFF_SECONDS)):
                return
            self.last_state = {"terminated": ended}
            self.restarts += 1

    def signal(self, number: signal.Signals) -> None:
        """To the container's first process, which is process 1 to itself: it ignores what it does not handle."""
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._process is None or self._process.poll() is not None:
                return
            first = self._first_process()
            os.kill(self._process.pid if first is None else first, number)

    def before_stop(self) -> None:
        """Runs the preStop command, if there is one."""
        hook = ((self.spec.get("lifecycle") or {}).get("preStop") or {}).get("exec")
        if hook and self.running:
            self.runs(hook["command"], timeout=None)

    def runs(self, command: list[str], timeout: float | None) -> bool:
        """Whether a command in the container ends well within this time."""
        with self._lock:
            first = self._first_process()
        if first is None or self._sandbox is None:
            return False
        inside = self._sandbox.inside(first, command)
        process = _starter.submit(
            subprocess.Popen, inside, env=self._variables, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ).result()
        try:
            return process.wait(timeout) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return False

    def _first_process(self) -> int | None:
        if self._process is None or self._process.poll() is not None:
            return None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return int(children[0]) if children else None

    def _start(self) -> subprocess.Popen[bytes] | None:
        try:
            command, self._variables, self._sandbox = self._prepare(self)
        except ImageUnknown as unknown:
            self._become({"waiting": {"reason": "ErrImagePull", "message": str(unknown)}})
            return None
        except ConfigMissing as missing:
            self._become({"waiting": {"reason": "CreateContainerConfigError", "message": str(missing)}})
            return None
        self.logs.mkdir(parents=True, exist_ok=True)
        self._sandbox.layer.mkdir(parents=True, exist_ok=True)
        with self._lock:
            if self.stopping.is_set():
                return None
            self._process = _starter.submit(
                subprocess.Popen,
                self._sandbox.command(command),
                env=self._variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ).result()
            return self._process

    def _become(self, state: dict[str, Any]) -> None:
        if state != self.state or "running" in state:
            self.state = state
            self._changed()

    def _probe(self, process: subprocess.Popen[bytes]) -> None:
        named = {port["name"]: port["containerPort"] for port in self.spec.get("ports") or [] if "name" in port}

        def probe(kind: str) -> Probe | None:
            described = self.spec.get(kind)
            return described and Probe(described, lambda: answers(described, named, self.runs))

        startup, readiness, liveness = (probe(kind) for kind in ("startupProbe", "readinessProbe", "livenessProbe"))
        begun = time.monotonic()
        while process.poll() is None and not self.stopping.is_set():
            waiting = [startup] if startup and not self.started else [item for item in (readiness, liveness) if item]
            if not waiting:
                return
            due = min(waiting, key=lambda item: item.due)
            if self.stopping.wait(max(0.0, begun + due.due - time.monotonic())) or process.poll() is not None:
                return
            verdict = due.ask(time.monotonic() - begun)
            if due is startup and verdict:
                self.started, self.ready = True, readiness is None
                self._changed()
            elif due is readiness and verdict is not None and verdict != self.ready:
                self.ready = verdict
                self._changed()
            elif due is not readiness and verdict is False:
                self.signal(signal.SIGTERM)
                if self.stopping.wait(2):
                    return
                self.signal(signal.SIGKILL)


def _copy(output: IO[bytes], log: Path) -> None:
    """Each line gets the time at which it was written, in nanoseconds: readers of pod logs rely on it."""
    with log.open("ab") as file:
        for line in output:
            nanoseconds = time.time_ns()
            moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(nanoseconds // 10**9))
            file.write(f"{moment}.{nanoseconds % 10**9:09d}Z ".encode() + line.rstrip(b"\n") + b"\n")
            file.flush()
