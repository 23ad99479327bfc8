"""Which engine an environment works with: the one place that chooses.

Belongs here: the choice. Does not belong here: any engine.
"""

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.catalog.pointer import MartStore
from platform_assets.data.engines.raw_tables import RawTables
from platform_assets.data.engines.reading import Warehouse
from platform_assets.environment import Environment


def open_raw_tables(environment: Environment) -> RawTables:
    """The raw tables of an environment; nothing is connected before the first use."""
    if environment.cloud is None:
        from platform_assets.data.engines.duckdb.raw_tables import FolderTables

        return FolderTables(environment.raw)
    from platform_assets.data.engines.bigquery.connection import BigQuery
    from platform_assets.data.engines.bigquery.raw_tables import BigQueryTables

    return BigQueryTables(BigQuery(environment.cloud))


def open_warehouse(environment: Environment, catalog: Catalog, source: str = "warehouse") -> Warehouse:
    """A view of the marts published in an environment, as of its first use.

    Args:
        source: what reads: on BigQuery a label of every query, for cost attribution.
    """
    marts = MartStore(environment.marts)
    if environment.cloud is None:
        from platform_assets.data.engines.duckdb.reading import DuckDBWarehouse

        return DuckDBWarehouse(catalog, marts)
    from platform_assets.data.engines.bigquery.connection import BigQuery
    from platform_assets.data.engines.bigquery.reading import BigQueryWarehouse

    return BigQueryWarehouse(catalog, marts, BigQuery(environment.cloud), source)
