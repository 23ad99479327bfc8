"""Which engine an environment's marts are in: the one place that chooses a reader.

Belongs here: the choice. Does not belong here: any engine.
"""

from platform_assets.environment import Environment
from platform_assets.warehouse.catalog import Catalog
from platform_assets.warehouse.published import MartStore
from platform_assets.warehouse.reading import Warehouse


def open_warehouse(environment: Environment, catalog: Catalog, source: str = "warehouse") -> Warehouse:
    """A view of the marts published in an environment, as of its first use.

    Args:
        source: what reads: on BigQuery a label of every query, for cost attribution.
    """
    marts = MartStore(environment.marts)
    if environment.cloud is None:
        from platform_assets.warehouse.duckdb import DuckDBWarehouse

        return DuckDBWarehouse(catalog, marts)
    from platform_assets.warehouse.bigquery.connection import BigQuery
    from platform_assets.warehouse.bigquery.reading import BigQueryWarehouse

    return BigQueryWarehouse(catalog, marts, BigQuery(environment.cloud), source)
