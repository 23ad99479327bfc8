"""The sample data sets, as exported and loaded: their known counts."""

import csv
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
import yaml

from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.raw.discover import LoadedSource, load_source
from platform_assets.environment import REPOSITORY
from samples.datasets import CDNOW, SampleDataError, fetch
from samples.exports import write_sample_exports
from samples.movies import write_movies_exports
from samples.shop import write_shop_export

SOURCES = REPOSITORY / "defs" / "sources"


def load(source: str, exports: Path, raw: Path) -> LoadedSource:
    document = yaml.safe_load((SOURCES / source / "defs.yaml").read_text())
    return load_source(ExportSourceSpec(**document["attributes"]), source, str(exports), FolderTables(raw))


@pytest.fixture(scope="module")
def loaded(sample_data: Path) -> dict[str, LoadedSource]:
    return {name: load(name, sample_data / "exports", sample_data / "raw") for name in ("shop", "movies")}


def query(loaded: dict[str, LoadedSource], source: str, table: str, columns: str) -> tuple[object, ...]:
    folder = loaded[source].tables[table].exports[-1].location
    with duckdb.connect() as engine:
        return engine.execute(f"select {columns} from read_parquet('{folder}/*.parquet')").fetchall()[0]


def test_cdnow_has_all_its_orders_and_customers(loaded: dict[str, LoadedSource]) -> None:
    orders = "count(*), count(distinct customer_id), min(order_id), max(order_id)"
    assert query(loaded, "shop", "orders", orders) == (69_659, 23_570, 1, 69_659)
    alike = "count(*) - count(distinct (customer_id, ordered_at, quantity, amount))"
    assert query(loaded, "shop", "orders", alike) == (255,)
    assert query(loaded, "shop", "customers", "count(*), max(created_at)::date::varchar") == (
        23_570,
        "1997-03-25",
    )


def test_movielens_has_all_its_items(loaded: dict[str, LoadedSource]) -> None:
    rows = {name: table.exports[-1].rows for name, table in loaded["movies"].tables.items()}
    assert rows == {"viewers": 943, "films": 1_682, "ratings": 100_000}
    facts = (
        "count(*) filter (json_extract_string(\"Item\", '$.released.NULL') = 'true'), "
        "count(*) filter (not json_exists(\"Item\", '$.genres')), "
        "count(*) filter (list_contains(json_extract_string(\"Item\", '$.genres.SS[*]'), 'Sci-Fi'))"
    )
    assert query(loaded, "movies", "films", facts) == (2, 2, 101)


def test_the_teacher_file_has_its_known_counts(sample_data: Path) -> None:
    with (sample_data / "teachers" / "scifi_fans.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == ["viewer_id", "as_of", "label"]
    assert len({row["viewer_id"] for row in rows}) == len(rows) == 943
    assert sum(row["label"] == "1" for row in rows) == 239
    assert len({row["as_of"][:10] for row in rows}) == 197


def test_writing_the_samples_again_changes_nothing(sample_data: Path, cache: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (sample_data / "exports").rglob("*")}
    write_sample_exports(sample_data / "exports", cache, sample_data / "teachers")
    assert {path: path.stat().st_mtime_ns for path in (sample_data / "exports").rglob("*")} == before


def test_an_earlier_cut_holds_a_part_of_the_later_one(
    tmp_path: Path, cache: Path, loaded: dict[str, LoadedSource]
) -> None:
    write_shop_export(tmp_path, cache, until=datetime(1997, 3, 1, tzinfo=UTC))
    write_movies_exports(tmp_path, cache, until=datetime(1997, 10, 1, tzinfo=UTC))
    shop = load("shop", tmp_path, tmp_path / "raw").tables["orders"].exports[0]
    movies = load("movies", tmp_path, tmp_path / "raw").tables
    whole = loaded["shop"].tables["orders"].exports[0]
    assert 0 < shop.rows < whole.rows
    assert 0 < movies["ratings"].exports[0].rows < 100_000
    assert 0 < movies["viewers"].exports[0].rows < 943
    with duckdb.connect() as engine:
        early, late = (f"read_parquet('{export.location}/*.parquet')" for export in (shop, whole))
        columns = "order_id, customer_id, ordered_at, quantity, amount"
        left = f"select {columns} from {early} except select {columns} from {late}"
        assert engine.execute(left).fetchall() == []


def test_other_data_than_the_pinned_is_refused(tmp_path: Path) -> None:
    (tmp_path / CDNOW.name).write_text("not it")
    with pytest.raises(SampleDataError, match=r"CDNOW_master\.txt: its sha256 is .* but lifetimes==0\.11\.3"):
        fetch(CDNOW, tmp_path)
