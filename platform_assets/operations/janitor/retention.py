"""Old runs and their events are deleted; what the platform knows of its assets stays.

Deleting a run deletes its events: materializations, observations and with them data versions and the partitions that count
as made. Dagster keeps no other copy of a partition's state. So a run is kept, however old, while anything it said is the
latest word on an asset, a partition or a check. Does not belong here: artifacts and tables, which no run owns.
"""

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg

from platform_assets.foundation.dagster_internals.core import BACKFILL_ID_TAG, FINISHED_STATUSES, NOT_FINISHED_STATUSES
from platform_assets.foundation.dagster_internals.storage import BulkActionsFilter, BulkActionStatus

BATCH = 25
MADE, SEEN = dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_OBSERVATION
PLANNED = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
CHECKED = (dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED, dg.DagsterEventType.ASSET_CHECK_EVALUATION)
WORDS = {MADE, SEEN, PLANNED, *CHECKED}
OPEN_BACKFILLS = [BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING]


@dataclass(frozen=True)
class Retained:
    """What one batch did.

    Attributes:
        deleted, kept: ids of old runs.
        resume_after: when the last run of the batch was created, to go on from; None: there are no more old runs.
    """

    deleted: tuple[str, ...]
    kept: tuple[str, ...]
    resume_after: datetime | None


def age_of(text: str) -> timedelta:
    """The age that `90d`, `12w` or `36h` says.

    Raises:
        ValueError: it says none; names it and what it takes.
    """
    match = re.fullmatch(r"([1-9]\d{0,4})([hdw])", text)
    if match is None:
        raise ValueError(f"{text!r} is no age; it takes a whole number above 0 and h, d or w, such as 90d")
    unit = {"h": "hours", "d": "days", "w": "weeks"}[match[2]]
    return timedelta(**{unit: int(match[1])})


def delete_old_runs(
    instance: dg.DagsterInstance, keep: timedelta, now: datetime, after: datetime | None = None
) -> Retained:
    """Deletes the oldest finished runs that ended longer than `keep` ago, a small batch at a time.

    Args:
        now: with time zone.
        after: goes on with runs created after that time: the `resume_after` of the batch before.
    """
    before = now - keep
    old = instance.get_run_records(
        dg.RunsFilter(
            statuses=list(FINISHED_STATUSES), created_after=after, created_before=before, updated_before=before
        ),
        limit=BATCH,
        ascending=True,
    )
    referred, backfills = _referred_to(instance) if old else (set(), set())
    deleted, kept = [], []
    for record in old:
        run = record.dagster_run
        needed = run.run_id in referred or run.tags.get(BACKFILL_ID_TAG) in backfills
        if needed or has_latest_word(instance, run):
            kept.append(run.run_id)
        else:
            instance.delete_run(run.run_id)
            deleted.append(run.run_id)
    return Retained(tuple(deleted), tuple(kept), old[-1].create_timestamp if len(old) == BATCH else None)


def has_latest_word(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether something this run said of an asset, a partition or a check has not been said anew since."""
    words: set[tuple[dg.DagsterEventType, dg.AssetKey, str | None]] = set()
    assets, checks = set(), set()
    for entry in _words_of(instance, run.run_id):
        event = entry.get_dagster_event()
        if event.event_type in CHECKED:
            check = event.event_specific_data
            checks.add(dg.AssetCheckKey(check.asset_key, check.check_name))  # type: ignore[union-attr]
        elif event.asset_key is not None:
            assets.add(event.asset_key)
            if event.event_type != PLANNED:
                words.add((event.event_type, event.asset_key, event.partition))
    return (
        any(_latest_run(instance, *word) == run.run_id for word in words)
        or _is_shown_for_an_asset(instance, run.run_id, assets)
        or _is_shown_for_a_check(instance, run.run_id, checks)
    )


def _latest_run(
    instance: dg.DagsterInstance, event_type: dg.DagsterEventType, key: dg.AssetKey, partition: str | None
) -> str | None:
    """The run that said the latest of this kind on the asset and partition."""
    # By asset and not by storage id: in SQLite a run's events and the assets' index count apart.
    fetch = instance.fetch_materializations if event_type == MADE else instance.fetch_observations
    partitions = None if partition is None else [partition]
    cursor = None
    while True:
        page = fetch(dg.AssetRecordsFilter(asset_key=key, asset_partitions=partitions), limit=100, cursor=cursor)
        # Without a partition asked for, those of partitions come along.
        latest = next((record.run_id for record in page.records if record.partition_key == partition), None)
        if latest is not None or not page.has_more:
            return latest
        cursor = page.cursor


def _is_shown_for_an_asset(instance: dg.DagsterInstance, run_id: str, assets: Set[dg.AssetKey]) -> bool:
    """Whether an asset's page shows it as the latest run, or as a partition's that failed before it made anything."""
    entries = [record.asset_entry for record in instance.get_asset_records(list(assets))] if assets else []
    if any(run_id in (entry.last_run_id, entry.last_planned_materialization_run_id) for entry in entries):
        return True
    failed_attempts = (
        instance.event_log_storage.get_latest_asset_partition_materialization_attempts_without_materializations
    )
    return any(run_id == attempt[0] for key in assets for attempt in failed_attempts(key).values())


def _is_shown_for_a_check(instance: dg.DagsterInstance, run_id: str, checks: Set[dg.AssetCheckKey]) -> bool:
    shown = instance.event_log_storage.get_asset_check_summary_records(list(checks)) if checks else {}
    return any(run_id in (record.last_run_id, record.last_completed_run_id) for record in shown.values())


def _referred_to(instance: dg.DagsterInstance) -> tuple[set[str], set[str]]:
    """Runs that a live run re-executes, and back-fills that still ask what their runs did."""
    live = instance.get_runs(dg.RunsFilter(statuses=list(NOT_FINISHED_STATUSES)))
    runs = {run_id for run in live for run_id in (run.parent_run_id, run.root_run_id) if run_id}
    backfills = instance.get_backfills(filters=BulkActionsFilter(statuses=OPEN_BACKFILLS))
    return runs, {backfill.backfill_id for backfill in backfills}


def _words_of(instance: dg.DagsterInstance, run_id: str) -> Iterator[dg.EventLogEntry]:
    cursor = None
    while True:
        page = instance.get_records_for_run(run_id, cursor=cursor, of_type=WORDS, limit=1000)
        yield from (record.event_log_entry for record in page.records)
        if not page.has_more:
            return
        cursor = page.cursor
