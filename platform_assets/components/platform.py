"""What every definition is built from: the environment, the catalog of marts, the as-of partitions, the resource profiles."""

from dataclasses import dataclass

import dagster as dg

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.environment import Environment, environment_from_variables
from platform_assets.foundation.execution.profiles import Profiles, read_profiles


@dataclass(frozen=True)
class Platform:
    """One environment with its catalog, time axis and resource profiles.

    Attributes:
        as_of: the platform's one partition: business dates in its time zone. Partition D knows what happened before D.
    """

    environment: Environment
    catalog: Catalog
    as_of: dg.DailyPartitionsDefinition
    profiles: Profiles


def platform_of(environment: Environment) -> Platform:
    """The platform in an environment.

    Raises:
        ManifestMissing, CatalogError: the dbt project is not parsed yet, or declares something unusable.
        ProfileError: the resource profiles cannot be honoured.
    """
    # Midnight of D is already known when D begins, so today's partition exists today.
    as_of = dg.DailyPartitionsDefinition(
        start_date=environment.first_date.isoformat(), timezone=environment.timezone, end_offset=1
    )
    catalog = Catalog.from_manifest(environment.dbt_manifest)
    return Platform(environment, catalog, as_of, read_profiles(environment.profiles))


def platform_from_variables() -> Platform:
    """The platform that the process's environment variables describe."""
    return platform_of(environment_from_variables())
