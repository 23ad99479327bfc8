"""The run launcher under the name that every version of the code has."""

from platform_assets.foundation.execution.launcher import PlatformRunLauncher
