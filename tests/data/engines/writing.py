"""Publishing marts out of a DuckDB database, as one call for tests."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from platform_assets.data.catalog.catalog import Mart
from platform_assets.data.catalog.pointer import MartStore, PublishedTable
from platform_assets.data.engines.duckdb.versions import DuckDBVersions


def write_versions(
    store: MartStore, database: Path, marts: Iterable[Mart], watermarks: Mapping[str, datetime]
) -> list[PublishedTable]:
    """Versions of tables of a database, unpublished."""
    return DuckDBVersions(Path(store.root), database, "marts").write(marts, watermarks)


def publish_from(
    store: MartStore, database: Path, marts: Iterable[Mart], watermarks: Mapping[str, datetime]
) -> list[PublishedTable]:
    """The same, made current in one step."""
    tables = write_versions(store, database, marts, watermarks)
    store.publish(tables)
    return tables
