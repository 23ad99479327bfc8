"""Runs whose steps have pods, on an API server that a test plays.

Belongs here: the instance that leads there, and what came of a step. Does not belong here: what the API server answers.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from tests.support.answering import Reply, Request, answering

Executing = Callable[[dg.JobDefinition, Callable[[Request], Reply | None]], dg.JobExecutionResult]


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kubernetes") / "kubeconfig"


@pytest.fixture(scope="session")
def launches_pods(kubeconfig: Path) -> Iterator[dg.DagsterInstance]:
    """An instance that launches pods where `kubeconfig` says."""
    settings = {
        "service_account_name": "platform-run",
        "instance_config_map": "instance",
        "job_image": "image",
        "load_incluster_config": False,
        "kubeconfig_file": str(kubeconfig),
        "job_namespace": "platform",
    }
    launcher = {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": settings}
    kubeconfig.write_text(_config_of("http://127.0.0.1:1"))
    with dg.DagsterInstance.local_temp(str(kubeconfig.parent), overrides={"run_launcher": launcher}) as instance:
        yield instance


@pytest.fixture
def executing(launches_pods: dg.DagsterInstance, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> Executing:
    """Runs a job of a test's module on an API server that answers so."""
    from platform_assets.foundation.execution import pods

    monkeypatch.setattr(pods, "HEALTH_INTERVAL_SECONDS", 0)
    monkeypatch.setenv("DAGSTER_STEP_DELEGATING_EXECUTOR_SLEEP_SECONDS", "0.01")

    def execute(job: dg.JobDefinition, reply: Callable[[Request], Reply | None]) -> dg.JobExecutionResult:
        with answering(reply) as url:
            kubeconfig.write_text(_config_of(url))
            return dg.execute_job(dg.reconstructable(job), launches_pods)

    return execute


def errors_of(result: dg.JobExecutionResult, step: str) -> list[str]:
    """What the attempts at a step ended with, in order."""
    events = [event for event in result.all_events if event.step_key == step]
    retries = [event.step_retry_data.error for event in events if event.is_step_up_for_retry]
    failures = [event.step_failure_data.error for event in events if event.is_step_failure]
    return [str(error.message) for error in (*retries, *failures) if error is not None]


def _config_of(url: str) -> str:
    named = {
        "clusters": [{"name": "here", "cluster": {"server": url}}],
        "users": [{"name": "me", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
    }
    return yaml.safe_dump(named | {"current-context": "here"})
