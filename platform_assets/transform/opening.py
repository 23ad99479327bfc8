"""Which engine an environment's dbt project is built on: the one place that chooses.

Belongs here: the choice. Does not belong here: any engine, or the build itself (`build`).
"""

from functools import partial

from platform_assets.artifacts import ArtifactStore
from platform_assets.environment import Environment
from platform_assets.transform.build import RawRecords, Transform
from platform_assets.transform.dbt import cloud_project, local_project
from platform_assets.transform.exports_record import raw_tables_in_bigquery, raw_tables_in_folder
from platform_assets.transform.graph import ProjectGraph
from platform_assets.warehouse.catalog import Catalog
from platform_assets.warehouse.published import MartStore
from platform_assets.warehouse.versions import Versions


def open_transform(environment: Environment, graph: ProjectGraph, catalog: Catalog) -> Transform:
    """Everything a build in an environment works with."""
    versions: Versions
    raw: RawRecords
    marts = MartStore(environment.marts)
    if environment.cloud is None:
        from platform_assets.warehouse.duckdb_versions import DuckDBVersions

        project = local_project(environment.dbt_project, environment.raw, environment.dbt_database)
        raw = partial(raw_tables_in_folder, environment.raw)
        versions = DuckDBVersions(environment.data / "marts", environment.dbt_database)
    else:
        from platform_assets.warehouse.bigquery.connection import BigQuery
        from platform_assets.warehouse.bigquery.versions import BigQueryVersions

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
