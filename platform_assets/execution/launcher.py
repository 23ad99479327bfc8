"""The run launchers under the name that every version of the code has."""

from platform_assets.foundation.execution.launcher import PlatformRunLauncher
from platform_assets.foundation.execution.local_launcher import LocalRunLauncher
