"""What exports a source has, what a sensor sees, and what a load takes in."""

import re
from datetime import timedelta
from pathlib import Path

import fsspec

from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.raw.discover import content_key, discover, load_source
from samples.dynamodb_export import export_id, write_dynamodb_export
from tests.data.exports.breaking import (
    AT,
    FILMS,
    LATER,
    SHOP,
    edit_json,
    export_info,
    film,
    shop_tables,
    truncate,
    write_films,
    write_shop,
)


def in_progress(export: Path, percent: int = 10) -> None:
    edit_json(export_info(export), lambda info: info.update(status="IN_PROGRESS", percentProgress=percent))


def test_exports_are_listed_by_time_with_those_in_progress_apart(lake: Path) -> None:
    late = write_shop(lake, LATER, export_id="a-later")
    early = write_shop(lake, AT, export_id="b-earlier")
    in_progress(write_shop(lake, LATER, export_id="c-running"))
    (lake / "shop" / ".half-written").mkdir()
    found = discover(SHOP, "shop", str(lake))
    assert [export.export_id for export in found.complete] == [early.name, late.name]
    assert len(found.in_progress) == 1
    assert "IN_PROGRESS (10 %)" in found.in_progress[0]


def test_a_later_export_is_added_and_the_earlier_stays(lake: Path, tables: FolderTables) -> None:
    write_shop(lake)
    first = load_source(SHOP, "shop", str(lake), tables)
    write_shop(lake, LATER, shop_tables(orders=30))
    second = load_source(SHOP, "shop", str(lake), tables)
    orders = second.tables["orders"]
    assert [export.rows for export in orders.exports] == [20, 30]
    assert (first.tables["orders"].new, orders.new) == (1, 1)
    assert orders.data_version != first.tables["orders"].data_version
    again = load_source(SHOP, "shop", str(lake), tables).tables["orders"]
    assert (again.new, again.data_version) == (0, orders.data_version)


def test_the_key_changes_when_an_export_is_finished_and_not_before(lake: Path) -> None:
    write_shop(lake)
    before = content_key(SHOP, "shop", str(lake))
    running = write_shop(lake, LATER)
    for percent in (10, 20):
        in_progress(running, percent)
        assert content_key(SHOP, "shop", str(lake)) == before
    edit_json(export_info(running), lambda info: info.update(status="COMPLETE"))
    finished = content_key(SHOP, "shop", str(lake))
    assert finished != before
    truncate(export_info(running))
    assert content_key(SHOP, "shop", str(lake)) not in (before, finished)


def test_an_export_in_progress_is_skipped_while_an_older_one_is_complete(lake: Path, tables: FolderTables) -> None:
    write_shop(lake)
    in_progress(write_shop(lake, LATER))
    loaded = load_source(SHOP, "shop", str(lake), tables)
    assert [len(table.exports) for table in loaded.tables.values()] == [1, 1]
    assert len(loaded.in_progress) == 1


def test_a_source_with_no_finished_export_is_told(lake: Path, tables: FolderTables) -> None:
    loaded = load_source(SHOP, "shop", str(lake), tables)
    assert "there is no finished export of table shop.customers" in loaded.absent["customers"]
    assert loaded.tables["customers"].exports == ()
    in_progress(write_shop(lake))
    (fault,) = load_source(SHOP, "shop", str(lake), tables).faults("orders")
    assert re.search(r"In progress: .*IN_PROGRESS", fault)


def test_a_table_that_no_export_holds_is_told_with_those_that_are_held_and_others_load(
    lake: Path, tables: FolderTables
) -> None:
    write_films(lake)
    absent = FILMS.tables[0].model_copy(update={"name": "x", "export_table": "X"})
    spec = FILMS.model_copy(update={"tables": [*FILMS.tables, absent]})
    loaded = load_source(spec, "films", str(lake), tables)
    assert "no finished export of table X. Finished exports hold: Films" in loaded.absent["x"]
    assert len(loaded.tables["films"].exports) == 1


def test_a_newest_export_without_a_declared_table_is_set_aside_until_a_whole_one_comes(
    lake: Path, tables: FolderTables
) -> None:
    whole = write_shop(lake)
    only_customers = {"shop.customers": shop_tables()["shop.customers"]}
    for at in (LATER, LATER + timedelta(days=1)):
        write_shop(lake, at, only_customers)
    loaded = load_source(SHOP, "shop", str(lake), tables)
    assert [len(loaded.set_aside), len(loaded.faults("orders")), len(loaded.faults("customers"))] == [2, 2, 2]
    assert re.search(r"the newest export, .*, does not hold table shop\.orders", loaded.faults("orders")[0])
    assert {table.exports[-1].export_id for table in loaded.tables.values()} == {whole.name}
    write_shop(lake, LATER + timedelta(days=2))
    loaded = load_source(SHOP, "shop", str(lake), tables)
    assert [len(loaded.tables[name].exports) for name in ("customers", "orders")] == [4, 2]
    assert loaded.faults("orders") == []


def test_a_renamed_table_is_refused_with_the_name_that_the_export_has_for_it(lake: Path, tables: FolderTables) -> None:
    write_shop(lake)
    now = shop_tables()
    write_shop(lake, LATER, {"shop.customers": now["shop.customers"], "shop.orders_v2": now["shop.orders"]})
    (fault,) = load_source(SHOP, "shop", str(lake), tables).faults("orders")
    assert "does not hold table shop.orders, which 1 older ones do" in fault
    assert "does not declare there is shop.orders_v2: if it was renamed, write its new name" in fault

    write_dynamodb_export(lake, "Movies", export_id("Movies", AT), [film(1)], AT, prefix="films")
    absent = load_source(FILMS, "films", str(lake), tables).absent["films"]
    assert re.search(r"no finished export of table Films\. .* there is Movies: if it was renamed", absent)


def test_a_table_added_to_the_source_is_loaded_from_the_exports_there(lake: Path, tables: FolderTables) -> None:
    write_shop(lake)
    load_source(SHOP.model_copy(update={"tables": SHOP.tables[:1]}), "shop", str(lake), tables)
    loaded = load_source(SHOP, "shop", str(lake), tables)
    assert {name: table.new for name, table in loaded.tables.items()} == {"customers": 0, "orders": 1}


def test_only_the_tables_asked_for_are_loaded(lake: Path, raw: Path, tables: FolderTables) -> None:
    write_shop(lake)
    assert set(load_source(SHOP, "shop", str(lake), tables, ["orders"]).tables) == {"orders"}
    assert not (raw / "shop" / "customers").exists()


def test_a_lake_on_another_file_system_loads_alike(lake: Path, tables: FolderTables, tmp_path: Path) -> None:
    write_shop(lake)
    write_films(lake)
    memory = fsspec.filesystem("memory")
    memory.put(f"{lake}/", "/remote/lake/", recursive=True)
    try:
        for spec, source in ((SHOP, "shop"), (FILMS, "films")):
            here = load_source(spec, source, lake, tables)
            there = load_source(spec, source, "memory://remote/lake", FolderTables(tmp_path / "there"))
            assert content_key(spec, source, lake) == content_key(spec, source, "memory://remote/lake")
            for name, table in here.tables.items():
                assert there.tables[name].data_version == table.data_version
                assert there.tables[name].exports[0].rows == table.exports[0].rows
    finally:
        memory.rm("/remote", recursive=True)
