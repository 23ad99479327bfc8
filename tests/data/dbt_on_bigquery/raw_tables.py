"""Raw tables in BigQuery, in the layout that the platform's loader gives them, from rows given in tests.

Belongs here: making `<stage>_raw` and loading an export into it through Google's own client. Rows come from
`tests.data.marts.raw`, which writes the same exports as files for DuckDB.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.cloud import bigquery

STAMP = {"_export_id": "STRING", "_exported_at": "TIMESTAMP"}
COLUMNS = {
    ("shop", "customers"): {"customer_id": "INT64", "created_at": "DATETIME"},
    ("shop", "orders"): {
        "order_id": "INT64",
        "customer_id": "INT64",
        "ordered_at": "DATETIME",
        "quantity": "INT64",
        "amount": "NUMERIC",
    },
    **{("movies", name): {"Item": "JSON"} for name in ("viewers", "films", "ratings")},
}
RECORDS = {
    "source_name": "STRING",
    "table_name": "STRING",
    "export_id": "STRING",
    "exported_at": "TIMESTAMP",
    "content_hash": "STRING",
    "row_count": "INT64",
    "loaded_at": "TIMESTAMP",
}


def make_raw_tables(client: "bigquery.Client", stage: str) -> None:
    """The dataset of raw tables with every table in it, empty."""
    from google.cloud import bigquery

    dataset = client.create_dataset(f"{client.project}.{stage}_raw")
    for (source, table), columns in COLUMNS.items():
        made = bigquery.Table(dataset.table(f"{source}__{table}"), _schema({**columns, **STAMP}))
        made.time_partitioning = bigquery.TimePartitioning(field="_exported_at")
        made.clustering_fields = ["_export_id"]
        client.create_table(made)
    client.create_table(bigquery.Table(dataset.table("_exports"), _schema(RECORDS)))


def load_export(
    client: "bigquery.Client",
    stage: str,
    source: str,
    table: str,
    rows: Sequence[Mapping[str, Any]],
    exported_at: datetime,
) -> None:
    """One export of one table: its rows, then its record. DynamoDB rows are items in typed JSON."""
    export_id = f"{exported_at:%Y%m%dT%H%M%S}"
    columns = COLUMNS[source, table]
    if "Item" in columns:
        rows = [{"Item": row} for row in rows]
    stamp = {"_export_id": export_id, "_exported_at": exported_at}
    _append(client, f"{stage}_raw.{source}__{table}", [{**row, **stamp} for row in rows], {**columns, **STAMP})
    record = {
        "source_name": source,
        "table_name": table,
        "export_id": export_id,
        "exported_at": exported_at,
        "content_hash": "",
        "row_count": len(rows),
        "loaded_at": exported_at,
    }
    _append(client, f"{stage}_raw._exports", [record], RECORDS)


def _append(
    client: "bigquery.Client", table: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]
) -> None:
    from google.cloud import bigquery

    if rows:
        config = bigquery.LoadJobConfig(schema=_schema(columns), write_disposition="WRITE_APPEND")
        client.load_table_from_json([_as_json(row) for row in rows], table, job_config=config).result()


def _as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _literal(value) for name, value in row.items()}


def _literal(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _schema(columns: Mapping[str, str]) -> list["bigquery.SchemaField"]:
    from google.cloud import bigquery

    return [bigquery.SchemaField(name, kind) for name, kind in columns.items()]
