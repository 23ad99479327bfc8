"""What outlived its run is deleted from a real API server, and what is of a live run never is."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from platform_assets.operations.janitor.janitor import Janitor
from platform_assets.operations.janitor.prometheus import Metrics
from platform_assets.operations.janitor.sweeping import Swept, sweep
from tests.operations.runs import FINISHED, QUEUED, RUNNING, a_run, claim, finish, forget

if TYPE_CHECKING:
    from tests.cluster.cluster import Cluster

# No node has it: a Job that asks for it waits for ever, as one does that waits for a GPU.
NOWHERE = {"platform-assets/pool": "no-such-pool"}


@pytest.fixture
def instance(sqlite_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    """What is asked of the instance here holds on every storage; what differs is tested without a cluster."""
    return sqlite_instance


class Jobs:
    """Jobs and pods as dagster-k8s labels them, in a namespace of the test's own."""

    def __init__(self, cluster: "Cluster", namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace

    def job(self, run_id: str, runs: bool = False, command: str = "exec sleep 300") -> str:
        """A Job that waits for a node, or `runs`; its name."""
        name = f"dagster-step-{uuid.uuid4().hex[:8]}"
        labels = {"dagster/run-id": run_id, "dagster/op": "fold_0", "app.kubernetes.io/component": "step_worker"}
        template = {"metadata": {"labels": labels}, "spec": self._pod({} if runs else NOWHERE, command)}
        body = {"metadata": {"name": name, "labels": labels}, "spec": {"backoffLimit": 0, "template": template}}
        self.cluster.batch.create_namespaced_job(self.namespace, body)
        phase = "Running" if runs else "Pending"
        if command == "true":
            phase = "Succeeded"
        self.cluster.wait_for(f"the pod of {name} is {phase}", lambda: self.phases(name) == {phase})
        return name

    def pod(self, run_id: str) -> str:
        """A pod without a Job, as Dagster Pipes makes them, that waits for a node; its name."""
        name = f"pipes-{uuid.uuid4().hex[:8]}"
        body = {
            "metadata": {"name": name, "labels": {"dagster/run-id": run_id}},
            "spec": self._pod(NOWHERE, "exec sleep 300"),
        }
        self.cluster.core.create_namespaced_pod(self.namespace, body)
        return name

    def phases(self, job: str) -> set[str]:
        pods = self.cluster.core.list_namespaced_pod(self.namespace, label_selector=f"job-name={job}").items
        return {pod.status.phase for pod in pods}

    def names(self) -> set[str]:
        """The Jobs that are there and not being deleted."""
        jobs = self.cluster.batch.list_namespaced_job(self.namespace).items
        return {job.metadata.name for job in jobs if not job.metadata.deletion_timestamp}

    def pods(self) -> set[str]:
        return {pod.metadata.name for pod in self.cluster.core.list_namespaced_pod(self.namespace).items}

    def sweep(self, instance: dg.DagsterInstance, later: timedelta = timedelta()) -> Swept:
        return sweep(instance, self.cluster.batch, self.cluster.core, self.namespace, datetime.now(UTC) + later)

    def _pod(self, where: dict[str, str], command: str) -> dict[str, Any]:
        container = {"name": "dagster", "image": "busybox", "command": ["sh", "-c", command]}
        return {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "nodeSelector": where,
            "containers": [container],
        }


@pytest.fixture
def jobs(cluster: "Cluster", namespace: str) -> Jobs:
    return Jobs(cluster, namespace)


@pytest.mark.parametrize("status", FINISHED, ids=lambda status: status.value)
def test_a_pending_job_of_a_finished_run_is_deleted_before_it_can_start(
    jobs: Jobs, instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    run = a_run(instance, RUNNING)
    name = jobs.job(run.run_id)
    assert jobs.sweep(instance).deleted == ()
    finish(instance, run, status)
    (deleted,) = jobs.sweep(instance).deleted
    assert (deleted.kind, deleted.name, deleted.run_id, deleted.why) == ("job", name, run.run_id, "finished")
    jobs.cluster.wait_for("Job and pod are gone", lambda: not jobs.names() and not jobs.pods())
    assert jobs.sweep(instance).deleted == ()


def test_a_job_of_a_live_run_is_never_touched_however_long_it_waits(jobs: Jobs, instance: dg.DagsterInstance) -> None:
    names = {jobs.job(a_run(instance, status).run_id) for status in (QUEUED, RUNNING)}
    names.add(jobs.job(a_run(instance, RUNNING).run_id, runs=True))
    canceling = a_run(instance, RUNNING)
    instance.report_run_canceling(canceling)
    names.add(jobs.job(canceling.run_id))
    assert jobs.sweep(instance, later=timedelta(days=30)).deleted == ()
    assert jobs.names() == names


def test_a_pod_that_still_works_has_a_grace_after_its_runs_end(jobs: Jobs, instance: dg.DagsterInstance) -> None:
    run = a_run(instance, FINISHED[0])
    name = jobs.job(run.run_id, runs=True)
    assert jobs.sweep(instance).deleted == ()
    assert jobs.names() == {name}
    assert [deleted.name for deleted in jobs.sweep(instance, later=timedelta(minutes=3)).deleted] == [name]
    jobs.cluster.wait_for("its pod is gone", lambda: not jobs.pods())


def test_a_job_of_a_run_that_does_not_exist_is_deleted_after_a_grace(jobs: Jobs, instance: dg.DagsterInstance) -> None:
    run = a_run(instance, RUNNING)
    name = jobs.job(run.run_id)
    forget(instance, run)
    assert jobs.sweep(instance).deleted == ()
    deleted = jobs.sweep(instance, later=timedelta(minutes=6)).deleted
    assert [(orphan.name, orphan.why) for orphan in deleted] == [(name, "gone")]


def test_a_finished_job_is_left_to_its_time_to_live(jobs: Jobs, instance: dg.DagsterInstance) -> None:
    run = a_run(instance, FINISHED[0])
    name = jobs.job(run.run_id, runs=True, command="true")
    done = jobs.cluster.batch.read_namespaced_job_status
    jobs.cluster.wait_for("the Job is complete", lambda: done(name, jobs.namespace).status.succeeded)
    assert jobs.sweep(instance, later=timedelta(days=1)).deleted == ()
    assert jobs.names() == {name}


def test_a_pod_without_a_job_is_deleted_with_its_run(jobs: Jobs, instance: dg.DagsterInstance) -> None:
    ended, live = a_run(instance, FINISHED[1]), a_run(instance, RUNNING)
    orphan, kept = jobs.pod(ended.run_id), jobs.pod(live.run_id)
    assert [(deleted.kind, deleted.name) for deleted in jobs.sweep(instance).deleted] == [("pod", orphan)]
    jobs.cluster.wait_for("only the live run's pod is left", lambda: jobs.pods() == {kept})


def test_what_is_not_dagsters_is_never_touched(jobs: Jobs, instance: dg.DagsterInstance) -> None:
    body = {"metadata": {"name": "somebodys"}, "spec": jobs._pod(NOWHERE, "exec sleep 300")}
    jobs.cluster.core.create_namespaced_pod(jobs.namespace, body)
    assert jobs.sweep(instance, later=timedelta(days=30)).deleted == ()
    assert jobs.pods() == {"somebodys"}


def test_more_jobs_than_a_page_holds_are_all_seen(
    jobs: Jobs, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform_assets.operations.janitor.orphans.PAGE", 2)
    run = a_run(instance, FINISHED[1])
    names = {jobs.job(run.run_id) for _ in range(5)}
    assert {deleted.name for deleted in jobs.sweep(instance).deleted} == names


def test_while_the_api_server_is_away_slots_are_freed_and_jobs_are_deleted_later(
    jobs: Jobs, instance: dg.DagsterInstance, nodes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    run, gone = a_run(instance, RUNNING), a_run(instance, RUNNING)
    name = jobs.job(run.run_id)
    finish(instance, run, FINISHED[1])
    claim(instance, gone.run_id, "fold_0")
    forget(instance, gone)
    janitor = Janitor(instance, jobs.cluster.batch, jobs.cluster.core, jobs.namespace)
    metrics = Metrics(instance, datetime.now(UTC))
    with jobs.cluster.without_api_server():
        swept = janitor.run(metrics, once=True)
    assert swept.unreachable is not None
    assert [record.getMessage() for record in caplog.records if record.name == "platform.janitor"][-1].endswith(
        "trying again at the next sweep"
    )
    assert [freed.why for freed in swept.freed] == ["run is gone"]
    assert metrics.registry.get_sample_value("platform_janitor_last_success_timestamp_seconds") == 0
    assert [deleted.name for deleted in janitor.run(metrics, once=True).deleted] == [name]
    assert (metrics.registry.get_sample_value("platform_janitor_last_success_timestamp_seconds") or 0) > 0


def test_an_api_server_that_refuses_ends_the_janitor_loudly(jobs: Jobs, instance: dg.DagsterInstance) -> None:
    import kubernetes as k

    nobody = k.client.Configuration.get_default_copy()
    nobody.host, nobody.ssl_ca_cert = jobs.cluster.api.configuration.host, jobs.cluster.api.configuration.ssl_ca_cert
    client = k.client.ApiClient(nobody)
    with pytest.raises(k.client.ApiException, match=r"Forbidden|Unauthorized"):
        sweep(instance, k.client.BatchV1Api(client), k.client.CoreV1Api(client), jobs.namespace, datetime.now(UTC))
