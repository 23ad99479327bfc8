"""The queue of runs, which stamps each run before it is queued (`run_tags.py`).

The web server, the daemon and `dagster job launch` all hand their runs to the run coordinator, so this is the one place
where every run passes: from the UI, a schedule, a sensor, a back-fill, an automation condition, or executed again.
"""

from datetime import UTC, datetime

from dagster import DagsterRun, DagsterRunStatus, QueuedRunCoordinator, SubmitRunContext

from platform_assets.foundation.execution.run_tags import stamp


class StampingRunCoordinator(QueuedRunCoordinator):
    """A `QueuedRunCoordinator`, with its configuration, that stamps runs."""

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        run = context.dagster_run
        if run.status == DagsterRunStatus.NOT_STARTED:
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
