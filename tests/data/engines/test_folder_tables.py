"""Raw tables in a folder: exactness, idempotence, and that nothing half-done is ever visible."""

import json
import os
import re
import shutil
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.data.engines.duckdb import raw_tables as folder_tables
from platform_assets.data.engines.duckdb.checksums import SUMS
from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.engines.raw_tables import RawTable, RawTableDamaged
from platform_assets.data.exports.aurora import read_aurora_export
from platform_assets.data.exports.dynamodb import read_dynamodb_export
from platform_assets.data.exports.export import Export, ExportError
from platform_assets.data.exports.lake import Lake
from tests.data.exports.breaking import (
    AT,
    FILMS,
    SHOP,
    edit_summary,
    film,
    load_one,
    part,
    truncate,
    write_films,
    write_shop,
)


def films_export(lake: Path, folder: Path) -> Export:
    return read_dynamodb_export(Lake(lake), FILMS, "films", folder.name)


def shop_export(lake: Path, folder: Path) -> Export:
    return read_aurora_export(Lake(lake), SHOP, "shop", folder.name)


def rows(raw: RawTable, columns: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as engine:
        engine.execute("set timezone = 'UTC'")
        return engine.execute(
            f"select {columns} from read_parquet('{raw.location}/*.parquet', hive_partitioning = false)"
        ).fetchall()


def all_loaded(raw: Path, table: str) -> list[RawTable]:
    return FolderTables(raw).loaded([("shop", table)])["shop", table]


def bytes_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_rows_carry_their_export_and_its_time(lake: Path, raw: Path) -> None:
    loaded = load_one(shop_export(lake, write_shop(lake)), "orders", FolderTables(raw))
    assert rows(loaded, "count(*), min(_export_id), max(_exported_at), sum(amount)") == [
        (20, loaded.export_id, AT, Decimal("246.00"))
    ]
    assert re.fullmatch(r"part-\d{5}\.parquet", next(Path(loaded.location).glob("*.parquet")).name)
    mark = json.loads((Path(loaded.location) / "_export.json").read_text())
    assert set(mark) == {"source", "table", "export_id", "exported_at", "format", "content_hash", "rows"}
    assert all_loaded(raw, "orders") == [loaded]


def test_38_digit_numbers_sets_maps_null_and_absent_stay_as_they_are(lake: Path, raw: Path) -> None:
    digits = "1234567890123456789012345678.9012345678"
    item = film(1) | {
        "exact": {"N": digits},
        "numbers": {"NS": [digits, "-0.1"]},
        "words": {"SS": ["b", "a"]},
        "map": {"M": {"a.b": {"L": [{"BOOL": False}, {"M": {}}]}}},
        "nothing": {"NULL": True},
        "text": {"S": 'é "q" \\ / \n \u2028 😀'},
    }
    loaded = load_one(films_export(lake, write_films(lake, [item, film(2)])), "films", FolderTables(raw))
    texts = [text for (text,) in rows(loaded, '"Item"')]
    assert json.dumps(item, separators=(",", ":"), ensure_ascii=False) in texts
    assert rows(loaded, "json_extract_string(\"Item\", '$.exact.N')").count((digits,)) == 1
    assert sum("nothing" in text for text in texts) == 1


_scalars = st.one_of(
    st.builds(lambda text: {"S": text}, st.text(st.characters(exclude_categories=["Cs"]))),
    st.builds(lambda number: {"N": str(number)}, st.decimals(allow_nan=False, allow_infinity=False)),
    st.builds(lambda flag: {"BOOL": flag}, st.booleans()),
    st.just({"NULL": True}),
    st.builds(lambda texts: {"SS": texts}, st.lists(st.text('ab"\\{}', min_size=1), min_size=1, unique=True)),
)
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.builds(lambda items: {"L": items}, st.lists(inner, max_size=3)),
        st.builds(lambda items: {"M": items}, st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    ),
    max_leaves=6,
)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=6), _values, max_size=4), max_size=12), st.integers(1, 3))
def test_any_item_comes_back_as_the_text_that_was_written(attributes: list[dict[str, Any]], files: int) -> None:
    items = [given_ | {"film_id": {"N": str(number)}} for number, given_ in enumerate(attributes)]
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder) / "lake"
        export = films_export(lake, write_films(lake, items, files=files))
        loaded = load_one(export, "films", FolderTables(Path(folder) / "raw"))
        texts = sorted(text for (text,) in rows(loaded, '"Item"'))
    assert texts == sorted(json.dumps(item, separators=(",", ":"), ensure_ascii=False) for item in items)


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_a_part_cut_anywhere_publishes_nothing(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake, raw = Path(folder) / "lake", Path(folder) / "raw"
        export = write_shop(lake)
        path = part(export)
        truncate(path, data.draw(st.integers(0, path.stat().st_size - 1)))
        with pytest.raises(ExportError, match=path.name):
            load_one(shop_export(lake, export), "orders", FolderTables(raw))
        assert not all_loaded(raw, "orders")


def test_a_loaded_export_is_not_read_again(lake: Path, raw: Path) -> None:
    export = shop_export(lake, write_shop(lake))
    first = load_one(export, "orders", FolderTables(raw))
    before = bytes_below(raw / "shop")
    shutil.rmtree(lake)
    again = load_one(export, "orders", FolderTables(raw))
    assert (first.new, again.new, again) == (True, False, first)
    assert bytes_below(raw / "shop") == before


def test_other_content_under_a_loaded_id_is_refused(lake: Path, raw: Path) -> None:
    folder = write_films(lake)
    load_one(films_export(lake, folder), "films", FolderTables(raw))
    before = bytes_below(raw / "films")
    edit_summary(folder, billedSizeBytes=1)
    with pytest.raises(ExportError, match=r"was loaded before into .* with other content"):
        load_one(films_export(lake, folder), "films", FolderTables(raw))
    assert bytes_below(raw / "films") == before


def test_a_changed_part_under_a_loaded_id_is_refused(lake: Path, raw: Path) -> None:
    folder = write_shop(lake)
    load_one(shop_export(lake, folder), "orders", FolderTables(raw))
    truncate(part(folder))
    with pytest.raises(ExportError, match="with other content"):
        load_one(shop_export(lake, folder), "orders", FolderTables(raw))


def test_a_kill_before_the_rename_leaves_no_trace_in_the_rerun(
    lake: Path, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = shop_export(lake, write_shop(lake))
    undisturbed = tmp_path / "undisturbed"
    load_one(export, "orders", FolderTables(undisturbed))

    child = os.fork()
    if child == 0:
        monkeypatch.setattr(folder_tables.os, "replace", lambda *_: os._exit(9))
        load_one(export, "orders", FolderTables(raw))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert list((raw / ".aside").rglob("*.parquet"))
    assert not all_loaded(raw, "orders")

    assert load_one(export, "orders", FolderTables(raw)).new
    assert bytes_below(raw) == bytes_below(undisturbed)


def test_no_table_is_published_when_another_is_refused(lake: Path, raw: Path) -> None:
    folder = write_shop(lake)
    truncate(part(folder, "shop.orders"))
    export = shop_export(lake, folder)
    with pytest.raises(ExportError):
        FolderTables(raw).load([(export, "customers"), (export, "orders")])
    assert not all_loaded(raw, "customers")
    assert not list((raw / ".aside").rglob("*.parquet"))


def test_an_empty_export_makes_an_empty_table(lake: Path, raw: Path) -> None:
    for files, at in ((0, AT), (2, AT.replace(day=6))):
        loaded = load_one(films_export(lake, write_films(lake, [], at, files=files)), "films", FolderTables(raw))
        assert rows(loaded, 'count(*), count("Item")') == [(0, 0)]


def test_a_damaged_record_of_a_loaded_export_is_refused(lake: Path, raw: Path) -> None:
    export = shop_export(lake, write_shop(lake))
    loaded = load_one(export, "orders", FolderTables(raw))
    (Path(loaded.location) / "_export.json").write_text("{}")
    with pytest.raises(ExportError, match=r"_export\.json: not a readable record"):
        load_one(export, "orders", FolderTables(raw))


def test_a_damaged_part_of_a_loaded_table_is_named_and_loaded_again_with_its_export(lake: Path, raw: Path) -> None:
    export, tables = shop_export(lake, write_shop(lake)), FolderTables(raw)
    loaded = load_one(export, "orders", tables)
    undamaged = rows(loaded, "sum(amount)")
    file = next(Path(loaded.location).glob("*.parquet"))
    tables.require_whole({("shop", "orders"): [loaded]})
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 0xFF
    file.write_bytes(content)
    for _ in range(2):
        with pytest.raises(
            RawTableDamaged, match=rf"{file}: gone, or not what was loaded .* Materialise raw/shop/orders"
        ):
            tables.require_whole({("shop", "orders"): [loaded]})
    assert all_loaded(raw, "orders") == [loaded]
    again = load_one(export, "orders", tables)
    assert (again.new, again) == (True, loaded)
    assert rows(again, "sum(amount)") == undamaged
    tables.require_whole({("shop", "orders"): [again]})
    assert [path.read_bytes() for path in (raw / ".damaged").rglob("*.parquet")] == [bytes(content)]
    assert not load_one(export, "orders", tables).new


def test_a_table_that_earlier_code_loaded_is_taken_as_it_is(lake: Path, raw: Path) -> None:
    loaded = load_one(shop_export(lake, write_shop(lake)), "orders", FolderTables(raw))
    (Path(loaded.location) / SUMS).unlink()
    FolderTables(raw).require_whole({("shop", "orders"): [loaded]})
