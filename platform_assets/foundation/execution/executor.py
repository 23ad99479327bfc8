"""The executor that gives each step of a run a pod of its own, and a new pod when one is lost.

Built on dagster-k8s, with four differences. A lost pod (pre-empted, evicted, its node gone) is not the step's failure:
the step is started again, whatever its retry policy says about errors of its code; so is one that was told to stop,
which Dagster calls failed, while its run goes on. Kubernetes may replace a deleted pod by itself, and the replacement
does the step; dagster-k8s has it leave without a word, and the run waits for ever (dagster-io/dagster#33755). And while
the API server is away a launch waits for it. A pod that does not start within its profile's limit is given up: its Job is
deleted, then the step fails, which gives its slot of a pool back.

kubernetes is imported when a run's executor is made, not when definitions load: step pods never need it.
"""

from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from dagster import Executor, InitExecutorContext


def kubernetes_executor(scope: str, commit: str | None = None) -> dg.ExecutorDefinition:
    """The executor of a code location on Kubernetes.

    Args:
        scope: value of PLATFORM_SCOPE in step pods: what the process that runs the executor defines itself.
        commit: of this process's code, which pods of another image are told; None: unknown.
    """

    @dg.executor(
        name="kubernetes",
        config_schema={"max_concurrent": dg.Field(dg.Noneable(int), default_value=None, is_required=False)},
        requirements=dg.multiple_process_executor_requirements(),
    )
    def executor(context: "InitExecutorContext") -> "Executor":
        from platform_assets.foundation.execution.pods import PodExecutor

        settings: dict[str, Any] = dict(context.executor_config)
        return PodExecutor.on(context.instance, scope, settings.get("max_concurrent"), commit)

    return executor
