"""A job run from a terminal, in this process: a Dagster run like the UI's, which shows it, told step by step.

Belongs here: starting, telling and ending one run. Does not belong here: what is run, and when (`phases`).
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from platform_assets.foundation.dagster_internals.core import DagsterExecutionInterruptedError

Say = Callable[[str], None]
_INTERRUPTIONS = (DagsterExecutionInterruptedError.__name__, KeyboardInterrupt.__name__)


class RunFailed(RuntimeError):
    """A run failed, in the sentence of its first failed steps and with where to look."""


class RunCanceled(RuntimeError):
    """A run was ended before it was done."""


def run_job(job: dg.JobDefinition, instance: dg.DagsterInstance, say: Say, **how: Any) -> None:
    """Run a job to its end.

    Args:
        how: `run_config`, `partition_key` and `asset_selection`, as Dagster takes them.

    Raises:
        RunFailed, RunCanceled: it did not succeed.
    """
    told = job.with_logger_defs({"console": _telling(say)})
    # Without a logger in its configuration a run tells every event.
    config = {"loggers": {"console": {}}, **(how.pop("run_config", None) or {})}
    result = told.execute_in_process(instance=instance, raise_on_error=False, run_config=config, **how)
    if result.success:
        return
    where = f"run {result.run_id} of {job.name}: in Dagster's UI (`make ui`, or `dagster dev`) under Runs"
    run = instance.get_run_by_id(result.run_id)
    failures = result.get_step_failure_events()
    if run is not None and any(map(_was_interrupted, result.all_events)):
        # Dagster takes a step, or the start of a run, that was interrupted for one that failed.
        instance.report_run_canceled(run, "Canceled from the terminal that it was started from.")
    if run is None or _status(instance, run) != dg.DagsterRunStatus.FAILURE:
        raise RunCanceled(f"canceled; what its finished steps made is kept. {where}")
    sentences = [f"{event.step_key}: {_sentence(event.step_failure_data)}" for event in failures]
    raise RunFailed("\n".join([*sentences, where]))


def _status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus | None:
    now = instance.get_run_by_id(run.run_id)
    return now.status if now is not None else None


def _was_interrupted(event: dg.DagsterEvent) -> bool:
    error = getattr(event.event_specific_data, "error", None)
    while error is not None and error.cls_name not in _INTERRUPTIONS:
        error = error.cause
    return error is not None


def _sentence(failure: Any) -> str:
    stated = failure.user_failure_data
    return str(stated.description if stated is not None and stated.description else failure.error.message.strip())


class _Steps(logging.Handler):
    """Tells each step as it ends, with its seconds, and what was found rather than made."""

    def __init__(self, say: Say) -> None:
        super().__init__()
        self._say = say
        self._began: dict[str, float] = {}
        self._found: dict[str, bool] = {}

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "dagster_meta", {}).get("dagster_event")
        if event is None or event.step_key is None:
            return
        step = event.step_key
        if event.is_step_start:
            self._began[step] = time.perf_counter()
        elif event.is_successful_output:
            self._note(step, event.step_output_data.metadata)
        elif event.is_step_materialization:
            self._note(step, event.materialization.metadata)
        elif event.is_step_success:
            self._end(step, "found" if self._found.get(step) else "done")
        elif event.is_step_failure:
            self._end(step, "FAILED")

    def _note(self, step: str, metadata: Any) -> None:
        if (cache := metadata.get("cache")) is not None:
            self._found[step] = self._found.get(step, True) and cache.value == "hit"

    def _end(self, step: str, how: str) -> None:
        self._say(f"  {time.perf_counter() - self._began.get(step, time.perf_counter()):6.1f} s  {how:<6}  {step}")


def _telling(say: Say) -> dg.LoggerDefinition:
    @dg.logger(config_schema={"log_level": dg.Field(str, is_required=False), "name": dg.Field(str, is_required=False)})
    def console(_context: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.Logger("steps", logging.DEBUG)
        logger.addHandler(_Steps(say))
        return logger

    return console


def keys(*paths: Sequence[str]) -> list[dg.AssetKey]:
    return [dg.AssetKey(list(path)) for path in paths]
