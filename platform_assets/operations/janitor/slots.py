"""Slots of pools: how many there are, those that nobody will give back, and those that nobody will hand on.

Dagster's run monitoring frees what a finished run holds (`free_slots_after_run_end_seconds`) as far as its list of waiting
steps shows it. What it does not see, and what is handled here:

- slots and waiting steps of runs that do not exist any more: it asks for finished runs, and a deleted run is none;
- a slot of a finished run whose waiting step was removed before (its two tables are written one after the other);
- a slot of a step that ended while its run lives: the run's pod died before it gave the slot back;
- free slots with steps waiting and none assigned: a step that asks for a slot while the last one is given back is queued
  after the hand-over and waits until another step in that pool ends, which may be never.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from dagster import DagsterInstance, RunRecord

from platform_assets.foundation.dagster_internals.core import ConcurrencyKeyInfo, StepEventStatus
from platform_assets.foundation.dagster_internals.storage import assign_pending_steps
from platform_assets.operations.janitor.orphans import records_of

log = logging.getLogger("platform.janitor")
# Dagster takes no more.
MOST_SLOTS = 1000
# A step's run gives its slot back within seconds; one whose pod died does when it is resumed, which takes minutes.
STEP_GRACE = timedelta(minutes=5)
RUN_GRACE = timedelta(minutes=2)
WAITING_GRACE = timedelta(minutes=1)
ENDED = (StepEventStatus.SUCCESS, StepEventStatus.FAILURE, StepEventStatus.SKIPPED)


def slots_of(texts: Iterable[str], pools: Collection[str]) -> dict[str, int]:
    """The slots that `<pool>=<number>` texts declare, by pool.

    Args:
        pools: those that there are: of the profiles with GPUs.

    Raises:
        ValueError: a text is none, or names a pool that no profile has.
    """
    declared: dict[str, int] = {}
    for text in texts:
        pool, _, number = text.partition("=")
        if not number.isdecimal() or not 0 < int(number) <= MOST_SLOTS:
            raise ValueError(
                f"--slots {text}: takes <pool>=<GPUs of the cluster>, from 1 to {MOST_SLOTS}, such as gpu=4"
            )
        if pool not in pools:
            there = ", ".join(sorted(pools)) or "none"
            raise ValueError(f"--slots {text}: no profile with GPUs has the pool {pool}; they have {there}")
        if declared.setdefault(pool, int(number)) != int(number):
            raise ValueError(f"--slots {text}: pool {pool} has {declared[pool]} slots already")
    return declared


def declare_pools(instance: DagsterInstance, pools: Iterable[str], declared: Mapping[str, int]) -> None:
    """Give pools the slots that are declared for them, whatever they had; make others known, with the instance's default limit.

    Two runs that ask for a slot of an unknown pool at once both write it down, and one of them fails. Slots that are taken
    away while steps hold them go when those steps end.
    """
    storage = instance.event_log_storage
    known = {limit.name for limit in storage.get_pool_limits()}
    for pool in sorted(set(pools) - known - declared.keys()):
        storage.initialize_concurrency_limit_to_default(pool)
    for pool, slots in declared.items():
        storage.set_concurrency_slots(pool, slots)
        log.info("pool %s has %d slots, as declared", pool, slots)


@dataclass(frozen=True)
class Freed:
    """A slot that was given back, or handed to a waiting step (`why="handed on"`, without run and step)."""

    pool: str
    why: str
    run_id: str = ""
    step_key: str = ""


def free_stuck_slots(instance: DagsterInstance, now: datetime) -> list[Freed]:
    """Frees what is held for nothing, and hands free slots to steps that wait for them."""
    storage = instance.event_log_storage
    if not storage.supports_global_concurrency_limits:
        return []
    pools = pool_states(instance)
    held: dict[str, set[tuple[str, str]]] = defaultdict(set)
    visible: set[str] = set()
    for pool in pools:
        holders = [(slot.run_id, slot.step_key) for slot in pool.claimed_slots]
        waiting = [(step.run_id, step.step_key) for step in pool.pending_steps]
        for run_id, step_key in (*holders, *waiting):
            held[run_id].add((pool.concurrency_key, step_key))
        visible |= {run_id for run_id, _ in waiting}
    records = records_of(instance, set(held))
    freed: list[Freed] = []
    for run_id, holdings in sorted(held.items()):
        record = records.get(run_id)
        why = _why_of_run(instance, record, run_id in visible, now)
        if why:
            storage.free_concurrency_slots_for_run(run_id)
            freed += [Freed(pool, why, run_id, step_key) for pool, step_key in sorted(holdings)]
        elif record is not None and not record.dagster_run.is_finished:
            freed += _freed_of_live_run(instance, run_id, pools, now)
    return freed + _handed_on(instance, now)


def pool_states(instance: DagsterInstance) -> list[ConcurrencyKeyInfo]:
    """The state of every pool that has a limit, by name."""
    storage = instance.event_log_storage
    states = storage.get_concurrency_infos(sorted(storage.get_concurrency_keys()))
    return [states[name] for name in sorted(states)]


def _why_of_run(instance: DagsterInstance, record: RunRecord | None, visible: bool, now: datetime) -> str | None:
    if record is None:
        return "run is gone"
    if not record.dagster_run.is_finished:
        return None
    monitored = instance.run_monitoring_enabled and instance.run_monitoring_settings.get(
        "free_slots_after_run_end_seconds"
    )
    if monitored and visible:
        return None
    ended = record.end_time or record.update_timestamp.timestamp()
    return "run has ended" if now.timestamp() - ended > RUN_GRACE.total_seconds() else None


def _freed_of_live_run(
    instance: DagsterInstance, run_id: str, pools: Iterable[ConcurrencyKeyInfo], now: datetime
) -> list[Freed]:
    claimed = {
        (pool.concurrency_key, slot.step_key) for pool in pools for slot in pool.claimed_slots if slot.run_id == run_id
    }
    if not claimed:
        return []
    latest = now.timestamp() - STEP_GRACE.total_seconds()
    ended = {
        stats.step_key
        for stats in instance.get_run_step_stats(run_id, step_keys=sorted({step_key for _, step_key in claimed}))
        if stats.status in ENDED and stats.end_time is not None and stats.end_time < latest
    }
    for step_key in sorted(ended):
        instance.event_log_storage.free_concurrency_slot_for_step(run_id, step_key)
    return [Freed(pool, "step has ended", run_id, step_key) for pool, step_key in sorted(claimed) if step_key in ended]


def _handed_on(instance: DagsterInstance, now: datetime) -> list[Freed]:
    """Assigns free slots to the steps that have waited longest in vain, highest priority first."""
    hand_overs = []
    for pool in pool_states(instance):
        unassigned = [waiting for waiting in pool.pending_steps if waiting.assigned_timestamp is None]
        free = pool.slot_count - (len(pool.pending_steps) - len(unassigned))
        overdue = [waiting for waiting in unassigned if now - waiting.enqueued_timestamp > WAITING_GRACE]
        names = [pool.concurrency_key] * min(free, len(overdue))
        if names:
            assign_pending_steps(instance, names)
            hand_overs += [Freed(name, "handed on") for name in names]
    return hand_overs
