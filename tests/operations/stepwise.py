"""A run executed as on Kubernetes, with processes for pods: the run's own, and one for each step, as another role.

`python -m tests.operations.stepwise RUN` is the run's process; a step's has the variables of ROLE_OF_STEPS, as JSON.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._core.execution.api import execute_run_iterator
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.step_delegating import (
    CheckStepHealthResult,
    StepDelegatingExecutor,
    StepHandler,
    StepHandlerContext,
)

from platform_assets.foundation.dagster_internals.storage import postgres_of

ROLE_OF_STEPS = "ENVIRONMENT_OF_STEPS"
MODULE = "tests.operations.stepwise"


class Processes(StepHandler):
    """A process for each step."""

    def __init__(self) -> None:
        super().__init__()
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def name(self) -> str:
        return "processes"

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[dg.DagsterEvent]:
        arguments = step_handler_context.execute_step_args
        [step] = arguments.step_keys_to_execute or []
        command = arguments.get_command_args(skip_serialized_namedtuple=True)
        variables = {name: str(value) for each in arguments.get_command_env() for name, value in [each.values()]}
        role = json.loads(os.environ[ROLE_OF_STEPS])
        # `dagster` is a script beside the interpreter, not on every PATH.
        self.running[step] = subprocess.Popen(
            [sys.executable, "-m", *command], env=os.environ | variables | role, stdout=sys.stderr
        )
        yield from ()

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        [step] = step_handler_context.execute_step_args.step_keys_to_execute or []
        ended = self.running[step].poll()
        return CheckStepHealthResult.unhealthy(f"{ended}") if ended else CheckStepHealthResult.healthy()

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[dg.DagsterEvent]:
        [step] = step_handler_context.execute_step_args.step_keys_to_execute or []
        self.running[step].terminate()
        yield from ()


@dg.executor(name="processes", requirements=dg.multiple_process_executor_requirements())
def in_processes(_: dg.InitExecutorContext) -> dg.Executor:
    return StepDelegatingExecutor(
        Processes(), retries=RetryMode.ENABLED, check_step_health_interval_seconds=1, should_verify_step=False
    )


@dg.asset(pool="gpu")
def first() -> None: ...


@dg.asset(deps=[first], check_specs=[dg.AssetCheckSpec("checked", asset="second")])
def second(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    user = postgres_of(context.instance)
    check = dg.AssetCheckResult(passed=True, check_name="checked")
    return dg.MaterializeResult(
        metadata={"user": (user and user.username) or ""},
        tags={"kept": "yes"},
        data_version=dg.DataVersion("1"),
        check_results=[check],
    )


defs = dg.Definitions(
    assets=[first, second], jobs=[dg.define_asset_job("both", selection=[first, second])], executor=in_processes
)


def both() -> ReconstructableJob:
    """The job, as another process can load it."""
    return ReconstructableRepository.for_module(MODULE, "defs").get_reconstructable_job("both")


if __name__ == "__main__":
    with dg.DagsterInstance.get() as instance:
        run = instance.get_run_by_id(sys.argv[1])
        assert run is not None
        for _ in execute_run_iterator(both(), run, instance):
            pass
