"""What dagster-k8s and Dagster's executor of steps in other processes are made of. Imports kubernetes."""

from collections.abc import Mapping
from typing import Any

from dagster._core.execution.plan.active import ActiveExecution as ActiveExecution
from dagster._core.executor.step_delegating import CheckStepHealthResult as CheckStepHealthResult
from dagster._core.executor.step_delegating import StepDelegatingExecutor as StepDelegatingExecutor
from dagster._core.executor.step_delegating import StepHandler as StepHandler
from dagster._core.executor.step_delegating import StepHandlerContext as StepHandlerContext
from dagster._core.executor.step_delegating import step_delegating_executor
from dagster_k8s.client import DagsterK8sAPIRetryLimitExceeded as DagsterK8sAPIRetryLimitExceeded
from dagster_k8s.client import DagsterK8sUnrecoverableAPIError as DagsterK8sUnrecoverableAPIError
from dagster_k8s.client import DagsterKubernetesClient as DagsterKubernetesClient
from dagster_k8s.container_context import K8sContainerContext as K8sContainerContext
from dagster_k8s.executor import K8sStepHandler as K8sStepHandler
from dagster_k8s.job import UserDefinedDagsterK8sConfig as UserDefinedDagsterK8sConfig
from dagster_k8s.job import get_job_name_from_run_id as get_job_name_from_run_id
from dagster_k8s.utils import sanitize_k8s_label as sanitize_k8s_label


def account_for_steps_with(kind: type[ActiveExecution]) -> None:
    """Makes `StepDelegatingExecutor` keep a run's steps in a `kind`, in this process from now on."""
    # It has no setting for it and makes one by this name.
    step_delegating_executor.ActiveExecution = kind  # type: ignore[misc]


def with_other_secret(context: K8sContainerContext, secret: str, other: str) -> K8sContainerContext:
    """The same pods, whose variables come from the Secret `other` where they came from `secret`."""
    config = context.run_k8s_config
    env = [_from_other_secret(entry, secret, other) for entry in config.container_config.get("env", [])]
    if not env:
        return context
    return context._replace(run_k8s_config=config._replace(container_config={**config.container_config, "env": env}))


def _from_other_secret(entry: Mapping[str, Any], secret: str, other: str) -> Mapping[str, Any]:
    # dagster-k8s writes keys in snake case, but not those of what it was handed in camel case.
    for source in ("value_from", "valueFrom"):
        for reference in ("secret_key_ref", "secretKeyRef"):
            if (named := (entry.get(source) or {}).get(reference)) and named.get("name") == secret:
                return {**entry, source: {**entry[source], reference: {**named, "name": other}}}
    return entry
