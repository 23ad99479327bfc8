"""Dagster's tables, where it has no call for what is done to them. Loads SQLAlchemy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dagster import DagsterInstance
from dagster._core.execution.backfill import BulkActionsFilter as BulkActionsFilter
from dagster._core.execution.backfill import BulkActionStatus as BulkActionStatus
from dagster._core.storage.event_log.schema import PendingStepsTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

if TYPE_CHECKING:
    from sqlalchemy import URL


def set_priority_of_waiting_step(
    instance: DagsterInstance, pool: str, run_id: str, step_key: str, priority: int
) -> None:
    """Gives a step that waits for a slot of `pool` another priority; of a step that does not wait nothing changes."""
    row = PendingStepsTable.c
    with _tables(instance).index_connection() as connection:
        connection.execute(
            PendingStepsTable.update()
            .where(row.concurrency_key == pool, row.run_id == run_id, row.step_key == step_key)
            .values(priority=priority)
        )


def assign_pending_steps(instance: DagsterInstance, pools: Sequence[str]) -> None:
    """Hands a slot of each pool named, as often as it is named, to the step that waits there with the highest priority.

    Whether a slot is free is the caller's to know.
    """
    _tables(instance).assign_pending_steps(pools)


def postgres_of(instance: DagsterInstance) -> "URL | None":
    """Where the instance's tables are, with the user who opened it; None when they are not in PostgreSQL."""
    from sqlalchemy import make_url

    address = getattr(instance.event_log_storage, "postgres_url", None)
    return make_url(address) if address else None


def _tables(instance: DagsterInstance) -> SqlEventLogStorage:
    # Every storage that knows pools is one.
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    return storage
