"""Files that are small and hold too much: refused by what they hold, in little memory."""

import gzip
import json
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.exports.aurora import read_aurora_export
from platform_assets.data.exports.dynamodb import read_dynamodb_export
from platform_assets.data.exports.export import Export, ExportError
from platform_assets.data.exports.lake import Lake
from platform_assets.data.exports.manifest import entry, parse_json
from platform_assets.environment import Limits
from tests.data.exports.breaking import (
    FILMS,
    SHOP,
    data_file,
    load_one,
    rewrite_data,
    shop_tables,
    write_films,
    write_shop,
)
from tests.support.processes import run_python

MEBIBYTE = 1024**2
# Beside what Python, DuckDB and Arrow take by themselves.
LOADS = """
import resource, sys
from pathlib import Path
from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.exports.dynamodb import read_dynamodb_export
from platform_assets.data.exports.export import ExportError
from platform_assets.data.exports.lake import Lake
from tests.data.exports.breaking import FILMS, load_one

lake, raw = map(Path, sys.argv[1:3])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    load_one(read_dynamodb_export(Lake(lake), FILMS, "films", sys.argv[3]), "films", FolderTables(raw))
except ExportError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, "MiB")
"""


def bomb(mebibytes: int, line: bytes = b"0") -> bytes:
    """A gzip file of one stream that holds `line` over and over; a thousandth of its size or less."""
    content = (line * (MEBIBYTE // len(line) + 1))[: MEBIBYTE // len(line) * len(line)]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    # Whatever was before does not matter to what follows a full flush, so it can be repeated.
    block = packer.compress(content) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 0
    for _ in range(mebibytes):
        checksum = zlib.crc32(content, checksum)
    end = struct.pack("<II", checksum, mebibytes * len(content) % 2**32)
    return gzip.compress(b"")[:10] + block * mebibytes + b"\x03\x00" + end


def films_export(lake: Path, content: bytes, right: bool = True) -> Export:
    """An export with one data file of `content`, with its MD5 or another."""
    folder = write_films(lake, files=1)
    if right:
        rewrite_data(folder, content)
    else:
        data_file(folder).write_bytes(content)
    return read_dynamodb_export(Lake(lake), FILMS, "films", folder.name)


def told_and_peak(lake: Path, raw: Path, export: Export) -> tuple[str, int]:
    done = run_python("-c", LOADS, lake, raw, export.export_id)
    assert done.returncode == 0, done.stderr
    said, peak = re.fullmatch(r"(.*?)\n?(\d+) MiB\n", done.stdout, re.DOTALL).groups()  # type: ignore[union-attr]
    return said, int(peak)


def test_a_bomb_with_another_checksum_is_told_in_little_memory(lake: Path, raw: Path) -> None:
    export = films_export(lake, bomb(400), right=False)
    said, peak = told_and_peak(lake, raw, export)
    assert "the file is changed: its MD5 is" in said
    assert peak < 100
    assert not FolderTables(raw).loaded([("films", "films")])["films", "films"]


@pytest.mark.parametrize("line", [b"0", b'{"Item":{"film_id":{"N":"1"}}}\n'], ids=["one line", "more rows than stated"])
def test_a_bomb_with_its_checksum_is_refused_by_what_its_manifest_says(line: bytes, lake: Path, raw: Path) -> None:
    said, peak = told_and_peak(lake, raw, films_export(lake, bomb(300, line)))
    assert "not readable as gzipped" in said if line == b"0" else "but the file holds more items" in said
    assert peak < 250
    assert not FolderTables(raw).loaded([("films", "films")])["films", "films"]


def test_a_file_that_holds_more_bytes_than_is_allowed_is_refused_before_it_is_read(lake: Path, raw: Path) -> None:
    export = films_export(lake, bomb(20))
    with pytest.raises(
        ExportError, match=r"\.json\.gz: the file of \d+ bytes holds more than 1000000 bytes .*MAX_FILE_BYTES"
    ):
        load_one(export, "films", FolderTables(raw, Limits(file_bytes=1_000_000)))


def test_a_file_as_large_as_is_allowed_is_loaded(lake: Path, raw: Path) -> None:
    folder = write_films(lake)
    size = max(len(gzip.decompress(path.read_bytes())) for path in folder.glob("data/*.json.gz"))
    export = read_dynamodb_export(Lake(lake), FILMS, "films", folder.name)
    with pytest.raises(ExportError, match="MAX_FILE_BYTES"):
        load_one(export, "films", FolderTables(raw, Limits(file_bytes=size - 1)))
    assert load_one(export, "films", FolderTables(raw, Limits(file_bytes=size))).rows == 20


def test_more_rows_than_are_allowed_are_refused_by_the_manifest_and_by_the_footer(lake: Path, raw: Path) -> None:
    films = read_dynamodb_export(Lake(lake), FILMS, "films", write_films(lake).name)
    shop = read_aurora_export(Lake(lake), SHOP, "shop", write_shop(lake).name)
    for export, table, file in ((films, "films", "json.gz"), (shop, "orders", "parquet")):
        limited = FolderTables(raw, Limits(file_rows=2))
        with pytest.raises(
            ExportError, match=rf"{file}: the file says that it holds \d+ rows; 2 may be in one.*MAX_FILE_ROWS"
        ):
            load_one(export, table, limited)


def test_a_wide_table_and_a_part_of_too_many_bytes_are_refused(lake: Path, raw: Path) -> None:
    wide = {"shop.orders": shop_tables()["shop.orders"].append_column("more", pa.array(["x" * 1000] * 20))}
    shop = read_aurora_export(Lake(lake), SHOP, "shop", write_shop(lake, tables=shop_tables() | wide).name)
    for limits, said in (
        (Limits(columns=4), "shop.orders has 5 columns; 4 are allowed.*PLATFORM_MAX_COLUMNS"),
        (Limits(file_bytes=50), r"\.parquet: the file says that it holds \d+ bytes .*PLATFORM_MAX_FILE_BYTES"),
    ):
        with pytest.raises(ExportError, match=said):
            load_one(shop, "orders", FolderTables(raw, limits))
    assert load_one(shop, "orders", FolderTables(raw)).rows == 20


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "1" * 5_000])
def test_a_manifest_that_no_reader_can_hold_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(ExportError, match="here: the manifest is not readable JSON"):
        parse_json(text.encode(), "here")


@pytest.mark.parametrize("value", [2**63, 10**4000, -1, True, 1.5], ids=["64 bits", "huge", "negative", "true", "half"])
def test_a_count_that_counts_nothing_is_refused_by_its_key(value: Any) -> None:
    with pytest.raises(ExportError, match=r"here: key 'itemCount' is .* not a valid int"):
        entry({"itemCount": json.loads(json.dumps(value))}, "itemCount", int, "here")
