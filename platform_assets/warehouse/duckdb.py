"""Reading the published marts: Ibis tables over their Parquet, in an in-memory DuckDB in UTC.

Belongs here: the reader that features, labels and audiences share. Does not belong here: writing marts, or
anything that opens dbt's database.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from platform_assets.warehouse.catalog import Catalog
from platform_assets.warehouse.published import MartStore, Pointer, PublishedTable

if TYPE_CHECKING:
    import ibis
    import pyarrow as pa
    from ibis.backends.duckdb import Backend


class Warehouse:
    """One consistent view of the published marts.

    The pointer is read once, at first use: everything one instance reads belongs together, whatever is
    published meanwhile. Make one per piece of work (a step, a command), not one per process.
    """

    def __init__(self, catalog: Catalog, marts: MartStore) -> None:
        self.catalog = catalog
        self.marts = marts
        self._views: dict[str, str] = {}

    def connect(self) -> "Backend":
        """The Ibis backend of this instance: DuckDB in memory, UTC, made at the first call."""
        return self._backend

    def published(self, mart: str) -> PublishedTable:
        """The published version of a mart.

        Raises:
            CatalogError: there is no such mart.
            MartMissing, MartRefused: it cannot be read; the message says what to do.
        """
        return self._pointer.require(self.catalog.mart(mart).name)

    def table(self, mart: str) -> "ibis.Table":
        """An Ibis table over a mart's published Parquet. Raises as `published` does."""
        published = self.published(mart)
        if mart not in self._views:
            name = f"{mart}__{published.version}"
            self.connect().read_parquet(published.file, table_name=name, hive_partitioning=False)
            self._views[mart] = name
        return self.connect().table(self._views[mart])

    def watermark(self, *marts: str) -> datetime:
        """UTC instant before which the exports of all these marts cover everything."""
        if not marts:
            raise ValueError("watermark() takes at least one mart")
        return min(self.published(mart).watermark for mart in marts)

    def version_before(self, mart: str, instant: datetime) -> str:
        """A hash that changes when, and only when, a row that could matter strictly before `instant` changed.

        Event marts: over the UTC days that begin before `instant`, so rows of later days leave it as it is.
        Entity and dimension marts: the whole content.

        Raises:
            ValueError: `instant` has no time zone.
        """
        if instant.tzinfo is None:
            raise ValueError(f"version_before({mart!r}) takes an instant with a time zone")
        published = self.published(mart)
        if self.catalog.mart(mart).event_time is None:
            return published.content_hash
        return hash_of_days(mart, {day: digest for day, digest in published.days.items() if _start_of(day) < instant})

    def memtable(self, table: "pa.Table") -> "ibis.Table":
        """An Ibis table over Arrow data, to join with marts."""
        import ibis

        return ibis.memtable(table)

    def to_arrow(self, expression: "ibis.Expr") -> "pa.Table":
        """Run an expression on this instance's engine."""
        return self.connect().to_pyarrow(expression)

    @cached_property
    def _pointer(self) -> Pointer:
        return self.marts.pointer()

    @cached_property
    def _backend(self) -> "Backend":
        import ibis

        backend = ibis.duckdb.connect()
        backend.raw_sql("set timezone='UTC'")
        return backend


def hash_of_days(mart: str, days: Mapping[str, str]) -> str:
    """One hash over the versions of some days of a mart."""
    return hashlib.sha256(json.dumps([mart, sorted(days.items())]).encode()).hexdigest()


def _start_of(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)
