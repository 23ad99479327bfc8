"""Which engine an environment works with: the one place that chooses.

Belongs here: the choice. Does not belong here: any engine.
"""

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.engines.engine import Engine
from platform_assets.data.engines.reading import Warehouse
from platform_assets.environment import Environment


def open_engine(environment: Environment) -> Engine:
    """The engine of an environment; nothing is connected before its first use."""
    if environment.cloud is None:
        from platform_assets.data.engines.duckdb.engine import DuckDBEngine

        return DuckDBEngine(environment)
    from platform_assets.data.engines.bigquery.engine import BigQueryEngine

    return BigQueryEngine(environment)


def open_warehouse(environment: Environment, catalog: Catalog, source: str = "warehouse") -> Warehouse:
    """The marts published in an environment; see `Engine.warehouse`."""
    return open_engine(environment).warehouse(catalog, source)
