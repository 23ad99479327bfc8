"""A source of exports in a namespace of BigQuery and GCS: put there, loaded, and read back.

Belongs here: what tests of loading into BigQuery share. Tests of one module share a namespace; each has a source of its own.
"""

import json
import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from platform_assets.data.engines.bigquery.connection import BigQuery
from platform_assets.data.engines.bigquery.raw_tables import BigQueryTables
from platform_assets.data.engines.raw_tables import RawTable
from platform_assets.data.exports.export import Export
from platform_assets.data.exports.lake import file_system
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.raw.discover import LoadedSource, discover, load_source
from platform_assets.environment import Environment, environment_from_variables
from tests.data.engines.in_bigquery import connected

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Source:
    """A source as declared by `spec`, called `name`, whose exports lie in a folder of the bucket called so."""

    environment: Environment
    spec: ExportSourceSpec
    name: str

    @cached_property
    def bigquery(self) -> BigQuery:
        return connected(self.environment)

    @property
    def lake(self) -> str:
        return f"{self.environment.exports}/{self.name}"

    def upload(self, local: Path) -> None:
        """Makes the lake's folder what a local one is."""
        bucket, root = file_system(self.lake)
        if bucket.exists(root):
            bucket.rm(root, recursive=True)
        for path in sorted(local.rglob("*")):
            if path.is_file():
                bucket.pipe_file(f"{root}/{path.relative_to(local).as_posix()}", path.read_bytes())

    def load(self, local: Path | None = None) -> LoadedSource:
        """Loads what lies in the bucket: the lake's folder, made what a local one is if that is given."""
        if local:
            self.upload(local)
        return load_source(self.spec, self.name, self.lake, self.tables)

    def elsewhere(self, **changes: Any) -> "Source":
        """The same, in an environment whose cloud differs in this."""
        return replace(self, environment=replace(self.environment, cloud=replace(self.bigquery.cloud, **changes)))

    @property
    def tables(self) -> BigQueryTables:
        return BigQueryTables(self.bigquery)

    def load_table(self, table: str) -> None:
        """Loads all exports of one table, and nothing else."""
        self.tables.load([(export, table) for export in self.exports()])

    def exports(self) -> tuple[Export, ...]:
        return discover(self.spec, self.name, self.lake).complete

    def table(self, name: str) -> str:
        return self.tables.location(self.name, name)

    def query(self, sql: str) -> Rows:
        return [dict(row) for row in self.bigquery.client.query_and_wait(sql)]

    def rows(self, table: str) -> Rows:
        """All rows of a raw table; none when there is no table."""
        name = self.table(table)
        return self.query(f"select * from `{name}`") if self.bigquery.find(name) else []

    def recorded(self) -> list[RawTable]:
        loaded = self.tables.loaded((self.name, table.name) for table in self.spec.tables)
        return [raw for exports in loaded.values() for raw in exports]

    def scratch(self) -> list[str]:
        """The tables of this source that lie aside."""
        dataset = self.bigquery.cloud.dataset("scratch")
        found = [table.table_id for table in self.bigquery.client.list_tables(dataset)]
        return [name for name in found if name.startswith(f"{self.name}__")]


def rows_in_folder(loaded: list[RawTable]) -> Rows:
    """All rows of a raw table in a folder, with items parsed, as BigQuery's client parses them."""
    parts = ", ".join(f"'{raw.location}/*.parquet'" for raw in loaded)
    with duckdb.connect() as engine:
        engine.execute("set timezone = 'UTC'")
        found = engine.execute(
            f"select * from read_parquet([{parts}], hive_partitioning = false, union_by_name = true)"
        )
        names = [column[0] for column in found.description]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return [row | {"Item": json.loads(row["Item"])} if "Item" in row else row for row in rows]


def in_order(rows: Rows) -> Rows:
    """Rows without an order of their own, in one."""
    return sorted(rows, key=lambda row: json.dumps({name: row[name] for name in sorted(row)}, default=_plain))


def load_in_child(variables: dict[str, str], spec: ExportSourceSpec, name: str, table: str) -> None:
    """What a process of its own does: loads all exports of one table of a source."""
    os.environ.update(variables)
    Source(environment_from_variables(variables), spec, name).load_table(table)


def _plain(value: object) -> str:
    return format(value.normalize(), "f") if hasattr(value, "normalize") else str(value)
