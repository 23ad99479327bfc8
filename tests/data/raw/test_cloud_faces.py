"""What stands on raw tables in BigQuery: the Dagster face of a source, what builds read of it, and the samples."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg

from platform_assets.data.engines.bigquery.raw_tables import PROFILES
from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.engines.raw_tables import exports_hash, watermark
from platform_assets.data.exports.lake import Lake
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.raw.assets import export_assets
from platform_assets.data.raw.comparison.history import Histories
from platform_assets.data.raw.discover import content_key, load_source
from platform_assets.data.raw.usable_exports import NAME as USABLE
from samples.dynamodb_export import change
from samples.exports import copy_exports, write_sample_exports
from tests.data.engines.source_in_bigquery import Source
from tests.data.exports.breaking import AT, FILMS, LATER, SHOP, data_file, truncate, write_films, write_shop
from tests.data.exports.histories import at
from tests.data.raw.test_changes import write_changes
from tests.data.raw.test_history import ORDERS, film, orders

MakeSource = Callable[[ExportSourceSpec], Source]


def test_a_source_becomes_raw_assets_that_name_their_tables(make_source: MakeSource, lake: Path) -> None:
    source = make_source(FILMS)
    write_films(lake)
    source.upload(lake)
    assets = export_assets(FILMS, source.name, replace(source.environment, exports=source.lake))
    assert [set(spec.kinds) for spec in assets[0].specs] == [{"dynamodb", "bigquery", "gcs"}]
    with dg.DagsterInstance.ephemeral() as instance:
        (event,) = dg.materialize(assets, instance=instance).get_asset_materialization_events()
        metadata = event.step_materialization_data.materialization.metadata
        assert metadata["dagster/table_name"].value == source.table("films")
        assert metadata["dagster/row_count"].value == 20
        assert metadata["new"].value == 1
        schema = metadata["dagster/column_schema"].value
        assert isinstance(schema, dg.TableSchema)
        types = {column.name: column.type for column in schema.columns}
        assert types["film_id"] == "N"
        stored = {
            field.name: field.field_type.lower()
            for field in source.bigquery.client.get_table(source.table("films")).schema
        }
        assert {name: types[name] for name in stored} == stored
        truncate(data_file(write_films(lake, at=LATER)))
        source.upload(lake)
        result = dg.materialize(assets, instance=instance)
    (check,) = (check for check in result.get_asset_check_evaluations() if check.check_name == USABLE)
    assert not check.passed
    assert "the file is truncated" in str(check.description)
    assert len(source.rows("films")) == 20


def test_a_build_sees_the_same_exports_in_bigquery_as_in_a_folder(
    make_source: MakeSource, lake: Path, raw: Path
) -> None:
    source = make_source(SHOP)
    tables = [(source.name, "customers"), (source.name, "orders")]
    assert source.tables.loaded(tables) == {table: [] for table in tables}
    write_shop(lake)
    write_shop(lake, LATER)
    source.load(lake)
    load_source(SHOP, source.name, lake, FolderTables(raw))
    here, there = FolderTables(raw).loaded(tables), source.tables.loaded(reversed(tables))
    for table in tables:
        assert exports_hash(here[table]) == exports_hash(there[table])
        assert watermark(here[table]) == watermark(there[table]) == LATER
        assert len(there[table]) == 2
    assert exports_hash(there[tables[0]]) != exports_hash(there[tables[1]])


def test_exports_differ_in_bigquery_by_the_same_sentences_as_in_a_folder(
    make_source: MakeSource, lake: Path, tmp_path: Path
) -> None:
    shop, films = make_source(ORDERS), make_source(FILMS)
    write_shop(lake, AT, {"shop.orders": orders(range(1000, 1060))}, parts=4, skip=())
    lost = write_shop(lake, LATER, {"shop.orders": orders(range(1000, 1060)).drop(["channel"])}, parts=4, skip=())
    min(lost.glob("shop/shop.orders/1/part-00002-*")).unlink()
    write_films(lake, [film(number, nothing={"NULL": True}) for number in range(30)], AT)
    write_films(lake, [film(number, title=None, year={"S": "x"}) for number in range(30)], LATER)
    for source, told in ((shop, 2), (films, 2)):
        source.load(lake)
        here = FolderTables(tmp_path / "raw")
        load_source(source.spec, source.name, lake, here)
        table = source.spec.tables[0].name
        histories = [
            Histories(tables, tables, {source.name: source.spec}, tmp_path / f"{source.name}-{where}")
            for where, tables in (("here", here), ("there", source.tables))
        ]
        folder, bigquery = (history.of(source.name, table).newest for history in histories)
        assert folder is not None
        assert bigquery is not None
        assert bigquery.findings == folder.findings
        assert (len(folder.findings), folder.stops, bigquery.stops) == (told, True, True)
        assert f"delete its rows with _export_id = '{bigquery.export.export_id}'" in bigquery.why()
        # The emulator does not quote a name with a dot among JSON's keys, as BigQuery does.
        counts = [
            {
                column.name: column.filled
                for column in profiles[folder.before.export_id].columns
                if '"' not in column.name
            }
            for profiles in (tables.recorded(source.name, table) for tables in (here, source.tables))
        ]
        assert counts[0] == counts[1]
    # What was loaded by a version that recorded nothing is read from the rows themselves.
    table, first = "orders", f"snapshot-{AT:%Y%m%d}"
    shop.query(
        f"delete from `{shop.bigquery.name('raw', PROFILES)}` where export_id = '{first}' and source_name = '{shop.name}'"
    )
    assert set(shop.tables.recorded(shop.name, table)) == {lost.name}
    newest = Histories(shop.tables, shop.tables, {shop.name: shop.spec}, tmp_path / "anew").of(shop.name, table).newest
    assert newest is not None
    assert [each.sentence[:24] for each in newest.findings] == ["column channel is not in", "15 of the 60 keys of ord"]
    # Only parts are known from the record alone.
    assert "part-00002" not in newest.why()


def test_windows_differ_in_bigquery_by_the_same_sentences_as_in_a_folder(
    make_source: MakeSource, lake: Path, tmp_path: Path
) -> None:
    source, here = make_source(FILMS), FolderTables(tmp_path / "raw")
    write_films(lake, [film(number) for number in range(40)], at(0))
    planted: list[dict[str, Any]] = [{}, {"year": {"S": "x"}, "ID": {"M": {"A": {"N": "1"}}}}, {"title": None}]
    for hour, attributes in enumerate(planted):
        items = [film(number, **(attributes if number or hour > 1 else {})) for number in range(20)]
        lines = [change({"film_id": item["film_id"]}, at(hour), new=item) for item in items]
        lines += [change({"film_id": {"N": "30"}}, at(hour), old=film(30))]
        write_changes(lake, hour, hour + 1, lines, files=1)
    source.load(lake)
    load_source(FILMS, source.name, lake, here)
    folder, bigquery = (
        Histories(tables, tables, {source.name: FILMS}, tmp_path / where).of(source.name, "films__changes").judged
        for where, tables in (("here", here), ("there", source.tables))
    )
    assert [(one.findings, one.new_columns) for one in bigquery] == [(one.findings, one.new_columns) for one in folder]
    assert [[(each.subject, each.stops) for each in one.findings] for one in folder] == [
        [],
        [("types", False)],
        [("columns", True)],
    ]
    assert folder[1].new_columns == ("ID", "ID.A")


def test_a_process_that_lives_long_sees_exports_that_arrive_in_the_bucket(make_source: MakeSource, lake: Path) -> None:
    source = make_source(FILMS)
    write_films(lake)
    source.upload(lake)
    before = content_key(FILMS, source.name, source.lake)
    write_films(lake, at=LATER)
    copy_exports(lake, source.lake)
    assert content_key(FILMS, source.name, source.lake) != before
    assert len(source.exports()) == 2


def test_a_bucket_tells_checksums_and_ends_of_files_without_their_content(make_source: MakeSource, lake: Path) -> None:
    source, path = make_source(FILMS), data_file(write_films(lake))
    source.upload(lake)
    here, there, key = Lake(lake), Lake(source.lake), str(path.relative_to(lake))
    assert here.stored([key])[key].md5 is None
    stored = there.stored([key, f"{key}.absent", "absent/folder"])
    assert list(stored) == [key]
    assert (stored[key].size, stored[key].md5) == (path.stat().st_size, here.md5(key))
    assert there.tail(key, stored[key].size, 5) == path.read_bytes()[-5:] == here.tail(key, path.stat().st_size, 5)
    assert there.tail(key, stored[key].size, 10**6) == path.read_bytes()


def test_the_samples_reach_a_bucket_once(make_source: MakeSource, cache: Path, tmp_path: Path) -> None:
    source = make_source(SHOP)
    local = tmp_path / "cache"
    local.mkdir()
    for path in cache.iterdir():
        (local / path.name).symlink_to(path)
    exports, teachers = f"{source.lake}/exports", f"{source.lake}/teachers"
    written = write_sample_exports(exports, local, teachers)
    assert f"{teachers}/scifi_fans.csv" in written
    lake = Lake(source.lake)
    assert lake.folders("exports") == ["movies", "shop"]
    assert lake.files("teachers") == ["scifi_fans.csv"]
    before = {key: lake.stored([key])[key].generation for key in lake.tree("")}
    assert write_sample_exports(exports, local, teachers) == written
    assert {key: lake.stored([key])[key].generation for key in lake.tree("")} == before
