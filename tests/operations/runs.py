"""Runs of one small job in every state, written into an instance by Dagster's own calls."""

from typing import Any

import dagster as dg
from dagster._core.events import DagsterEvent, DagsterEventType, StepFailureData, StepRetryData, StepSuccessData
from dagster._core.execution.api import create_execution_plan
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._utils.error import SerializableErrorInfo

# Where the daemon would find the job; nobody asks for it.
LOCATION = GrpcServerCodeLocationOrigin(host="code-platform", port=4266, location_name="platform")
ORIGIN = RemoteRepositoryOrigin(LOCATION, "__repository__").get_job_origin("training")
RUNNING = dg.DagsterRunStatus.STARTED
QUEUED = dg.DagsterRunStatus.QUEUED
FINISHED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


@dg.op(pool="gpu", tags={"campaign": "spring", "platform/spot": "true"})
def fold_0() -> None: ...


@dg.op(pool="gpu", tags={"campaign": "spring", "platform/spot": "true"})
def fold_1() -> None: ...


@dg.job
def training() -> None:
    fold_0()
    fold_1()


def a_run(
    instance: dg.DagsterInstance,
    status: dg.DagsterRunStatus = RUNNING,
    tags: dict[str, str] | None = None,
    parent: dg.DagsterRun | None = None,
) -> dg.DagsterRun:
    """A run in that state, come to it through the events that lead there."""
    run = instance.create_run_for_job(
        training,
        execution_plan=create_execution_plan(training),
        tags=tags,
        remote_job_origin=ORIGIN,
        parent_run_id=parent.run_id if parent else None,
        root_run_id=parent.run_id if parent else None,
    )
    if status == QUEUED:
        tell(instance, run, DagsterEventType.PIPELINE_ENQUEUED)
        return run
    for event in (DagsterEventType.PIPELINE_STARTING, DagsterEventType.PIPELINE_START):
        tell(instance, run, event)
    if status != RUNNING:
        finish(instance, run, status)
    return run


def finish(instance: dg.DagsterInstance, run: dg.DagsterRun, status: dg.DagsterRunStatus) -> None:
    """Ends a run."""
    if status == dg.DagsterRunStatus.SUCCESS:
        tell(instance, run, DagsterEventType.PIPELINE_SUCCESS)
    elif status == dg.DagsterRunStatus.FAILURE:
        instance.report_run_failed(run)
    else:
        instance.report_run_canceled(run)


def tell(
    instance: dg.DagsterInstance, run: dg.DagsterRun, event: DagsterEventType, step: str | None = None, data: Any = None
) -> None:
    """Writes an event of the run, or of a step of it, with what Dagster says of it."""
    written = DagsterEvent(event.value, run.job_name, step_key=step, event_specific_data=data)
    instance.report_dagster_event(written, run.run_id)


def start_step(instance: dg.DagsterInstance, run: dg.DagsterRun, step_key: str) -> None:
    """Writes that a step began."""
    tell(instance, run, DagsterEventType.STEP_START, step_key)


def end_step(instance: dg.DagsterInstance, run: dg.DagsterRun, step_key: str) -> None:
    """Writes that a step succeeded."""
    tell(instance, run, DagsterEventType.STEP_SUCCESS, step_key, StepSuccessData(duration_ms=1.0))


def lose_step(
    instance: dg.DagsterInstance,
    run: dg.DagsterRun,
    step_key: str,
    again: bool = True,
    how: str = "Discovered failed Kubernetes job dagster-step-1",
) -> None:
    """Writes what a step-delegating executor does when a step's pod is no more, and whether it repeats the step."""
    said = f"Step {step_key} failed health check: {how} for step {step_key}."
    error = SerializableErrorInfo(said, [], None)
    if again:
        tell(instance, run, DagsterEventType.STEP_UP_FOR_RETRY, step_key, StepRetryData(error))
    else:
        tell(instance, run, DagsterEventType.STEP_FAILURE, step_key, StepFailureData(error, user_failure_data=None))


def claim(instance: dg.DagsterInstance, run_id: str, step_key: str, priority: int = 0) -> bool:
    """Whether the step got the slot of the pool `gpu`; otherwise it waits."""
    return instance.event_log_storage.claim_concurrency_slot("gpu", run_id, step_key, priority).is_claimed


def forget(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Deletes the run's record alone, as a process does that ends in the middle of deleting a run."""
    instance.run_storage.delete_run(run.run_id)
