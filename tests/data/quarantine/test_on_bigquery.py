"""The same broken rows in BigQuery: what is loaded, what is kept apart and what is refused are those of a folder."""

from collections.abc import Callable
from pathlib import Path

import duckdb

from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.exports.export import changes_of, quarantine_of
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.raw.discover import LoadedSource, load_source
from tests.data.engines.source_in_bigquery import Rows, Source, in_order, rows_in_folder
from tests.data.quarantine.broken import (
    CHANGES,
    ITEMS,
    MARK,
    ORDERS,
    THINGS,
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

MakeSource = Callable[[ExportSourceSpec], Source]
GOOD = [text({"Item": item(number)}) for number in range(6)]


def quarantine_in_folder(raw: Path, source: str, table: str) -> Rows:
    with duckdb.connect() as engine:
        engine.execute("set timezone = 'UTC'")
        found = engine.execute(
            f"select * from read_parquet('{raw}/{source}/{table}/*/_quarantine/*.parquet', hive_partitioning=false)"
        )
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def both(source: Source, lake: Path, raw: Path) -> LoadedSource:
    """Loads what lies in the local lake into a folder and into BigQuery, and compares."""
    there, here = source.load(lake), load_source(source.spec, source.name, lake, FolderTables(raw))
    assert there.set_aside == here.set_aside == ()
    for name, table in here.tables.items():
        assert there.tables[name].data_version == table.data_version
        assert [one.quarantined for one in there.tables[name].exports] == [one.quarantined for one in table.exports]
        assert in_order(source.rows(name)) == in_order(rows_in_folder(list(table.exports)))
        assert source.rows(quarantine_of(name))
        assert in_order(source.rows(quarantine_of(name))) == in_order(quarantine_in_folder(raw, source.name, name))
    assert source.scratch() == []
    return there


def test_broken_lines_are_kept_apart_as_in_a_folder_and_others_are_loaded(
    make_source: MakeSource, lake: Path, raw: Path
) -> None:
    broken = [line for case in ITEMS.values() for line, reason in zip(case.lines, case.reasons, strict=True) if reason]
    folder = write_full(lake, [GOOD[:2], [broken[0], GOOD[2], *broken[1:]], [GOOD[3], MARK.encode()], [b"{"]])
    lines = [line for case in CHANGES.values() for line in case.lines]
    write_window(lake, [[text(changed(1))], [*lines[:3], text(changed(2)), *lines[3:]]])
    source = make_source(allowing(0.99, THINGS))
    there = both(source, lake, raw)
    changes = changes_of("things")
    assert in_order(source.rows(quarantine_of(changes))) == in_order(quarantine_in_folder(raw, source.name, changes))
    assert [one.rows for one in there.tables["things"].changes] == [2]
    assert source.load().tables["things"].new == 0

    # Mended, and loaded in place of what was loaded.
    with_lines(folder, [GOOD[:2], GOOD[2:4], [GOOD[4], MARK.encode()], []])
    source.upload(lake)
    (aside,) = source.load().set_aside
    assert "platform-assets source replay" in aside.reason
    (export,) = [one for one in source.exports() if one.export_id == folder.name]
    loaded = source.tables.reload(export, "things")
    assert (loaded.rows, loaded.quarantined and loaded.quarantined.rows, loaded.new) == (5, 1, True)
    assert not source.tables.reload(export, "things").new
    assert len(source.rows("things")) == 5
    assert [(row["file"], row["line"]) for row in source.rows(quarantine_of("things"))] == [(data_files(folder)[2], 2)]
    assert source.scratch() == []


def test_rows_of_parts_are_kept_apart_as_in_a_folder(make_source: MakeSource, lake: Path, raw: Path) -> None:
    _, path = write_orders(lake, lambda rows: without_keys(rows, 2, 20))
    source = make_source(allowing(0.04, ORDERS))
    (aside,) = source.load(lake).set_aside
    assert f"{source.lake}/{path.relative_to(lake)}:2 (key absent" in aside.reason
    assert source.scratch() == []
    both(make_source(allowing(0.05, ORDERS)), lake, raw)


def test_broken_lines_are_refused_by_default_with_file_and_line(make_source: MakeSource, lake: Path) -> None:
    folder = write_full(lake, [GOOD[:2], [GOOD[2], MARK.encode()]])
    source = make_source(THINGS)
    (aside,) = source.load(lake).set_aside
    assert f"{source.lake}/{data_files(folder)[1]}:2 (not JSON)" in aside.reason
    assert MARK not in aside.reason
    assert source.scratch() == []
