"""On one machine, a run whose process is gone does not hold the queue: it is failed, and the next one starts.

Processes are real, and killed; the UI is `dagster dev`, asked as its pages ask.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from platform_assets.environment import REPOSITORY
from platform_assets.foundation.dagster_internals.core import GRPC_INFO_TAG, WorkerStatus
from platform_assets.foundation.execution.run_tags import PROCESS_TAG
from tests.support.processes import free_port

MODULE = "tests.foundation.execution.waiting"
PATIENCE_SECONDS = 90
LAUNCH = """mutation ($location: String!, $config: RunConfigData!) {
  launchRun(executionParams: {runConfigData: $config, selector: {
    repositoryLocationName: $location, repositoryName: "__repository__", jobName: "waits"
  }}) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A DAGSTER_HOME as `make ui` makes it, whose queue is looked at oftener."""
    settings = yaml.safe_load((REPOSITORY / "deploy" / "local" / "dagster.yaml").read_text(encoding="utf-8"))
    settings["run_coordinator"]["config"]["dequeue_interval_seconds"] = 1
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home)) as opened:
        yield opened


def _config(file: Path) -> dict[str, Any]:
    return {"ops": {"wait": {"config": {"file": str(file)}}}}


def _until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def _process(home: Path, *command: str) -> "subprocess.Popen[bytes]":
    """A command in a process group of its own, started as a shell starts what it puts into the background."""
    variables = os.environ | {"DAGSTER_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "yes"}
    with (home / "said.log").open("ab") as log:
        return subprocess.Popen(
            ["bash", "-c", 'trap "" INT; exec "$@"', "-", *command],
            cwd=REPOSITORY, env=variables, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _recipe() -> list[str]:
    """What `make ui` starts `dagster dev` with."""
    recipe = re.search(r"^\texec (.*)\$\(BIN\)/dagster dev ", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    return recipe[1].split()


@dataclass(frozen=True)
class Ui:
    """The web UI as its pages ask it."""

    address: str

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/server_info", timeout=5):
                return True
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return False

    def launch(self, file: Path) -> str:
        """Start a run that waits for a file; its id."""
        asked = {"query": LAUNCH, "variables": {"location": MODULE, "config": _config(file)}}
        request = urllib.request.Request(
            f"{self.address}/graphql", json.dumps(asked).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            launched = json.load(answer)["data"]["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])


@contextmanager
def _ui(home: Path) -> Iterator[tuple[Ui, "subprocess.Popen[bytes]"]]:
    """The web UI as `make ui` starts it, and its process, of whose group is everything that it starts."""
    ui = Ui(f"http://127.0.0.1:{(port := free_port())}")
    process = _process(home, *_recipe(), _program("dagster"), "dev", "-m", MODULE, "-h", "127.0.0.1", "-p", str(port))
    try:
        _until(lambda: ui.answers() or process.poll() is not None, "the web UI does not answer")
        yield ui, process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_after_everything_was_killed_the_ui_starts_the_next_run_and_says_what_became_of_the_last(
    home: Path, instance: dg.DagsterInstance
) -> None:
    status = lambda run_id: instance.get_run_by_id(run_id).status  # type: ignore[union-attr]  # noqa: E731
    with _ui(home) as (ui, process):
        killed = ui.launch(home / "never")
        _until(lambda: status(killed) == dg.DagsterRunStatus.STARTED, "the first run does not start")
        os.killpg(process.pid, signal.SIGKILL)
    assert status(killed) == dg.DagsterRunStatus.STARTED

    (home / "there").touch()
    with _ui(home) as (ui, _):
        following = ui.launch(home / "there")
        _until(lambda: status(following) == dg.DagsterRunStatus.SUCCESS, (home / "said.log").read_text())
    assert status(killed) == dg.DagsterRunStatus.FAILURE
    assert "is gone and did not say how the run ended" in _last_words(instance, killed)


def _last_words(instance: dg.DagsterInstance, run_id: str) -> str:
    ends = {dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED}
    [entry] = instance.all_logs(run_id, of_type=ends)
    return str(entry.get_dagster_event().message)


def _health(instance: dg.DagsterInstance, run: dg.DagsterRun) -> WorkerStatus:
    seen = instance.get_run_by_id(run.run_id)
    assert seen is not None
    return instance.run_launcher.check_run_worker_health(seen).status


def test_a_run_whose_code_server_is_gone_goes_on_and_can_be_ended(home: Path, instance: dg.DagsterInstance) -> None:
    (home / "run.yaml").write_text(json.dumps(_config(home / "never")))
    process = _process(
        home, _program("dagster"), "job", "execute", "-m", MODULE, "-j", "waits", "-c", str(home / "run.yaml")
    )
    started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    try:
        _until(lambda: bool(instance.get_runs(started)), "the run does not start")
        [run] = instance.get_runs(started)
        nobody = {"host": "localhost", "socket": str(home / "no-socket")}
        instance.add_run_tags(run.run_id, {GRPC_INFO_TAG: json.dumps(nobody)})
        assert _health(instance, run) == WorkerStatus.RUNNING
        assert instance.run_launcher.terminate(run.run_id)
        process.wait(PATIENCE_SECONDS)
        assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.CANCELED  # type: ignore[union-attr]
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM], ids=lambda told: told.name)
def test_the_ui_ends_when_it_is_told_to_though_it_was_put_into_the_background(home: Path, told: signal.Signals) -> None:
    # What `dagster dev` does first: it takes SIGTERM as it takes SIGINT, and that as it was handed down.
    code = "from dagster._utils.interrupts import setup_interrupt_handlers as s; s(); print(1, flush=True); input()"
    process = _process(home, *_recipe(), sys.executable, "-c", code)
    try:
        _until(lambda: (home / "said.log").read_bytes().startswith(b"1"), "the process does not start")
        process.send_signal(told)
        process.wait(PATIENCE_SECONDS)
    finally:
        process.kill()
        process.wait()
    assert "KeyboardInterrupt" in (home / "said.log").read_text()


def _started_by(instance: dg.DagsterInstance, pid: int, tags: dict[str, str] | None = None) -> dg.DagsterRun:
    """A run that says that it was started just now, by a process of this number."""
    run = instance.create_run_for_job(dg.job(name="any")(lambda: None), tags=tags)
    event = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, "any", pid=pid)
    instance.handle_new_event(
        dg.EventLogEntry(None, "debug", "", run.run_id, time.time(), job_name="any", dagster_event=event)
    )
    return run


def test_a_run_is_lost_when_its_process_is_and_not_before(instance: dg.DagsterInstance) -> None:
    with subprocess.Popen(["sleep", "600"]) as process:
        run = _started_by(instance, process.pid)
        assert _health(instance, run) == WorkerStatus.RUNNING
        process.kill()
        # What is left of a process until its parent asks for it does nothing any more.
        _until(lambda: _health(instance, run) == WorkerStatus.NOT_FOUND, "the run still counts as running")
    assert _health(instance, run) == WorkerStatus.NOT_FOUND
    assert instance.run_launcher.terminate(run.run_id), "a lost run cannot be ended"
    assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.CANCELED  # type: ignore[union-attr]
    assert f"its process {process.pid} is gone" in _last_words(instance, run.run_id)


def test_a_process_that_got_the_number_of_one_that_is_gone_is_not_the_run_s(instance: dg.DagsterInstance) -> None:
    with subprocess.Popen(["sleep", "600"]) as late:
        note = {"pid": late.pid, "started": 3.0}
        run = _started_by(instance, late.pid)
        instance.add_run_tags(run.run_id, {PROCESS_TAG: json.dumps({"run": run.run_id, **note})})
        again = _started_by(instance, os.getpid(), {PROCESS_TAG: json.dumps({"run": "the one before", **note})})
        assert _health(instance, run) == WorkerStatus.NOT_FOUND
        assert _health(instance, again) == WorkerStatus.RUNNING
        late.kill()


def test_a_run_on_another_machine_is_left_to_that(instance: dg.DagsterInstance) -> None:
    run = _started_by(instance, 2**22 + 1, {GRPC_INFO_TAG: json.dumps({"host": "code-server", "port": 4000})})
    assert _health(instance, run) == WorkerStatus.RUNNING
    assert _health(instance, _started_by(instance, 2**22 + 1)) == WorkerStatus.NOT_FOUND
