"""A step's pod: made, watched and given up for lost. What `executor.py` says, done; imports kubernetes.

Belongs here: what differs from dagster-k8s' own executor and step handler.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dagster import DagsterEvent, DagsterEventType, DagsterInstance, DagsterRunStatus
from dagster_k8s import K8sRunLauncher
from kubernetes.client import V1JobStatus
from kubernetes.client.rest import ApiException

from platform_assets.foundation.dagster_internals.core import (
    ErrorSource,
    ExecutionStep,
    IStepContext,
    KnownExecutionState,
    RetryMode,
    SerializableErrorInfo,
    StepFailureData,
    StepRetryData,
)
from platform_assets.foundation.dagster_internals.on_kubernetes import (
    ActiveExecution,
    CheckStepHealthResult,
    K8sContainerContext,
    K8sStepHandler,
    StepDelegatingExecutor,
    StepHandler,
    StepHandlerContext,
    UserDefinedDagsterK8sConfig,
    account_for_steps_with,
    with_other_secret,
)
from platform_assets.foundation.execution.api_server import UNREACHABLE, PatientClient, ended_as
from platform_assets.foundation.execution.pod_status import over_its_limit
from platform_assets.foundation.execution.profiles import IMAGE_VARIANT_TAG, PROFILE_TAG, image_variant
from platform_assets.foundation.execution.run_tags import PRIORITY_TAG, SCOPE_VARIABLE
from platform_assets.foundation.execution.start_watch import Starting, StartWatch

if TYPE_CHECKING:
    from dagster import Executor

log = logging.getLogger(__name__)
_LAUNCHED = DagsterEventType.STEP_WORKER_STARTING
LOST_PODS_FORGIVEN = 20
OVER_ITS_LIMIT_FORGIVEN = 1
# Tells, in a run's log, an attempt that ended so from one whose pod was lost.
_OVER = "asked for more than its resource profile gives"
STEP_SERVICE_ACCOUNT = "platform-step"
# Who a pod is for PostgreSQL: a step may write events, and neither change runs nor claim slots.
RUN_SECRET, STEP_SECRET = "postgres-run", "postgres-step"
HEALTH_INTERVAL_SECONDS = 5
# Beside `k8s` in the context of a code location's containers, which travels with every run: image by variant.
NAMED_IMAGES = "images"
RUN_COMMIT_VARIABLE = "PLATFORM_RUN_COMMIT"
_ENDED = {DagsterEventType.STEP_SUCCESS, DagsterEventType.STEP_FAILURE, DagsterEventType.STEP_UP_FOR_RETRY}


class PodStepHandler(K8sStepHandler):
    """dagster-k8s' step handler, which also notices a pod that left without a word, and knows variants of the image.

    Args:
        commit: of this process's image, which a variant's is to be of too; None: unknown.
    """

    def __init__(self, launcher: K8sRunLauncher, context: K8sContainerContext, commit: str | None = None) -> None:
        super().__init__(
            image=None,
            container_context=context,
            load_incluster_config=launcher.load_incluster_config,
            kubeconfig_file=launcher.kubeconfig_file,
        )
        self._launcher = launcher
        self._api_client = PatientClient.production()
        self.commit = commit
        self.lost: set[str] = set()
        self.never_started: set[str] = set()
        self._starts = StartWatch(self._api_client, launcher.job_namespace)

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        before = self._attempts(step_handler_context)
        if before:
            # What is left of the attempt before would go on beside this one.
            job = self._get_k8s_step_job_name(step_handler_context).removesuffix(f"-{before}")
            self._api_client.delete_in_background(
                f"{job}-{before - 1}" if before > 1 else job, self._launcher.job_namespace
            )
        yield from super().launch_step(step_handler_context)

    def _get_container_context(self, step_handler_context: StepHandlerContext) -> K8sContainerContext:
        # dagster-k8s hands down all that the run's pod has.
        context = with_other_secret(super()._get_container_context(step_handler_context), RUN_SECRET, STEP_SECRET)
        tags = step_handler_context.step_tags[self._get_step_key(step_handler_context)] or {}
        origin = step_handler_context.execute_step_args.job_origin.repository_origin
        image = self._launcher.job_image or origin.container_image
        if IMAGE_VARIANT_TAG not in tags or image is None:
            return context
        named = (origin.container_context or {}).get(NAMED_IMAGES, {})
        container: dict[str, Any] = {"image": image_variant(image, tags[IMAGE_VARIANT_TAG], named)}
        if self.commit is not None:
            container["env"] = [{"name": RUN_COMMIT_VARIABLE, "value": self.commit}]
        return context.merge(
            K8sContainerContext(run_k8s_config=UserDefinedDagsterK8sConfig(container_config=container))
        )

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        step = self._get_step_key(step_handler_context)
        job = self._get_k8s_step_job_name(step_handler_context)
        try:
            status = self._api_client.get_job_status(job_name=job, namespace=self._launcher.job_namespace)
        except UNREACHABLE as error:
            log.warning("%s: the Kubernetes API server does not answer, its pod is taken to run: %s", step, error)
            self._starts.blind(job)
            return CheckStepHealthResult.healthy()
        given_up = self._starts.given_up.get(job)
        if given_up is not None and status is not None:
            # Its slot is kept until the Job is gone.
            return CheckStepHealthResult.healthy()
        why = _why_over(status)
        if why is None:
            assert status is not None
            self._starts.look(self._starting(step, job, step_handler_context), status)
            return CheckStepHealthResult.healthy()
        if self._has_ended(step, step_handler_context):
            return CheckStepHealthResult.healthy()
        if given_up is not None:
            self.never_started.add(step)
            return CheckStepHealthResult.unhealthy(given_up)
        try:
            over = over_its_limit(self._api_client.get_pods_in_job(job, self._launcher.job_namespace))
        except UNREACHABLE as error:
            log.warning("%s: the Kubernetes API server does not say how its pod ended: %s", step, error)
            return CheckStepHealthResult.healthy()
        except ApiException as refused:
            log.warning("%s: the Kubernetes API server does not tell how its pod ended: %s", step, refused)
            over = None
        if over is None:
            self.lost.add(step)
            return CheckStepHealthResult.unhealthy(f"The pod of {step} is lost: {why} (Job {job}).")
        told = f"The pod of {step} {_OVER}: {over} (Job {job})."
        if self._was_over(step, step_handler_context) < OVER_ITS_LIMIT_FORGIVEN:
            self.lost.add(step)
            return CheckStepHealthResult.unhealthy(f"{told} It is tried once more.")
        self.lost.discard(step)
        profile = (step_handler_context.step_tags.get(step) or {}).get(PROFILE_TAG, "none")
        return CheckStepHealthResult.unhealthy(
            f"{told} So it was before, and so it would be again. Its resource profile is {profile}: name a larger one "
            f"under `advanced.resources` in the campaign's file, or raise it in the file that PLATFORM_PROFILES names."
        )

    def _starting(self, step: str, job: str, context: StepHandlerContext) -> Starting:
        def tell(sentence: str) -> None:
            context.instance.report_engine_event(sentence, context.dagster_run, step_key=step)

        return Starting(step, job, context.step_tags.get(step) or {}, tell, lambda: self._has_ended(step, context))

    def _attempts(self, context: StepHandlerContext) -> int:
        """How often the step was tried before."""
        known = context.execute_step_args.known_state
        assert known is not None
        return known.get_retry_state().get_attempt_count(self._get_step_key(context))

    def _was_over(self, step: str, context: StepHandlerContext) -> int:
        """How many attempts at the step ended because it used more than it may."""
        again = context.instance.get_records_for_run(
            context.dagster_run.run_id, of_type=DagsterEventType.STEP_UP_FOR_RETRY
        ).records
        events = [record.event_log_entry.dagster_event for record in again]
        errors = [event.step_retry_data.error for event in events if event is not None and event.step_key == step]
        return sum(error is not None and _OVER in error.message for error in errors)

    def _has_ended(self, step: str, context: StepHandlerContext) -> bool:
        """Whether the log says how this attempt ended: then the executor is about to read it, and nothing was lost."""
        events = context.instance.get_records_for_run(context.dagster_run.run_id, of_type=_ENDED).records
        return sum(record.event_log_entry.step_key == step for record in events) > self._attempts(context)


def _why_over(status: V1JobStatus | None) -> str | None:
    """Why a step's Job can no longer bring it to an end, or None."""
    if status is None:
        return "its Job is gone"
    ended = ended_as(status)
    if ended == "Failed":
        return "it was deleted or killed, or its node went away"
    return "it left without a word" if ended == "Complete" else None


class ResumableExecution(ActiveExecution):
    """Dagster's account of a run's steps, which can be rebuilt while others hold the pools of its steps.

    Dagster replays a run's events by asking for slots again, of steps that ended long ago too; without a free one it
    takes their ends for impossible. Here nothing is asked for while events are replayed. Afterwards steps that ended give
    their slots back, those that a worker had launched keep theirs, and those that were still waiting wait again.
    """

    def rebuild_from_events(self, dagster_events: Sequence[DagsterEvent]) -> Sequence[ExecutionStep]:
        slots, self._instance_concurrency_context = self._instance_concurrency_context, None
        try:
            in_flight = super().rebuild_from_events(dagster_events)
        finally:
            self._instance_concurrency_context = slots
        if slots is None:
            return in_flight
        launched, ended = set[str | None](), set[str | None]()
        for event in dagster_events:
            if event.event_type == _LAUNCHED:
                launched.add(event.step_key)
            elif event.event_type in _ENDED:
                launched.discard(event.step_key)
                ended.add(event.step_key)
        running = []
        for step in in_flight:
            if step.pool is None:
                running.append(step)
            elif step.key in launched:
                slots.claim(step.pool, step.key, int(step.tags.get(PRIORITY_TAG, 0)))
                running.append(step)
            else:
                self._in_flight.remove(step.key)
                self._executable.append(step.key)
        for key in ended - {step.key for step in running}:
            slots._instance.event_log_storage.free_concurrency_slot_for_step(slots._run_id, str(key))
        return running


account_for_steps_with(ResumableExecution)


class PodExecutor(StepDelegatingExecutor):
    """Starts a step again whose pod was lost, up to a number of times a step.

    Kubernetes may run two pods of one Job at once, the one that is being deleted and its replacement. Both may do the
    step, because they come to the same artifact and the second waits for the first. The end that is told first counts.
    """

    def __init__(self, step_handler: StepHandler, **settings: Any) -> None:
        super().__init__(step_handler, **settings)
        self._under_way: set[str | None] = set()

    @classmethod
    def on(
        cls, instance: DagsterInstance, scope: str, max_concurrent: int | None, commit: str | None = None
    ) -> "Executor":
        """The executor of runs that `instance` launches; `scope` and `commit` as for `kubernetes_executor`.

        Raises:
            TypeError: its run launcher launches no pods, so there is nothing to make step pods like.
        """
        launcher = instance.run_launcher
        if not isinstance(launcher, K8sRunLauncher):
            raise TypeError(
                f"PLATFORM_EXECUTOR=kubernetes, but this Dagster instance launches runs with {type(launcher).__name__}; "
                "use the dagster.yaml of deploy/kubernetes, or unset PLATFORM_EXECUTOR"
            )
        context = K8sContainerContext(
            env_vars=[f"{SCOPE_VARIABLE}={scope}"],
            service_account_name=STEP_SERVICE_ACCOUNT,
            # Retries are Dagster's; a Job that tries again by itself would run beside them.
            run_k8s_config=UserDefinedDagsterK8sConfig(
                job_spec_config={"backoff_limit": 0},
                pod_spec_config={"automount_service_account_token": False},
            ),
        )
        return cls(
            PodStepHandler(launcher, context, commit),
            retries=RetryMode.ENABLED,
            check_step_health_interval_seconds=HEALTH_INTERVAL_SECONDS,
            max_concurrent=max_concurrent,
            should_verify_step=False,
        )

    def _pop_events(self, instance: DagsterInstance, run_id: str, seen_storage_ids: set[int]) -> Sequence[DagsterEvent]:
        events = [event for event in super()._pop_events(instance, run_id, seen_storage_ids) if self._counts(event)]
        if not any(_was_told_to_stop(event) for event in events) or _is_cancelled(instance, run_id):
            return events
        return [_another_attempt(event) if _was_told_to_stop(event) else event for event in events]

    def _counts(self, event: DagsterEvent) -> bool:
        """Whether an event is not the second end of one attempt."""
        if event.event_type == _LAUNCHED:
            self._under_way.add(event.step_key)
        elif event.event_type in _ENDED:
            if event.step_key not in self._under_way:
                return False
            self._under_way.remove(event.step_key)
        return True

    def log_failure_or_retry_event_after_error(
        self, step_context: IStepContext, err_info: SerializableErrorInfo, known_state: KnownExecutionState
    ) -> DagsterEvent:
        step = step_context.step.key
        handler = self._step_handler
        assert isinstance(handler, PodStepHandler)
        if step in handler.never_started:
            handler.never_started.discard(step)
            return DagsterEvent.step_failure_event(
                step_context, StepFailureData(error=err_info, user_failure_data=None)
            )
        before = known_state.get_retry_state().get_attempt_count(step)
        if step not in handler.lost or before >= LOST_PODS_FORGIVEN:
            return super().log_failure_or_retry_event_after_error(step_context, err_info, known_state)
        handler.lost.discard(step)
        return DagsterEvent.step_retry_event(step_context, StepRetryData(error=err_info, seconds_to_wait=0))


def _was_told_to_stop(event: DagsterEvent) -> bool:
    """Whether a step failed because its pod got SIGTERM: of a drained node, or of a spot machine about to go."""
    return event.is_step_failure and event.step_failure_data.error_source == ErrorSource.INTERRUPT


def _another_attempt(event: DagsterEvent) -> DagsterEvent:
    """The event that a step is to be tried again, in place of the one that it failed."""
    again = StepRetryData(error=event.step_failure_data.error, seconds_to_wait=0)
    return event._replace(event_type_value=DagsterEventType.STEP_UP_FOR_RETRY.value, event_specific_data=again)


def _is_cancelled(instance: DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status in (DagsterRunStatus.CANCELING, DagsterRunStatus.CANCELED)
