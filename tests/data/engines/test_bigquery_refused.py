"""Exports that may not be loaded into BigQuery: each is refused with the sentence that a folder gives, or a better one."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from platform_assets.data.exports.export import ExportError
from platform_assets.data.exports.spec import ExportSourceSpec
from tests.data.engines.source_in_bigquery import Source
from tests.data.exports.breaking import (
    FILMS,
    SHOP,
    data_file,
    film,
    part,
    rewrite_data,
    shop_tables,
    truncate,
    write_films,
    write_shop,
)

MakeSource = Callable[[ExportSourceSpec], Source]


def refused(source: Source, lake: Path) -> str:
    """The sentence with which the export of a lake is set aside, having published nothing and left nothing aside."""
    (aside,) = source.load(lake).set_aside
    assert source.recorded() == []
    assert all(source.rows(table.name) == [] for table in source.spec.tables)
    assert source.scratch() == []
    return aside.reason


def in_lake(source: Source, lake: Path, path: Path) -> str:
    return f"{source.lake}/{path.relative_to(lake)}"


def test_an_absent_file_is_refused_by_name(make_source: MakeSource, lake: Path) -> None:
    source, path = make_source(FILMS), data_file(write_films(lake))
    path.unlink()
    assert f"{in_lake(source, lake, path)}: a data file of Films" in refused(source, lake)


def test_a_truncated_file_is_refused_by_name(make_source: MakeSource, lake: Path) -> None:
    source, path = make_source(FILMS), data_file(write_films(lake))
    truncate(path)
    assert f"{in_lake(source, lake, path)}: the file is truncated" in refused(source, lake)


def test_a_changed_byte_is_refused_by_its_checksum(make_source: MakeSource, lake: Path) -> None:
    source, path = make_source(FILMS), data_file(write_films(lake))
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b"Film", b"film", 1), mtime=0))
    message = refused(source, lake)
    assert f"{in_lake(source, lake, path)}: the file is changed" in message
    assert "md5Checksum" in message


def test_a_file_truncated_before_its_checksum_was_taken_is_refused(make_source: MakeSource, lake: Path) -> None:
    source, export = make_source(FILMS), write_films(lake, [film(number) for number in range(2000)], files=1)
    path = rewrite_data(export, data_file(export).read_bytes()[:3000])
    message = refused(source, lake)
    assert f"{in_lake(source, lake, path)}: not readable as gzipped DynamoDB JSON" in message
    assert "Film 1" not in message


def test_counts_that_are_off_are_refused(make_source: MakeSource, lake: Path) -> None:
    source, export = make_source(FILMS), write_films(lake, files=1)
    content = gzip.decompress(data_file(export).read_bytes()).splitlines(keepends=True)
    rewrite_data(export, gzip.compress(b"".join(content[:-1]), mtime=0))
    assert "the export states 20 rows of Films, but its files hold 19" in refused(source, lake)


def test_lines_that_are_no_items_are_refused(make_source: MakeSource, lake: Path) -> None:
    source, export = make_source(FILMS), write_films(lake, files=1)
    content = gzip.decompress(data_file(export).read_bytes()).splitlines()
    content[4] = json.dumps({"Keys": film(4), "NewImage": film(4)}).encode()
    content[5] = b'{"Item": "no item"}'
    rewrite_data(export, gzip.compress(b"\n".join(content) + b"\n", mtime=0))
    message = refused(source, lake)
    # BigQuery's own load job refuses the unknown field; the emulator drops it, and the query finds both lines.
    assert "not an item of a full export" in message or "not readable as gzipped DynamoDB JSON" in message


@pytest.mark.parametrize("key", [{}, {"film_id": {"NULL": True}}, {"film_id": {"L": []}}])
def test_an_item_without_its_key_is_refused(make_source: MakeSource, lake: Path, key: dict[str, Any]) -> None:
    write_films(lake, [film(1), {"title": {"S": "x"}, **key}])
    message = refused(make_source(FILMS), lake)
    assert "the key (film_id) is absent, null or of no key type in 1 rows" in message


def test_duplicate_keys_of_items_are_refused_with_their_count_and_no_value(make_source: MakeSource, lake: Path) -> None:
    items = [*map(film, range(10)), film(3) | {"title": {"S": "Other"}}, film(3), film(7)]
    source, export = make_source(FILMS), write_films(lake, items)
    message = refused(source, lake)
    assert message.startswith(
        f"{in_lake(source, lake, export)}: in Films 2 values of the key (film_id) belong to more than one row"
    )
    assert "Film 3" not in message


def test_a_truncated_part_is_refused_by_name(make_source: MakeSource, lake: Path) -> None:
    for size in (0, 5, None):
        source, path = make_source(SHOP), part(write_shop(lake / str(size)))
        truncate(path, size)
        assert f"{in_lake(source, lake / str(size), path)}: not readable as Parquet" in refused(
            source, lake / str(size)
        )


def test_a_part_damaged_inside_is_refused_with_the_job_that_knows_more(make_source: MakeSource, lake: Path) -> None:
    source, export = make_source(SHOP), write_shop(lake)
    content = bytearray(part(export).read_bytes())
    content[4:60] = bytes(56)
    part(export).write_bytes(content)
    message = refused(source, lake)
    assert message.startswith(in_lake(source, lake, export))
    assert "not readable as Parquet" in message
    assert "; job load_" in message


def test_a_part_with_other_columns_is_refused_by_name(make_source: MakeSource, lake: Path) -> None:
    source, last = make_source(SHOP), max(part(write_shop(lake)).parent.glob("*.parquet"))
    pq.write_table(pq.read_table(last).drop(["amount"]), last)
    assert f"{in_lake(source, lake, last)}: not readable as Parquet (its columns differ" in refused(source, lake)


def test_a_part_that_is_still_being_copied_is_refused_by_name(make_source: MakeSource, lake: Path) -> None:
    source, path = make_source(SHOP), part(write_shop(lake))
    source.upload(lake)
    (export,) = source.exports()
    truncate(path)
    source.upload(lake)
    with pytest.raises(ExportError, match=rf"{path.name}: the file had \d+ bytes .* load the export again"):
        source.tables.load([(export, "orders")])


def test_stated_row_counts_are_checked(make_source: MakeSource, lake: Path) -> None:
    part(write_shop(lake, state_rows=True)).unlink()
    assert "the export states 20 rows of shop.orders, but its files hold 15" in refused(make_source(SHOP), lake)


def test_duplicate_keys_of_rows_are_refused_with_their_count(make_source: MakeSource, lake: Path) -> None:
    orders = shop_tables()["shop.orders"]
    write_shop(lake, tables={**shop_tables(), "shop.orders": pa.concat_tables([orders, orders.slice(0, 3)])})
    assert "in shop.orders 3 values of the key (order_id)" in refused(make_source(SHOP), lake)


def test_a_key_that_is_no_column_is_refused(make_source: MakeSource, lake: Path) -> None:
    write_shop(lake)
    orders = SHOP.tables[1].model_copy(update={"key": ["order_no"]})
    source = make_source(SHOP.model_copy(update={"tables": [orders]}))
    assert "shop.orders has no column order_no" in refused(source, lake)


def test_a_type_that_raw_tables_do_not_hold_is_refused(make_source: MakeSource, lake: Path) -> None:
    path = part(write_shop(lake, parts=1))
    orders = pq.read_table(path)
    pq.write_table(orders.set_column(3, "amount", pa.array([{"a": 1}] * orders.num_rows)), path)
    assert "column amount is struct<a: int64>, which BigQuery has no type for" in refused(make_source(SHOP), lake)


def test_all_tables_of_all_exports_are_verified_before_one_is_published(make_source: MakeSource, lake: Path) -> None:
    truncate(part(write_shop(lake), "shop.orders"))
    assert "not readable as Parquet" in refused(make_source(SHOP), lake)
