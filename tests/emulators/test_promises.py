"""What the platform relies on BigQuery for. Holds on the emulator; `make test-bigquery PROJECT=…` asks Google's own."""

import gzip
import io
import uuid
from decimal import Decimal

import pytest

from tests.emulators.clients import Variables, bigquery_client, load_items, read_client, rows, upload

POLICY_TAG = "projects/p/locations/us/taxonomies/1/policyTags/2"


def test_a_script_that_fails_inside_a_transaction_changes_nothing(variables: Variables) -> None:
    from google.api_core.exceptions import BadRequest

    client = bigquery_client(variables)
    rows(client, "create table dev_raw.t as select 1 as id")
    for failure in ("select error('no')", "assert (select count(*) from dev_raw.t) = 3 as 'no'"):
        with pytest.raises(BadRequest, match="no"):
            rows(
                client,
                "begin transaction; delete from dev_raw.t where true; insert into dev_raw.t values (2);"
                f"{failure}; commit transaction;",
            )
        assert rows(client, "select id from dev_raw.t") == [(1,)]


def test_a_transaction_replaces_a_partition_and_a_record_of_it_together(variables: Variables) -> None:
    client = bigquery_client(variables)
    rows(
        client,
        "create table dev_raw.t (day date, id int64) partition by day; create table dev_raw.log (day date);"
        "insert into dev_raw.t values (date '2026-01-01', 1), (date '2026-01-02', 2)",
    )
    rows(
        client,
        "create temp table loaded as select date '2026-01-02' as day, 3 as id; begin transaction;"
        "delete from dev_raw.t where day = date '2026-01-02'; insert into dev_raw.t select * from loaded;"
        "insert into dev_raw.log values (date '2026-01-02'); commit transaction;",
    )
    assert rows(client, "select id from dev_raw.t order by id") == [(1,), (3,)]
    assert rows(client, "select count(*) from dev_raw.log") == [(1,)]


def test_a_job_id_is_taken_once_even_by_a_job_that_failed(variables: Variables) -> None:
    from google.api_core.exceptions import BadRequest, Conflict, NotFound

    client, once = bigquery_client(variables), uuid.uuid4().hex

    def load(uri: str, job_id: str) -> int:
        return load_items(client, uri, f"{job_id}-{once}").output_rows

    there = upload(variables, "items.json.gz", gzip.compress(b'{"Item": {"id": {"N": "1"}}}\n'))
    assert load(there, "loads") == 1
    with pytest.raises(Conflict):
        load(there, "loads")
    with pytest.raises((BadRequest, NotFound)):
        load(there.replace("items", "missing"), "fails")
    with pytest.raises(Conflict):
        load(there, "fails")
    assert rows(client, "select count(*) from dev_raw.items") == [(1,)]


def test_a_json_column_loaded_from_gzip_keeps_every_digit(variables: Variables) -> None:
    client = bigquery_client(variables)
    item = b'{"Item": {"price": {"N": "12345678901234567890.123456789"}}}\n'
    load_items(client, [upload(variables, f"{name}.json.gz", gzip.compress(item)) for name in ("one", "two")])
    assert (
        rows(client, "select cast(json_value(Item.price.N) as numeric) from dev_raw.items")
        == [(Decimal("12345678901234567890.123456789"),)] * 2
    )


def test_parquet_loads_lists_structs_and_decimals_under_an_explicit_schema(variables: Variables) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from google.cloud import bigquery

    file = io.BytesIO()
    table = pa.table(
        {
            "id": pa.array([1, 2], pa.int32()),
            "tags": pa.array([["b", "a"], []], pa.list_(pa.string())),
            "address": pa.array([{"city": "Bonn"}, None], pa.struct([("city", pa.string())])),
            "price": pa.array([Decimal("1.25"), None], pa.decimal128(10, 2)),
        }
    )
    pq.write_table(table, file, compression="gzip")
    client = bigquery_client(variables)
    lists = bigquery.ParquetOptions()
    lists.enable_list_inference = True
    client.load_table_from_uri(
        upload(variables, "part-00000-x.gz.parquet", file.getvalue()),
        f"{client.project}.dev_raw.orders",
        job_config=bigquery.LoadJobConfig(
            source_format="PARQUET",
            parquet_options=lists,
            schema=[
                bigquery.SchemaField("id", "INT64", description="order number"),
                bigquery.SchemaField("tags", "STRING", mode="REPEATED"),
                bigquery.SchemaField("address", "RECORD", fields=[bigquery.SchemaField("city", "STRING")]),
                bigquery.SchemaField("price", "NUMERIC"),
            ],
        ),
    ).result()
    assert rows(client, "select id, tags, address.city, price from dev_raw.orders order by id") == [
        (1, ["b", "a"], "Bonn", Decimal("1.25")),
        (2, [], None, None),
    ]
    assert client.get_table("dev_raw.orders").schema[0].description == "order number"


def test_a_copy_that_appends_to_a_prepared_table_leaves_its_metadata_alone(variables: Variables) -> None:
    from google.cloud import bigquery

    client = bigquery_client(variables)
    emulated = variables["PLATFORM_ENV"] == "emulated"
    # A real project knows only the policy tags of its own taxonomies.
    tags = bigquery.PolicyTagList([POLICY_TAG]) if emulated else None
    prepared = bigquery.Table(
        f"{client.project}.dev_raw.published",
        [bigquery.SchemaField("day", "DATE"), bigquery.SchemaField("id", "INT64", "REQUIRED", policy_tags=tags)],
    )
    prepared.time_partitioning = bigquery.TimePartitioning(field="day")
    prepared.clustering_fields = ["id"]
    prepared.require_partition_filter = True
    prepared.description, prepared.labels = "what was audited", {"mart": "orders"}
    client.create_table(prepared)
    rows(
        client,
        "create table dev_raw.built (day date, id int64 not null) partition by day cluster by id;"
        "insert into dev_raw.built values (date '2026-01-02', 7)",
    )
    appending = bigquery.CopyJobConfig(write_disposition="WRITE_APPEND")
    client.copy_table("dev_raw.built", prepared, job_config=appending).result()
    published = client.get_table(prepared)
    assert published.schema[1].mode == "REQUIRED"
    assert published.schema[1].policy_tags == tags
    for name in ("time_partitioning", "clustering_fields", "require_partition_filter", "description", "labels"):
        assert getattr(published, name) == getattr(prepared, name), name
    assert rows(client, "select id from dev_raw.published where day = date '2026-01-02'") == [(7,)]


def test_a_table_that_requires_a_partition_filter_is_read_with_one_only(variables: Variables) -> None:
    from google.api_core.exceptions import BadRequest, InvalidArgument
    from google.cloud import bigquery_storage_v1

    client, reader = bigquery_client(variables), read_client(variables)
    rows(
        client,
        "create table dev_raw.t (day date, id int64) partition by day options (require_partition_filter = true);"
        "insert into dev_raw.t values (date '2026-01-01', 1), (date '2026-01-02', 2)",
    )
    rows(client, "create or replace view dev_raw.v as select * from dev_raw.t")
    with pytest.raises(BadRequest, match="partition elimination"):
        rows(client, "select id from dev_raw.t")

    def read(restriction: str) -> list[dict]:
        session = reader.create_read_session(
            parent=f"projects/{client.project}",
            read_session=bigquery_storage_v1.types.ReadSession(
                table=f"projects/{client.project}/datasets/dev_raw/tables/t",
                data_format="ARROW",
                read_options={"row_restriction": restriction, "selected_fields": ["id"]},
            ),
            max_stream_count=1,
        )
        return [
            row for stream in session.streams for row in reader.read_rows(stream.name).to_arrow(session).to_pylist()
        ]

    with pytest.raises(InvalidArgument, match="partition elimination"):
        read("")
    assert read("day = DATE '2026-01-02'") == [{"id": 2}]
    for name in ("t", "v"):
        assert rows(client, f"select id from dev_raw.{name} where day = date '2026-01-02'") == [(2,)]


def test_the_storage_read_api_gives_exact_arrow_types(variables: Variables) -> None:
    import pyarrow as pa

    client = bigquery_client(variables)
    rows(
        client,
        """create table dev_raw.t as select ['b', 'a'] as tags, json '{"a": 1}' as document, numeric '1.5' as price,
        timestamp '2026-01-02 03:04:05.000006+00' as at, date '2026-01-02' as day, struct('Bonn' as city) as address""",
    )
    table = client.list_rows(client.get_table("dev_raw.t")).to_arrow(bqstorage_client=read_client(variables))
    assert table.schema.field("price").type == pa.decimal128(38, 9)
    assert table.schema.field("at").type == pa.timestamp("us", "UTC")
    assert table.schema.field("document").type == pa.string()
    assert pa.types.is_list(table.schema.field("tags").type)
    assert table.select(["tags", "address", "price"]).to_pylist() == [
        {"tags": ["b", "a"], "address": {"city": "Bonn"}, "price": Decimal("1.5")}
    ]
