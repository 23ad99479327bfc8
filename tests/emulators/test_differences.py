"""Where the emulators differ from BigQuery: each of these is "not proven here" in the README's BigQuery page.

A test that fails has good news: the emulator learned it, so the page and what works around it can change.
"""

import gzip

import pytest

from tests.emulators.clients import Variables, bigquery_client, load_items, rows, upload

pytestmark = pytest.mark.emulator_only

DAILY = "create table dev_raw.t (day date, id int64 options (description = 'order')) partition by day cluster by id"


@pytest.fixture
def filled(variables: Variables) -> Variables:
    """A namespace with a partitioned, clustered and described table of one row."""
    rows(bigquery_client(variables), f"{DAILY}; insert into dev_raw.t values (date '2026-01-02', 7)")
    return variables


def test_a_dry_run_estimates_nothing_and_no_query_is_too_dear(filled: Variables) -> None:
    from google.cloud import bigquery

    client = bigquery_client(filled)
    dry = client.query("select * from dev_raw.t", job_config=bigquery.QueryJobConfig(dry_run=True))
    assert dry.total_bytes_processed == 0
    cheap = bigquery.QueryJobConfig(maximum_bytes_billed=1, use_query_cache=False)
    assert client.query_and_wait("select * from dev_raw.t", job_config=cheap).total_rows == 1


def test_a_clone_and_a_copy_drop_partitioning_clustering_and_descriptions(filled: Variables) -> None:
    client = bigquery_client(filled)
    rows(client, "create table dev_raw.cloned clone dev_raw.t; create table dev_raw.copied copy dev_raw.t")
    client.copy_table("dev_raw.t", f"{client.project}.dev_raw.by_job").result()
    for name in ("cloned", "copied", "by_job"):
        table = client.get_table(f"dev_raw.{name}")
        assert (table.time_partitioning, table.clustering_fields, table.schema[1].description) == (None, None, None)


def test_a_partition_decorator_is_accepted_and_ignored(filled: Variables) -> None:
    from google.cloud import bigquery

    client = bigquery_client(filled)
    rows(client, "create table dev_raw.new as select date '2026-01-02' as day, 8 as id")
    over = bigquery.CopyJobConfig(write_disposition="WRITE_TRUNCATE")
    client.copy_table("dev_raw.new", f"{client.project}.dev_raw.t$20260102", job_config=over).result()
    assert rows(client, "select id from dev_raw.t") == [(7,)]


def test_num_rows_is_out_of_date_after_a_delete(filled: Variables) -> None:
    client = bigquery_client(filled)
    rows(client, "delete from dev_raw.t where true")
    assert client.get_table("dev_raw.t").num_rows == 1


def test_a_view_hides_that_its_table_requires_a_partition_filter(filled: Variables) -> None:
    client = bigquery_client(filled)
    rows(client, "alter table dev_raw.t set options (require_partition_filter = true)")
    rows(client, "create view dev_raw.v as select * from dev_raw.t")
    assert rows(client, "select id from dev_raw.v") == [(7,)]


def test_an_unknown_field_of_a_json_file_is_dropped_in_silence(filled: Variables) -> None:
    item = upload(filled, "items.json.gz", gzip.compress(b'{"Item": {}, "Keys": {}}\n'))
    assert load_items(bigquery_client(filled), item).output_rows == 1


def test_fields_of_a_struct_need_their_names_written_out(filled: Variables) -> None:
    client = bigquery_client(filled)
    assert rows(client, "select struct(id) from dev_raw.t") == [({"_field_1": 7},)]
    assert rows(client, "select struct(id as id) from dev_raw.t") == [({"id": 7},)]


def test_to_json_string_writes_numbers_and_instants_in_another_way(filled: Variables) -> None:
    client = bigquery_client(filled)
    [(text,)] = rows(client, "select to_json_string(struct(numeric '1.5' as n, timestamp '2026-01-02' as t))")
    assert text == '{"n":1.500000000,"t":"2026-01-02 00:00:00+00"}'


def test_the_information_schema_does_not_tell_policy_tags(filled: Variables) -> None:
    from google.api_core.exceptions import BadRequest

    with pytest.raises(BadRequest, match="policy_tags"):
        rows(bigquery_client(filled), "select policy_tags from dev_raw.INFORMATION_SCHEMA.COLUMN_FIELD_PATHS")
