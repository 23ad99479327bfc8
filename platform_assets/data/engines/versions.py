"""Versions of marts: what every engine offers for writing them.

Belongs here: the interface. Does not belong here: an engine (`duckdb_versions`, `bigquery.versions`), or when to publish
(`transform`).
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from platform_assets.data.catalog.catalog import Mart
from platform_assets.data.catalog.pointer import PublishedTable


class Versions(Protocol):
    """Immutable versions of marts, made from what dbt built and tested."""

    def building(self) -> AbstractContextManager[None]:
        """Held while dbt builds and versions are written: one build at a time; a second one waits."""

    def write(self, marts: Iterable[Mart], watermarks: Mapping[str, datetime]) -> list[PublishedTable]:
        """Write a version of each mart without publishing any; a version that is there already is left as it is.

        Args:
            watermarks: mart name → UTC instant before which its exports cover everything.

        Raises:
            ValueError: an event mart has rows without an event time.
        """

    def is_written(self, table: PublishedTable) -> bool:
        """Whether a version is there, whole."""

    def where(self, table: PublishedTable) -> str:
        """Where a person finds a version."""

    def published(self, tables: Iterable[PublishedTable]) -> None:
        """Called with all marts asked for, after the pointer was switched; may be called again with the same ones."""
