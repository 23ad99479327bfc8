"""The run coordinator under the name that every version of the code has."""

from platform_assets.foundation.execution.coordinator import StampingRunCoordinator
