"""BigQuery as an engine: one connection, and what works through it.

Belongs here: how its parts are put together. Does not belong here: what the parts do.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.catalog.pointer import MartStore
from platform_assets.data.engines.bigquery.audience_table import publish_table
from platform_assets.data.engines.bigquery.connection import BigQuery
from platform_assets.data.engines.bigquery.preparing import look, prepare
from platform_assets.data.engines.bigquery.raw_tables import BigQueryTables
from platform_assets.data.engines.bigquery.read_only import ReadOnlyWarehouse
from platform_assets.data.engines.bigquery.reading import BigQueryWarehouse
from platform_assets.data.engines.bigquery.versions import BigQueryVersions
from platform_assets.data.engines.dbt_project import DbtProject
from platform_assets.data.engines.engine import AudienceTable, Engine, Readiness
from platform_assets.environment import Cloud, Environment


class BigQueryEngine(Engine):
    """BigQuery and GCS, or the emulators that stand in for them."""

    name = "bigquery"

    def __init__(self, environment: Environment) -> None:
        """`environment` has a cloud."""
        assert environment.cloud is not None
        self._bigquery, self._marts = BigQuery(environment.cloud), MartStore(environment.marts)
        self.raw = self.profiles = BigQueryTables(self._bigquery)
        self.versions = BigQueryVersions(self._bigquery, environment.marts)
        self.dbt = _dbt_project(environment, environment.cloud)
        # Emulators know no policy tags.
        if environment.name == "gcp":
            self.restricted = frozenset(tag for tag, _ in environment.cloud.policy_tags)

    def warehouse(self, catalog: Catalog, source: str) -> BigQueryWarehouse:
        return BigQueryWarehouse(catalog, self._marts, self._bigquery, source)

    def reading(self, catalog: Catalog, source: str) -> ReadOnlyWarehouse:
        return ReadOnlyWarehouse(catalog, self._marts, self._bigquery, source)

    def publish_audience(self, audience: AudienceTable, file: Path, url: str, as_of: datetime) -> str:
        return publish_table(self._bigquery, audience, file, url, as_of)

    def prepare(self) -> Iterator[Readiness]:
        return prepare(self._bigquery)

    def places(self) -> Iterator[Readiness]:
        return look(self._bigquery)


def _dbt_project(environment: Environment, cloud: Cloud) -> DbtProject:
    settings = {
        "PLATFORM_PROJECT": cloud.project,
        "PLATFORM_STAGE": cloud.stage,
        **{f"PLATFORM_POLICY_TAG_{tag.upper()}": resource for tag, resource in cloud.policy_tags},
    }
    variables = {
        "PLATFORM_ENV": environment.name,
        "PLATFORM_LOCATION": cloud.location,
        "PLATFORM_MAX_BYTES_BILLED": str(cloud.max_bytes_billed),
        **({"BIGQUERY_EMULATOR_HOST": cloud.bigquery_endpoint} if cloud.bigquery_endpoint else {}),
    }
    return DbtProject(
        folder=environment.dbt_project,
        work=environment.data / "dbt",
        variables=variables | settings,
        settings=settings,
        distributions=("dbt-core", "dbt-bigquery"),
    )
