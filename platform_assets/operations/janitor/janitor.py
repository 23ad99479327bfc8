"""The janitor: one process beside Dagster's daemon that sweeps every few seconds and tells Prometheus what it sees.

Belongs here: the loop and what it says. What a sweep does is in `sweeping`. It holds no state that matters: another one may
take over at any time, and two at once do no harm.
"""

import logging
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from dagster import DagsterInstance

from platform_assets.operations.janitor.prometheus import Metrics
from platform_assets.operations.janitor.retention import delete_old_runs
from platform_assets.operations.janitor.sweeping import Swept, sweep

RETENTION_EVERY = timedelta(hours=1)
log = logging.getLogger("platform.janitor")


class NoCluster(ValueError):
    """The janitor was started where there is no Kubernetes."""


@dataclass(frozen=True)
class Janitor:
    """What the loop needs.

    Attributes:
        namespace: where runs' Jobs are.
        every: seconds between the ends of two sweeps.
        keep_runs: how long finished runs are kept.
    """

    instance: DagsterInstance
    batch_api: Any
    core_api: Any
    namespace: str
    every: float = 15
    keep_runs: timedelta = timedelta(days=90)

    def run(self, metrics: Metrics, once: bool = False) -> Swept:
        """Sweeps until the process is ended, or once; the last sweep.

        Old runs are deleted a small batch a sweep until all are looked at, and again an hour later.
        """
        position: datetime | None = None
        look_at_old = datetime.min.replace(tzinfo=UTC)
        while True:
            now = datetime.now(UTC)
            swept = sweep(self.instance, self.batch_api, self.core_api, self.namespace, now)
            if now >= look_at_old:
                retained = delete_old_runs(self.instance, self.keep_runs, now, position)
                position = retained.resume_after
                look_at_old = now if position else now + RETENTION_EVERY
                swept = replace(swept, runs_deleted=retained.deleted)
            metrics.observe(swept, now)
            tell(swept)
            if once:
                return swept
            time.sleep(self.every)


def tell(swept: Swept) -> None:
    """One line for each thing a sweep did; nothing when there was nothing to do."""
    for deleted in swept.deleted:
        log.info("deleted %s %s: its run %s is %s", deleted.kind, deleted.name, deleted.run_id, deleted.why)
    for freed in swept.freed:
        log.info("freed a slot of pool %s: %s %s %s", freed.pool, freed.why, freed.run_id, freed.step_key)
    if swept.runs_deleted:
        log.info("deleted %d old runs", len(swept.runs_deleted))
    if swept.unreachable:
        log.warning("%s; trying again at the next sweep", swept.unreachable)


def janitor_of_this_pod(
    instance: DagsterInstance, every: float, keep_runs: timedelta, namespace: str | None
) -> Janitor:
    """A janitor with the rights of the pod it runs in, or of the kubeconfig outside of one.

    Args:
        namespace: where runs' Jobs are; None: the run launcher's.

    Raises:
        NoCluster: there is neither.
        ValueError: the instance's run launcher names no namespace and none was given.
    """
    import kubernetes.client
    import kubernetes.config

    try:
        kubernetes.config.load_config()
    except kubernetes.config.ConfigException as error:
        raise NoCluster(
            f"there is no Kubernetes to look after, neither a pod's service account nor a kubeconfig ({error}). The janitor "
            "runs beside Dagster's daemon on Kubernetes; on one machine run monitoring does its work"
        ) from error
    where = namespace or getattr(instance.run_launcher, "job_namespace", None)
    if not where:
        raise ValueError(
            f"the run launcher {type(instance.run_launcher).__name__} names no namespace for Jobs; give --namespace, or "
            "set DAGSTER_HOME to that of the instance on Kubernetes"
        )
    return Janitor(instance, kubernetes.client.BatchV1Api(), kubernetes.client.CoreV1Api(), where, every, keep_runs)
