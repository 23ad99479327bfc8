"""BigQuery's side of writing mart versions: what dbt built, copied into a table of its own and fingerprinted.

A version is `<stage>_marts.<mart>__<version>`. Its table is made through the API with everything declared (partitioning,
clustering, descriptions, policy tags, labels), then filled by one copy job, which costs nothing, and only then marked
complete: a table without the mark is somebody's crash and is made again. The view `<stage>_marts.<mart>` follows the
pointer, for people who write SQL.

That stored tables stay what they were is the service's responsibility: there are no checksums of ours here.

Belongs here: copies, the sums a version's hash is made of, views. Does not belong here: when to publish (`marts`).
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from platform_assets.data.catalog.catalog import Mart
from platform_assets.data.catalog.pointer import PublishedTable
from platform_assets.data.engines.bigquery.connection import BigQuery, literal, quoted, retrying
from platform_assets.data.engines.versions import version_of
from platform_assets.foundation.storage import Lease, files_at

if TYPE_CHECKING:
    from google.cloud.bigquery import SchemaField, Table

# Readers that began before a version was superseded still read it; features made from it are kept elsewhere.
SUPERSEDED_DAYS = 30
_COMPLETE = "complete"


class BigQueryVersions:
    """Versions of marts in BigQuery."""

    def __init__(self, bigquery: BigQuery, marts: str | Path, lease_seconds: float = 30.0) -> None:
        """`lease_seconds`: how long the next build waits for one that was killed."""
        self.bigquery = bigquery
        self._lease_seconds = lease_seconds
        self._files = files_at(marts)

    @contextmanager
    def building(self) -> Iterator[None]:
        """See `Versions.building`.

        Raises:
            LeaseLost: another build began meanwhile, so what was built may be a mixture; nothing was published.
        """
        with Lease(self._files, "leases/building.json", self._lease_seconds, what="the dbt build") as lease:
            yield
            lease.require()

    def write(self, marts: Iterable[Mart], watermarks: Mapping[str, datetime]) -> list[PublishedTable]:
        """See `Versions.write`."""
        return [self._write(mart, watermarks[mart.name]) for mart in marts]

    def is_written(self, table: PublishedTable) -> bool:
        """See `Versions.is_written`."""
        return _is_complete(self.bigquery.find(table.location))

    def where(self, table: PublishedTable) -> str:
        """See `Versions.where`."""
        return table.location

    def published(self, tables: Iterable[PublishedTable]) -> None:
        """Let the views show these versions, keep them, and let the ones before expire."""
        for table in tables:
            self._show(table)
            self._let_others_expire(table)

    def _write(self, mart: Mart, watermark: datetime) -> PublishedTable:
        built = self.bigquery.client.get_table(self.bigquery.name("build", mart.name), retry=retrying())
        table = self._version(mart, built, watermark)
        if not _is_complete(existing := self.bigquery.find(table.location)):
            if existing is not None:
                self.bigquery.client.delete_table(table.location, not_found_ok=True, retry=retrying())
            self._copy(mart, built, table.location)
        return table

    def _version(self, mart: Mart, built: "Table", watermark: datetime) -> PublishedTable:
        schema = json.dumps([mart.name, [(field.name, field.field_type, field.mode) for field in built.schema]])
        time = None if mart.event_time is None else quoted(mart.event_time)
        day = "cast(null as date)" if time is None else f"date({time}, 'UTC')"
        bounds = "null, null" if time is None else f"min({time}), max({time})"
        md5 = "to_hex(md5(to_json_string(built)))"
        wide, narrow = (f"cast(concat('0x', substr({md5}, {place})) as int64)" for place in ("1, 15", "25, 8"))
        # The sum is over 32 bits, so that two thousand million rows a day fit.
        days = self.bigquery.values(
            f"select {day} as day, count(*), bit_xor({wide}), sum({narrow}), {bounds} "  # noqa: S608
            f"from {quoted(self.bigquery.name('build', mart.name))} as built group by day order by day",
            source=f"publish {mart.name}",
        )
        marts = self.bigquery.name("marts", mart.name)
        return version_of(mart, schema, days, watermark, lambda version: f"{marts}__{version}")

    def _copy(self, mart: Mart, built: "Table", location: str) -> None:
        from google.cloud import bigquery

        client = self.bigquery.client
        target = bigquery.Table(location, schema=[_described(field, mart) for field in built.schema])
        target.description = mart.description
        target.labels = self.bigquery.labels(mart.name)
        target.time_partitioning = built.time_partitioning
        target.clustering_fields = built.clustering_fields
        if mart.require_partition_filter:
            target.require_partition_filter = True
        # Until it is complete, it is nobody's: an abandoned one goes away by itself.
        target.expires = datetime.now(UTC) + timedelta(days=1)
        client.create_table(target, retry=retrying())
        config = bigquery.CopyJobConfig(write_disposition="WRITE_APPEND", labels=target.labels)
        client.copy_table(self.bigquery.name("build", mart.name), location, job_config=config, retry=retrying()).result(
            retry=retrying()
        )
        copied = client.get_table(location, retry=retrying())
        copied.labels = {**copied.labels, _COMPLETE: "true"}
        copied.expires = None
        client.update_table(copied, ["labels", "expires"], retry=retrying())

    def _show(self, table: PublishedTable) -> None:
        name, query = self.bigquery.name("marts", table.name), f"select * from {quoted(table.location)}"  # noqa: S608
        view = self.bigquery.find(name)
        if view is not None and view.view_query == query:
            return
        described = self.bigquery.client.get_table(table.location, retry=retrying()).description or ""
        labels = ", ".join(f"({literal(k)}, {literal(v)})" for k, v in self.bigquery.labels(table.name).items())
        self.bigquery.run(
            f"create or replace view {quoted(name)} "
            f"options (description = {literal(described)}, labels = [{labels}]) as {query}",
            source=f"publish {table.name}",
        )

    def _let_others_expire(self, current: PublishedTable) -> None:
        client = self.bigquery.client
        dataset = f"{self.bigquery.cloud.project}.{self.bigquery.cloud.dataset('marts')}"
        for listed in client.list_tables(dataset, retry=retrying()):
            if not listed.table_id.startswith(f"{current.name}__"):
                continue
            is_current = listed.table_id == f"{current.name}__{current.version}"
            if is_current == (listed.expires is None):
                continue
            table = client.get_table(listed.reference, retry=retrying())
            table.expires = None if is_current else datetime.now(UTC) + timedelta(days=SUPERSEDED_DAYS)
            client.update_table(table, ["expires"], retry=retrying())


def _is_complete(table: "Table | None") -> bool:
    return table is not None and table.labels.get(_COMPLETE) == "true"


def _described(field: "SchemaField", mart: Mart) -> "SchemaField":
    """A column as it was built, policy tags included, with its description when dbt wrote none."""
    from google.cloud.bigquery import SchemaField

    record = field.to_api_repr()
    record.setdefault("description", mart.descriptions.get(field.name, ""))
    return SchemaField.from_api_repr(record)
