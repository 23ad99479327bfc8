"""Broken rows are refused with file and line, or kept apart by file and line while the others are loaded; none is lost or doubled."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.engines.raw_tables import RawTable, RawTableDamaged
from platform_assets.data.exports.quarantine import record
from platform_assets.data.raw.discover import LoadedSource, load_source
from tests.data.quarantine.broken import (
    AT,
    CHANGES,
    ITEMS,
    MARK,
    ORDERS,
    THINGS,
    Case,
    allowing,
    changed,
    data_files,
    item,
    text,
    with_lines,
    without_keys,
    write_full,
    write_orders,
    write_window,
)

CASES = {
    f"{kind}: {name}": (kind, case)
    for kind, cases in (("items", ITEMS), ("changes", CHANGES))
    for name, case in cases.items()
}
GOOD = 8


def rows_of(raw: RawTable, statement: str, below: str = "*.parquet") -> list[tuple[Any, ...]]:
    with duckdb.connect() as engine:
        engine.execute("set timezone = 'UTC'")
        return engine.execute(
            statement.format(f"read_parquet('{raw.location}/{below}', hive_partitioning=false)")
        ).fetchall()


def quarantine(raw: RawTable, columns: str) -> list[tuple[Any, ...]]:
    return rows_of(raw, f"select {columns} from {{}} order by file, line", "_quarantine/*.parquet")


def write(lake: Path, kind: str, case: Case) -> Path:
    """An export of two files: good rows, and the case's lines among good rows."""
    if kind == "items":
        good = [text({"Item": item(number)}) for number in range(GOOD)]
        return write_full(lake, [good[:4], [*good[4:6], *case.lines, *good[6:]]])
    good = [text(changed(number)) for number in range(GOOD)]
    write_full(lake, [[text({"Item": item(number)}) for number in range(GOOD)]])
    return write_window(lake, [good[:4], [*good[4:6], *case.lines, *good[6:]]])


def loaded(source: LoadedSource, folder: Path) -> RawTable:
    (table,) = source.tables.values()
    return next(raw for raw in (*table.exports, *table.changes) if raw.export_id == folder.name)


@pytest.mark.parametrize("name", CASES)
def test_broken_rows_are_kept_apart_with_file_line_and_reason_and_the_others_are_loaded(
    name: str, lake: Path, tables: FolderTables
) -> None:
    kind, case = CASES[name]
    folder = write(lake, kind, case)
    source = load_source(allowing(0.5, THINGS), "things", lake, tables)
    assert source.set_aside == ()
    raw = loaded(source, folder)
    broken = [(3 + at, reason) for at, reason in enumerate(case.reasons) if reason]
    assert quarantine(raw, "file, line, reason") == [(data_files(folder)[1], *one) for one in broken]
    assert [said.encode("latin-1", "ignore")[:10] for (said,) in quarantine(raw, "text")] == [
        line.decode("utf-8", "backslashreplace").encode()[:10]
        for line, reason in zip(case.lines, case.reasons, strict=True)
        if reason
    ]
    written = GOOD + sum(bool(line.strip()) for line in case.lines)
    assert raw.rows + len(broken) == written
    column = "Item" if kind == "items" else "NewImage"
    keys = [key for (key,) in rows_of(raw, f"select json_extract_string({column}, '$.id.S') from {{}}")]
    assert len(keys) == len(set(keys)) == raw.rows
    assert raw.quarantined is not None
    assert (raw.quarantined.rows, raw.quarantined.keyless) == (len(broken), case.keyless)
    assert [raw.quarantined.rows] == list(raw.quarantined.files.values())
    again = load_source(allowing(0.5, THINGS), "things", lake, tables)
    assert loaded(again, folder) == raw
    assert again.tables["things"].new == 0


@pytest.mark.parametrize("name", CASES)
def test_by_default_broken_rows_are_refused_with_file_and_line_and_without_a_value(
    name: str, lake: Path, tables: FolderTables
) -> None:
    kind, case = CASES[name]
    folder = write(lake, kind, case)
    (aside,) = load_source(THINGS, "things", lake, tables).set_aside
    (line, reason), *_ = [(3 + at, reason) for at, reason in enumerate(case.reasons) if reason]
    assert f"Broken: {lake}/{data_files(folder)[1]}:{line} ({reason})" in aside.reason
    assert "quarantine_at_most" in aside.reason
    assert MARK not in aside.reason
    assert folder.name not in {
        raw.export_id
        for raws in tables.loaded([("things", "things"), ("things", "things__changes")]).values()
        for raw in raws
    }


def test_more_broken_rows_than_the_source_allows_are_refused(lake: Path, tables: FolderTables) -> None:
    write_full(lake, [[text({"Item": item(number)}) for number in range(18)] + [MARK.encode()] * 2])
    (aside,) = load_source(allowing(0.09, THINGS), "things", lake, tables).set_aside
    assert "More than `quarantine_at_most`, 0.09 of 20 rows, are broken" in aside.reason
    assert load_source(allowing(0.1, THINGS), "things", lake, tables).tables["things"].exports[0].rows == 18


def test_a_table_states_its_own_share(lake: Path, tables: FolderTables) -> None:
    write_full(lake, [[text({"Item": item(1)}), MARK.encode()]])
    own = allowing(0.5, THINGS).expectations
    spec = THINGS.model_copy(update={"tables": [THINGS.tables[0].model_copy(update={"expectations": own})]})
    assert load_source(spec, "things", lake, tables).tables["things"].exports[0].rows == 1


# What is wrong with a file leaves unknown which rows are in it.
FILES: Mapping[str, Any] = {
    "is absent": lambda path: path.unlink(),
    "is truncated": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "is changed": lambda path: path.write_bytes(gzip.compress(text({"Item": item(3)}) + b"\n", mtime=0)),
}


@pytest.mark.parametrize("words", FILES)
def test_a_broken_file_is_refused_as_a_whole_even_beside_broken_rows(
    words: str, lake: Path, tables: FolderTables
) -> None:
    folder = write_full(lake, [[MARK.encode()], [text({"Item": item(1)})], [text({"Item": item(2)})]])
    FILES[words](lake / data_files(folder)[2])
    (aside,) = load_source(allowing(1, THINGS), "things", lake, tables).set_aside
    assert f"{lake}/{data_files(folder)[2]}" in aside.reason
    assert words in aside.reason


def test_a_file_with_more_or_fewer_lines_than_its_manifest_says_is_refused_as_a_whole(
    lake: Path, tables: FolderTables
) -> None:
    folder = write_full(lake, [[MARK.encode(), text({"Item": item(1)})], [text({"Item": item(2)})]])
    with_lines(folder, [[MARK.encode(), text({"Item": item(1)})], [text({"Item": item(2)})]])
    manifest = folder / "manifest-files.json"
    # The sum stays right.
    manifest.write_text(
        manifest.read_text()
        .replace('"itemCount": 2', '"itemCount": 9')
        .replace('"itemCount": 1', '"itemCount": 2')
        .replace('"itemCount": 9', '"itemCount": 1')
    )
    for checksum in folder.glob("manifest-files.md5"):
        checksum.unlink()
    (aside,) = load_source(allowing(1, THINGS), "things", lake, tables).set_aside
    assert "key 'itemCount' of its manifest line is 1, but the file holds more items" in aside.reason


def test_rows_of_a_parquet_part_without_their_key_or_with_that_of_another_are_kept_apart(
    lake: Path, tables: FolderTables
) -> None:
    folder, path = write_orders(lake, lambda rows: without_keys(rows, 2, 20))
    for raw_share in (0.0, 0.04):
        (aside,) = load_source(allowing(raw_share, ORDERS), "shop", lake, tables).set_aside
        assert f"Broken: {path}:2 ({record.KEY_ABSENT}), {path}:20 ({record.KEY_ABSENT})" in aside.reason
    source = load_source(allowing(0.05, ORDERS), "shop", lake, tables)
    raw = loaded(source, folder)
    assert (raw.rows, raw.quarantined and raw.quarantined.keyless) == (38, 2)
    assert quarantine(raw, "file, line, reason, key, json_extract_string(text, '$.customer_id')") == [
        (str(path.relative_to(lake)), line, record.KEY_ABSENT, None, str(1 + line % 3)) for line in (2, 20)
    ]
    assert rows_of(raw, "select count(distinct order_id), sum(amount)::varchar from {}") == [(38, "467.40")]


def test_a_key_in_two_parts_leaves_both_rows_out(lake: Path, tables: FolderTables) -> None:
    folder, path = write_orders(lake, lambda rows: rows.set_column(0, "order_id", [[25, *range(2, 21)]]))
    raw = loaded(load_source(allowing(0.05, ORDERS), "shop", lake, tables), folder)
    assert [(line, reason, json.loads(key)) for line, reason, key in quarantine(raw, "line, reason, key")] == [
        (1, record.KEY_DOUBLED, {"order_id": 25}),
        (5, record.KEY_DOUBLED, {"order_id": 25}),
    ]
    assert raw.rows == 38
    assert path.name in str(raw.quarantined)


def test_a_quarantine_that_is_damaged_is_told_and_loaded_again(lake: Path, tables: FolderTables) -> None:
    folder = write_full(lake, [[text({"Item": item(1)}), MARK.encode()]])
    raw = loaded(load_source(allowing(0.5, THINGS), "things", lake, tables), folder)
    (kept,) = Path(raw.location).glob("_quarantine/*.parquet")
    before = kept.read_bytes()
    kept.unlink()
    with pytest.raises(RawTableDamaged, match=r"_quarantine.*Materialise raw/things/things"):
        tables.require_whole({("things", "things"): [raw]})
    load_source(allowing(0.5, THINGS), "things", lake, tables)
    tables.require_whole({("things", "things"): [raw]})
    assert kept.read_bytes() == before


def test_what_is_quarantined_is_part_of_the_data_version(lake: Path, raw: Path, tables: FolderTables) -> None:
    write_full(lake, [[text({"Item": item(1)}), MARK.encode()]], AT)
    source = load_source(allowing(0.5, THINGS), "things", lake, tables)
    (table,) = source.tables["things"].exports
    assert table.quarantined is not None
    assert table.rows_hash != table.content_hash
