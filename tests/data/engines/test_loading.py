"""The one look at what was copied: the same counts and refusals however many rows there are."""

import gzip
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.data.engines.duckdb import staging
from platform_assets.data.engines.duckdb.loading import items
from platform_assets.data.engines.duckdb.loading.attributes import StagedItems, count_attributes
from platform_assets.data.engines.duckdb.loading.counted import Counted
from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.exports.dynamodb import read_dynamodb_export
from platform_assets.data.exports.export import ExportError
from platform_assets.data.exports.lake import Lake
from platform_assets.data.exports.spec import ExportTableSpec
from platform_assets.data.raw.discover import load_source
from tests.data.engines.test_folder_tables import _values
from tests.data.exports.breaking import AT, FILMS, LATER, edit_files, edit_summary, film, load_one, write_films

MANY = 41_000
LINE = json.dumps({"Item": film(MANY)}, separators=(",", ":"))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with an export of many films in two files."""
    lake = tmp_path_factory.mktemp("many")
    write_films(lake, (film(number) for number in range(MANY)), files=2)
    return lake


def exported(lake: Path) -> Path:
    (folder,) = (lake / "films/AWSDynamoDB").iterdir()
    return folder


def with_lines(many: Path, tmp_path: Path, *lines: str) -> tuple[Path, list[Path]]:
    """The lake of many films with lines more, its manifests right; and the export's data files."""
    lake = tmp_path / "lake"
    shutil.copytree(many, lake)
    files = sorted((exported(lake) / "data").iterdir())
    for number, line in enumerate(lines):
        path = files[number % len(files)]
        # A gzip file may be several streams.
        path.write_bytes(path.read_bytes() + gzip.compress(f"{line}\n".encode(), mtime=0))
    edit_files(exported(lake), lambda entries: _correct(entries, files))
    counts = sum(len(gzip.decompress(path.read_bytes()).splitlines()) for path in files)
    edit_summary(exported(lake), itemCount=counts)
    return lake, files


def _correct(entries: list[dict[str, Any]], files: Sequence[Path]) -> None:
    for entry in entries:
        (path,) = (path for path in files if entry["dataFileS3Key"].endswith(path.name))
        entry["md5Checksum"] = Lake(path.parent).md5(path.name)
        entry["itemCount"] = len(gzip.decompress(path.read_bytes()).splitlines())


def load(lake: Path, raw: Path) -> FolderTables:
    tables = FolderTables(raw)
    load_one(read_dynamodb_export(Lake(lake), FILMS, "films", exported(lake).name), "films", tables)
    return tables


def refusal(lake: Path, raw: Path) -> str:
    with pytest.raises(ExportError) as refused:
        load(lake, raw)
    assert not FolderTables(raw).loaded([("films", "films")])["films", "films"]
    return str(refused.value)


def attributes(folder: Path, rows: str) -> dict[tuple[str, str], int]:
    """The attributes of the items in a file of rows of SQL."""
    with duckdb.connect() as engine:
        path = f"{folder}/part-00000.parquet"
        engine.execute(f"copy ({rows}) to '{path}'")
        (count,) = engine.execute(f"select count(*) from '{path}'").fetchall()[0]
        columns = count_attributes(engine, StagedItems([path], count, "Item"))
    return {(column.name, column.type): column.filled for column in columns}


@settings(max_examples=15, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=6), _values, max_size=4), min_size=1, max_size=8))
def test_attributes_are_counted_alike_in_very_few_items_and_in_three_hundred_times_as_many(
    rows: list[dict[str, Any]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "items.json"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        source = f"select json::varchar as \"Item\" from read_ndjson_objects('{path}')"
        once = attributes(Path(folder), source)
        often = attributes(Path(folder), f"{source}, range(300)")
    assert often == {pair: count * 300 for pair, count in once.items()}
    assert sum(once.values()) >= sum(len(row) for row in rows)


def test_of_many_items_every_attribute_that_counts_is_counted_exactly_wherever_it_stands(tmp_path: Path) -> None:
    count = 60_000
    rows = f"""
        select '{{"id":{{"N":"' || i || '"}},"m":{{"M":{{"x/y":{{"S":"a"}},"~":{{"M":{{"z":{{"BOOL":true}}}}}}}}}}'
            || case when i % 3 = 0 then ',"some":{{"S":"b"}}' when i % 3 = 1 then ',"some":{{"NULL":true}}' else '' end
            || case when i >= {count} - 60 then ',"late":{{"N":"1"}}' else '' end
            || case when i >= {count} - 59 then ',"rare":{{"N":"1"}}' else '' end || '}}' as "Item"
        from range({count}) as rows(i)
    """
    assert attributes(tmp_path, rows) == {
        ("id", "N"): count,
        ("m", "M"): count,
        ('m."x/y"', "S"): count,
        ('m."~"', "M"): count,
        ('m."~".z', "BOOL"): count,
        ("some", "S"): 20_000,
        ("some", "NULL"): 20_000,
        ("late", "N"): 60,
    }


def test_of_many_items_every_type_of_an_attribute_is_counted_however_rare(tmp_path: Path) -> None:
    count = 60_000
    rows = f"""
        select case when i = 30000 then '{{"id":{{"S":"x"}},"m":{{"M":{{"x":{{"N":"1"}}}}}}}}' when i = 50000 then '{{"id":{{"NULL":true}}}}'
            else '{{"id":{{"N":"' || i || '"}},"m":{{"M":{{"x":{{"S":"a"}}}}}}}}' end as "Item"
        from range({count}) as rows(i)
    """
    assert attributes(tmp_path, rows) == {
        ("id", "N"): count - 2,
        ("id", "S"): 1,
        ("id", "NULL"): 1,
        ("m", "M"): count - 1,
        ("m.x", "S"): count - 2,
        ("m.x", "N"): 1,
    }


def test_of_large_items_that_are_many_the_attributes_are_learned_without_keeping_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = """select '{"id":{"N":"' || i || '"}' || case when i >= 40500 then ',"late":{"S":"a"}' else '' end || '}' as "Item"
        from range(41000) as rows(i)"""
    monkeypatch.setattr("platform_assets.data.engines.duckdb.loading.attributes._SAMPLE_BYTES", 1)
    assert attributes(tmp_path, rows) == {("id", "N"): 41_000, ("late", "S"): 500}


def test_many_items_are_loaded_with_what_they_hold(many: Path, tmp_path: Path) -> None:
    tables = load(many, tmp_path)
    (profile,) = tables.recorded("films", "films").values()
    (raw,) = tables.loaded([("films", "films")])["films", "films"]
    assert (profile.rows, profile.keys, raw.rows) == (MANY, MANY, MANY)
    assert Counter({column.name: column.filled for column in profile.columns}) == {"film_id": MANY, "title": MANY}
    assert tables.profile(raw, staging.RowKey("dynamodb", ("film_id",))) == profile


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_key_that_stands_twice_among_many_is_refused_with_its_files(
    many: Path, tmp_path: Path, in_memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not in_memory:
        monkeypatch.setattr(items, "_HASHES", 0)
    lake, files = with_lines(many, tmp_path, LINE, LINE)
    said = refusal(lake, tmp_path / "raw")
    assert said.startswith(
        f"{files[0]}, {files[1]}: in Films 1 values of the key (film_id) belong to more than one row."
    )


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"Item":{"title":{"S":"a"}}}', "the key (film_id) is absent, null or of no key type in 1 rows"),
        ('{"Item":{"film_id":{"BOOL":true}}}', "the key (film_id) is absent, null or of no key type in 1 rows"),
        ('{"Item":{"film_id":{"N":"99999"}},"Keys":{"a":1}}', "lines are not an item of a full export"),
        ('{"Keys":{"film_id":{"N":"99999"}}}', "lines are not an item of a full export"),
    ],
)
def test_one_wrong_row_among_many_is_refused_as_it_is_among_few(
    many: Path, tmp_path: Path, line: str, sentence: str
) -> None:
    assert sentence in refusal(with_lines(many, tmp_path, line)[0], tmp_path / "raw")
    few = tmp_path / "few"
    write_films(few, [film(number) for number in range(5)], files=2)
    (tmp_path / "more").mkdir()
    assert sentence in refusal(with_lines(few, tmp_path / "more", line)[0], tmp_path / "raw")


def test_wrong_lines_are_told_before_a_count_that_is_not_the_manifests(tmp_path: Path) -> None:
    lake, (first, _) = with_lines(_few(tmp_path), tmp_path, '{"Keys":{}}')
    edit_files(exported(lake), lambda entries: [entry.update(itemCount=entry["itemCount"] + 1) for entry in entries])
    edit_summary(exported(lake), itemCount=sum(_stated(lake)))
    assert refusal(lake, tmp_path / "raw").startswith(f"{first}: 1 of ")


def test_keys_whose_hashes_alone_are_the_same_are_different_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = staging._count

    def collided(*arguments: Any) -> Counted:
        counted = count(*arguments)
        return Counted(counted.rows, counted.keys - 1, 0, 0, counted.columns)

    monkeypatch.setattr(staging, "_count", collided)
    assert load(_few(tmp_path), tmp_path / "raw").loaded([("films", "films")])["films", "films"][0].rows == 5


def test_a_key_of_two_attributes_is_both_of_them_and_their_types(tmp_path: Path) -> None:
    table = ExportTableSpec(name="films", export_table="Films", key=["film_id", 'p"art'])
    spec = FILMS.model_copy(update={"tables": [table]})
    parts = [{"S": "1"}, {"N": "1"}, {"S": "2"}]
    rows = [film(1) | {'p"art': part} for part in parts] + [film(2) | {'p"art': parts[0]}]
    write_films(tmp_path / "good", rows)
    assert not load_source(spec, "films", tmp_path / "good", FolderTables(tmp_path / "raw")).set_aside
    for name, row, sentence in (
        ("twice", rows[0], '1 values of the key (film_id, p"art) belong to more than one row'),
        ("lacks", film(3), 'the key (film_id, p"art) is absent, null or of no key type in 1 rows'),
    ):
        write_films(tmp_path / name, [*rows, row])
        loaded = load_source(spec, "films", tmp_path / name, FolderTables(tmp_path / f"raw {name}"))
        assert sentence in loaded.faults("films")[0]


def test_a_load_opens_one_database_for_all_its_exports_and_none_when_all_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in (AT, LATER):
        write_films(tmp_path / "lake", at=at)
    opened, connect = [], duckdb.connect

    def counting(*arguments: Any, **options: Any) -> duckdb.DuckDBPyConnection:
        opened.append(arguments)
        return connect(*arguments, **options)

    monkeypatch.setattr(duckdb, "connect", counting)
    assert load_source(FILMS, "films", tmp_path / "lake", FolderTables(tmp_path / "raw")).tables["films"].new == 2
    assert len(opened) == 1
    assert load_source(FILMS, "films", tmp_path / "lake", FolderTables(tmp_path / "raw")).tables["films"].new == 0
    assert len(opened) == 1


def _few(folder: Path) -> Path:
    write_films(folder / "few", [film(number) for number in range(5)], files=2)
    return folder / "few"


def _stated(lake: Path) -> list[int]:
    text = (exported(lake) / "manifest-files.json").read_text()
    return [json.loads(line)["itemCount"] for line in text.splitlines()]
