"""Publishing marts in BigQuery as the platform does: built tables, then versions of them, then the pointer."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq

from platform_assets.data.catalog.catalog import Catalog, Mart
from platform_assets.data.catalog.pointer import MartStore, PublishedTable
from platform_assets.data.engines.bigquery.connection import BigQuery
from platform_assets.data.engines.bigquery.reading import BigQueryWarehouse
from platform_assets.data.engines.bigquery.versions import BigQueryVersions
from platform_assets.environment import Environment

TAG = "projects/p/locations/us/taxonomies/1/policyTags/2"


def connected(environment: Environment) -> BigQuery:
    """BigQuery as an environment in the cloud has it."""
    assert environment.cloud is not None
    return BigQuery(environment.cloud)


def make_datasets(bigquery: BigQuery) -> None:
    for purpose in ("build", "marts", "scratch", "audiences"):
        bigquery.client.create_dataset(bigquery.cloud.dataset(purpose), exists_ok=True)


def build_table(bigquery: BigQuery, mart: Mart, rows: pa.Table, tagged: Sequence[str] = ()) -> None:
    """A table as dbt leaves it: partitioned by event day, clustered, tagged."""
    import io

    from google.cloud import bigquery as google

    types = {"int64": "INT64", "int32": "INT64", "string": "STRING", "timestamp[us, tz=UTC]": "TIMESTAMP"}
    types |= {"decimal128(38, 9)": "NUMERIC", "list<item: string>": "STRING"}
    types |= {"double": "FLOAT64", "bool": "BOOL", "date32[day]": "DATE"}
    schema = [
        google.SchemaField(
            field.name,
            types[str(field.type)],
            mode="REPEATED" if pa.types.is_list(field.type) else "NULLABLE",
            policy_tags=google.PolicyTagList([TAG]) if field.name in tagged else None,
        )
        for field in rows.schema
    ]
    name = bigquery.name("build", mart.name)
    table = google.Table(name, schema=schema)
    if mart.event_time:
        table.time_partitioning = google.TimePartitioning(field=mart.event_time)
    table.clustering_fields = [mart.entity_key or mart.key]
    bigquery.client.delete_table(name, not_found_ok=True)
    bigquery.client.create_table(table)
    buffer = io.BytesIO()
    pq.write_table(rows, buffer)
    buffer.seek(0)
    options = google.ParquetOptions()
    options.enable_list_inference = True
    config = google.LoadJobConfig(source_format="PARQUET", schema=schema, parquet_options=options)
    bigquery.client.load_table_from_file(buffer, name, job_config=config).result()


def publish_in_bigquery(
    environment: Environment, catalog: Catalog, rows: Mapping[str, pa.Table], watermark: datetime
) -> BigQueryWarehouse:
    """Publish marts with these rows, and open them."""
    bigquery = connected(environment)
    make_datasets(bigquery)
    for name, given in rows.items():
        build_table(bigquery, catalog.marts[name], given)
    store = MartStore(environment.marts)
    store.publish(write_versions(bigquery, environment, catalog, list(rows), watermark))
    return BigQueryWarehouse(catalog, store, bigquery)


def write_versions(
    bigquery: BigQuery, environment: Environment, catalog: Catalog, names: Sequence[str], watermark: datetime
) -> list[PublishedTable]:
    versions = BigQueryVersions(bigquery, environment.marts)
    return versions.write([catalog.marts[name] for name in names], dict.fromkeys(names, watermark))
