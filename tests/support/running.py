"""A platform that tests run: its environment, its definitions, and what a run came to.

Belongs here: starting runs in process and reading their failures. Does not belong here: what is expected of
them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dagster as dg
from click.testing import CliRunner, Result

from platform_assets.cli import main
from platform_assets.definitions import build_definitions
from platform_assets.environment import Environment


def variables_of(environment: Environment) -> dict[str, str]:
    """The environment variables that describe an environment to another process."""
    return {
        "PLATFORM_DATA": str(environment.data),
        "PLATFORM_CAMPAIGNS_DIR": str(environment.campaigns),
        "PLATFORM_SOURCES_DIR": str(environment.sources),
        "PLATFORM_DBT_PROJECT": str(environment.dbt_project),
        "PLATFORM_PROJECT_DIR": str(environment.project),
    }


@dataclass(frozen=True)
class Platform:
    """An environment with its definitions, and the Dagster instance that knows what ran."""

    environment: Environment
    definitions: dg.Definitions
    instance: dg.DagsterInstance

    @classmethod
    def of(cls, environment: Environment, instance: dg.DagsterInstance) -> "Platform":
        return cls(environment, build_definitions(environment), instance)

    def run(self, job: str, **how: Any) -> dg.ExecuteInProcessResult:
        """Run a job to its end, failed or not."""
        resolved = self.definitions.resolve_job_def(job)
        return resolved.execute_in_process(instance=self.instance, raise_on_error=False, **how)

    def materialize(self, *keys: str, **how: Any) -> dg.ExecuteInProcessResult:
        """Materialise assets by their `a/b/c` keys to the end, failed or not."""
        job = self.definitions.resolve_implicit_global_asset_job_def()
        selected = [dg.AssetKey(key.split("/")) for key in keys]
        return job.execute_in_process(instance=self.instance, raise_on_error=False, asset_selection=selected, **how)

    def check(self, key: str) -> dg.ExecuteInProcessResult:
        """Run the checks of one asset, and not the asset."""
        checks = dg.AssetSelection.checks_for_assets(dg.AssetKey(key.split("/")))
        job = dg.define_asset_job("check", selection=checks)
        alone = dg.Definitions.merge(self.definitions, dg.Definitions(jobs=[job]))
        return alone.resolve_job_def("check").execute_in_process(instance=self.instance, raise_on_error=False)


def failures_of(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Step → the sentence of its `dg.Failure`. A step that raised anything else fails the test."""
    told = {}
    for event in result.get_step_failure_events():
        data = event.step_failure_data
        assert data.user_failure_data is not None, f"{event.step_key} raised {data.error}"
        told[str(event.step_key)] = str(data.user_failure_data.description)
    return told


def materialized(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    """`a/b/c` key → metadata of what the run materialised, in the order of events."""
    return {
        event.materialization.asset_key.to_user_string(): {
            name: value.value for name, value in event.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
    }


def keys(definitions: dg.Definitions) -> set[str]:
    return {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}


def jobs_in(definitions: dg.Definitions) -> dict[str, dg.JobDefinition]:
    """The jobs that people see, by name."""
    return {job.name: job for job in definitions.get_repository_def().get_all_jobs() if not job.name.startswith("__")}


Command = Callable[..., Result]


def on(environment: Environment) -> Command:
    """`platform-assets` in an environment."""

    def command(*arguments: str, **variables: str) -> Result:
        given = variables_of(environment) | variables
        return CliRunner().invoke(main, list(arguments), env=given, catch_exceptions=False)

    return command
