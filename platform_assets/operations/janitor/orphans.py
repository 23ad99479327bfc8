"""Jobs and pods that outlived their run: found by the label `dagster/run-id`, and deleted.

A run that fails to start in time, or is cancelled while the API server is away, leaves its Job behind, and a Job that waits
for a GPU starts whenever one is free (dagster-io/dagster#16535). Does not belong here: finished Jobs, whose time to live
ends them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dagster import DagsterInstance, RunRecord, RunsFilter

RUN_LABEL = "dagster/run-id"
# A run's record is written before its Job, so a Job without one was deleted; the grace is for clocks that differ.
GONE_GRACE = timedelta(minutes=5)
# The pod of a run that has just ended still uploads its logs.
ENDED_GRACE = timedelta(minutes=2)
RUN_IDS_AT_ONCE = 500
PAGE = 500
# Seconds to connect and to wait for an answer: an API server that hangs must not stop the sweeps.
TIMEOUT = (5, 60)


@dataclass(frozen=True)
class Deleted:
    """A Job or pod that was deleted, and why.

    Attributes:
        kind: `job` or `pod`.
        why: `finished` (its run had ended) or `gone` (its run does not exist).
    """

    kind: str
    name: str
    run_id: str
    why: str


def delete_orphans(
    instance: DagsterInstance, batch_api: Any, core_api: Any, namespace: str, now: datetime
) -> tuple[list[Deleted], list[Any]]:
    """Deletes what outlived its run, and gives what was deleted and every pod of a run that was seen.

    A Job or pod is deleted when its run has ended or does not exist, at once while no container of it has started, and
    otherwise after a grace. Those of live runs are never touched.

    Args:
        batch_api, core_api: the Kubernetes client's `BatchV1Api` and `CoreV1Api`.
        now: with time zone.

    Raises:
        kubernetes.client.ApiException, urllib3.exceptions.HTTPError: the API server refused or cannot be reached.
    """
    # The cluster before the instance: a run's record is written first, so whatever is listed here has one, or had.
    jobs = list(_listed(batch_api.list_namespaced_job, namespace))
    pods = list(_listed(core_api.list_namespaced_pod, namespace))
    running = {pod.metadata.labels.get("job-name") for pod in pods if pod.status.phase == "Running"}
    open_jobs = [job for job in jobs if not _is_finished(job) and not job.metadata.deletion_timestamp]
    loose_pods = [
        pod
        for pod in pods
        if not pod.metadata.owner_references
        and not pod.metadata.deletion_timestamp
        and pod.status.phase in ("Pending", "Running")
    ]
    records = records_of(instance, {_run_id(part) for part in (*open_jobs, *loose_pods)})
    deleted = []
    for kind, part, started, delete in (
        *(("job", job, job.metadata.name in running, batch_api.delete_namespaced_job) for job in open_jobs),
        *(("pod", pod, pod.status.phase == "Running", core_api.delete_namespaced_pod) for pod in loose_pods),
    ):
        why = reason_to_delete(records.get(_run_id(part)), started, part.metadata.creation_timestamp, now)
        if why and _delete(delete, part, namespace):
            deleted.append(Deleted(kind, part.metadata.name, _run_id(part), why))
    return deleted, pods


def reason_to_delete(record: RunRecord | None, started: bool, created: datetime, now: datetime) -> str | None:
    """`finished` or `gone` when a Job or pod is to be deleted; None: leave it.

    Args:
        record: of its run; None: there is no such run.
        started: whether a container of it runs.
        created: when the Job or pod was.
    """
    if record is None:
        return "gone" if now - created > GONE_GRACE else None
    if not record.dagster_run.is_finished:
        return None
    ended = record.end_time or record.update_timestamp.timestamp()
    return "finished" if not started or now.timestamp() - ended > ENDED_GRACE.total_seconds() else None


def records_of(instance: DagsterInstance, run_ids: set[str]) -> dict[str, RunRecord]:
    """The records of those runs that exist, by run id."""
    ordered = sorted(run_ids)
    return {
        record.dagster_run.run_id: record
        for start in range(0, len(ordered), RUN_IDS_AT_ONCE)
        for record in instance.get_run_records(RunsFilter(run_ids=ordered[start : start + RUN_IDS_AT_ONCE]))
    }


def _listed(list_page: Callable[..., Any], namespace: str) -> Iterator[Any]:
    following = None
    while True:
        page = list_page(namespace, label_selector=RUN_LABEL, limit=PAGE, _continue=following, _request_timeout=TIMEOUT)
        yield from page.items
        following = page.metadata._continue
        if not following:
            return


def _run_id(part: Any) -> str:
    return str(part.metadata.labels[RUN_LABEL])


def _is_finished(job: Any) -> bool:
    ended = ("Complete", "Failed")
    return any(entry.type in ended and entry.status == "True" for entry in job.status.conditions or ())


def _delete(delete: Callable[..., Any], part: Any, namespace: str) -> bool:
    """Whether it was still there. By its uid, so that a newer one of the same name is left alone."""
    from kubernetes.client import ApiException, V1DeleteOptions, V1Preconditions

    options = V1DeleteOptions(propagation_policy="Background", preconditions=V1Preconditions(uid=part.metadata.uid))
    try:
        delete(part.metadata.name, namespace, body=options, _request_timeout=TIMEOUT)
    except ApiException as error:
        if error.status in (404, 409):
            return False
        raise
    return True
