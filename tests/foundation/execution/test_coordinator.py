"""Every run is stamped, whichever way it was launched: a real daemon launches them all.

The definitions that launch runs of themselves are in `launching.py`; runs launched through the web server are the
cluster's tests' business.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from platform_assets.environment import REPOSITORY

MODULE = "tests.foundation.execution.launching"
# Quiet, all ways together take little more than the minute that a schedule may wait for; a loaded machine takes longer.
PATIENCE_SECONDS = 240
HOME = {
    "telemetry": {"enabled": False},
    "run_coordinator": {
        "module": "platform_assets.foundation.execution.coordinator",
        "class": "StampingRunCoordinator",
        "config": {"dequeue_interval_seconds": 1},
    },
    "run_retries": {"enabled": True},
}


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance with a back-fill to do, whose daemon is running."""
    home = tmp_path_factory.mktemp("home")
    (home / "dagster.yaml").write_text(yaml.safe_dump(HOME))
    variables = os.environ | {"DAGSTER_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "yes"}
    asked = subprocess.run(
        [_program("dagster"), "job", "backfill", "-m", MODULE, "-j", "days", "--partitions", "one", "--noprompt"],
        cwd=REPOSITORY, env=variables, capture_output=True, text=True,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    with (home / "daemon.log").open("wb") as log:
        daemon = subprocess.Popen(
            [_program("dagster-daemon"), "run", "-m", MODULE],
            cwd=REPOSITORY, env=variables, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        with dg.DagsterInstance.from_config(str(home)) as opened:
            yield opened
    finally:
        os.killpg(daemon.pid, signal.SIGTERM)
        daemon.wait(60)


WAYS: dict[str, Callable[[dg.DagsterRun], bool]] = {
    "schedule": lambda run: run.tags.get("dagster/schedule_name") == "every_minute",
    "sensor": lambda run: run.tags.get("dagster/sensor_name") == "once" and run.parent_run_id is None,
    "automation": lambda run: run.tags.get("dagster/from_automation_condition") == "true",
    "back-fill": lambda run: "dagster/backfill" in run.tags,
    "retry": lambda run: run.parent_run_id is not None,
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_run_is_stamped(instance: dg.DagsterInstance, way: str) -> None:
    run = _submitted(instance, way)
    env = json.loads(run.tags.get("dagster-k8s/config", "{}")).get("container_config", {}).get("env")
    assert env == [{"name": "PLATFORM_SCOPE", "value": "campaign:winback"}]
    assert run.tags["campaign"] == "winback"
    assert int(run.tags["dagster/priority"]) > 0


def _submitted(instance: dg.DagsterInstance, way: str) -> dg.DagsterRun:
    """The first run launched this way that has passed the coordinator; stamped or not."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        runs = [run for run in instance.get_runs() if run.status != dg.DagsterRunStatus.NOT_STARTED]
        found = [run for run in runs if WAYS[way](run)]
        if found:
            return found[-1]
        assert time.monotonic() < deadline, f"no run by {way} among {[run.tags for run in instance.get_runs()]}"
        time.sleep(0.5)


def _program(name: str) -> str:
    return str(Path(sys.executable).parent / name)
