"""DuckDB as an engine: everything in folders below the environment's data.

Belongs here: where each part of it lies. Does not belong here: what the parts do.
"""

import glob
from functools import cached_property
from typing import TYPE_CHECKING

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.catalog.pointer import MartStore
from platform_assets.data.engines.dbt_project import DbtProject
from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.engines.duckdb.reading import DuckDBWarehouse
from platform_assets.data.engines.duckdb.versions import DuckDBVersions
from platform_assets.data.engines.engine import Engine
from platform_assets.environment import Environment

if TYPE_CHECKING:
    from platform_assets.data.engines.duckdb.read_only import ClosedBackend, ReadOnlyWarehouse


class DuckDBEngine(Engine):
    """DuckDB inside the process; folders are made when they are needed, and an audience's Parquet file is its table."""

    name = "duckdb"

    def __init__(self, environment: Environment) -> None:
        database, raw = environment.dbt_database, environment.raw
        self._marts = MartStore(environment.marts)
        self.raw = self.profiles = FolderTables(raw, environment.limits)
        self.versions = DuckDBVersions(environment.data / "marts", database)
        self.dbt = DbtProject(
            folder=environment.dbt_project,
            work=database.parent,
            variables={
                "PLATFORM_ENV": "local",
                # Models take it into a literal that is a pattern of files.
                "PLATFORM_RAW": glob.escape(str(raw)).replace("'", "''"),
                "PLATFORM_DBT_DATABASE": str(database),
            },
            settings={},
            distributions=("dbt-core", "dbt-duckdb", "duckdb"),
        )

    def warehouse(self, catalog: Catalog, source: str) -> DuckDBWarehouse:
        return DuckDBWarehouse(catalog, self._marts)

    def reading(self, catalog: Catalog, source: str) -> "ReadOnlyWarehouse":
        from platform_assets.data.engines.duckdb.read_only import ReadOnlyWarehouse

        return ReadOnlyWarehouse(catalog, self._marts, self._closed)

    @cached_property
    def _closed(self) -> "ClosedBackend":
        # One for all that is read through this engine, so that tables of different moments join.
        from platform_assets.data.engines.duckdb.read_only import ClosedBackend

        return ClosedBackend()
