"""What commands start from, read as the environment says, and how they say what is wrong: in a sentence.

Belongs here: what commands of several groups need.
"""

import os
from typing import TYPE_CHECKING, Any

import click

from platform_assets.environment import Environment, EnvironmentVariableError, environment_from_variables

if TYPE_CHECKING:
    from platform_assets.campaigns.declaration.spec import CampaignSpec
    from platform_assets.campaigns.registry.workspace import Workspace
    from platform_assets.data.catalog.catalog import Catalog
    from platform_assets.data.features.holdings import Holdings
    from platform_assets.foundation.execution.profiles import Profiles

GOOD, BAD = click.style("ok", fg="green"), click.style("!!", fg="red")
DOUBTFUL = click.style("??", fg="yellow")


class Explained:
    """While in it, errors of these kinds end the command with their own sentence and without a traceback."""

    def __init__(self, *expected: type[Exception]) -> None:
        self._expected = expected

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, self._expected):
            raise click.ClickException(str(error)) from error


class Commands(click.Group):
    """Commands of which each ends with a sentence where a file or folder cannot be used."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except OSError as error:
            if error.filename is None:
                raise
            raise click.ClickException(
                f"{error.filename}: {error.strerror}. Make it usable for this user, or name another place "
                "(PLATFORM_DATA names the data folder)"
            ) from error


def environment_here() -> Environment:
    """The environment that the process's variables describe."""
    with Explained(EnvironmentVariableError):
        return environment_from_variables()


def catalog_of(environment: Environment) -> "Catalog":
    from platform_assets.data.catalog.catalog import Catalog, CatalogError, ManifestMissing

    with Explained(CatalogError, ManifestMissing):
        return Catalog.from_manifest(environment.dbt_manifest)


def holdings_of(environment: Environment) -> "Holdings":
    from platform_assets.data.catalog.catalog import CatalogError, ManifestMissing
    from platform_assets.data.features.registry import GroupRefused, read_holdings

    with Explained(CatalogError, ManifestMissing, GroupRefused):
        return read_holdings(environment)


def profiles_of(environment: Environment) -> "Profiles":
    from platform_assets.foundation.execution.profiles import ProfileError, read_profiles

    with Explained(ProfileError):
        return read_profiles(environment.profiles)


def campaign_of(environment: Environment, holdings: "Holdings", name: str) -> "CampaignSpec":
    """The campaign of that name; it is there and can be honoured, or the command ends."""
    from platform_assets.campaigns.declaration.parsing import FILE_NAME, read_campaign
    from platform_assets.foundation.documents.sentences import did_you_mean

    path = environment.campaigns / name / FILE_NAME
    if not os.path.lexists(path):
        known = [other.parent.name for other in environment.campaigns.glob(f"*/{FILE_NAME}")]
        raise click.ClickException(f"there is no campaign {name} in {environment.campaigns}{did_you_mean(name, known)}")
    file = read_campaign(path, holdings, profiles_of(environment))
    if file.spec is None:
        raise click.ClickException(str(file.error))
    return file.spec


def work_on(name: str, command: str) -> "tuple[CampaignSpec, Workspace]":
    """A campaign as `campaign_of`, and the workspace in which a command answers for it."""
    from platform_assets.campaigns.registry.opening import open_workspace

    environment = environment_here()
    holdings = holdings_of(environment)
    spec = campaign_of(environment, holdings, name)
    return spec, open_workspace(environment, holdings, f"{command} {name}")
