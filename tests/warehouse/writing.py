"""Publishing marts out of a DuckDB database, as one call for tests."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from platform_assets.warehouse.catalog import Mart
from platform_assets.warehouse.duckdb_versions import DuckDBVersions
from platform_assets.warehouse.published import MartStore, PublishedTable


def write_versions(
    store: MartStore,
    database: Path,
    marts: Iterable[Mart],
    watermarks: Mapping[str, datetime],
    schema: str = "marts",
) -> list[PublishedTable]:
    """Versions of tables of a database, unpublished."""
    return DuckDBVersions(Path(store.root), database, schema).write(marts, watermarks)


def publish_from(
    store: MartStore,
    database: Path,
    marts: Iterable[Mart],
    watermarks: Mapping[str, datetime],
    schema: str = "marts",
) -> list[PublishedTable]:
    """The same, made current in one step."""
    tables = write_versions(store, database, marts, watermarks, schema)
    store.publish(tables)
    return tables
