"""Reading the published marts, whatever engine holds them: what features, labels and audiences share.

Belongs here: the interface, and all of it that is the same on every engine. Does not belong here: an engine
(`duckdb.reading`, `bigquery.reading`), which engine it is (`opening`), or writing marts.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.catalog.pointer import MartStore, Pointer, PublishedTable

if TYPE_CHECKING:
    import ibis
    import pyarrow as pa


class QueryFailed(RuntimeError):
    """The engine could not answer a query; says why, without values of the data."""


class Warehouse(ABC):
    """One consistent view of the published marts.

    The pointer is read once, at first use: everything one instance reads belongs together, whatever is
    published meanwhile. Make one per piece of work (a step, a command), not one per process.

    Attributes:
        engine: name and version of the engine, as far as results may depend on it.
    """

    engine: str

    def __init__(self, catalog: Catalog, marts: MartStore) -> None:
        self.catalog = catalog
        self.marts = marts

    @abstractmethod
    def table(self, mart: str) -> "ibis.Table":
        """An Ibis table over a mart's published version.

        Raises as `published` does, and MartDamaged when an engine that keeps files finds another one than it wrote.
        """

    @abstractmethod
    def memtable(self, table: "pa.Table") -> "ibis.Table":
        """An Ibis table over Arrow data, to join with marts."""

    @abstractmethod
    def to_arrow(self, expression: "ibis.Expr") -> "pa.Table":
        """Run an expression on the engine: the table, in the types of the expression's schema.

        Raises:
            QueryFailed: the engine could not.
        """

    @abstractmethod
    def sql(self, expression: "ibis.Expr") -> str:
        """The statement that `to_arrow` runs."""

    def cost(self) -> dict[str, int]:
        """What reading through this instance was estimated to cost so far, as metadata; nothing where it is free."""
        return {}

    def value(self, expression: "ibis.Scalar") -> Any:
        """Run an expression of one value."""
        return self.to_arrow(expression.name("value").as_table()).column(0)[0].as_py()

    def published(self, mart: str) -> PublishedTable:
        """The published version of a mart.

        Raises:
            CatalogError: there is no such mart.
            MartMissing, MartRefused: it cannot be read; the message says what to do.
        """
        return self._pointer.require(self.catalog.mart(mart).name)

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

    @cached_property
    def _pointer(self) -> Pointer:
        return self.marts.pointer()


def hash_of_days(mart: str, days: Mapping[str, str]) -> str:
    """One hash over the versions of some days of a mart."""
    return hashlib.sha256(json.dumps([mart, sorted(days.items())]).encode()).hexdigest()


def _start_of(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)
