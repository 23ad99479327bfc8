"""Broken rows are refused with file and line, or kept apart by file and line while the others are loaded; none is lost or doubled."""

import gzip
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.engines.raw_tables import RawTable, RawTableDamaged
from platform_assets.data.exports.quarantine import record
from platform_assets.data.raw.discover import LoadedSource, load_source
from tests.data.quarantine.broken import (
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
    return write_window(lake, [good[:4], [*good[4:6], *case.lines, *good[6:]]])


def loaded(source: LoadedSource, folder: Path) -> RawTable:
    (table,) = source.tables.values()
    return next(raw for raw in (*table.exports, *table.changes) if raw.export_id == folder.name)


@pytest.mark.parametrize("name", CASES)
def test_broken_rows_are_refused_by_file_and_line_or_kept_apart_so_and_the_others_are_loaded(
    name: str, lake: Path, tables: FolderTables
) -> None:
    kind, case = CASES[name]
    folder = write(lake, kind, case)
    broken = [(3 + at, reason) for at, reason in enumerate(case.reasons) if reason]
    (aside,) = load_source(THINGS, "things", lake, tables).set_aside
    assert f"Broken: {lake}/{data_files(folder)[1]}:{broken[0][0]} ({broken[0][1]})" in aside.reason
    assert "quarantine_at_most" in aside.reason
    assert MARK not in aside.reason

    source = load_source(allowing(0.5, THINGS), "things", lake, tables)
    assert source.set_aside == ()
    assert source.tables["things"].new == 1
    raw = loaded(source, folder)
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


def test_more_broken_rows_than_the_source_allows_are_refused(lake: Path, tables: FolderTables) -> None:
    write_full(lake, [[text({"Item": item(number)}) for number in range(18)] + [MARK.encode()] * 2])
    (aside,) = load_source(allowing(0.09, THINGS), "things", lake, tables).set_aside
    assert "More than `quarantine_at_most`, 0.09 of 20 rows, are broken" in aside.reason
    assert load_source(allowing(0.1, THINGS), "things", lake, tables).tables["things"].exports[0].rows == 18


# Lines by what they are; of good ones with the key that they have.
_LINES = st.one_of(
    st.integers(0, 6).map(lambda key: (key, True, text({"Item": item(key)}))),
    st.integers(0, 6).map(lambda key: (key, True, text({"Item": item(key, more={"N": "1"})}))),
    st.sampled_from([MARK.encode(), b"{", b"7", text({"Item": {}}), text(changed(3))]).map(
        lambda line: (None, True, line)
    ),
    st.sampled_from([b"", b" ", b"\r"]).map(lambda line: (None, False, line)),
)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.lists(_LINES, max_size=6), min_size=1, max_size=3))
def test_loaded_and_quarantined_rows_are_those_that_were_written_and_none_is_doubled(
    files: list[list[tuple[int | None, bool, bytes]]],
) -> None:
    lines = [line for content in files for line in content]
    keys = [key for key, _, _ in lines if key is not None]
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder) / "lake"
        write_full(lake, [[line for _, _, line in content] for content in files])
        source = load_source(allowing(1, THINGS), "things", lake, FolderTables(Path(folder) / "raw"))
        (raw,) = source.tables["things"].exports
        read = rows_of(raw, "select json_extract_string(Item, '$.id.S') from {}")
        left = raw.quarantined.rows if raw.quarantined else 0
        places = quarantine(raw, "file, line") if left else []
    assert raw.rows + left == sum(is_row for _, is_row, _ in lines)
    assert len(places) == len(set(places)) == left
    assert sorted(key for (key,) in read) == sorted(str(key) for key in set(keys) if keys.count(key) == 1)


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


def test_what_is_quarantined_is_part_of_the_data_version_and_is_loaded_once(lake: Path, tables: FolderTables) -> None:
    write_full(lake, [[text({"Item": item(1)}), MARK.encode()]])
    first = load_source(allowing(0.5, THINGS), "things", lake, tables)
    (raw,) = first.tables["things"].exports
    assert raw.rows_hash != raw.content_hash
    again = load_source(allowing(0.5, THINGS), "things", lake, tables)
    assert (again.tables["things"].exports, again.tables["things"].new) == ((raw,), 0)
