"""BigQuery's side of reading the published marts: expressions compiled to its SQL, rows back as Arrow.

Belongs here: BigQuery's reader. Does not belong here: connections (`connection`), publishing (`versions`).
"""

import hashlib
import io
from typing import TYPE_CHECKING

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.catalog.pointer import MartStore
from platform_assets.data.engines.bigquery.connection import BigQuery, retrying
from platform_assets.data.engines.reading import Warehouse

if TYPE_CHECKING:
    import ibis
    import pyarrow as pa

SOURCE = "warehouse"


class BigQueryWarehouse(Warehouse):
    """The published marts in BigQuery.

    Attributes:
        bigquery: the connection.
        source: what reads, as a label of its queries for cost attribution.
        estimated_bytes: what all queries so far were estimated to scan.
    """

    engine = "bigquery"

    def __init__(self, catalog: Catalog, marts: MartStore, bigquery: BigQuery, source: str = SOURCE) -> None:
        super().__init__(catalog, marts)
        self.bigquery = bigquery
        self.source = source
        self.estimated_bytes = 0
        self._tables: dict[str, ibis.Table] = {}

    def table(self, mart: str) -> "ibis.Table":
        published = self.published(mart)
        if mart not in self._tables:
            self._tables[mart] = self._described(published.location)
        return self._tables[mart]

    def memtable(self, table: "pa.Table") -> "ibis.Table":
        """The rows become a table of the scratch dataset, named by their content, which expires by itself."""
        import pyarrow.parquet as pq
        from google.cloud.bigquery import LoadJobConfig

        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        name = self.bigquery.name("scratch", f"rows_{hashlib.sha256(buffer.getvalue()).hexdigest()[:32]}")
        if name not in self._tables:
            buffer.seek(0)
            config = LoadJobConfig(
                source_format="PARQUET", write_disposition="WRITE_TRUNCATE", labels=self.bigquery.labels(self.source)
            )
            job = self.bigquery.client.load_table_from_file(buffer, name, job_config=config)
            job.result(retry=retrying())
            self._tables[name] = self._described(name)
        return self._tables[name]

    def to_arrow(self, expression: "ibis.Expr") -> "pa.Table":
        schema = expression.as_table().schema().to_pyarrow()
        answer = self.bigquery.ask(self.sql(expression), self.source)
        self.estimated_bytes += answer.estimated_bytes
        return answer.table.rename_columns(schema.names).cast(schema)

    def cost(self) -> dict[str, int]:
        return {"estimated_bytes_scanned": self.estimated_bytes}

    def sql(self, expression: "ibis.Expr") -> str:
        import ibis

        return str(ibis.to_sql(expression, dialect="bigquery"))

    def _described(self, name: str) -> "ibis.Table":
        """The table with its columns as they are now in BigQuery."""
        import ibis
        from ibis.backends.bigquery.datatypes import BigQuerySchema

        described = self.bigquery.client.get_table(name, retry=retrying())
        project, dataset, table = name.split(".")
        return ibis.table(BigQuerySchema.to_ibis(described.schema), name=table, catalog=project, database=dataset)
