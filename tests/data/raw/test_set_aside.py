"""Exports that are finished and cannot be used: told and set aside, while the others load as if they were not there."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.engines.raw_tables import exports_hash
from platform_assets.data.raw.discover import load_source
from samples.dynamodb_export import write_dynamodb_export, write_manifest
from tests.data.exports.breaking import (
    AT,
    FILMS,
    LATER,
    SHOP,
    data_file,
    edit_json,
    edit_summary,
    export_info,
    film,
    part,
    shop_tables,
    tables_info,
    truncate,
    write_films,
    write_shop,
)

Write = Callable[..., Path]


def test_an_export_of_a_table_that_nobody_declares_is_nobody_s_concern(lake: Path, tables: FolderTables) -> None:
    write_films(lake)
    other = write_dynamodb_export(lake, "Others", "01-others", [film(1)], LATER, prefix="films")
    edit_summary(other, exportType="INCREMENTAL_EXPORT")
    assert load_source(FILMS, "films", str(lake), tables).set_aside == ()


# Each way makes an export unusable, in the manifests or in the data; beside it stand words of the sentence.
UNUSABLE: dict[str, tuple[Write, Callable[[Path], object], str]] = {
    "of no window": (
        write_films,
        lambda export: edit_summary(export, exportType="INCREMENTAL_EXPORT"),
        "exportFromTime",
    ),
    "Ion": (write_films, lambda export: edit_summary(export, outputFormat="ION"), "outputFormat"),
    "summary cut": (write_films, lambda export: truncate(export / "manifest-summary.json"), "manifest-summary"),
    "summary nested": (
        write_films,
        lambda export: write_manifest(export / "manifest-summary.json", '{"a":' + "[" * 10**5),
        "not readable JSON",
    ),
    "prefix no text": (write_films, lambda export: edit_summary(export, s3Prefix=[1]), "s3Prefix"),
    "time out of range": (
        write_films,
        lambda export: edit_summary(export, exportTime="0001-01-01T00:00:00+23:00"),
        "exportTime",
    ),
    "file unnamable": (
        write_films,
        lambda export: edit_summary(export, manifestFilesS3Key="films/\0"),
        "leads out of the exports root",
    ),
    "counts differ": (write_films, lambda export: edit_summary(export, itemCount=3), "itemCount"),
    "items cut": (write_films, lambda export: truncate(data_file(export)), "truncated"),
    "items gone": (write_films, lambda export: data_file(export).unlink(), "is absent"),
    "failed": (
        write_shop,
        lambda export: edit_json(export_info(export), lambda d: d.update(status="FAILED")),
        "FAILED",
    ),
    "info no object": (write_shop, lambda export: export_info(export).write_text("[]"), "not a JSON object"),
    "statistics no object": (
        write_shop,
        lambda export: edit_json(tables_info(export), lambda d: d["perTableStatus"][0].update(tableStatistics=["a"])),
        "tableStatistics",
    ),
    "types no objects": (
        write_shop,
        lambda export: edit_json(
            tables_info(export), lambda d: d["perTableStatus"][0].update(schemaMetadata={"originalTypeMappings": ["a"]})
        ),
        "originalTypeMappings",
    ),
    "part cut": (write_shop, lambda export: truncate(part(export)), "not readable as Parquet"),
    "parts gone": (write_shop, lambda export: shutil.rmtree(export / "shop" / "shop.orders"), "files are absent"),
}


@pytest.mark.parametrize("way", UNUSABLE)
def test_an_unusable_export_is_told_and_set_aside_and_its_mended_copy_gives_the_history_that_it_would_have_given(
    way: str, lake: Path, raw: Path, tables: FolderTables, tmp_path: Path
) -> None:
    write, spoil, words = UNUSABLE[way]
    spec, source = (FILMS, "films") if write is write_films else (SHOP, "shop")
    earlier, middle, latest = (write(lake, at=AT + timedelta(days=days)) for days in (0, 1, 2))
    shutil.copytree(lake, right := tmp_path / "right")
    spoil(middle)

    loaded = load_source(spec, source, str(lake), tables)
    for table in loaded.tables.values():
        assert [raw_table.export_id for raw_table in table.exports] == [earlier.name, latest.name]
    (aside,) = loaded.set_aside
    assert aside.export_id == middle.name
    assert all(table in aside.tables for table in loaded.tables)
    assert words in aside.reason
    assert f"/{middle.name}" in aside.reason
    assert load_source(spec, source, str(lake), tables).tables.keys() == loaded.tables.keys()

    shutil.rmtree(middle)
    shutil.copytree(right / middle.relative_to(lake), middle)
    mended = load_source(spec, source, str(lake), tables)
    at_once = load_source(spec, source, str(right), FolderTables(tmp_path / "right_raw"))
    assert (mended.set_aside, mended.absent) == ((), {})
    for name, table in mended.tables.items():
        assert table.data_version == at_once.tables[name].data_version
        assert exports_hash(table.exports) == exports_hash(at_once.tables[name].exports)
        assert [raw_table.rows for raw_table in table.exports] == [
            raw_table.rows for raw_table in at_once.tables[name].exports
        ]


def test_no_table_of_an_unusable_export_is_loaded_so_that_tables_stay_of_one_snapshot(
    lake: Path, tables: FolderTables
) -> None:
    whole = write_shop(lake)
    truncate(part(write_shop(lake, LATER)))
    loaded = load_source(SHOP, "shop", str(lake), tables)
    assert {table.exports[-1].export_id for table in loaded.tables.values()} == {whole.name}
    assert not loaded.absent


def test_an_export_that_changed_under_its_id_is_told_and_what_was_loaded_of_it_stays(
    lake: Path, tables: FolderTables
) -> None:
    first = write_shop(lake)
    load_source(SHOP, "shop", str(lake), tables)
    shutil.rmtree(first)
    write_shop(lake, tables=shop_tables(orders=30))
    write_shop(lake, LATER)
    loaded = load_source(SHOP, "shop", str(lake), tables)
    assert "was loaded before" in loaded.faults("orders")[0]
    assert [table.rows for table in loaded.tables["orders"].exports] == [20, 20]


def test_a_table_whose_only_export_is_unusable_says_both(lake: Path, tables: FolderTables) -> None:
    truncate(part(write_shop(lake)))
    loaded = load_source(SHOP, "shop", str(lake), tables)
    unreadable, none = loaded.faults("orders")
    assert "not readable as Parquet" in unreadable
    assert "no export of orders can be used" in none
    assert loaded.tables["orders"].exports == ()


def test_exports_that_are_tidied_away_are_told_and_what_was_loaded_stays(lake: Path, tables: FolderTables) -> None:
    write_shop(lake)
    load_source(SHOP, "shop", str(lake), tables)
    shutil.rmtree(lake / "shop")
    loaded = load_source(SHOP, "shop", str(lake), tables)
    assert "no finished export of table shop.orders" in loaded.faults("orders")[0]
    assert len(loaded.tables["orders"].exports) == 1
