"""Nothing starves: what waits moves up, by its wait and by no more."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.operations.janitor.ageing import (
    BASE_PRIORITY_TAG,
    age_queued_runs,
    age_waiting_steps,
    aged_priority,
    queued_runs,
)
from platform_assets.operations.janitor.slots import pool_states
from tests.operations.runs import QUEUED, a_run, claim, forget

DAY = 24 * 3600
BASES = st.integers(0, 100)
WAITS = st.floats(0, 30 * DAY)


def after(hours: float) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)


def priority(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.tags.get("dagster/priority")


@pytest.mark.parametrize(
    ("waited", "aged"), [(0, 5), (3599, 5), (3600, 6), (7200, 7), (DAY, 29), (-30, 5)], ids=lambda value: str(value)
)
def test_every_hour_counts_one(waited: float, aged: int) -> None:
    assert aged_priority(5, waited) == aged


@given(BASES, BASES, WAITS)
def test_of_two_that_wait_equally_long_the_more_urgent_goes_first(one: int, other: int, waited: float) -> None:
    assert (aged_priority(one, waited) > aged_priority(other, waited)) == (one > other)


@given(BASES, BASES, WAITS)
def test_a_run_never_passes_a_more_urgent_one_by_more_than_its_wait(one: int, other: int, waited: float) -> None:
    low, high = sorted((one, other))
    assert aged_priority(low, waited) - aged_priority(high, 0) <= waited / 3600 + 1 - (high - low)


@given(BASES)
def test_a_run_that_waits_long_enough_passes_any_that_has_just_come(base: int) -> None:
    assert aged_priority(base, 101 * 3600) > aged_priority(100, 0)


def test_a_queued_run_moves_up_and_what_it_was_is_kept(instance: dg.DagsterInstance) -> None:
    run = a_run(instance, QUEUED, {"dagster/priority": "40"})
    for hours, wanted in ((0.5, "40"), (1.5, "41"), (1.6, "41"), (3.5, "43")):
        age_queued_runs(instance, after(hours))
        assert priority(instance, run) == wanted
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.tags[BASE_PRIORITY_TAG] == "40"


def test_a_run_without_a_priority_ages_from_none(instance: dg.DagsterInstance) -> None:
    run = a_run(instance, QUEUED)
    assert age_queued_runs(instance, after(9.5)) == 1
    assert priority(instance, run) == "9"


def test_a_run_is_written_to_once_an_hour(instance: dg.DagsterInstance) -> None:
    a_run(instance, QUEUED)
    assert [age_queued_runs(instance, after(hours)) for hours in (0.1, 0.2, 1.1, 1.9, 2.1)] == [1, 0, 1, 0, 1]


def test_a_re_execution_ages_by_its_own_wait_and_not_its_parents(instance: dg.DagsterInstance) -> None:
    run = a_run(instance, QUEUED, {"dagster/priority": "70", BASE_PRIORITY_TAG: "40"})
    age_queued_runs(instance, after(1.5))
    assert priority(instance, run) == "41"


def test_runs_that_do_not_wait_are_left_alone(instance: dg.DagsterInstance) -> None:
    run = a_run(instance)
    assert age_queued_runs(instance, after(5)) == 0
    assert priority(instance, run) is None


def test_dagsters_own_queue_takes_the_aged_run_first(instance: dg.DagsterInstance) -> None:
    from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

    old = a_run(instance, QUEUED, {"dagster/priority": "10"})
    age_queued_runs(instance, after(24))
    fresh = a_run(instance, QUEUED, {"dagster/priority": "30"})
    nearer = a_run(instance, QUEUED, {"dagster/priority": "99"})
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=5)
    order = [run.run_id for run in daemon._priority_sort(record.dagster_run for record in queued_runs(instance))]
    assert order == [nearer.run_id, old.run_id, fresh.run_id]


def test_a_step_that_waits_for_a_slot_passes_those_of_runs_that_are_always_more_urgent(
    instance: dg.DagsterInstance,
) -> None:
    holding, patient, urgent = (a_run(instance, tags={"dagster/priority": str(base)}) for base in (0, 2, 5))
    claim(instance, holding.run_id, "fold_0")
    claim(instance, patient.run_id, "fold_0", priority=2)
    assert age_waiting_steps(instance, after(9.5)) == 1
    claim(instance, urgent.run_id, "fold_0", priority=5)
    instance.event_log_storage.free_concurrency_slot_for_step(holding.run_id, "fold_0")
    assert not claim(instance, urgent.run_id, "fold_0")
    assert claim(instance, patient.run_id, "fold_0")


def test_a_step_with_a_priority_of_its_own_is_never_lowered(instance: dg.DagsterInstance) -> None:
    holding, waiting = a_run(instance), a_run(instance)
    claim(instance, holding.run_id, "fold_0")
    claim(instance, waiting.run_id, "fold_0", priority=8)
    assert age_waiting_steps(instance, after(3)) == 0
    assert age_waiting_steps(instance, after(8.5)) == 0
    assert age_waiting_steps(instance, after(9.5)) == 1
    assert {step.priority for pool in pool_states(instance) for step in pool.pending_steps} == {0, 9}


def test_within_the_hour_steps_keep_the_order_in_which_campaigns_take_turns(instance: dg.DagsterInstance) -> None:
    holding, waiting = a_run(instance), a_run(instance)
    claim(instance, holding.run_id, "fold_0")
    claim(instance, waiting.run_id, "fold_3", priority=-3)
    assert age_waiting_steps(instance, after(0.9)) == 0
    assert age_waiting_steps(instance, after(1.1)) == 1


def test_a_waiting_step_of_a_run_that_is_gone_is_not_a_step_to_age(instance: dg.DagsterInstance) -> None:
    holding, gone = a_run(instance), a_run(instance)
    claim(instance, holding.run_id, "fold_0")
    claim(instance, gone.run_id, "fold_0")
    forget(instance, gone)
    assert age_waiting_steps(instance, after(3)) == 0
