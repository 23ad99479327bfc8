"""What Prometheus is told of runs, pools and pods is so, and nothing is counted twice."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster import DagsterExecutionInterruptedError
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import create_execution_plan, execute_run_iterator
from kubernetes import client as k

from platform_assets.foundation.execution.profiles import NEVER_STARTED
from platform_assets.operations.janitor.lost_pods import why_lost
from platform_assets.operations.janitor.prometheus import Metrics
from platform_assets.operations.janitor.slots import Freed
from platform_assets.operations.janitor.sweeping import Swept
from tests.operations.runs import FINISHED, QUEUED, RUNNING, a_run, claim, finish, lose_step


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def metrics(instance: dg.DagsterInstance) -> Metrics:
    return Metrics(instance, now() - timedelta(seconds=1))


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def a_pod(
    run: dg.DagsterRun,
    phase: str = "Running",
    reason: str | None = None,
    ended: str | None = None,
    disrupted: str | None = None,
    deleted: datetime | None = None,
) -> k.V1Pod:
    """A step's pod as the API server lists it."""
    state = k.V1ContainerState(terminated=k.V1ContainerStateTerminated(exit_code=137, reason=ended) if ended else None)
    status = k.V1ContainerStatus(name="dagster", image="i", image_id="i", ready=False, restart_count=0, state=state)
    condition = k.V1PodCondition(type="DisruptionTarget", status="True", reason=disrupted)
    container = k.V1Container(
        name="dagster", resources=k.V1ResourceRequirements(limits={"cpu": "4", "nvidia.com/gpu": "1"})
    )
    labels = {"dagster/run-id": run.run_id, "dagster/op": "fold_0"}
    return k.V1Pod(
        metadata=k.V1ObjectMeta(name="pod", labels=labels, deletion_timestamp=deleted),
        spec=k.V1PodSpec(containers=[container]),
        status=k.V1PodStatus(
            phase=phase,
            reason=reason,
            conditions=[condition] if disrupted else None,
            container_statuses=[status],
        ),
    )


def test_runs_that_are_not_finished_are_told_by_status(instance: dg.DagsterInstance, metrics: Metrics) -> None:
    for status in (QUEUED, QUEUED, RUNNING, FINISHED[0]):
        a_run(instance, status)
    metrics.observe(Swept(), now())
    told = {status: value(metrics, "platform_runs", status=status) for status in ("queued", "starting", "started")}
    assert told == {"queued": 2, "starting": 0, "started": 1}


def test_the_oldest_wait_is_told_and_is_nothing_with_an_empty_queue(
    instance: dg.DagsterInstance, metrics: Metrics
) -> None:
    metrics.observe(Swept(), now())
    assert value(metrics, "platform_queue_oldest_wait_seconds") == 0
    a_run(instance, QUEUED)
    metrics.observe(Swept(), now() + timedelta(hours=1))
    assert value(metrics, "platform_queue_oldest_wait_seconds") == pytest.approx(3600, abs=60)


def test_a_runs_start_and_end_are_counted_once(instance: dg.DagsterInstance, metrics: Metrics) -> None:
    run = a_run(instance, RUNNING, {"campaign": "spring"})
    for _ in range(3):
        metrics.observe(Swept(), now())
    finish(instance, run, FINISHED[1])
    for _ in range(3):
        metrics.observe(Swept(), now())
    metrics.observe(Swept(), now() + timedelta(hours=1))
    assert value(metrics, "platform_queue_wait_seconds_count") == 1
    assert value(metrics, "platform_runs_finished_total", status="failure", campaign="spring") == 1


def test_what_was_before_the_process_is_not_counted(instance: dg.DagsterInstance) -> None:
    run = a_run(instance, FINISHED[0])
    lose_step(instance, run, "fold_0")
    metrics = Metrics(instance, now() + timedelta(seconds=5))
    metrics.observe(Swept(), now())
    assert value(metrics, "platform_queue_wait_seconds_count") == 0
    assert not [s for f in metrics.registry.collect() for s in f.samples if s.name == "platform_step_pods_lost_total"]


def test_pools_are_told_with_those_who_wait(instance: dg.DagsterInstance, metrics: Metrics) -> None:
    for _ in range(3):
        claim(instance, a_run(instance, RUNNING).run_id, "fold_0")
    metrics.observe(Swept(), now())
    names = ("platform_pool_slots_limit", "platform_pool_slots_used", "platform_pool_steps_pending")
    assert [value(metrics, name, pool="gpu") for name in names] == [1, 1, 2]


def test_a_lost_step_pod_is_counted_once_with_its_campaign_and_reason(
    instance: dg.DagsterInstance, metrics: Metrics
) -> None:
    run = a_run(instance, RUNNING)
    evicted = a_pod(run, "Failed", reason="Evicted")
    metrics.observe(Swept(pods=(evicted,)), now())
    lose_step(instance, run, "fold_0")
    for _ in range(2):
        metrics.observe(Swept(pods=(evicted,)), now())
    lost = {"campaign": "spring", "spot": "true"}
    assert value(metrics, "platform_step_pods_lost_total", reason="evicted", **lost) == 1
    lose_step(instance, run, "fold_1", again=False)
    finish(instance, run, FINISHED[1])
    metrics.observe(Swept(), now())
    assert value(metrics, "platform_step_pods_lost_total", reason="deleted", **lost) == 1


def test_a_step_whose_pod_never_started_is_no_lost_pod(instance: dg.DagsterInstance, metrics: Metrics) -> None:
    run = a_run(instance, RUNNING)
    lose_step(instance, run, "fold_0", again=False, how=f"The pod of fold_0 {NEVER_STARTED} within 30 minutes")
    metrics.observe(Swept(), now())
    assert not [s for f in metrics.registry.collect() for s in f.samples if s.name == "platform_step_pods_lost_total"]


def test_a_step_that_was_told_to_stop_is_a_lost_pod(instance: dg.DagsterInstance, metrics: Metrics) -> None:
    @dg.op(tags={"campaign": "winback", "platform/spot": "true"})
    def preempted() -> None:
        raise DagsterExecutionInterruptedError

    @dg.job(executor_def=dg.in_process_executor)
    def job() -> None:
        preempted()

    plan = create_execution_plan(job)
    run = instance.create_run_for_job(job, execution_plan=plan)
    list(execute_run_iterator(InMemoryJob(job), run, instance))
    metrics.observe(Swept(), now())
    lost = {"campaign": "winback", "spot": "true", "reason": "deleted"}
    assert value(metrics, "platform_step_pods_lost_total", **lost) == 1


def test_a_step_that_fails_by_itself_is_no_lost_pod(instance: dg.DagsterInstance, metrics: Metrics) -> None:
    @dg.op
    def broken() -> None:
        raise ValueError("of itself")

    @dg.job
    def job() -> None:
        broken()

    job.execute_in_process(instance=instance, raise_on_error=False)
    metrics.observe(Swept(), now())
    assert not [s for f in metrics.registry.collect() for s in f.samples if s.name == "platform_step_pods_lost_total"]


def test_gpu_time_is_counted_while_pods_hold_gpus(instance: dg.DagsterInstance, metrics: Metrics) -> None:
    run = a_run(instance, RUNNING)
    began = now()
    metrics.observe(Swept(), began)
    metrics.observe(Swept(pods=(a_pod(run), a_pod(run))), began + timedelta(seconds=30))
    of = {"campaign": "spring", "spot": "true"}
    assert value(metrics, "platform_gpus_held", **of) == 2
    assert value(metrics, "platform_gpu_held_seconds_total", **of) == pytest.approx(60)
    metrics.observe(Swept(pods=(a_pod(run, "Pending"),)), began + timedelta(seconds=60))
    assert value(metrics, "platform_gpus_held", **of) is None
    assert value(metrics, "platform_gpu_held_seconds_total", **of) == pytest.approx(60)


def test_what_a_sweep_did_is_counted(metrics: Metrics) -> None:
    metrics.observe(Swept(freed=(Freed("gpu", "run is gone"),) * 2, runs_deleted=("one", "two")), now())
    assert value(metrics, "platform_slots_freed_total", pool="gpu", why="run is gone") == 2
    assert value(metrics, "platform_runs_deleted_total") == 2


def test_a_sweep_that_did_not_reach_the_cluster_is_no_success(metrics: Metrics) -> None:
    metrics.observe(Swept(unreachable="away"), now())
    assert value(metrics, "platform_janitor_last_success_timestamp_seconds") == 0
    metrics.observe(Swept(), now())
    assert value(metrics, "platform_janitor_last_success_timestamp_seconds") == pytest.approx(now().timestamp(), abs=60)


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        ({"phase": "Failed", "reason": "Evicted"}, "evicted"),
        ({"phase": "Failed", "disrupted": "EvictionByEvictionAPI"}, "evicted"),
        ({"phase": "Running", "disrupted": "DeletionByTaintManager"}, "node_lost"),
        ({"phase": "Failed", "reason": "Terminated"}, "node_lost"),
        ({"phase": "Failed", "disrupted": "PreemptionByScheduler"}, "preempted"),
        ({"phase": "Failed", "ended": "OOMKilled"}, "oom_killed"),
        ({"phase": "Running", "deleted": datetime(2026, 1, 1, tzinfo=UTC)}, "deleted"),
        ({"phase": "Failed", "ended": "Error"}, "crashed"),
        ({"phase": "Running"}, None),
        ({"phase": "Succeeded", "ended": "Completed"}, None),
    ],
    ids=str,
)
def test_why_a_pod_was_lost_is_read_from_its_status(
    sqlite_instance: dg.DagsterInstance, pod: dict[str, object], reason: str | None
) -> None:
    assert why_lost(a_pod(a_run(sqlite_instance), **pod)) == reason  # type: ignore[arg-type]
