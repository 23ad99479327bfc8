"""Raw tables in BigQuery: the same rows as in a folder, idempotence, and that nothing half-done is ever visible."""

import multiprocessing
import re
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from platform_assets.data.engines.bigquery.staging import stage
from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.engines.raw_tables import exports_hash
from platform_assets.data.exports.export import LoadRefused
from platform_assets.data.exports.lake import Lake
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.raw.discover import load_source
from tests.data.engines.source_in_bigquery import Source, in_order, load_in_child, rows_in_folder
from tests.data.exports.breaking import (
    AT,
    FILMS,
    LATER,
    SHOP,
    data_file,
    edit_summary,
    film,
    part,
    shop_tables,
    truncate,
    write_films,
    write_shop,
)
from tests.emulators.killing_proxy import NEVER, When, killing_proxy
from tests.tiers import Draw

ORDERS = SHOP.model_copy(update={"tables": SHOP.tables[1:]})
MakeSource = Callable[[ExportSourceSpec], Source]
# Of some five changes that a load makes.
FEW = 2


def both(source: Source, lake: Path, raw: Path) -> list[str]:
    """Loads what lies in the local lake into a folder and into BigQuery, and compares; the tables."""
    there = source.load(lake)
    here = load_source(source.spec, source.name, lake, FolderTables(raw))
    for name, table in here.tables.items():
        loaded = there.tables[name]
        assert [(one.export_id, one.rows, one.new) for one in loaded.exports] == [
            (one.export_id, one.rows, False) for one in table.exports
        ]
        assert (loaded.new, loaded.data_version) == (table.new, table.data_version)
        assert in_order(source.rows(name)) == in_order(rows_in_folder(list(table.exports)))
    assert source.scratch() == []
    return list(here.tables)


def test_aurora_exports_load_row_by_row_as_into_a_folder(make_source: MakeSource, lake: Path, raw: Path) -> None:
    source = make_source(SHOP)
    write_shop(lake, parts=3, batches=2, state_rows=True)
    assert both(source, lake, raw) == ["customers", "orders"]
    orders = shop_tables(30)["shop.orders"]
    with_a_column = orders.append_column("channel", pa.array(["web"] * 29 + [None]))
    write_shop(lake, LATER, {**shop_tables(), "shop.orders": with_a_column.drop(["amount"])})
    both(source, lake, raw)
    columns = {field.name for field in source.bigquery.client.get_table(source.table("orders")).schema}
    assert {"amount", "channel"} < columns


def test_dynamodb_exports_load_item_by_item_as_into_a_folder(make_source: MakeSource, lake: Path, raw: Path) -> None:
    digits = "1234567890123456789012345678.9012345678"
    odd = film(100) | {
        "exact": {"N": digits},
        "numbers": {"NS": [digits, "-0.1"]},
        "map": {"M": {"a.b": {"L": [{"BOOL": False}, {"M": {}}]}}},
        "nothing": {"NULL": True},
        "text": {"S": "é \"q\" \\ / \n \u2028 😀 'x' `y`"},
    }
    write_films(lake, [*map(film, range(20)), odd], data_folder="films/elsewhere/data")
    write_films(lake, [film(3) | {"title": {"S": "Later"}}], LATER)
    both(make_source(FILMS), lake, raw)


def test_types_of_parquet_are_those_bigquery_gives_them(make_source: MakeSource, lake: Path, raw: Path) -> None:
    noon = datetime(2026, 1, 5, 12, 0, 0, 123456)
    values = {
        "order_id": pa.array([1], pa.int32()),
        "instant": pa.array([noon.replace(tzinfo=UTC)], pa.timestamp("us", "UTC")),
        "local": pa.array([noon], pa.timestamp("us")),
        "day": pa.array([date(2026, 1, 5)]),
        "clock": pa.array([time(12, 0, 1)], pa.time64("us")),
        "flag": pa.array([True]),
        "ratio": pa.array([0.1]),
        "wide": pa.array([Decimal("1234567890.123456789012")], pa.decimal128(30, 12)),
        "bytes": pa.array([b"\x00\xff"]),
    }
    folder = write_shop(lake, tables={"shop.orders": pa.table({name: pa.array([1]) for name in values})}, parts=1)
    pq.write_table(pa.table(values), part(folder))
    source = make_source(ORDERS)
    both(source, lake, raw)
    kinds = {field.name: field.field_type for field in source.bigquery.client.get_table(source.table("orders")).schema}
    assert [kinds[name] for name in values] == [
        "INTEGER", "TIMESTAMP", "DATETIME", "DATE", "TIME", "BOOLEAN", "FLOAT", "BIGNUMERIC", "BYTES",
    ]  # fmt: skip


def test_exports_without_rows_load_as_such(make_source: MakeSource, lake: Path, raw: Path) -> None:
    empty = {name: rows.slice(0, 0) for name, rows in shop_tables().items()}
    write_shop(lake, tables=empty)
    both(make_source(SHOP), lake, raw)
    write_films(lake, [], files=0)
    write_films(lake, [], LATER, files=2)
    both(make_source(FILMS), lake, raw)


def test_a_raw_table_is_partitioned_clustered_labelled_and_described(make_source: MakeSource, lake: Path) -> None:
    source = make_source(ORDERS)
    write_shop(lake)
    source.load(lake)
    orders = source.bigquery.client.get_table(source.table("orders"))
    assert (orders.time_partitioning.type_, orders.time_partitioning.field) == ("DAY", "_exported_at")
    assert (orders.time_partitioning.expiration_ms, orders.clustering_fields) == (None, ["_export_id"])
    assert orders.labels == {"environment": "dev", "source": source.name}
    assert orders.description
    assert all(field.description for field in orders.schema)
    assert next(field for field in orders.schema if field.name == "amount").description.endswith(
        "decimal(10,2) at its source."
    )


def test_raw_rows_expire_after_the_days_that_the_environment_says(make_source: MakeSource, lake: Path) -> None:
    source = make_source(ORDERS)
    write_shop(lake)
    source.upload(lake)
    for days, export in ((30, AT), (60, LATER)):
        write_shop(lake, export)
        source.upload(lake)
        source.elsewhere(raw_expiry_days=days).load()
        orders = source.bigquery.client.get_table(source.table("orders"))
        assert orders.time_partitioning.expiration_ms == timedelta(days=days) / timedelta(milliseconds=1)


def test_a_loaded_export_is_not_read_again(make_source: MakeSource, lake: Path) -> None:
    source = make_source(FILMS)
    write_films(lake)
    before, since = source.load(lake), datetime.now(UTC)
    source.bigquery.client.query_and_wait("select 1")  # a job that is found, so that finding none means something
    again = source.load()
    assert (again.tables["films"].new, again.tables["films"].data_version) == (0, before.tables["films"].data_version)
    jobs = list(source.bigquery.client.list_jobs(min_creation_time=since))
    assert {job.job_type for job in jobs} == {"query"}


def test_what_was_loaded_aside_before_a_crash_is_used_and_its_job_not_repeated(
    make_source: MakeSource, lake: Path
) -> None:
    source, since = make_source(FILMS), datetime.now(UTC)
    write_films(lake)
    source.upload(lake)
    (export,) = source.exports()
    stage(source.bigquery, export, export.tables["films"], Lake(source.lake), lambda _: None)
    assert len(source.scratch()) == 1
    assert source.load().tables["films"].new == 1
    loads = [job for job in source.bigquery.client.list_jobs(min_creation_time=since) if job.job_type == "load"]
    assert len([job for job in loads if job.labels["source"] == source.name]) == 1
    assert (len(source.rows("films")), source.scratch()) == (20, [])


def test_other_content_under_a_loaded_id_is_refused(make_source: MakeSource, lake: Path) -> None:
    source = make_source(FILMS)
    folder = write_films(lake)
    source.load(lake)
    before = source.rows("films")
    edit_summary(folder, billedSizeBytes=1)
    source.upload(lake)
    (aside,) = source.load().set_aside
    assert re.search(r"was loaded before into .*__films with other content .* delete its rows", aside.reason)
    assert source.rows("films") == before


def test_a_column_that_changed_its_type_is_refused_before_anything_is_published(
    make_source: MakeSource, lake: Path
) -> None:
    source = make_source(SHOP)
    write_shop(lake)
    source.load(lake)
    orders = shop_tables()["shop.orders"]
    amounts = orders.set_column(3, "amount", orders["amount"].cast(pa.string()))
    write_shop(lake, LATER, {**shop_tables(), "shop.orders": amounts})
    source.upload(lake)
    (aside,) = source.load().set_aside
    assert "column amount of orders is STRING in this export, but NUMERIC in" in aside.reason
    assert [raw.exported_at for raw in source.recorded()] == [AT, AT]
    assert len(source.rows("customers")) == 3


def test_timestamps_with_and_without_a_zone_are_one_column_in_utc(make_source: MakeSource, lake: Path) -> None:
    source = make_source(ORDERS)
    write_shop(lake)
    orders = shop_tables()["shop.orders"]
    zoned = orders.set_column(2, "ordered_at", orders["ordered_at"].cast(pa.timestamp("us", "UTC")))
    folder = write_shop(lake, LATER, parts=1)
    pq.write_table(zoned, part(folder))
    source.load(lake)
    assert [row["ordered_at"] for row in source.rows("orders")] == [AT.replace(tzinfo=None)] * 40


def test_a_lake_elsewhere_and_a_project_that_was_not_prepared_are_refused(make_source: MakeSource, lake: Path) -> None:
    source = make_source(FILMS)
    write_films(lake)
    with pytest.raises(LoadRefused, match=r"loads exports from gs:// only.*Storage Transfer Service"):
        load_source(FILMS, source.name, lake, source.tables)
    source.upload(lake)
    with pytest.raises(LoadRefused, match=r"no dataset .*staging_raw.* platform-assets prepare"):
        source.elsewhere(stage="staging").load()


def test_two_loads_at_once_publish_once(make_source: MakeSource, lake: Path) -> None:
    source = make_source(SHOP)
    write_shop(lake)
    source.upload(lake)
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(replace(source).load) for _ in range(2)]
    loaded = [done.result() for done in running]
    assert [load.tables["orders"].data_version for load in loaded] == [loaded[0].tables["orders"].data_version] * 2
    assert sum(load.tables["orders"].new for load in loaded) == 1
    assert (len(source.rows("orders")), len(source.rows("customers")), len(source.recorded())) == (20, 3, 2)
    assert source.scratch() == []


@pytest.mark.emulator_only
@pytest.mark.parametrize(
    ("when", "export"),
    [("before", "the first export of a table"), ("after", "an export with a column more than those before")],
)
def test_a_load_killed_at_any_change_leaves_an_export_out_or_in_and_the_rerun_completes(
    make_source: MakeSource, variables: dict[str, str], tmp_path: Path, draw: Draw, when: When, export: str
) -> None:
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(
        ["tests.data.engines.source_in_bigquery", "google.cloud.bigquery", "pyarrow.parquet", "gcsfs"]
    )
    always = make_source(ORDERS)

    def uploaded(number: int) -> tuple[Source, str]:
        """A source with an export that was not loaded yet, and the export's id."""
        source = make_source(ORDERS) if export == "the first export of a table" else always
        orders = shop_tables()["shop.orders"].append_column(f"column_{number}", pa.array([number] * 20))
        folder = write_shop(tmp_path / source.name, AT + timedelta(days=number), {"shop.orders": orders})
        source.upload(tmp_path / source.name)
        return source, folder.name

    with killing_proxy(variables["BIGQUERY_EMULATOR_HOST"]) as proxy:
        through_proxy = variables | {"BIGQUERY_EMULATOR_HOST": proxy.url}

        def load(source: Source, kill_at: int) -> int | None:
            child = processes.Process(target=load_in_child, args=(through_proxy, ORDERS, source.name, "orders"))
            return proxy.run(child, kill_at, when)

        uploaded(1)[0].load_table("orders")
        assert load(uploaded(2)[0], NEVER) == 0
        changes = len(proxy.changes)
        assert changes > 2
        for number, kill_at in enumerate(draw(range(1, changes + 1), FEW), start=3):
            source, export_id = uploaded(number)
            assert load(source, kill_at) == -signal.SIGKILL
            assert published(source, export_id) in ((0, 0), (20, 1)), proxy.changes
            source.load_table("orders")
            assert published(source, export_id) == (20, 1), proxy.changes
    assert len(source.rows("orders")) == 20 * len(source.recorded())
    # What lies aside when all is published is nobody's work any more: it goes away after a day.
    aside = [source.bigquery.name("scratch", name) for name in source.scratch()]
    assert all(source.bigquery.client.get_table(name).expires for name in aside)


def published(source: Source, export_id: str) -> tuple[int, int]:
    """Rows of an export, and of its record, as one query sees them together."""
    record = source.bigquery.name("raw", "_exports")
    if not source.bigquery.find(source.table("orders")):
        return 0, 0
    (row,) = source.query(
        f"select (select count(*) from `{source.table('orders')}` where _export_id = '{export_id}') as row_count, "
        f"(select count(*) from `{record}` where source_name = '{source.name}' and export_id = '{export_id}') as records"
    )
    return row["row_count"], row["records"]


def test_an_unusable_export_beside_another_is_set_aside_and_mended_gives_what_it_would_have_given(
    make_source: MakeSource, lake: Path, raw: Path
) -> None:
    source, earlier, later = make_source(FILMS), write_films(lake), write_films(lake, at=LATER)
    path = data_file(earlier)
    content = path.read_bytes()
    truncate(path)
    loaded = source.load(lake)
    (aside,) = loaded.set_aside
    assert (aside.export_id, aside.tables) == (earlier.name, frozenset(["films"]))
    assert "the file is truncated" in aside.reason
    assert [table.export_id for table in loaded.tables["films"].exports] == [later.name]
    assert source.scratch() == []

    path.write_bytes(content)
    mended = source.load(lake)
    assert mended.set_aside == ()
    at_once = load_source(FILMS, source.name, lake, FolderTables(raw)).tables["films"]
    assert mended.tables["films"].data_version == at_once.data_version
    assert exports_hash(source.recorded()) == exports_hash(at_once.exports)
    assert in_order(source.rows("films")) == in_order(rows_in_folder(list(at_once.exports)))
