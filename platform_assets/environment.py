"""Where the platform runs and what it loads, read from environment variables here and nowhere else.

Belongs here: the variables, their defaults, the places derived from them, and the scope of definitions to load.
Does not belong here: anything that opens a file or a connection.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

PACKAGE = Path(__file__).resolve().parent
REPOSITORY = PACKAGE.parent

VARIABLES = {
    "PLATFORM_ENV": "where the platform runs; only `local` (DuckDB and a folder) so far",
    "PLATFORM_DATA": "folder that holds everything the platform writes (default: .data in the repository)",
    "PLATFORM_EXPORTS": "folder with the AWS exports as AWS wrote them (default: lake/exports in PLATFORM_DATA)",
    "PLATFORM_TEACHERS": "folder with teacher files (default: lake/teachers in PLATFORM_DATA)",
    "PLATFORM_CAMPAIGNS_DIR": "folder with <campaign>/defs.yaml (default: platform_assets/defs/campaigns)",
    "PLATFORM_SOURCES_DIR": "folder with <source>/defs.yaml (default: platform_assets/defs/sources)",
    "PLATFORM_DBT_PROJECT": "the dbt project (default: dbt_project in the repository)",
    "PLATFORM_TIMEZONE": "time zone of business dates, an IANA name (default: UTC)",
    "PLATFORM_FIRST_DATE": "first as-of date that can be asked for (default: 1997-01-01)",
    "PLATFORM_SCOPE": "definitions to load: `all` (default) or `campaign:<name>`",
    "PLATFORM_STRICT": "1: a broken campaign file stops the load; 0 (default): it shows as a failed check",
}


class EnvironmentVariableError(ValueError):
    """An environment variable holds something the platform cannot work with; the message names it."""


@dataclass(frozen=True)
class Scope:
    """Which campaigns a process defines; shared assets are always defined."""

    campaign: str | None = None

    def admits(self, campaign: str) -> bool:
        return self.campaign is None or self.campaign == campaign


@dataclass(frozen=True)
class Environment:
    """Everything that differs between two places the platform runs in."""

    data: Path
    exports: Path
    teachers: Path
    campaigns: Path
    sources: Path
    dbt_project: Path
    timezone: str = "UTC"
    first_date: date = date(1997, 1, 1)
    scope: Scope = Scope()
    strict: bool = False
    name: str = "local"

    @property
    def raw(self) -> Path:
        return self.data / "raw"

    @property
    def marts(self) -> Path:
        return self.data / "marts"

    @property
    def artifacts(self) -> Path:
        return self.data / "artifacts"

    @property
    def audiences(self) -> Path:
        return self.data / "audiences"

    @property
    def verdicts(self) -> Path:
        return self.data / "verdicts"

    @property
    def refs(self) -> Path:
        return self.data / "refs"

    @property
    def dbt_database(self) -> Path:
        return self.data / "warehouse" / "dbt.duckdb"

    @property
    def dbt_manifest(self) -> Path:
        return self.dbt_project / "target" / "manifest.json"


def local_environment(data: Path, **overrides: object) -> Environment:
    """The embedded platform below one folder; `overrides` replace single fields."""
    places: dict[str, object] = {
        "data": data,
        "exports": data / "lake" / "exports",
        "teachers": data / "lake" / "teachers",
        "campaigns": PACKAGE / "defs" / "campaigns",
        "sources": PACKAGE / "defs" / "sources",
        "dbt_project": REPOSITORY / "dbt_project",
    }
    return Environment(**(places | overrides))  # type: ignore[arg-type]


def environment_from_variables(variables: Mapping[str, str] | None = None) -> Environment:
    """The environment that `variables` (default: the process's) describe.

    Raises:
        EnvironmentVariableError: a variable is unknown or its value is not usable; names it and what it takes.
    """
    values = os.environ if variables is None else variables
    for name in values:
        if name.startswith("PLATFORM_") and name not in VARIABLES:
            raise EnvironmentVariableError(
                f"{name} is not a variable of this platform; it knows {', '.join(VARIABLES)}"
            )
    given = {name: values[name] for name in VARIABLES if values.get(name)}

    if (where := given.get("PLATFORM_ENV", "local")) != "local":
        raise EnvironmentVariableError(f"PLATFORM_ENV={where}: only `local` is supported")
    overrides: dict[str, object] = {
        field: Path(given[name]).expanduser().resolve()
        for name, field in (
            ("PLATFORM_EXPORTS", "exports"),
            ("PLATFORM_TEACHERS", "teachers"),
            ("PLATFORM_CAMPAIGNS_DIR", "campaigns"),
            ("PLATFORM_SOURCES_DIR", "sources"),
            ("PLATFORM_DBT_PROJECT", "dbt_project"),
        )
        if name in given
    }
    if "PLATFORM_TIMEZONE" in given:
        overrides["timezone"] = _timezone(given["PLATFORM_TIMEZONE"])
    if "PLATFORM_FIRST_DATE" in given:
        overrides["first_date"] = _date(given["PLATFORM_FIRST_DATE"])
    overrides["scope"] = _scope(given.get("PLATFORM_SCOPE", "all"))
    overrides["strict"] = _switch(given.get("PLATFORM_STRICT", "0"))
    data = Path(given.get("PLATFORM_DATA", REPOSITORY / ".data")).expanduser().resolve()
    return local_environment(data, **overrides)


def _timezone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: a folder of zones, such as Europe
        raise EnvironmentVariableError(
            f"PLATFORM_TIMEZONE={text}: not an IANA time zone such as Europe/Berlin"
        ) from error
    return text


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise EnvironmentVariableError(f"PLATFORM_FIRST_DATE={text}: not a date such as 2024-01-31") from error


def _scope(text: str) -> Scope:
    kind, _, name = text.partition(":")
    if text == "all":
        return Scope()
    if kind == "campaign" and name:
        return Scope(campaign=name)
    raise EnvironmentVariableError(f"PLATFORM_SCOPE={text}: takes `all` or `campaign:<name>`")


def _switch(text: str) -> bool:
    if text not in ("0", "1"):
        raise EnvironmentVariableError(f"PLATFORM_STRICT={text}: takes 0 or 1")
    return text == "1"
