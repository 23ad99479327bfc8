"""Which engine an environment's dbt project is built on: the one place that chooses.

Belongs here: the choice. Does not belong here: any engine, or the build itself (`build`).
"""

from functools import partial

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.catalog.pointer import MartStore
from platform_assets.data.engines.versions import Versions
from platform_assets.data.marts.build import RawRecords, Transform
from platform_assets.data.marts.dbt import cloud_project, local_project
from platform_assets.data.marts.exports_record import raw_tables_in_bigquery, raw_tables_in_folder
from platform_assets.data.marts.graph import ProjectGraph
from platform_assets.environment import Environment
from platform_assets.foundation.artifacts import ArtifactStore


def open_transform(environment: Environment, graph: ProjectGraph, catalog: Catalog) -> Transform:
    """Everything a build in an environment works with."""
    versions: Versions
    raw: RawRecords
    marts = MartStore(environment.marts)
    if environment.cloud is None:
        from platform_assets.data.engines.duckdb.versions import DuckDBVersions

        project = local_project(environment.dbt_project, environment.raw, environment.dbt_database)
        raw = partial(raw_tables_in_folder, environment.raw)
        versions = DuckDBVersions(environment.data / "marts", environment.dbt_database)
    else:
        from platform_assets.data.engines.bigquery.connection import BigQuery
        from platform_assets.data.engines.bigquery.versions import BigQueryVersions

        project = cloud_project(environment.dbt_project, environment.name, environment.cloud, environment.data / "dbt")
        bigquery = BigQuery(environment.cloud)
        raw = partial(raw_tables_in_bigquery, bigquery)
        versions = BigQueryVersions(bigquery, environment.marts)
    return Transform(
        graph=graph,
        catalog=catalog,
        project=project,
        raw=raw,
        versions=versions,
        marts=marts,
        artifacts=ArtifactStore(environment.artifacts),
    )
