"""The environment that the process's variables and the project's settings file describe.

Belongs here: reading the process's variables, which nothing else does. Does not belong here: what each means.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from platform_assets.environment.forms import Variable
from platform_assets.environment.settings import (
    PROJECT_VARIABLE,
    SETTINGS,
    EnvironmentVariableError,
    Setting,
    find_project,
    read_settings,
)
from platform_assets.environment.variables import (
    REPOSITORY,
    Cloud,
    Environment,
    Limits,
    cloud_environment,
    local_environment,
)


def is_dagster_home_set() -> bool:
    """Whether the process's variables name the folder of the Dagster instance; the name is Dagster's own."""
    return bool(os.environ.get("DAGSTER_HOME"))


def dagster_home(environment: Environment) -> Path | None:
    """The folder of the Dagster instance where no variable names it: the project's `dagster_home`, or `dagster` in the data
    folder, as `make` has it; None where a variable does, or neither is there."""
    places = (environment.project / "dagster_home", environment.data / "dagster")
    return None if is_dagster_home_set() else next((p for p in places if (p / "dagster.yaml").is_file()), None)


def secret_in(variable: str) -> str | None:
    """What a variable holds that is the place of a secret: one of `SECRETS`, or one that a declaration names. None where it is not
    set or empty."""
    return os.environ.get(variable) or None


_FIELDS = {
    variable.name: (owner, field, hint, variable)
    for owner in (Environment, Cloud, Limits)
    for field, hint in get_type_hints(owner, include_extras=True).items()
    for variable in getattr(hint, "__metadata__", ())
    if isinstance(variable, Variable)
}
VARIABLES = {name: stated[3].description for name, stated in _FIELDS.items() if name.startswith("PLATFORM_")}
EMULATOR_VARIABLES = {
    name: _FIELDS[name][3].description
    for name in ("BIGQUERY_EMULATOR_HOST", "STORAGE_EMULATOR_HOST", "PLATFORM_BIGQUERY_STORAGE_HOST")
}
TAKES = {name: stated[3].takes for name, stated in _FIELDS.items()}
CLOUD_ONLY = tuple(name for name in VARIABLES if _FIELDS[name][0] is Cloud)
_REFUSED = {
    "local": (CLOUD_ONLY, "unset it, or set PLATFORM_ENV=gcp"),
    "gcp": (
        tuple(EMULATOR_VARIABLES),
        "it would lead real work to an emulator; unset it, or set PLATFORM_ENV=emulated",
    ),
}
_NEEDED = {"gcp": ("PLATFORM_PROJECT",), "emulated": ("PLATFORM_PROJECT", *EMULATOR_VARIABLES)}


def environment_from_variables(variables: Mapping[str, str] | None = None) -> Environment:
    """The environment that `variables` (default: the process's) and the project's settings file describe.

    A variable of the process goes before the file's; an empty one is as if it were not set.

    Raises:
        EnvironmentVariableError: there is no project here; or a variable is unknown or its value is not usable: names it, where
            it stands if in the file, and what it takes.
    """
    values = os.environ if variables is None else variables
    for name in values:
        _require_known(name)
    texts = {name: values[name] for name in _FIELDS if values.get(name)}
    project = find_project(texts.get(PROJECT_VARIABLE), Path.cwd(), REPOSITORY)
    settings = [setting for setting in read_settings(project / SETTINGS) if _may_be_set_by_a_file(setting)]
    stands = {setting.name: setting.place for setting in settings if setting.text and setting.name not in texts}
    texts |= {setting.name: setting.text for setting in settings if setting.name in stands}
    return _environment_of(project, texts, stands)


def _environment_of(project: Path, texts: dict[str, str], stands: Mapping[str, str]) -> Environment:
    """The environment by the texts of its variables, of which some stand in the settings file, at the place named."""
    where = texts.get("PLATFORM_ENV", "local")
    refused, remedy = _REFUSED.get(where, ((), ""))
    for name in texts:
        if name in refused:
            raise EnvironmentVariableError(
                f"{stands.get(name, '')}{name} is set, but means nothing with PLATFORM_ENV={where}: {remedy}"
            )
    for name in _NEEDED.get(where, ()):
        if name not in texts:
            raise EnvironmentVariableError(
                f"{name} is not set; PLATFORM_ENV={where} needs it: {_FIELDS[name][3].takes}"
            )
    if where in _NEEDED:
        google, stage = texts["PLATFORM_PROJECT"].replace(":", "-"), texts.get("PLATFORM_STAGE", "dev")
        texts.setdefault("PLATFORM_BUCKET", f"{google}-audiences-{stage}")
    fields: dict[type, dict[str, Any]] = {Environment: {}, Cloud: {}, Limits: {}}
    for name, text in texts.items():
        owner, field, hint, variable = _FIELDS[name]
        if owner is Cloud and where == "local":
            continue  # an emulator's address says nothing here
        try:
            context = project if name in stands else None
            fields[owner][field] = TypeAdapter(hint).validate_python(text, context=context)
        except ValidationError as error:
            raise EnvironmentVariableError(f"{stands.get(name, '')}{name}={text}: takes {variable.takes}") from error
    own = {"data": project / ".data", "limits": Limits(**fields[Limits]), **fields[Environment], "project": project}
    if where == "local":
        return local_environment(**own)
    return cloud_environment(cloud=Cloud(**fields[Cloud]), **own)


def _require_known(name: str, place: str = "") -> None:
    if name.startswith("PLATFORM_") and name not in VARIABLES:
        raise EnvironmentVariableError(
            f"{place}{name} is not a variable of this platform; it knows {', '.join(VARIABLES)}"
        )


def _may_be_set_by_a_file(setting: Setting) -> bool:
    _require_known(setting.name, setting.place)
    if setting.name not in VARIABLES:
        raise EnvironmentVariableError(
            f"{setting.place}{setting.name} is not a variable of this platform; set it in the shell"
        )
    if setting.name == PROJECT_VARIABLE:
        raise EnvironmentVariableError(f"{setting.place}{setting.name} says where this file is; set it in the shell")
    return True
