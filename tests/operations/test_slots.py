"""No slot is held for nothing for ever, and no slot is taken from a step that uses it."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.storage.event_log.schema import PendingStepsTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

from platform_assets.operations.janitor.slots import declare_pools, free_stuck_slots, pool_states, slots_of
from tests.operations.conftest import DEFAULT_SLOTS
from tests.operations.runs import FINISHED, RUNNING, a_run, claim, end_step, finish, forget, start_step


def in_an_hour() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def sql(instance: dg.DagsterInstance) -> SqlEventLogStorage:
    assert isinstance(instance.event_log_storage, SqlEventLogStorage)
    return instance.event_log_storage


def holders(instance: dg.DagsterInstance) -> set[tuple[str, str]]:
    return {(slot.run_id, slot.step_key) for pool in pool_states(instance) for slot in pool.claimed_slots}


def test_a_slot_of_a_run_that_no_longer_exists_is_freed_and_handed_on(instance: dg.DagsterInstance) -> None:
    gone, waiting = a_run(instance), a_run(instance)
    assert claim(instance, gone.run_id, "fold_0")
    assert not claim(instance, waiting.run_id, "fold_0")
    forget(instance, gone)
    (freed,) = free_stuck_slots(instance, datetime.now(UTC))
    assert (freed.pool, freed.run_id, freed.step_key, freed.why) == ("gpu", gone.run_id, "fold_0", "run is gone")
    assert claim(instance, waiting.run_id, "fold_0")


def test_a_waiting_step_of_a_run_that_no_longer_exists_does_not_keep_its_place(instance: dg.DagsterInstance) -> None:
    holding, gone, waiting = a_run(instance), a_run(instance), a_run(instance)
    for run in (holding, gone, waiting):
        claim(instance, run.run_id, "fold_0")
    forget(instance, gone)
    free_stuck_slots(instance, datetime.now(UTC))
    instance.event_log_storage.free_concurrency_slot_for_step(holding.run_id, "fold_0")
    assert claim(instance, waiting.run_id, "fold_0")


def test_a_slot_in_use_stays(instance: dg.DagsterInstance) -> None:
    run = a_run(instance)
    claim(instance, run.run_id, "fold_0")
    start_step(instance, run, "fold_0")
    assert free_stuck_slots(instance, in_an_hour()) == []
    assert holders(instance) == {(run.run_id, "fold_0")}


def test_a_slot_of_a_step_whose_pod_has_not_started_yet_stays(instance: dg.DagsterInstance) -> None:
    run = a_run(instance)
    claim(instance, run.run_id, "fold_0")
    assert free_stuck_slots(instance, in_an_hour()) == []
    assert holders(instance) == {(run.run_id, "fold_0")}


def test_a_slot_of_a_step_that_ended_while_its_run_lives_is_freed_after_a_grace(instance: dg.DagsterInstance) -> None:
    run = a_run(instance)
    claim(instance, run.run_id, "fold_0")
    start_step(instance, run, "fold_0")
    end_step(instance, run, "fold_0")
    assert free_stuck_slots(instance, datetime.now(UTC)) == []
    assert [freed.why for freed in free_stuck_slots(instance, in_an_hour())] == ["step has ended"]
    assert claim(instance, run.run_id, "fold_1")


@pytest.mark.parametrize("status", FINISHED, ids=lambda status: status.value)
def test_what_run_monitoring_frees_is_left_to_it(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> None:
    run = a_run(instance)
    claim(instance, run.run_id, "fold_0")
    finish(instance, run, status)
    assert run.run_id in instance.event_log_storage.get_concurrency_run_ids()
    assert free_stuck_slots(instance, in_an_hour()) == []


def test_a_slot_of_a_finished_run_that_run_monitoring_cannot_see_is_freed(instance: dg.DagsterInstance) -> None:
    run = a_run(instance)
    claim(instance, run.run_id, "fold_0")
    finish(instance, run, FINISHED[1])
    with sql(instance).index_connection() as connection:
        connection.execute(PendingStepsTable.delete())
    assert run.run_id not in instance.event_log_storage.get_concurrency_run_ids()
    assert free_stuck_slots(instance, datetime.now(UTC)) == []
    assert [freed.why for freed in free_stuck_slots(instance, in_an_hour())] == ["run has ended"]
    assert holders(instance) == set()


def test_a_free_slot_that_was_never_handed_on_is_handed_to_the_most_urgent(instance: dg.DagsterInstance) -> None:
    # As it is left when a step queues up in the moment in which the last slot is given back.
    later, urgent = a_run(instance), a_run(instance)
    sql(instance).add_pending_step("gpu", later.run_id, "fold_0", priority=1)
    sql(instance).add_pending_step("gpu", urgent.run_id, "fold_0", priority=5)
    assert not claim(instance, later.run_id, "fold_0")
    assert not claim(instance, urgent.run_id, "fold_0")
    assert free_stuck_slots(instance, datetime.now(UTC)) == []
    assert [freed.why for freed in free_stuck_slots(instance, in_an_hour())] == ["handed on"]
    assert free_stuck_slots(instance, in_an_hour()) == []
    assert not claim(instance, later.run_id, "fold_0")
    assert claim(instance, urgent.run_id, "fold_0")


def test_a_full_pool_hands_nothing_on(instance: dg.DagsterInstance) -> None:
    holding, waiting = a_run(instance, RUNNING), a_run(instance, RUNNING)
    claim(instance, holding.run_id, "fold_0")
    claim(instance, waiting.run_id, "fold_0")
    assert free_stuck_slots(instance, in_an_hour()) == []
    assert not claim(instance, waiting.run_id, "fold_0")


def test_a_pool_nobody_knew_is_declared_with_the_default_limit_and_one_that_somebody_set_keeps_its_own(
    instance: dg.DagsterInstance,
) -> None:
    instance.event_log_storage.set_concurrency_slots("set", 4)
    for _ in range(2):
        declare_pools(instance, ["new", "set"], {})
    limits = {limit.name: (limit.limit, limit.from_default) for limit in instance.event_log_storage.get_pool_limits()}
    assert limits["new"] == (DEFAULT_SLOTS, True)
    assert limits["set"] == (4, False)


def test_a_pool_gets_the_slots_that_are_declared_whatever_it_had(instance: dg.DagsterInstance) -> None:
    instance.event_log_storage.set_concurrency_slots("gpu", 1)
    for slots in (3, 2):
        declare_pools(instance, ["gpu", "gpu-large"], {"gpu": slots})
        held = [a_run(instance) for _ in range(slots + 1)]
        assert [claim(instance, run.run_id, "fold_0") for run in held] == [True] * slots + [False]
        for run in held:
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    limits = {limit.name: limit.limit for limit in instance.event_log_storage.get_pool_limits()}
    assert limits == {"gpu": 2, "gpu-large": DEFAULT_SLOTS}


def test_fewer_slots_take_none_from_a_step_that_holds_one(instance: dg.DagsterInstance) -> None:
    declare_pools(instance, ["gpu"], {"gpu": 2})
    first, second, third = (a_run(instance) for _ in range(3))
    assert claim(instance, first.run_id, "fold_0")
    assert claim(instance, second.run_id, "fold_0")
    declare_pools(instance, ["gpu"], {"gpu": 1})
    assert holders(instance) == {(first.run_id, "fold_0"), (second.run_id, "fold_0")}
    instance.event_log_storage.free_concurrency_slot_for_step(first.run_id, "fold_0")
    assert not claim(instance, third.run_id, "fold_0")


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["gpu"], "--slots gpu: takes <pool>=<GPUs of the cluster>, from 1 to 1000, such as gpu=4"),
        (["gpu=0"], "--slots gpu=0: takes"),
        (["gpu=four"], "--slots gpu=four: takes"),
        (["gpu=-1"], "--slots gpu=-1: takes"),
        (["gpu=1001"], "--slots gpu=1001: takes"),
        (["gpus=4"], "--slots gpus=4: no profile with GPUs has the pool gpus; they have gpu, gpu-large"),
        (["gpu=4", "gpu=3"], "--slots gpu=3: pool gpu has 4 slots already"),
    ],
)
def test_slots_that_cannot_be_meant_are_refused(texts: list[str], said: str) -> None:
    with pytest.raises(ValueError, match="--slots") as refused:
        slots_of(texts, {"gpu", "gpu-large"})
    assert said in str(refused.value)
