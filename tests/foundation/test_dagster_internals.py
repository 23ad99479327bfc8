"""What an upgrade of Dagster must check: each promise here is one that a module of ours stands on.

Run against the Dagster that is installed. A test that fails names our module; what Dagster does with the calls is held by
the tests of that module (`execution/test_resuming`, `tests/operations`, `tests/cluster`).
"""

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

import dagster as dg
import dagster_k8s
import pytest
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.executor.step_delegating import step_delegating_executor
from dagster._core.storage.event_log.schema import PendingStepsTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster_k8s import K8sRunLauncher

from platform_assets.environment import PACKAGE
from platform_assets.foundation.dagster_internals import core, on_kubernetes
from platform_assets.foundation.execution import (
    api_server,
    coordinator,
    launcher,
    local_launcher,
    pod_launcher,
    pods,
    run_tags,
)
from tests.support.processes import run_python

INTERNALS = PACKAGE / "foundation" / "dagster_internals"
# Methods of ours that Dagster calls in place of its own: it must go on calling them by these names.
OVERRIDDEN: dict[type, str] = {
    coordinator.StampingRunCoordinator: "submit_run",
    launcher.PlatformRunLauncher: "config_type from_config_value inst_data launch_run supports_resume_run terminate",
    local_launcher.LocalRunLauncher: "check_run_worker_health supports_check_run_worker_health terminate",
    pod_launcher.PodRunLauncher: "check_run_worker_health from_config_value resume_run terminate",
    pods.PodStepHandler: "check_step_health launch_step _get_container_context",
    pods.ResumableExecution: "rebuild_from_events",
    pods.PodExecutor: "_pop_events log_failure_or_retry_event_after_error",
    api_server.PatientClient: "create_namespaced_job_with_retries get_job_status",
}
# Methods and attributes of Dagster's that ours use though nobody promises them: (our module, who has them, their names).
ATTRIBUTES: list[tuple[str, type, str]] = [
    ("coordinator", dg.QueuedRunCoordinator, "_instance"),
    ("local_launcher", dg.DefaultRunLauncher, "_instance"),
    ("local_launcher", dg.DagsterEvent, "pid"),
    ("pod_launcher", K8sRunLauncher, "_instance _api_client _get_resume_attempt_number get_container_context_for_run"),
    ("pods", K8sRunLauncher, "job_namespace load_incluster_config kubeconfig_file"),
    ("pods", on_kubernetes.K8sStepHandler, "_api_client _get_step_key _get_k8s_step_job_name"),
    ("pods", on_kubernetes.StepDelegatingExecutor, "_step_handler"),
    ("pods", on_kubernetes.ActiveExecution, "_instance_concurrency_context _in_flight _executable"),
    ("pods", InstanceConcurrencyContext, "_instance _run_id claim free_step"),
    ("api_server", on_kubernetes.DagsterKubernetesClient, "batch_api core_api logger sleeper timer"),
    ("api_server", on_kubernetes.DagsterK8sUnrecoverableAPIError, "k8s_api_exception original_exc_info"),
]
# What ours call with arguments of these names: (our module, what is called, the names).
CALLS: list[tuple[str, Any, str]] = [
    ("coordinator", dg.SubmitRunContext, "dagster_run workspace"),
    ("pod_launcher", on_kubernetes.get_job_name_from_run_id, "resume_attempt_number"),
    ("pods", on_kubernetes.K8sStepHandler, "image container_context load_incluster_config kubeconfig_file"),
    (
        "pods",
        on_kubernetes.StepDelegatingExecutor,
        "step_handler retries check_step_health_interval_seconds max_concurrent should_verify_step",
    ),
    ("pods", on_kubernetes.K8sContainerContext, "env_vars service_account_name run_k8s_config"),
    ("pods", on_kubernetes.UserDefinedDagsterK8sConfig, "job_spec_config pod_spec_config"),
    ("pods", core.StepRetryData, "error seconds_to_wait"),
    ("pods", InstanceConcurrencyContext.claim, "concurrency_key step_key step_priority"),
    ("operations.janitor.slots", SqlEventLogStorage.assign_pending_steps, "concurrency_keys"),
]


def test_private_names_of_dagster_stand_in_one_module() -> None:
    elsewhere = {
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in PACKAGE.rglob("*.py")
        if not path.is_relative_to(INTERNALS)
        for name in _imports(path)
        if _is_private(name)
    }
    assert elsewhere == set(), "import these through platform_assets.foundation.dagster_internals"
    assert any(_is_private(name) for path in INTERNALS.glob("*.py") for name in _imports(path)), "the scan sees nothing"


@pytest.mark.parametrize("module", ["execution.launcher", "foundation.dagster_internals.storage"])
def test_what_pods_without_rights_import_does_not_load_kubernetes(module: str) -> None:
    code = f"import sys, platform_assets.{module}; print(*sys.modules)"
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    assert not {"kubernetes", "dagster_k8s"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind, names in OVERRIDDEN.items() for name in names.split()],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_dagster_calls_what_ours_override(kind: type, name: str) -> None:
    relies = f"{kind.__module__}.{kind.__name__} relies on it"
    base = next((parent for parent in kind.__mro__[1:] if name in vars(parent)), None)
    assert base is not None, f"no base class has {name} any more; {relies}"
    theirs, own = (_parameters(_function(owner, name)) for owner in (base, kind))
    assert own[: len(theirs)] == theirs, f"{name} takes others; {relies}"
    assert re.search(rf"\.{name}\b", _source_of_dagster()), f"nothing in Dagster calls {name}; {relies}"


@pytest.mark.parametrize("kind", OVERRIDDEN, ids=lambda kind: kind.__name__)
def test_every_method_that_ours_override_is_in_the_list(kind: type) -> None:
    of_bases = {name for parent in kind.__mro__[1:-1] for name in vars(parent)}
    overriding = {name for name in vars(kind) if name in of_bases and not name.startswith(("__", "_abc_"))}
    assert overriding == set(OVERRIDDEN[kind].split())


@pytest.mark.parametrize(
    ("user", "owner", "name"),
    [(user, owner, name) for user, owner, names in ATTRIBUTES for name in names.split()],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_an_attribute_that_ours_use_is_there(user: str, owner: type, name: str) -> None:
    makers = [vars(parent)["__init__"] for parent in owner.__mro__[:-1] if "__init__" in vars(parent)]
    assigned = {attribute for maker in makers if hasattr(maker, "__code__") for attribute in _names_of(maker.__code__)}
    assert hasattr(owner, name) or name in assigned, f"{user} relies on {owner}.{name}"


@pytest.mark.parametrize(("user", "called", "names"), CALLS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_call_that_ours_make_is_taken(user: str, called: Any, names: str) -> None:
    missing = set(names.split()) - set(_parameters(called))
    assert not missing, f"{called} takes no {missing}; {user} relies on it"


def test_the_executor_makes_its_account_of_steps_by_the_name_that_is_patched() -> None:
    execute = on_kubernetes.StepDelegatingExecutor.execute
    assert "ActiveExecution" in _names_of(execute.__code__), "pods.ResumableExecution is put in its place"
    assert execute.__globals__ is vars(step_delegating_executor)
    assert step_delegating_executor.ActiveExecution is pods.ResumableExecution, "importing pods is to patch it"


def test_rebuilding_a_run_claims_slots_through_the_context_that_is_taken_away() -> None:
    # `test_resuming` has what goes wrong otherwise, and fails on the day on which Dagster has mended it.
    assert "_instance_concurrency_context" in _names_of(on_kubernetes.ActiveExecution.get_steps_to_execute.__code__)


def test_a_steps_job_is_named_by_its_attempt() -> None:
    source = inspect.getsource(on_kubernetes.K8sStepHandler._get_k8s_step_job_name)
    assert '"dagster-step-%s-%d"' in source, "pods.PodStepHandler.launch_step derives the name of the attempt before"


def test_jobs_of_a_run_are_told_apart_by_the_attempt_to_resume_it() -> None:
    names = [on_kubernetes.get_job_name_from_run_id("r", resume_attempt_number=attempt) for attempt in (None, 1, 2)]
    assert names == ["dagster-run-r", "dagster-run-r-1", "dagster-run-r-2"], "pod_launcher.PodRunLauncher relies on it"


def test_a_waiting_step_is_a_row_that_its_pool_run_and_key_name() -> None:
    columns = {"concurrency_key", "run_id", "step_key", "priority", "assigned_timestamp"}
    assert columns <= set(PendingStepsTable.c.keys()), "operations.janitor.ageing and slots rely on it"


def test_every_storage_that_knows_pools_is_an_sql_storage() -> None:
    from dagster._core.storage.event_log.base import EventLogStorage
    from dagster_postgres import PostgresEventLogStorage  # as deploy/**/dagster.yaml names it by `storage: postgres`

    assert issubclass(PostgresEventLogStorage, SqlEventLogStorage), "dagster_internals.storage relies on it"
    assert not inspect.getattr_static(EventLogStorage, "supports_global_concurrency_limits").fget(None)


def test_tags_are_called_as_ours_are() -> None:
    from dagster._core.storage.tags import PRIORITY_TAG
    from dagster_k8s.job import USER_DEFINED_K8S_CONFIG_KEY

    assert PRIORITY_TAG == run_tags.PRIORITY_TAG, "run_tags and operations.janitor.ageing write it"
    assert USER_DEFINED_K8S_CONFIG_KEY == run_tags.K8S_TAG, "run_tags and profiles write it"


def test_an_event_can_be_copied_with_another_type_and_content() -> None:
    assert {"event_type_value", "event_specific_data"} <= set(dg.DagsterEvent._fields), "pods._another_attempt does"


def test_a_code_server_tells_in_a_run_s_tags_where_it_is() -> None:
    source = inspect.getsource(dg.DefaultRunLauncher.launch_run_from_grpc_client)
    assert "GRPC_INFO_TAG" in source, "local_launcher asks it for the machine"
    assert '"host"' in source, "local_launcher asks it for the machine"


def test_the_event_that_starts_a_run_is_of_the_process_that_executes_it() -> None:
    assert "pid=os.getpid()" in inspect.getsource(dg.DagsterEvent.from_job), "local_launcher looks at that process"
    assert "from_job" in inspect.getsource(dg.DagsterEvent.job_start)


def test_a_lost_pod_is_told_in_the_words_that_the_janitor_looks_for() -> None:
    from platform_assets.operations.janitor.lost_pods import LOST

    source = inspect.getsource(on_kubernetes.StepDelegatingExecutor.execute)
    assert LOST in source, "operations.janitor counts lost pods by these words"


def _is_private(name: str) -> bool:
    root, _, rest = name.partition(".")
    if root == "dagster":
        return rest.startswith("_") or (bool(rest) and not hasattr(dg, rest.partition(".")[0]))
    # Their top level exports what is theirs to be used; `dagster_shared` is Dagster's own.
    return root == "dagster_shared" or (root in ("dagster_k8s", "dagster_postgres") and "." in rest)


def _imports(path: Path) -> Iterator[str]:
    """Dotted names of everything that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (f"{alias.name}." if "." in alias.name else alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _function(kind: type, name: str) -> Any:
    """The function behind a method, class method or property."""
    member = inspect.getattr_static(kind, name)
    return getattr(member, "fget", None) or getattr(member, "__func__", member)


def _parameters(called: Any) -> list[str]:
    return list(inspect.signature(called).parameters)


def _names_of(code: CodeType) -> set[str]:
    """The names that a function's code and the functions within it look up."""
    return set(code.co_names).union(*(_names_of(part) for part in code.co_consts if isinstance(part, CodeType)))


@cache
def _source_of_dagster() -> str:
    folders = [Path(inspect.getfile(package)).parent for package in (dg, dagster_k8s)]
    return "\n".join(path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.py"))
