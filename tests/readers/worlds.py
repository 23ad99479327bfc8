"""Marts of the repository's dbt project, published with a few rows in them.

Belongs here: the rows, and publishing them on DuckDB. Does not belong here: what readers make of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import duckdb

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.catalog.pointer import MartStore
from platform_assets.environment import Environment
from tests.data.engines.writing import publish_from

WATERMARK = datetime(1998, 7, 1, tzinfo=UTC)
Rows = Mapping[str, Sequence[tuple[object, ...]]]
NEW_YEAR, SPRING = "1998-01-01 00:00:00+00", "1998-04-01 00:00:00+00"
ROWS: Rows = {
    "customers": [(1, NEW_YEAR), (2, SPRING)],
    "orders": [
        (1, 1, "1998-01-05 12:00:00+00", 2, "19.990000001"),
        (2, 1, "1998-03-31 23:59:59.999999+00", 1, "5"),
        (3, 2, SPRING, 1, "7.5"),
        # At the watermark, and of an export that is younger than the one that sets it.
        (4, 2, "1998-07-01 00:00:00+00", 1, "7.5"),
        (5, 2, "1998-07-02 00:00:00+00", 1, "7.5"),
    ],
    "viewers": [
        ("7 a", 7, 30, "F", "writer", "10115", NEW_YEAR, SPRING),
        ("7 b", 7, 31, "F", "artist", "10117", SPRING, None),
        ("8 a", 8, 40, None, "none", "80331", NEW_YEAR, SPRING),
    ],
    "films": [(1, "Metropolis", 1927, ["Drama", "Sci-Fi"]), (2, "Nameless", None, [])],
    "ratings": [("7 1", 7, 1, "1998-02-01 08:00:00+00", 5, ["Drama", "Sci-Fi"], 1927)],
}


@dataclass(frozen=True)
class World:
    """A project whose marts are published; more may be published at any time."""

    environment: Environment

    @cached_property
    def catalog(self) -> Catalog:
        return Catalog.from_manifest(self.environment.dbt_manifest)

    @property
    def store(self) -> MartStore:
        return MartStore(self.environment.marts)

    def publish(self, rows: Rows, watermark: datetime = WATERMARK, without: str | None = None) -> None:
        """Publish these marts with these rows; `without` a column that they declare."""
        database = self.environment.data / "built.duckdb"
        database.parent.mkdir(parents=True, exist_ok=True)
        database.unlink(missing_ok=True)
        with duckdb.connect(str(database)) as connection:
            connection.execute("set timezone='UTC'")
            connection.execute("create schema marts")
            for name, listed in rows.items():
                columns = self.catalog.mart(name).columns.values()
                types = ", ".join(f'"{column.name}" {column.data_type}' for column in columns)
                connection.execute(f"create table marts.{name} ({types})")
                for row in listed:
                    connection.execute(f"insert into marts.{name} values ({', '.join('?' * len(row))})", list(row))
                if without:
                    connection.execute(f"alter table marts.{name} drop column {without}")
        marts = [self.catalog.mart(name) for name in rows]
        publish_from(self.store, database, marts, dict.fromkeys(rows, watermark))
        database.unlink()

    def file_of(self, mart: str) -> Path:
        """The Parquet file of the version that is published."""
        return Path(self.store.root) / self.store.read()[mart].location / "part-0.parquet"
