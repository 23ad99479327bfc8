"""Every run is stamped, whichever way it was launched: a real daemon launches them all; and foreign tags are refused.

The definitions that launch runs of themselves are in `launching.py`. What the web server's buttons ask is asked here of its
GraphQL schema, over a real code server; on a cluster it is the cluster's tests' business.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster_graphql.cli import execute_query

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


LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}"""
AGAIN = """
mutation Again($params: ReexecutionParams!) {
  launchRunReexecution(reexecutionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}"""
SECRET = {
    "container_config": {
        "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "other", "key": "secret-value"}}}]
    }
}


class WebServer:
    """What the web server's buttons do, by its GraphQL schema."""

    def __init__(self, context: WorkspaceProcessContext) -> None:
        self._context = context
        self.instance = context.instance

    def launch(self, job: str, tags: dict[str, str]) -> dict[str, str]:
        selector = {"repositoryLocationName": "here", "repositoryName": "__repository__", "jobName": job}
        entries = [{"key": key, "value": value} for key, value in tags.items()]
        params = {"selector": selector, "executionMetadata": {"tags": entries}, "runConfigData": {}}
        return self._ask(LAUNCH, "launchRun", params)

    def again(self, run: str) -> dict[str, str]:
        return self._ask(AGAIN, "launchRunReexecution", {"parentRunId": run, "strategy": "ALL_STEPS"})

    def tags(self, launched: dict[str, str]) -> Mapping[str, str]:
        """Those of a run that was queued."""
        assert launched["__typename"] == "LaunchRunSuccess", launched
        run = self.instance.get_run_by_id(launched["run"]["runId"])  # type: ignore[index]
        assert run is not None
        assert run.status == dg.DagsterRunStatus.QUEUED
        return run.tags

    def _ask(self, query: str, name: str, params: object) -> dict[str, str]:
        told = execute_query(self._context, query, variables={"params": params})
        assert "errors" not in told, told
        return told["data"][name]


@pytest.fixture(scope="module")
def web_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """One without a daemon: what it has queued stays queued."""
    home = tmp_path_factory.mktemp("queue")
    (home / "dagster.yaml").write_text(yaml.safe_dump(HOME))
    target = ModuleTarget(module_name=MODULE, attribute=None, working_directory=str(REPOSITORY), location_name="here")
    with (
        dg.DagsterInstance.from_config(str(home)) as opened,
        WorkspaceProcessContext(opened, target) as context,
    ):
        yield WebServer(context)


@pytest.mark.parametrize(
    ("job", "name", "value"),
    [
        ("due_now", "dagster-k8s/config", json.dumps(SECRET)),
        ("sized", "dagster-k8s/config", json.dumps(SECRET)),
        ("due_now", "dagster-k8s/config", "secret-value is no JSON"),
        ("due_now", "ecs/cpu", "secret-value"),
        ("sized", "team", "secret-value"),
    ],
    ids=["secret", "secret beside the job's own", "no JSON", "another launcher's", "not as the job has it"],
)
def test_a_foreign_tag_is_refused_with_a_sentence_that_does_not_repeat_its_value(
    web_server: WebServer, job: str, name: str, value: str
) -> None:
    before = len(web_server.instance.get_runs())
    told = web_server.launch(job, {name: value})
    assert f"is refused for its tag {name}: " in told["message"]
    assert "launch it without" in told["message"]
    assert "secret-value" not in told["message"]
    refused, *_ = web_server.instance.get_runs()
    assert len(web_server.instance.get_runs()) == before + 1
    assert refused.status == dg.DagsterRunStatus.FAILURE
    assert any(f"for its tag {name}: " in entry.message for entry in web_server.instance.all_logs(refused.run_id))


def test_a_refused_run_is_refused_again_when_it_is_executed_again(web_server: WebServer) -> None:
    web_server.launch("due_now", {"dagster-k8s/config": json.dumps(SECRET)})
    refused, *_ = web_server.instance.get_runs()
    assert "is refused for its tag dagster-k8s/config: " in web_server.again(refused.run_id)["message"]


def test_what_people_may_set_is_queued_and_executed_again(web_server: WebServer) -> None:
    asked = {"dagster/priority": "7", "dagster/max_retries": "0"}
    first = web_server.launch("due_now", asked)
    again = web_server.again(first["run"]["runId"])  # type: ignore[index]
    third = web_server.again(again["run"]["runId"])  # type: ignore[index]
    for launched in (first, again, third):
        tags = web_server.tags(launched)
        assert asked.items() <= tags.items()
        assert _env(tags) == [{"name": "PLATFORM_SCOPE", "value": "campaign:winback"}]


def test_tags_that_a_job_has_in_code_are_kept_and_executed_again(web_server: WebServer) -> None:
    first = web_server.launch("sized", {})
    again = web_server.again(first["run"]["runId"])  # type: ignore[index]
    for launched in (first, again):
        tags = web_server.tags(launched)
        assert tags["team"] == "loyalty"
        container = json.loads(tags["dagster-k8s/config"])["container_config"]
        assert container["resources"] == {"limits": {"cpu": "4"}}
        assert _env(tags) == [{"name": "PLATFORM_SCOPE", "value": "campaign:winback"}]


def _env(tags: Mapping[str, str]) -> object:
    return json.loads(tags["dagster-k8s/config"])["container_config"]["env"]


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
