"""The queue of runs, which refuses foreign tags and stamps each run before it is queued (`run_tags.py`).

The web server, the daemon and `dagster job launch` all hand their runs to the run coordinator, so this is the one place
where every run passes: from the UI, a schedule, a sensor, a back-fill, an automation condition, or executed again.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from dagster import DagsterRun, DagsterRunStatus, QueuedRunCoordinator, SubmitRunContext

from platform_assets.foundation.execution.profiles import K8S_TAG
from platform_assets.foundation.execution.run_tags import foreign_tags, stamp, unknown_tags


class ForeignTagsError(ValueError):
    """A run brings tags that it may not have; the message names them, and never their values."""


class StampingRunCoordinator(QueuedRunCoordinator):
    """A `QueuedRunCoordinator`, with its configuration, that stamps runs."""

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Queue a run. A refused one ends as failed, with the sentence in its log.

        Raises:
            ForeignTagsError: the run has tags that are neither Dagster's, nor the platform's, nor its job's in code.
        """
        run = context.dagster_run
        if run.status == DagsterRunStatus.NOT_STARTED:
            # The code location is asked only when a tag gives reason to.
            if unknown_tags(run.tags) and (foreign := foreign_tags(run.tags, _declared(context))):
                raise ForeignTagsError(_refusal(run.run_id, foreign))
            origin = run.job_code_origin
            image = origin.repository_origin.container_image if origin else None
            today = datetime.now(UTC).date()
            selected = {key.path[0] for key in run.asset_selection} if run.asset_selection else None
            self._instance.add_run_tags(run.run_id, stamp(run.tags, self._steps_of(run), today, image, selected))
            stamped = self._instance.get_run_by_id(run.run_id)
            if stamped is None:
                raise LookupError(f"run {run.run_id} was deleted while it was being submitted")
            context = SubmitRunContext(stamped, workspace=context.workspace)
        return super().submit_run(context)

    def _steps_of(self, run: DagsterRun) -> list[dict[str, str]]:
        # A run that was not launched from a plan executes all of its job: nothing is known of its steps here.
        if run.execution_plan_snapshot_id is None:
            raise LookupError(f"run {run.run_id} has no execution plan; launch it through Dagster's own commands")
        plan = self._instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
        keys = set(plan.step_keys_to_execute)
        return [dict(step.tags or {}) for step in plan.steps if step.key in keys]


def _declared(context: SubmitRunContext) -> Mapping[str, str]:
    """The tags that a run's job has in code, as its code location says."""
    origin = context.dagster_run.remote_job_origin
    if origin is None:
        return {}
    repository = origin.repository_origin
    location = context.workspace.get_code_location(repository.code_location_origin.location_name)
    return location.get_repository(repository.repository_name).get_full_job(origin.job_name).run_tags


def _refusal(run_id: str, foreign: list[str]) -> str:
    why = "its value would change the run's pod; resource profiles say what pods get. " if K8S_TAG in foreign else ""
    return (
        f"run {run_id} is refused for its tag{'s' if len(foreign) > 1 else ''} {', '.join(foreign)}: {why}"
        "A run takes Dagster's own tags (dagster/…), the platform's, and those that its job has in code; launch it without."
    )
