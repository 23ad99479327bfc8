"""What every definition is built from: the environment, its marts and feature groups, the as-of partitions, the resource
profiles."""

from dataclasses import dataclass

import dagster as dg

from platform_assets.components.as_of_dates import as_of_dates
from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.features.holdings import Groups, Holdings
from platform_assets.data.features.registry import read_holdings
from platform_assets.environment import Environment, environment_from_variables
from platform_assets.foundation.execution.profiles import Profiles, read_profiles


@dataclass(frozen=True)
class Platform:
    """One environment with its marts, feature groups, time axis and resource profiles.

    Attributes:
        holdings: what campaigns may ask of.
        as_of: the platform's one partition: business dates in its time zone. Partition D knows what happened before D.
    """

    environment: Environment
    holdings: Holdings
    as_of: dg.DailyPartitionsDefinition
    profiles: Profiles

    @property
    def catalog(self) -> Catalog:
        """The marts."""
        return self.holdings.catalog

    @property
    def groups(self) -> Groups:
        """The feature groups over the marts."""
        return self.holdings.groups


def platform_of(environment: Environment) -> Platform:
    """The platform in an environment.

    Raises:
        ManifestMissing, CatalogError: the dbt project is not parsed yet, or declares something unusable.
        GroupRefused: a feature group cannot be worked with.
        ProfileError: the resource profiles cannot be honoured.
    """
    holdings = read_holdings(environment)
    as_of = as_of_dates(environment, holdings.catalog)
    return Platform(environment, holdings, as_of, read_profiles(environment.profiles))


def platform_from_variables() -> Platform:
    """The platform that the process's environment variables describe."""
    return platform_of(environment_from_variables())
