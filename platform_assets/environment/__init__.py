"""Where the platform runs and what it loads: environment variables, read here and nowhere else, and the project in use.

A project's settings file holds variables that are as good as the process's own, which win.
Belongs here: the variables, their forms and defaults, the project they are of, the places derived from them, and the scope of
definitions to load. Does not belong here: anything that opens another file or a connection.
"""

from platform_assets.environment.forms import Place, Scope, TimeZone
from platform_assets.environment.reading import (
    CLOUD_ONLY,
    EMULATOR_VARIABLES,
    TAKES,
    VARIABLES,
    dagster_home,
    environment_from_variables,
    is_dagster_home_set,
    secret_in,
)
from platform_assets.environment.settings import PROJECT_VARIABLE, SETTINGS, EnvironmentVariableError
from platform_assets.environment.variables import (
    DEFAULT_PAGES_PORT,
    PACKAGE,
    REPOSITORY,
    SECRETS,
    STRIPE_KEY,
    Cloud,
    Environment,
    Limits,
    cloud_environment,
    local_environment,
)

__all__ = [
    "CLOUD_ONLY",
    "DEFAULT_PAGES_PORT",
    "EMULATOR_VARIABLES",
    "PACKAGE",
    "PROJECT_VARIABLE",
    "REPOSITORY",
    "SECRETS",
    "SETTINGS",
    "STRIPE_KEY",
    "TAKES",
    "VARIABLES",
    "Cloud",
    "Environment",
    "EnvironmentVariableError",
    "Limits",
    "Place",
    "Scope",
    "TimeZone",
    "cloud_environment",
    "dagster_home",
    "environment_from_variables",
    "is_dagster_home_set",
    "local_environment",
    "secret_in",
]
