"""Versions of marts: what every engine offers for writing them, and how a version gets its name.

Belongs here: the interface, and a version's hash from what an engine counted. Does not belong here: an engine
(`duckdb.versions`, `bigquery.versions`), or when to publish (`marts`).
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from platform_assets.data.catalog.catalog import Mart
from platform_assets.data.catalog.pointer import PublishedTable

VERSION_LENGTH = 16


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


def version_of(
    mart: Mart, schema: str, sums: Sequence[tuple[Any, ...]], watermark: datetime, location: Callable[[str], str]
) -> PublishedTable:
    """The version that holds a mart's rows, from sums of them by day; its hashes are equal for equal rows in any order.

    Args:
        schema: columns, types and whatever else of the engine the sums depend on.
        sums: (UTC day; None without event time, number of rows, two sums of the rows' hashes, first and last event; None
            without event time), a row each day in order. xor alone would not see a pair of duplicates, a sum alone is weaker
            against chance: the two together are neither.
        location: version → where the engine keeps it.

    Raises:
        ValueError: an event mart has rows without an event time.
    """
    days: dict[str, str] = {}
    if mart.event_time is None:
        content_hash = _digest(schema, *(sums[0][1:4] if sums else (0,)))
    elif undated := sum(count for day, count, *_ in sums if day is None):
        raise ValueError(
            f"mart {mart.name}: {undated} rows have no {mart.event_time}; "
            f"add a not_null test to that column and mend the staging model"
        )
    else:
        days = {day.isoformat(): _digest(schema, *hashed) for day, *hashed, _, _ in sums}
        content_hash = _digest(schema, *sorted(days.items()))
    version, rows = content_hash[:VERSION_LENGTH], sum(count for _, count, *_ in sums)
    first, last = (sums[0][4], sums[-1][5]) if sums else (None, None)
    return PublishedTable(mart.name, version, location(version), rows, watermark, first, last, days, content_hash)


def _digest(schema: str, *parts: object) -> str:
    return hashlib.sha256(json.dumps([schema, [str(part) for part in parts]]).encode()).hexdigest()
