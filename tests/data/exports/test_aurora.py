"""Aurora snapshot exports: what is read from the manifests and folders, and what is refused."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.exports.aurora import export_ids, read_aurora_export
from platform_assets.data.exports.export import Export, ExportError, ExportInProgress
from platform_assets.data.exports.lake import Lake
from tests.data.exports.breaking import (
    AT,
    SHOP,
    edit_json,
    export_info,
    load_one,
    part,
    shop_tables,
    tables_info,
    truncate,
    write_shop,
)


def read(lake: Path, export: Path) -> Export:
    return read_aurora_export(Lake(lake), SHOP, "shop", export.name)


@pytest.fixture
def export(lake: Path) -> Path:
    return write_shop(lake)


def refused(lake: Path, raw: Path, export: Path) -> str:
    """The sentence with which the orders are refused, having published nothing."""
    with pytest.raises(ExportError) as caught:
        load_one(read(lake, export), "orders", FolderTables(raw))
    assert not list(raw.glob("shop/**/*.parquet"))
    return str(caught.value)


def edit_table(export: Path, table: str, **changes: Any) -> None:
    def change(document: dict[str, Any]) -> None:
        for status in document["perTableStatus"]:
            if status["target"] == table:
                status.update(changes)

    edit_json(tables_info(export), change)


def test_a_finished_export_states_its_tables_time_and_parts(lake: Path, raw: Path) -> None:
    folder = write_shop(lake, tables=shop_tables(24), parts=3, skip=(1,), batches=2)
    export = read(lake, folder)
    assert (export.export_id, export.exported_at, set(export.tables)) == (
        folder.name,
        AT,
        {"customers", "orders"},
    )
    names = [file.key.split("/", 4)[-1][:12] for file in export.tables["orders"].files]
    assert names == [f"{batch}/part-0000{number}" for batch in (1, 2) for number in (0, 2, 3)]
    assert export_ids(Lake(lake), SHOP) == [folder.name]
    loaded = load_one(export, "orders", FolderTables(raw))
    assert pq.read_table(loaded.location).drop(["_export_id", "_exported_at"]) == shop_tables(24)["shop.orders"]


def test_tables_of_postgresql_are_found_by_their_schema(lake: Path) -> None:
    write_shop(lake, tables={"public.orders": shop_tables()["shop.orders"]}, export_id="pg")
    table = SHOP.tables[1].model_copy(update={"export_table": "public.orders"})
    spec = SHOP.model_copy(update={"tables": [table]})
    assert set(read_aurora_export(Lake(lake), spec, "shop", "pg").tables) == {"orders"}


def test_parts_directly_in_the_table_folder_are_read(lake: Path, export: Path, raw: Path) -> None:
    batch = export / "shop" / "shop.orders" / "1"
    for path in list(batch.iterdir()):
        path.rename(batch.parent / path.name)
    batch.rmdir()
    assert load_one(read(lake, export), "orders", FolderTables(raw)).rows == 20


@pytest.mark.parametrize("status", ["STARTING", "IN_PROGRESS"])
def test_an_unfinished_export_is_in_progress(lake: Path, export: Path, status: str) -> None:
    edit_json(export_info(export), lambda info: info.update(status=status, percentProgress=40))
    with pytest.raises(ExportInProgress, match=rf"key 'status' is {status} \(40 %\)"):
        read(lake, export)
    export_info(export).unlink()
    with pytest.raises(ExportInProgress, match="is not there yet"):
        read(lake, export)


def test_a_failed_export_is_refused(lake: Path, export: Path, raw: Path) -> None:
    edit_json(export_info(export), lambda info: info.update(status="FAILED", failureCause="no disk"))
    assert f"{export_info(export)}: key 'status' is FAILED (no disk)" in refused(lake, raw, export)


def test_a_failed_table_is_refused(lake: Path, export: Path, raw: Path) -> None:
    edit_table(export, "shop.orders", status="FAILED", warningMessage="unsupported column")
    assert f"{tables_info(export)}: key 'status' of table shop.orders is FAILED (unsupported column)" in refused(
        lake, raw, export
    )


def test_a_failed_table_that_nobody_declared_does_no_harm(lake: Path) -> None:
    export = write_shop(lake, tables=shop_tables() | {"shop.logs": shop_tables()["shop.customers"]})
    edit_table(export, "shop.logs", status="FAILED")
    assert set(read(lake, export).tables) == {"customers", "orders"}


def test_uncompleted_partitions_are_refused(lake: Path, export: Path, raw: Path) -> None:
    partitions = {"numberOfPartitions": 5, "numberOfCompletedPartitions": 4}
    edit_table(export, "shop.orders", tableStatistics={"partitioningInfo": partitions})
    assert "4 of 5 partitions were completed" in refused(lake, raw, export)


def test_stated_row_counts_are_checked(lake: Path, raw: Path) -> None:
    export = write_shop(lake, state_rows=True)
    part(export).unlink()
    assert "the export states 20 rows of shop.orders, but its files hold 15" in refused(lake, raw, export)


def test_a_truncated_part_is_refused_by_name(lake: Path, export: Path, raw: Path) -> None:
    truncate(part(export))
    assert f"{part(export)}: not readable as Parquet" in refused(lake, raw, export)


def test_a_part_with_other_columns_is_refused_by_name(lake: Path, export: Path, raw: Path) -> None:
    last = max(part(export).parent.glob("*.parquet"))
    pq.write_table(pq.read_table(last).drop(["amount"]), last)
    assert f"{last}: not readable as Parquet (its columns differ" in refused(lake, raw, export)


def test_columns_that_differ_from_the_manifest_are_refused(lake: Path, export: Path, raw: Path) -> None:
    edit_table(
        export,
        "shop.orders",
        schemaMetadata={"originalTypeMappings": [{"columnName": "order_id", "originalType": "bigint"}]},
    )
    assert "key 'originalTypeMappings' of shop.orders names the columns order_id" in refused(lake, raw, export)


def test_absent_files_of_a_complete_table_are_refused(lake: Path, export: Path, raw: Path) -> None:
    for path in part(export).parent.iterdir():
        path.unlink()
    assert "says that table shop.orders is COMPLETE, but its files are absent" in refused(lake, raw, export)


def test_a_batch_without_its_success_mark_is_refused(lake: Path, raw: Path) -> None:
    export = write_shop(lake, batches=2)
    (export / "shop" / "shop.orders" / "2" / "_SUCCESS").unlink()
    assert "batch 2 of table shop.orders has parts but no _SUCCESS" in refused(lake, raw, export)


def test_a_part_that_is_there_twice_is_refused(lake: Path, export: Path, raw: Path) -> None:
    path = part(export)
    path.with_name("part-00000-again-c000.gz.parquet").write_bytes(path.read_bytes())
    assert "part 0 of table shop.orders is there twice" in refused(lake, raw, export)


def test_a_file_that_is_no_part_is_refused(lake: Path, export: Path, raw: Path) -> None:
    (part(export).parent / "notes.txt").write_text("x")
    assert "notes.txt: not a part of table shop.orders by its name" in refused(lake, raw, export)


def test_an_absent_tables_info_is_refused(lake: Path, export: Path, raw: Path) -> None:
    path = tables_info(export)
    path.rename(path.with_name(path.name.replace("_from_1_to_2", "_from_3_to_4")))
    assert "_from_1_to_….json is absent" in refused(lake, raw, export)


def test_a_folder_that_holds_another_export_is_refused(lake: Path, export: Path, raw: Path) -> None:
    edit_json(export_info(export), lambda info: info.update(exportTaskIdentifier="other"))
    assert "key 'exportTaskIdentifier' is 'other'" in refused(lake, raw, export)


def test_duplicate_keys_are_refused_with_their_files_and_count(lake: Path, raw: Path) -> None:
    tables = shop_tables()
    orders = tables["shop.orders"]
    doubled = {**tables, "shop.orders": pa.concat_tables([orders, orders.slice(0, 3)])}
    export = write_shop(lake, tables=doubled)
    message = refused(lake, raw, export)
    files = sorted(part(export).parent.glob("*.parquet"))
    assert message.startswith(f"{files[0]}, {files[-1]}: in shop.orders 3 values of the key (order_id)")


def test_a_key_that_is_no_column_is_refused(lake: Path, export: Path, raw: Path) -> None:
    table = SHOP.tables[1].model_copy(update={"key": ["order_no"]})
    spec = SHOP.model_copy(update={"tables": [table]})
    with pytest.raises(ExportError, match=r"shop\.orders has no column order_no.*columns: order_id, customer_id"):
        load_one(read_aurora_export(Lake(lake), spec, "shop", export.name), "orders", FolderTables(raw))


def test_an_empty_table_keeps_its_columns(lake: Path, raw: Path) -> None:
    orders = shop_tables()["shop.orders"]
    export = write_shop(lake, tables=shop_tables() | {"shop.orders": orders.slice(0, 0)})
    assert not list(export.glob("shop/shop.orders/1/*.parquet"))
    loaded = load_one(read(lake, export), "orders", FolderTables(raw))
    assert loaded.rows == 0
    assert pq.read_table(loaded.location).schema.names == [*orders.schema.names, "_export_id", "_exported_at"]
