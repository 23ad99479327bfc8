"""A run that is resumed while another run holds the pool of its steps: Dagster's own account of steps and slots."""

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.api import create_execution_plan
from dagster._core.execution.plan.active import ActiveExecution
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.execution.retries import RetryMode

from platform_assets.foundation.execution.pods import ResumableExecution

POOL = "gpu"


@dg.op(pool=POOL)
def first() -> int:
    return 1


@dg.op(pool=POOL)
def second() -> int:
    return 2


@dg.job
def fits() -> None:
    first()
    second()


@pytest.fixture
def instance(tmp_path: Path) -> dg.DagsterInstance:
    # One in memory knows no pools.
    made = dg.DagsterInstance.local_temp(str(tmp_path))
    made.event_log_storage.set_concurrency_slots(POOL, 1)
    return made


def events_of(result: dg.ExecuteInProcessResult, step: str, launched: bool = True) -> list[dg.DagsterEvent]:
    """A step's events as a run worker on Kubernetes logs them: launched, and then what its pod says."""
    of_step = [event for event in result.all_events if event.step_key == step]
    return [*([_launch(of_step[0])] if launched else []), *of_step]


def _launch(event: dg.DagsterEvent) -> dg.DagsterEvent:
    return event._replace(event_type_value=dg.DagsterEventType.STEP_WORKER_STARTING.value, event_specific_data=None)


def resumed(
    instance: dg.DagsterInstance, run: dg.DagsterRun, kind: type[ActiveExecution], events: list[dg.DagsterEvent]
) -> tuple[list[str], list[str]]:
    plan = create_execution_plan(fits)
    with InstanceConcurrencyContext(instance, run) as slots:
        execution = kind(plan, RetryMode.ENABLED, instance_concurrency_context=slots)
        # Not left again: it would complain of steps that nobody executes here.
        execution.__enter__()
        in_flight = [step.key for step in execution.rebuild_from_events(events)]
        executable = [step.key for step in execution.get_steps_to_execute()]
    return in_flight, executable


def holders(instance: dg.DagsterInstance) -> set[str]:
    return {slot.step_key for slot in instance.event_log_storage.get_concurrency_info(POOL).claimed_slots}


def test_steps_that_ended_are_taken_for_ended_though_the_pool_is_full(instance: dg.DagsterInstance) -> None:
    result = fits.execute_in_process(instance=instance)
    instance.event_log_storage.claim_concurrency_slot(POOL, "another run", "its step")
    events = [*events_of(result, "first"), *events_of(result, "second")]
    with pytest.raises(Exception, match="not known to be in flight"):
        resumed(instance, result.dagster_run, ActiveExecution, events)
    assert resumed(instance, result.dagster_run, ResumableExecution, events) == ([], [])
    assert holders(instance) == {"its step"}


def test_a_launched_step_keeps_its_slot_and_one_that_waited_waits_again(instance: dg.DagsterInstance) -> None:
    result = fits.execute_in_process(instance=instance)
    instance.event_log_storage.claim_concurrency_slot(POOL, result.run_id, "first")
    launched = events_of(result, "first")[:1]
    assert resumed(instance, result.dagster_run, ResumableExecution, launched) == (["first"], [])
    assert holders(instance) == {"first"}


def test_a_slot_of_a_step_that_ended_as_its_worker_died_goes_to_the_next(instance: dg.DagsterInstance) -> None:
    result = fits.execute_in_process(instance=instance)
    instance.event_log_storage.claim_concurrency_slot(POOL, result.run_id, "first")
    ended = events_of(result, "first")
    assert resumed(instance, result.dagster_run, ResumableExecution, ended) == ([], ["second"])
