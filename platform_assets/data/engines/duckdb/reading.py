"""DuckDB's side of reading the published marts: Parquet files through an in-memory database in UTC.

Belongs here: DuckDB's reader. Does not belong here: writing marts (`versions`), or anything that opens dbt's database.
"""

import glob
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.catalog.pointer import MartDamaged, MartStore
from platform_assets.data.engines.duckdb.versions import is_whole, mart_file
from platform_assets.data.engines.reading import QueryFailed, Warehouse
from platform_assets.data.quality.unquoting import reason_of

if TYPE_CHECKING:
    import ibis
    import pyarrow as pa
    from ibis.backends.duckdb import Backend


class DuckDBWarehouse(Warehouse):
    """The published marts below a folder."""

    engine = f"duckdb {version('duckdb')}"

    def __init__(self, catalog: Catalog, marts: MartStore) -> None:
        super().__init__(catalog, marts)
        self._views: dict[str, str] = {}

    def table(self, mart: str) -> "ibis.Table":
        published = self.published(mart)
        if mart not in self._views:
            name = f"{mart}__{published.version}"
            file = mart_file(Path(self.marts.root), published)
            if not is_whole(file):
                raise MartDamaged(
                    f"mart {mart}: {file} is gone or not what was written; materialise marts/{mart} again, which writes it anew"
                )
            self._show(file, name)
            self._views[mart] = name
        return self._backend.table(self._views[mart])

    def memtable(self, table: "pa.Table") -> "ibis.Table":
        import ibis

        return ibis.memtable(table)

    def to_arrow(self, expression: "ibis.Expr") -> "pa.Table":
        import duckdb

        try:
            return self._backend.to_pyarrow(expression)
        except duckdb.Error as error:
            raise QueryFailed(f"DuckDB could not read the marts: {reason_of(error)}") from None

    def sql(self, expression: "ibis.Expr") -> str:
        return str(self._backend.compile(expression))

    def _show(self, file: Path, name: str) -> None:
        """Make a file's rows a table of the backend."""
        self._backend.read_parquet(glob.escape(str(file)), table_name=name, hive_partitioning=False)

    @cached_property
    def _backend(self) -> "Backend":
        import ibis

        backend = ibis.duckdb.connect()
        backend.raw_sql("set timezone='UTC'")
        return backend
