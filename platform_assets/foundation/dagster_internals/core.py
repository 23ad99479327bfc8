"""What `import dagster` has loaded anyway.

Belongs here: names alone, for code locations, step pods and definitions too.
"""

from collections.abc import Mapping
from typing import Any

from dagster import DagsterInvalidConfigError
from dagster._config import process_config, resolve_to_config_type
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition as UnresolvedAssetJobDefinition,
)
from dagster._core.definitions.utils import DISALLOWED_NAMES as DISALLOWED_NAMES
from dagster._core.errors import DagsterExecutionInterruptedError as DagsterExecutionInterruptedError
from dagster._core.errors import DagsterHomeNotSetError as DagsterHomeNotSetError
from dagster._core.errors import DagsterUserCodeUnreachableError as DagsterUserCodeUnreachableError
from dagster._core.events import StepFailureData as StepFailureData
from dagster._core.events import StepRetryData as StepRetryData
from dagster._core.execution.context.system import IStepContext as IStepContext
from dagster._core.execution.plan.objects import ErrorSource as ErrorSource
from dagster._core.execution.plan.state import KnownExecutionState as KnownExecutionState
from dagster._core.execution.plan.step import ExecutionStep as ExecutionStep
from dagster._core.execution.retries import RetryMode as RetryMode
from dagster._core.execution.stats import StepEventStatus as StepEventStatus
from dagster._core.launcher import CheckRunHealthResult as CheckRunHealthResult
from dagster._core.launcher import LaunchRunContext as LaunchRunContext
from dagster._core.launcher import ResumeRunContext as ResumeRunContext
from dagster._core.launcher import RunLauncher as RunLauncher
from dagster._core.launcher import WorkerStatus as WorkerStatus
from dagster._core.storage.dagster_run import FINISHED_STATUSES as FINISHED_STATUSES
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES as NOT_FINISHED_STATUSES
from dagster._core.storage.tags import BACKFILL_ID_TAG as BACKFILL_ID_TAG
from dagster._core.storage.tags import GRPC_INFO_TAG as GRPC_INFO_TAG
from dagster._serdes import ConfigurableClass as ConfigurableClass
from dagster._serdes import ConfigurableClassData as ConfigurableClassData
from dagster._utils.concurrency import ConcurrencyKeyInfo as ConcurrencyKeyInfo
from dagster._utils.error import SerializableErrorInfo as SerializableErrorInfo


def checked_config(kind: type[ConfigurableClass], config: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The configuration of a `kind` with its defaults and with what its `env:` entries stand for.

    Raises:
        DagsterInvalidConfigError: it is not one that `kind` takes; begins with `where`.
    """
    checked = process_config(resolve_to_config_type(kind.config_type()), dict(config))
    if not checked.success or checked.value is None:
        raise DagsterInvalidConfigError(where, checked.errors or [], config)
    return checked.value
