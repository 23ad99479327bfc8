"""A step that is told to stop because its machine is wanted back is started again, not failed.

Kubernetes ends a pod with SIGTERM first: on a drained node, on a spot machine about to go, and when a run is cancelled.
Dagster turns the signal into an interrupt inside the step and calls the step failed. Here an interrupt that is not a
cancellation asks for another attempt; what the step had stored by then is found by it.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.storage.dagster_run import DagsterRunStatus

from platform_assets.environment import Environment
from platform_assets.execution.executor import LOST_PODS_FORGIVEN

Compute = TypeVar("Compute", bound=Callable[..., Any])
_UNWANTED = (DagsterRunStatus.CANCELING, DagsterRunStatus.CANCELED)


def resumable(environment: Environment) -> Callable[[Compute], Compute]:
    """Decorates the function of an op or asset, below Dagster's own decorator; where steps have no pods it does nothing."""

    def decorate(compute: Compute) -> Compute:
        if environment.executor != "kubernetes":
            return compute
        if inspect.isgeneratorfunction(compute):

            @functools.wraps(compute)
            def generator(context: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
                with _started_again(context):
                    yield from compute(context, *args, **kwargs)

            return generator  # type: ignore[return-value]

        @functools.wraps(compute)
        def function(context: Any, *args: Any, **kwargs: Any) -> Any:
            with _started_again(context):
                return compute(context, *args, **kwargs)

        return function  # type: ignore[return-value]

    return decorate


@contextmanager
def _started_again(context: Any) -> Iterator[None]:
    try:
        yield
    except DagsterExecutionInterruptedError as interrupt:
        run = context.instance.get_run_by_id(context.run_id)
        if run is None or run.status in _UNWANTED:
            raise
        raise dg.RetryRequested(max_retries=LOST_PODS_FORGIVEN) from interrupt
