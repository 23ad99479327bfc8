"""One sweep: everything the janitor does every few seconds, as one plain function."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dagster import DagsterInstance

from platform_assets.operations.janitor.ageing import age_queued_runs, age_waiting_steps
from platform_assets.operations.janitor.orphans import Deleted, delete_orphans
from platform_assets.operations.janitor.slots import Freed, free_stuck_slots

# Answers of an API server, or of what stands before it, that mean "not now".
NOT_NOW = (0, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Swept:
    """What one sweep did.

    Attributes:
        deleted: Jobs and pods that outlived their run.
        pods: every pod of a run that was seen; objects of the Kubernetes client.
        freed: slots freed or handed on.
        aged: how many queued runs and waiting steps moved up.
        runs_deleted: ids of old runs deleted after the sweep.
        unreachable: why nothing was done in the cluster; None: it was.
    """

    deleted: tuple[Deleted, ...] = ()
    pods: tuple[Any, ...] = ()
    freed: tuple[Freed, ...] = ()
    aged: int = 0
    runs_deleted: tuple[str, ...] = ()
    unreachable: str | None = None


def sweep(instance: DagsterInstance, batch_api: Any, core_api: Any, namespace: str, now: datetime) -> Swept:
    """Deletes orphans, frees stuck slots, and lets what waits move up.

    An API server that is away is told in the result; slots and queue are looked after all the same.

    Args:
        batch_api, core_api: the Kubernetes client's `BatchV1Api` and `CoreV1Api`.
        now: with time zone.

    Raises:
        kubernetes.client.ApiException: the API server refuses, for lack of rights say; trying again would not help.
    """
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    deleted: list[Deleted] = []
    pods: list[Any] = []
    unreachable = None
    try:
        deleted, pods = delete_orphans(instance, batch_api, core_api, namespace, now)
    except ApiException as error:
        if error.status not in NOT_NOW:
            raise
        unreachable = f"the API server answered {error.status} {error.reason}"
    except HTTPError as error:
        unreachable = f"the API server cannot be reached: {error}"
    freed = free_stuck_slots(instance, now)
    aged = age_queued_runs(instance, now) + age_waiting_steps(instance, now)
    return Swept(tuple(deleted), tuple(pods), tuple(freed), aged, unreachable=unreachable)
