"""Ageing: whoever waits moves up, so that nothing starves behind runs that are always more urgent.

A priority is what the deadline of a campaign gives a run when it is queued (`foundation/execution/run_tags.py`), where an
hour nearer counts one. Here an hour of waiting counts one more, alike for everybody: of two that wait equally long, the one
with the nearer deadline goes first; whoever waited longer passes at most as many steps of priority as hours.
"""

import math
from collections.abc import Mapping
from datetime import datetime

from dagster import DagsterInstance, DagsterRunStatus, RunRecord, RunsFilter

from platform_assets.foundation.dagster_internals.storage import set_priority_of_waiting_step
from platform_assets.foundation.execution.run_tags import BASE_PRIORITY_TAG, PRIORITY_TAG
from platform_assets.operations.janitor.orphans import records_of
from platform_assets.operations.janitor.slots import pool_states


def aged_priority(base: int, waited_seconds: float) -> int:
    """`base`, and one more for every whole hour of waiting."""
    return base + math.floor(max(0.0, waited_seconds) / 3600)


def age_queued_runs(instance: DagsterInstance, now: datetime) -> int:
    """Raises the priority of runs that wait in the queue; how many changed.

    `platform/base_priority` keeps what a run's priority was. A re-execution carries its parent's tags: it ages from the
    parent's base, by its own wait.
    """
    changed = 0
    for record in queued_runs(instance):
        run = record.dagster_run
        base = _number(run.tags, BASE_PRIORITY_TAG)
        if base is None:
            base = _number(run.tags, PRIORITY_TAG) or 0
        aged = aged_priority(base, waited_seconds(record, now))
        tags = {BASE_PRIORITY_TAG: str(base), PRIORITY_TAG: str(aged)}
        if not tags.items() <= run.tags.items():
            instance.add_run_tags(run.run_id, tags)
            changed += 1
    return changed


def age_waiting_steps(instance: DagsterInstance, now: datetime) -> int:
    """Raises the priority of steps that wait for a pool's slot; how many changed.

    A run that has started waits a second time there, behind the steps of runs that are more urgent. The first hour
    changes nothing: by then campaigns take turns through the priorities of their steps. A step is never lowered.
    """
    if not instance.event_log_storage.supports_global_concurrency_limits:
        return 0
    waiting = [
        (pool.concurrency_key, step)
        for pool in pool_states(instance)
        for step in pool.pending_steps
        if step.assigned_timestamp is None
    ]
    records = records_of(instance, {step.run_id for _, step in waiting})
    changed = 0
    for pool, step in waiting:
        if step.run_id not in records:
            continue
        base = _number(records[step.run_id].dagster_run.tags, PRIORITY_TAG) or 0
        aged = aged_priority(base, (now - step.enqueued_timestamp).total_seconds())
        if base < aged > (step.priority or 0):
            set_priority_of_waiting_step(instance, pool, step.run_id, step.step_key, aged)
            changed += 1
    return changed


def queued_runs(instance: DagsterInstance) -> list[RunRecord]:
    """The records of the runs in the queue, the oldest first."""
    return list(instance.get_run_records(RunsFilter(statuses=[DagsterRunStatus.QUEUED]), ascending=True))


def waited_seconds(record: RunRecord, now: datetime) -> float:
    """For how long a queued run has waited."""
    return (now - record.create_timestamp).total_seconds()


def _number(tags: Mapping[str, str], name: str) -> int | None:
    try:
        return int(tags[name])
    except (KeyError, ValueError):
        # The queue itself takes a priority that is no number for none.
        return None
