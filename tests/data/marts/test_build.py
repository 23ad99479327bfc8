"""Building: what the marts hold, what is built again, and what a failed test keeps from readers."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from platform_assets.data.catalog.pointer import MartRefused, MartStore
from platform_assets.data.engines.duckdb.checksums import write_sums
from platform_assets.data.engines.duckdb.reading import DuckDBWarehouse
from platform_assets.data.engines.duckdb.versions import mart_file
from platform_assets.data.engines.raw_tables import RawTableDamaged
from platform_assets.data.marts.assets import transform_assets
from platform_assets.data.marts.build import RawTableEmpty, TransformFailed, build
from platform_assets.data.marts.dbt import DbtError, project_hash
from platform_assets.environment import Environment
from tests.data.marts.conftest import SOURCES, World, transform_of
from tests.data.marts.raw import (
    INEXACT,
    INEXACT_ARRAYS,
    MOVIES_EXPORTED_AT,
    SHOP_EXPORTED_AT,
    TYPED_JSON,
    film,
    order,
    viewer,
    write_empty_world,
)

MARTS = {"customers", "orders", "viewers", "films", "ratings"}


def rows(world: World, mart: str, order_by: str) -> list[dict[str, Any]]:
    warehouse = DuckDBWarehouse(world.transform.catalog, world.transform.marts)
    return warehouse.to_arrow(warehouse.table(mart).order_by(order_by)).to_pylist()


def view(world: World, name: str, columns: str = "*") -> dict[str, Any]:
    with duckdb.connect(str(world.environment.dbt_database), read_only=True) as connection:
        connection.execute("set timezone='UTC'")
        cursor = connection.execute(f"select {columns} from staging.{name}")
        assert cursor.description is not None
        names = [column[0] for column in cursor.description]
        found = cursor.fetchone()
    assert found is not None
    return dict(zip(names, found, strict=True))


def test_the_project_parses_without_a_warning(parsed: Environment) -> None:
    log = (parsed.dbt_database.parent / "target" / "dbt.log").read_text()
    assert "succeeded" in log
    assert not [line for line in log.splitlines() if "[warn " in line or "[error" in line]


def test_every_mart_is_built_tested_and_published(world: World) -> None:
    assert set(world.transform.marts.read()) == MARTS
    assert not any(outcome.hit for outcome in world.first.values())
    checks = [check for outcome in world.first.values() for check in outcome.checks]
    assert len(checks) > 30
    assert all(check.passed for check in checks)


def test_orders_that_agree_in_everything_but_their_id_are_all_kept(world: World) -> None:
    found = rows(world, "orders", "order_id")
    assert [row["order_id"] for row in found] == [1, 2, 3, 4]
    assert found[0]["ordered_at"] == found[1]["ordered_at"] == datetime(1998, 1, 5, 12, tzinfo=UTC)
    assert found[3]["amount"] == Decimal("12345678.990000000")


def test_an_export_that_is_still_being_loaded_does_not_count(world: World) -> None:
    with duckdb.connect(str(world.environment.dbt_database), read_only=True) as connection:
        found = connection.execute("select count(*) from staging.stg_exports where export_id = 'aside'").fetchone()
    assert found == (0,)
    assert world.transform.marts.require("orders").rows == 4


def test_ratings_carry_what_does_not_change_about_their_film(world: World) -> None:
    found = rows(world, "ratings", "rating_id")
    assert [(row["genres"], row["released"]) for row in found] == [
        (["Action", "Sci-Fi"], 1990),
        ([], None),
        (["Action", "Sci-Fi"], 1990),
    ]


def test_viewers_have_a_row_for_each_version(world: World) -> None:
    february, april = datetime(1998, 2, 1, tzinfo=UTC), MOVIES_EXPORTED_AT
    found = [
        (row["viewer_id"], row["occupation"], row["valid_from"], row["valid_to"])
        for row in rows(world, "viewers", "viewer_version_id")
    ]
    assert sorted(found, key=lambda row: row[:3]) == [
        (1, "artist", february, april),
        (1, "writer", april, None),
        (2, "artist", february, april),
        (3, "artist", april, None),
    ]


def test_columns_have_the_types_their_contract_states(world: World) -> None:
    with duckdb.connect(str(world.environment.dbt_database), read_only=True) as connection:
        for name, mart in world.transform.catalog.marts.items():
            described = connection.execute(f"describe marts.{name}").fetchall()
            stated = ", ".join(f"null::{column.data_type} as {name}" for name, column in mart.columns.items())
            promised = connection.execute(f"describe select {stated}").fetchall()
            assert [row[:2] for row in described] == [row[:2] for row in promised]


def test_a_mart_is_complete_up_to_the_oldest_of_its_latest_exports(world: World) -> None:
    published = world.transform.marts.read()
    assert published["orders"].watermark == SHOP_EXPORTED_AT
    assert published["ratings"].watermark == MOVIES_EXPORTED_AT


def test_typed_json_reads_exactly(world: World) -> None:
    of_duckdb = {"exact_number": Decimal(str(TYPED_JSON["exact_text"])), "numbers": [Decimal("9.5"), Decimal("10.0")]}
    assert view(world, "stg_probe") == TYPED_JSON | of_duckdb


@pytest.mark.parametrize("column", INEXACT)
def test_a_value_that_its_type_cannot_hold_stops_instead_of_being_rounded(world: World, column: str) -> None:
    with pytest.raises(duckdb.Error, match=f"(attribute|column) {column} holds a number that"):
        view(world, "stg_probe_inexact", column)


@pytest.mark.parametrize("probe", INEXACT_ARRAYS)
def test_an_element_that_its_type_cannot_hold_stops_as_well(world: World, probe: str) -> None:
    with pytest.raises(duckdb.Error, match=INEXACT_ARRAYS[probe]):
        view(world, probe)


@pytest.mark.usefixtures("no_dbt")
def test_an_unchanged_rerun_does_not_start_dbt(world: World) -> None:
    again = build(world.transform, world.transform.graph.models)
    assert all(outcome.hit for outcome in again.values())
    for name, outcome in world.first.items():
        assert (again[name].table, again[name].checks) == (outcome.table, outcome.checks)
        assert again[name].data_version == outcome.data_version


@pytest.mark.usefixtures("no_dbt")
def test_a_kill_before_the_switch_is_made_good_by_the_next_run(world: World) -> None:
    undisturbed = world.transform.marts.read()
    (Path(world.environment.marts) / "current.json").unlink()
    build(world.transform, world.transform.graph.models)
    assert world.transform.marts.read() == undisturbed


@pytest.fixture
def unpublished(world: World, tmp_path: Path) -> MartStore:
    """The world's marts, built and not current."""
    copy = MartStore(tmp_path / "marts")
    shutil.copytree(world.environment.marts, copy.root, ignore=shutil.ignore_patterns("current.json"))
    return copy


@pytest.mark.usefixtures("no_dbt")
def test_only_marts_asked_for_are_published(world: World, unpublished: MartStore) -> None:
    build(replace(world.transform, marts=unpublished), ["orders", "stg_shop__orders"])
    assert set(unpublished.read()) == {"orders"}


@pytest.mark.usefixtures("no_dbt")
def test_building_without_publishing_leaves_the_pointer(world: World, unpublished: MartStore) -> None:
    build(replace(world.transform, marts=unpublished), ["orders"], publish=False)
    assert unpublished.read() == {}


def test_a_new_export_remakes_what_reads_it_and_nothing_else(
    world: World, extra_exports: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    extra_exports("movies", "films", [film(10, ["Sci-Fi", "Action"])], datetime(1998, 5, 1, tzinfo=UTC))
    asked: list[list[str]] = []

    def stop(_: object, models: list[str]) -> None:
        asked.append(models)
        raise DbtError("not now")

    monkeypatch.setattr("platform_assets.data.marts.build.run_build", stop)
    with pytest.raises(DbtError):
        build(world.transform, ["customers", "orders", "viewers", "films", "ratings"])
    assert "films" in asked[0]
    assert "ratings" in asked[0]
    assert not {"customers", "orders", "stg_shop__orders", "viewers"} & set(asked[0])


@pytest.fixture
def asked_of_dbt(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What each build asks dbt for; it is not started."""
    asked: list[list[str]] = []

    def stop(_: object, models: list[str]) -> None:
        asked.append(models)
        raise DbtError("not now")

    monkeypatch.setattr("platform_assets.data.marts.build.run_build", stop)
    return asked


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 0xFF
    file.write_bytes(content)


def test_a_damaged_mart_is_built_again_and_no_other(world: World, asked_of_dbt: list[list[str]]) -> None:
    part = mart_file(Path(world.environment.marts), world.transform.marts.require("customers"))
    content = part.read_bytes()
    flip(part)
    try:
        with pytest.raises(DbtError):
            build(world.transform, MARTS)
    finally:
        part.write_bytes(content)
    assert asked_of_dbt == [world.transform.graph.closure(["customers"])]
    assert all(outcome.hit for outcome in build(world.transform, MARTS).values())


def test_a_damaged_raw_table_stops_a_build_before_dbt_reads_it(
    world: World, extra_exports: Callable[..., Path], asked_of_dbt: list[list[str]]
) -> None:
    folder = extra_exports("movies", "films", [film(10, ["Sci-Fi"])], datetime(1998, 5, 1, tzinfo=UTC))
    write_sums(folder)
    before = world.transform.marts.read()
    [file] = folder.glob("*.parquet")
    flip(file)
    with pytest.raises(RawTableDamaged, match=rf"{file}: gone, or not .* raw table movies\.films"):
        build(world.transform, MARTS)
    assert asked_of_dbt == []
    assert world.transform.marts.read() == before


def test_a_change_anywhere_in_what_dbt_builds_from_is_seen(world: World, tmp_path: Path) -> None:
    first = world.transform.project
    project = replace(first, folder=tmp_path / "project", shared=tmp_path / "shared")
    shutil.copytree(first.folder, project.folder)
    shutil.copytree(first.shared, project.shared)
    before = project_hash(project)
    assert before == project_hash(first)
    (project.folder / "target" / "anything").write_text("dbt's own output does not count")
    assert project_hash(project) == before
    local = tmp_path / "elsewhere"
    local.mkdir()
    (project.folder / "dbt_packages" / "pinned").mkdir(parents=True)
    (project.folder / "dbt_packages" / "linked").symlink_to(local)
    seen = {before}
    for path in (
        project.folder / "models" / "marts" / "orders.sql",
        project.shared / "macros" / "engine.sql",
        project.shared / "tests" / "generic" / "accepted_range.sql",
        project.shared / "profiles.yml",
        project.folder / "dbt_packages" / "pinned" / "macro.sql",
        local / "macro.sql",
    ):
        with path.open("a") as file:
            file.write("{# more #}")
        seen.add(project_hash(project))
    assert len(seen) == 7


def test_a_raw_table_that_was_never_loaded_is_named(world: World, tmp_path: Path) -> None:
    empty = transform_of(replace(world.environment, data=tmp_path))
    with pytest.raises(
        RawTableEmpty, match=r"raw table shop\.customers: no export in .*materialise raw/shop/customers"
    ):
        build(empty, ["customers"])


def test_every_model_and_column_is_described(world: World) -> None:
    models = [model for name, model in world.transform.graph.models.items() if "probe" not in name]
    assert not [model.name for model in models if not model.description]
    assert not [f"{model.name}.{c.name}" for model in models for c in model.columns if not c.description]


def test_every_mart_tests_its_key(world: World) -> None:
    for name, mart in world.transform.catalog.marts.items():
        tests = {test.name for test in world.transform.graph.models[name].tests if test.severity == "error"}
        assert {f"unique_{name}_{mart.key}", f"not_null_{name}_{mart.key}"} <= tests


@pytest.mark.slow
def test_a_failed_test_publishes_nothing_and_refuses_readers(world: World, extra_exports: Callable[..., Path]) -> None:
    before = world.transform.marts.read()
    doubled = [
        order(1, 1, datetime(1998, 7, 1)),
        order(1, 1, datetime(1998, 7, 2)),
        order(2, 2, datetime(1998, 7, 3)),
    ]
    later = datetime(1998, 8, 1, tzinfo=UTC)
    bad_export = extra_exports("shop", "orders", doubled, later)
    extra_exports("movies", "viewers", [viewer(1, age=200)], datetime(1998, 5, 1, tzinfo=UTC))
    with pytest.raises(
        TransformFailed, match=r"orders: its last build failed dbt test unique_orders_order_id"
    ) as failed:
        build(world.transform, world.transform.graph.models)

    assert world.transform.marts.read() == before
    with pytest.raises(MartRefused, match=r"mart orders: .*unique_orders_order_id \(1 failing rows\)"):
        DuckDBWarehouse(world.transform.catalog, world.transform.marts).table("orders")
    assert set(world.transform.marts.refusals()) == {"orders"}
    outcome = failed.value.checks["orders", "unique_orders_order_id"]
    assert (outcome.status, outcome.failures) == ("fail", 1)
    warned = failed.value.checks["viewers", "age_is_plausible"]
    assert (warned.status, warned.blocks) == ("warn", False)

    shutil.rmtree(bad_export)
    build(world.transform, ["orders"])
    assert world.transform.marts.refusals() == {}
    assert world.transform.marts.read() == before


@pytest.mark.slow
def test_a_value_that_a_model_cannot_read_is_told_nowhere(world: World, extra_exports: Callable[..., Path]) -> None:
    # No longer than integers of 64 bits are, and beyond them.
    person = "9917012345678901234"
    unread = {**viewer(1), "age": {"N": person}}
    bad_export = extra_exports("movies", "viewers", [unread], datetime(1998, 6, 1, tzinfo=UTC))
    with dg.DagsterInstance.local_temp() as instance:
        assets = [transform_assets(world.environment, SOURCES)]
        viewers = dg.AssetSelection.assets(["marts", "viewers"])
        run = dg.materialize(assets, selection=viewers, instance=instance, raise_on_error=False)
        assert not run.success
        events = "\n".join(str(entry) for entry in instance.all_logs(run.run_id))
        logs = Path(instance.root_directory).rglob("*")
        kept = [path for path in (*logs, *world.environment.dbt_database.parent.rglob("*")) if path.is_file()]
        texts = {path.name: path.read_bytes() for path in kept if path.suffix not in (".duckdb", ".wal", ".db")}
    shutil.rmtree(bad_export)
    build(world.transform, ["viewers"])
    assert "viewers: its last build failed: Runtime Error in model viewers" in events
    assert "Conversion Error: Could not convert string … to INT64" in events
    assert person not in events
    assert {"dbt.log", "run_results.json"} <= set(texts)
    assert "Could not convert string" in texts["dbt.log"].decode()
    assert [name for name, text in texts.items() if person.encode() in text] == []


@pytest.mark.slow
def test_empty_raw_tables_build_empty_marts_in_a_folder_of_any_name(world: World, tmp_path: Path) -> None:
    data = tmp_path / 'it\'s "100 %" {of} [a] *ü $HOME'
    write_empty_world(data / "raw")
    transform = transform_of(replace(world.environment, data=data))
    build(transform, world.transform.graph.models)
    warehouse = DuckDBWarehouse(transform.catalog, transform.marts)
    assert warehouse.value(warehouse.table("orders").count()) == 0
    assert {name: table.rows for name, table in transform.marts.read().items()} == dict.fromkeys(MARTS, 0)


def test_records_of_builds_hold_no_values(world: World) -> None:
    records = (Path(world.environment.artifacts) / "recipes").glob("*.json")
    assert not [path for path in records if "12345678.99" in json.dumps(json.loads(path.read_text()))]
