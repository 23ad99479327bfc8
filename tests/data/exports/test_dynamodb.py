"""DynamoDB exports, full ones foremost: what is read from the manifests, and what is refused."""

import gzip
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.exports.dynamodb import export_ids, read_dynamodb_export
from platform_assets.data.exports.export import Export, ExportError, ExportInProgress
from platform_assets.data.exports.lake import Lake
from tests.data.exports.breaking import (
    AT,
    FILMS,
    data_file,
    edit_files,
    edit_summary,
    film,
    load_one,
    rewrite_data,
    truncate,
    write_films,
)


def read(lake: Path, export: Path) -> Export:
    return read_dynamodb_export(Lake(lake), FILMS, "films", export.name)


@pytest.fixture
def export(lake: Path) -> Path:
    return write_films(lake)


def refused(lake: Path, raw: Path, export: Path) -> str:
    """The sentence with which the export is refused, having published nothing."""
    with pytest.raises(ExportError) as caught:
        load_one(read(lake, export), "films", FolderTables(raw))
    assert not list(raw.glob("films/**/*.parquet"))
    return str(caught.value)


def test_a_finished_export_states_its_table_time_and_files(lake: Path) -> None:
    folder = write_films(lake, files=3)
    export = read(lake, folder)
    table = export.tables["films"]
    assert (export.export_id, export.exported_at, table.rows) == (folder.name, AT, 20)
    assert [file.rows for file in table.files] == [
        len(gzip.decompress((lake / file.key).read_bytes()).splitlines()) for file in table.files
    ]
    assert export_ids(Lake(lake), FILMS) == [folder.name]


def test_the_writer_gives_the_same_bytes_every_time(tmp_path: Path) -> None:
    one, other = (write_films(tmp_path / name) for name in ("one", "other"))
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(files) == 9
    assert all((one / path).read_bytes() == (other / path).read_bytes() for path in files)


def test_an_export_of_another_table_is_left_alone(lake: Path, export: Path) -> None:
    edit_summary(export, tableArn="arn:aws:dynamodb:eu-central-1:123456789012:table/Actors")
    assert not read(lake, export).tables


def test_data_files_outside_the_export_folder_are_found_through_the_manifest(lake: Path, raw: Path) -> None:
    export = write_films(lake, data_folder="elsewhere/data")
    assert not (export / "data").exists()
    assert load_one(read(lake, export), "films", FolderTables(raw)).rows == 20


def test_an_export_copied_under_another_prefix_is_found(lake: Path, export: Path, raw: Path) -> None:
    files = lake / "bucket" / "films"
    files.parent.mkdir()
    (lake / "films").rename(files)
    spec = FILMS.model_copy(update={"path": "bucket/films"})
    copied = read_dynamodb_export(Lake(lake), spec, "films", export.name)
    assert load_one(copied, "films", FolderTables(raw)).rows == 20


def test_a_key_that_leads_out_of_the_lake_is_refused(lake: Path, export: Path, raw: Path) -> None:
    edit_files(export, lambda lines: lines[0].update(dataFileS3Key="films/../../secret.json.gz"))
    assert "leads out of the exports root" in refused(lake, raw, export)


def test_an_export_without_its_summary_is_in_progress(lake: Path, export: Path) -> None:
    (export / "manifest-summary.json").unlink()
    with pytest.raises(ExportInProgress, match=r"manifest-summary\.json is not there yet"):
        read(lake, export)


def test_a_truncated_file_publishes_nothing(lake: Path, export: Path, raw: Path) -> None:
    path = data_file(export)
    truncate(path)
    message = refused(lake, raw, export)
    assert str(path) in message
    assert "truncated" in message
    assert "md5Checksum" in message


def test_a_file_truncated_before_its_checksum_was_taken_is_refused(lake: Path, raw: Path) -> None:
    export = write_films(lake, [film(number) for number in range(2000)], files=1)
    path = rewrite_data(export, data_file(export).read_bytes()[:3000])
    assert f"{path}: not readable as gzipped DynamoDB JSON" in refused(lake, raw, export)


def test_a_changed_byte_is_refused_by_its_checksum(lake: Path, export: Path, raw: Path) -> None:
    path = data_file(export)
    content = gzip.decompress(path.read_bytes()).replace(b"Film", b"film", 1)
    path.write_bytes(gzip.compress(content, mtime=0))
    message = refused(lake, raw, export)
    assert f"{path}: the file is changed" in message
    assert "md5Checksum" in message


def test_a_count_that_is_off_is_refused_with_the_file(lake: Path, raw: Path) -> None:
    export = write_films(lake, files=2)

    def swap_one(lines: list[dict[str, int]]) -> None:
        lines[0]["itemCount"] += 1
        lines[1]["itemCount"] -= 1

    edit_files(export, swap_one)
    assert ".json.gz: key 'itemCount'" in refused(lake, raw, export)


def test_counts_of_files_that_do_not_sum_to_the_export_are_refused(lake: Path, export: Path, raw: Path) -> None:
    edit_summary(export, itemCount=21)
    message = refused(lake, raw, export)
    assert "manifest-summary.json: key 'itemCount' is 21" in message
    assert "sum to 20" in message


def test_an_absent_file_is_refused(lake: Path, export: Path, raw: Path) -> None:
    path = data_file(export)
    path.unlink()
    message = refused(lake, raw, export)
    assert f"{path}: a data file of Films" in message
    assert "absent" in message


def test_an_absent_files_manifest_is_refused(lake: Path, export: Path, raw: Path) -> None:
    (export / "manifest-files.json").unlink()
    assert "'manifestFilesS3Key'" in refused(lake, raw, export)


def test_a_manifest_that_differs_from_its_checksum_is_refused(lake: Path, export: Path, raw: Path) -> None:
    path = export / "manifest-files.json"
    path.write_text(path.read_text().replace('"itemCount":', '"itemCount": '))
    assert "manifest-files.json: its MD5 is" in refused(lake, raw, export)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"outputFormat": "ION"}, "key 'outputFormat' is 'ION'"),
        ({"exportType": "OTHER"}, "reads FULL_EXPORT and INCREMENTAL_EXPORT only"),
        ({"exportTime": "yesterday"}, "key 'exportTime' is 'yesterday', not an ISO 8601 time"),
        ({"itemCount": "many"}, "key 'itemCount' is \"many\", not a valid int"),
        ({"tableArn": None}, "key 'tableArn' is null, not a valid str"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(
    lake: Path, export: Path, raw: Path, changes: dict[str, object], sentence: str
) -> None:
    edit_summary(export, **changes)
    assert sentence in refused(lake, raw, export)


def test_an_unreadable_manifest_is_refused(lake: Path, export: Path, raw: Path) -> None:
    for name in ("manifest-summary.json", "manifest-summary.md5"):
        truncate(export / name)
    (export / "manifest-summary.md5").unlink()
    assert "manifest-summary.json: the manifest is not readable JSON" in refused(lake, raw, export)


def test_duplicate_keys_are_refused_with_their_files_and_count(lake: Path, raw: Path) -> None:
    items = [*(film(number) for number in range(10)), film(3) | {"title": {"S": "Other"}}, film(3), film(7)]
    message = refused(lake, raw, write_films(lake, items, files=1))
    assert ".json.gz: in Films 2 values of the key (film_id) belong to more than one row" in message
    assert "Film 3" not in message


def test_the_type_of_a_key_attribute_is_part_of_it(lake: Path, raw: Path) -> None:
    items = [{"film_id": {"N": "1"}}, {"film_id": {"S": "1"}}]
    assert load_one(read(lake, write_films(lake, items)), "films", FolderTables(raw)).rows == 2


@pytest.mark.parametrize("key", [{}, {"film_id": {"NULL": True}}, {"film_id": {"L": []}}])
def test_an_item_without_its_key_is_refused(lake: Path, raw: Path, key: dict[str, dict[str, object]]) -> None:
    message = refused(lake, raw, write_films(lake, [film(1), {"title": {"S": "x"}, **key}]))
    assert "the key (film_id) is absent, null or of no key type in 1 rows" in message


def test_lines_that_are_no_items_are_refused(lake: Path, raw: Path) -> None:
    export = write_films(lake, files=1)
    content = gzip.decompress(data_file(export).read_bytes()).splitlines()
    content[4] = json.dumps({"Keys": film(4), "NewImage": film(4)}).encode()
    content[5] = json.dumps({"Item": film(5), "Other": {}}).encode()
    rewrite_data(export, gzip.compress(b"\n".join(content) + b"\n", mtime=0))
    assert "2 of 20 lines are not an item of a full export" in refused(lake, raw, export)


def test_an_item_keeps_its_text_whatever_the_spaces_around_it(lake: Path, raw: Path) -> None:
    export = write_films(lake, files=1)
    content = gzip.decompress(data_file(export).read_bytes()).splitlines()
    item = b'{ "film_id": {"N": "5"}, "title": {"S": "caf\\u00e9 }} "} }'
    content[5] = b' {"Item" : ' + item + b" } "
    rewrite_data(export, gzip.compress(b"\n".join(content) + b"\n", mtime=0))
    loaded = load_one(read(lake, export), "films", FolderTables(raw))
    assert pq.read_table(loaded.location)["Item"].to_pylist()[5] == item.decode()
