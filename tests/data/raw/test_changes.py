"""Loading incremental exports beside full ones."""

import gzip
import json
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.raw.discover import LoadedSource, load_source
from samples.dynamodb_export import View, change, write_incremental_export
from tests.data.exports.breaking import FILMS, edit_summary, film, truncate, write_films
from tests.data.exports.histories import at

CHANGES = (
    change({"film_id": {"N": "1"}}, at(0.5), new={**film(1), "note": {"S": 'a "quoted" é'}}, old=film(1)),
    change({"film_id": {"N": "99"}}, at(0.25), new=film(99)),
    change({"film_id": {"N": "2"}}, at(0.75), old=film(2)),
)


def write_changes(
    lake: Path,
    start: float,
    end: float,
    lines: Sequence[Any] = CHANGES,
    view: View = "NEW_AND_OLD_IMAGES",
    **options: Any,
) -> Path:
    """An incremental export of films below `lake`; its folder."""
    window = (at(start), at(end))
    return write_incremental_export(lake, "Films", lines, window, prefix="films", view=view, **options)


def load(lake: Path, raw: Path) -> LoadedSource:
    return load_source(FILMS, "films", lake, FolderTables(raw))


def rows(raw: Path, columns: str = "*") -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        return connection.execute(
            f"select {columns} from read_parquet('{raw}/films/films__changes/*/*.parquet') order by Metadata"
        ).fetchall()


def test_raw_keeps_of_a_change_what_aws_wrote(lake: Path, raw: Path) -> None:
    write_films(lake, at=at(0))
    export = write_changes(lake, 0, 1)
    loaded = load(lake, raw).tables["films"]
    assert [(one.rows, one.window_start, one.exported_at) for one in loaded.changes] == [(3, at(0), at(1))]
    assert [one.rows for one in loaded.exports] == [20]
    assert (loaded.new, loaded.chain.end, loaded.chain.apart) == (2, at(1), {})
    found = rows(raw, "Keys, NewImage, OldImage, Metadata, _export_id, _exported_at")
    texts = [[text and json.loads(text) for text in row[:4]] for row in found]
    assert texts == [
        [line.get(name) for name in ("Keys", "NewImage", "OldImage", "Metadata")]
        for line in (CHANGES[1], CHANGES[0], CHANGES[2])
    ]
    assert {row[4:] for row in found} == {(export.name, at(1))}


def test_a_table_of_full_exports_is_the_same_raw_table_as_before_windows_came(lake: Path, raw: Path) -> None:
    write_films(lake, at=at(0))
    before = load(lake, raw).tables["films"]
    folder = raw / "films" / "films"
    (mark,) = folder.glob("*/_export.json")
    assert json.loads(mark.read_text()).keys() == {
        "source",
        "table",
        "export_id",
        "exported_at",
        "content_hash",
        "rows",
        "format",
    }
    # As they stand where the exports were loaded before there were windows.
    (link,) = folder.glob("*/_link.json")
    link.unlink()
    again = load(lake, raw).tables["films"]
    assert (again.new, again.data_version) == (0, before.data_version)
    write_changes(lake, 0, 1)
    later = load(lake, raw).tables["films"]
    assert (later.exports, later.new, later.chain.end) == (again.exports, 1, at(1))
    assert later.data_version != before.data_version


def test_exports_come_in_any_order_and_give_the_same_data_version(lake: Path, tmp_path: Path) -> None:
    write_films(lake, at=at(0))
    for start in range(3):
        write_changes(lake, start, start + 1)
    at_once = load(lake, tmp_path / "one").tables["films"]
    folders = sorted((lake / "films" / "AWSDynamoDB").glob("0*"))
    for folder in folders:
        shutil.move(folder, tmp_path / folder.name)
    for folder in reversed(folders):
        shutil.move(tmp_path / folder.name, folder)
        one_by_one = load(lake, tmp_path / "other").tables["films"]
    assert one_by_one.data_version == at_once.data_version
    assert len(at_once.chain.links) == 4


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ({"Item": film(1)}, "1 of 1 lines are not a change of an incremental export"),
        ({**CHANGES[0], "NewImage": film(7)}, "or their key is not that of the new image"),
        ({**CHANGES[0], "Metadata": {}}, "1 of 1 lines are not a change"),
        ({**CHANGES[0], "Metadata": {"WriteTimestampMicros": {"N": "soon"}}}, "1 of 1 lines are not a change"),
        ({**CHANGES[0], "NewImage": "gone"}, "1 of 1 lines are not a change"),
        ({"Keys": {"other": {"N": "1"}}, "Metadata": CHANGES[0]["Metadata"]}, "the key (film_id) is absent"),
    ],
)
def test_a_line_that_is_no_change_sets_its_export_aside(lake: Path, raw: Path, line: Any, sentence: str) -> None:
    write_films(lake, at=at(0))
    export = write_changes(lake, 0, 1, [line], files=1)
    loaded = load(lake, raw)
    assert [aside.export_id for aside in loaded.set_aside] == [export.name]
    assert sentence in loaded.faults("films")[0]
    assert loaded.tables["films"].chain.end == at(0)


def test_a_key_that_stands_twice_in_a_window_sets_it_aside(lake: Path, raw: Path) -> None:
    write_films(lake, at=at(0))
    write_changes(lake, 0, 1, [CHANGES[0], {**CHANGES[0], "NewImage": film(1)}])
    assert "1 values of the key (film_id) belong to more than one row" in load(lake, raw).faults("films")[0]


def test_the_time_of_a_write_may_be_a_bare_number(lake: Path, raw: Path) -> None:
    write_films(lake, at=at(0))
    write_changes(lake, 0, 1, [{**CHANGES[0], "Metadata": {"WriteTimestampMicros": 1767225600000000}}])
    assert not load(lake, raw).set_aside


def test_a_window_in_which_nothing_changed_is_a_link_all_the_same(lake: Path, raw: Path) -> None:
    write_films(lake, at=at(0))
    write_changes(lake, 0, 1, [])
    write_changes(lake, 1, 2, [], view="NEW_IMAGE", files=0)
    assert load(lake, raw).tables["films"].chain.end == at(2)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"exportFromTime": None}, "key 'exportFromTime' is null, not a valid str"),
        ({"exportToTime": "2025-01-01T00:00:00Z"}, "key 'exportFromTime' is not before key 'exportToTime'"),
        ({"outputView": "KEYS_ONLY"}, "reads NEW_IMAGE and NEW_AND_OLD_IMAGES only"),
        ({"tableId": None}, "key 'tableId' is null"),
        ({"filterSpecification": {"filterExpression": "a > 1"}}, "holds a part of the table alone"),
    ],
)
def test_a_manifest_that_tells_no_window_of_the_whole_table_is_set_aside(
    lake: Path, raw: Path, changes: dict[str, Any], sentence: str
) -> None:
    write_films(lake, at=at(0))
    edit_summary(write_changes(lake, 0, 1), **changes)
    loaded = load(lake, raw)
    assert sentence in loaded.faults("films")[0]
    assert not loaded.tables["films"].changes


def test_a_full_export_of_a_part_of_the_table_is_no_base(lake: Path, raw: Path) -> None:
    write_films(lake, at=at(0))
    edit_summary(write_films(lake, at=at(2)), filterSpecification={"filterExpression": "a > 1"})
    loaded = load(lake, raw)
    assert "Move it out of films/, and export the table without a filter." in loaded.faults("films")[0]
    assert loaded.tables["films"].chain.end == at(0)


def test_a_truncated_file_of_the_shared_folder_is_named(lake: Path, raw: Path) -> None:
    write_films(lake, at=at(0))
    write_changes(lake, 0, 1, files=1)
    (path,) = (lake / "films/AWSDynamoDB/data").glob("*.json.gz")
    assert len(gzip.decompress(path.read_bytes()).splitlines()) == 3
    truncate(path)
    (fault,) = load(lake, raw).faults("films")
    assert fault.startswith(f"{path}: the file is truncated")


def test_the_instants_are_those_of_the_manifest(lake: Path, raw: Path) -> None:
    write_films(lake, at=at(0))
    edit_summary(write_changes(lake, 0, 1), exportToTime="2026-01-01T01:30:00+00:30")
    (window,) = load(lake, raw).tables["films"].changes
    assert window.exported_at == datetime.fromisoformat("2026-01-01T01:00:00Z")
