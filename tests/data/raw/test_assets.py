"""The Dagster face of a source."""

import gzip
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from platform_assets.data.exports.spec import Accepted, ExportSourceSpec
from platform_assets.data.raw.assets import export_assets
from platform_assets.data.raw.usable_exports import NAME as USABLE
from platform_assets.environment import local_environment
from samples.dynamodb_export import write_dynamodb_export
from tests.data.exports.breaking import (
    AT,
    FILMS,
    LATER,
    SHOP,
    edit_json,
    edit_summary,
    export_info,
    film,
    part,
    rewrite_data,
    shop_tables,
    truncate,
    write_films,
    write_shop,
)
from tests.support.unprivileged import closed, open_folder


def materialize(data: Path, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    assets = export_assets(SHOP, "shop", local_environment(data))
    return dg.materialize(assets, instance=instance, raise_on_error=False)


def name(event: dg.DagsterEvent) -> str:
    assert event.asset_key
    return event.asset_key.path[-1]


def test_a_source_becomes_raw_assets_with_what_they_hold(tmp_path: Path) -> None:
    exports = local_environment(tmp_path).exports
    write_shop(exports)
    edit_json(export_info(write_shop(exports, LATER)), lambda info: info.update(status="IN_PROGRESS"))
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize(tmp_path, instance)
        assert result.success
        made = {name(event): event for event in result.get_asset_materialization_events()}
        assert set(made) == {"customers", "orders"}
        metadata = made["orders"].step_materialization_data.materialization.metadata
        assert metadata["dagster/row_count"].value == 20
        assert metadata["exports"].value == 1
        assert metadata["new"].value == 1
        assert metadata["hit"].value is False
        assert "IN_PROGRESS" in str(metadata["in_progress"].value)

        again = materialize(tmp_path, instance).get_asset_materialization_events()
        assert len(again) == 2
        for event in again:
            before, after = (one.step_materialization_data.materialization for one in (made[name(event)], event))
            assert before.tags
            assert after.tags
            assert after.tags["dagster/data_version"] == before.tags["dagster/data_version"]
            assert after.metadata["hit"].value is True


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    """Table → what came of the check that its exports can be used."""
    evaluations = result.get_asset_check_evaluations()
    return {check.asset_key.path[-1]: check for check in evaluations if check.check_name == USABLE}


def test_an_unusable_export_is_told_by_a_failed_check_of_each_table_and_the_others_are_loaded(tmp_path: Path) -> None:
    exports = local_environment(tmp_path).exports
    whole = write_shop(exports)
    truncated = part(write_shop(exports, LATER))
    truncate(truncated)
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize(tmp_path, instance)
    assert result.success
    for event in result.get_asset_materialization_events():
        metadata = event.step_materialization_data.materialization.metadata
        assert metadata["export_id"].value == whole.name
        assert metadata["set_aside"].value == f"snapshot-{LATER:%Y%m%d}"
    for table in ("customers", "orders"):
        check = checks(result)[table]
        assert (check.passed, check.severity, check.blocking) == (False, dg.AssetCheckSeverity.ERROR, False)
        assert f"{truncated}: not readable as Parquet" in str(check.description)
        assert f"materialising raw/shop/{table}" in str(check.description)


def test_a_dynamodb_export_is_told_at_its_own_table_alone(tmp_path: Path) -> None:
    environment = local_environment(tmp_path)
    others = FILMS.tables[0].model_copy(update={"name": "others", "export_table": "Others"})
    spec = FILMS.model_copy(update={"tables": [*FILMS.tables, others]})
    write_films(environment.exports)
    for at in (AT, LATER):
        export = write_dynamodb_export(Path(environment.exports), "Others", f"{at:%d}-o", [film(1)], at, prefix="films")
    edit_summary(export, exportType="INCREMENTAL_EXPORT")
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(export_assets(spec, "films", environment), instance=instance)
    assert {table: check.passed for table, check in checks(result).items()} == {"films": True, "others": False}


def test_a_table_without_a_usable_export_holds_up_nobody_and_says_why(tmp_path: Path) -> None:
    truncate(part(write_shop(local_environment(tmp_path).exports)))
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize(tmp_path, instance)
    assert result.success
    for event in result.get_asset_materialization_events():
        metadata = event.step_materialization_data.materialization.metadata
        assert metadata["exports"].value == 0
        assert "dagster/row_count" not in metadata
    assert "not readable as Parquet" in str(checks(result)["orders"].description)
    assert not list((tmp_path / "raw").glob("shop/**/*.parquet"))


def test_the_check_alone_looks_at_the_data_and_materialises_nothing(tmp_path: Path) -> None:
    environment = local_environment(tmp_path)
    truncate(part(write_shop(environment.exports)))
    definitions = dg.Definitions(
        assets=export_assets(SHOP, "shop", environment),
        jobs=[dg.define_asset_job("only", dg.AssetSelection.checks_for_assets(dg.AssetKey(["raw", "shop", "orders"])))],
    )
    result = definitions.resolve_job_def("only").execute_in_process()
    assert not checks(result)["orders"].passed
    assert result.get_asset_materialization_events() == []


def test_a_right_that_is_missing_fails_the_step_with_its_sentence() -> None:
    with open_folder() as folder:
        environment = local_environment(folder / "data")
        write_shop(environment.exports)
        with dg.DagsterInstance.ephemeral() as instance, closed(Path(environment.exports) / "shop"):
            result = materialize(environment.data, instance)
    (failure,) = result.get_step_failure_events()
    assert "not allowed to list" in str(failure.step_failure_data.user_failure_data)
    assert result.get_asset_check_evaluations() == []


def test_assets_are_found_by_key_group_kind_and_owner(tmp_path: Path) -> None:
    (assets,) = export_assets(SHOP, "shop", local_environment(tmp_path))
    specs = {spec.key.to_user_string(): spec for spec in assets.specs}
    assert set(specs) == {"raw/shop/customers", "raw/shop/orders"}
    assert {(spec.group_name, frozenset(spec.kinds), tuple(spec.owners)) for spec in specs.values()} == {
        ("raw", frozenset({"aurora", "parquet"}), ("team:shop",))
    }


def test_a_raw_table_shows_its_columns_and_what_differs_from_the_export_before(tmp_path: Path) -> None:
    exports = local_environment(tmp_path).exports
    write_shop(exports)
    passing = {"customers": True, "orders": False}
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize(tmp_path, instance)
        assert {check.passed for check in result.get_asset_check_evaluations()} == {True}
        made = {name(event): event for event in result.get_asset_materialization_events()}
        schema = made["orders"].step_materialization_data.materialization.metadata["dagster/column_schema"].value
        assert isinstance(schema, dg.TableSchema)
        columns = {column.name: (column.type, column.description) for column in schema.columns}
        assert columns["ordered_at"] == ("timestamp", "A value in 20 of 20 rows; datetime at its source.")
        assert columns["amount"] == ("decimal(10,2)", "A value in 20 of 20 rows; decimal(10,2) at its source.")
        assert {name: kind for name, (kind, _) in columns.items()} == described(tmp_path / "raw" / "shop" / "orders")

        with_channel = shop_tables()["shop.orders"].drop(["amount"]).append_column("channel", pa.array(["web"] * 20))
        write_shop(exports, LATER, {**shop_tables(), "shop.orders": with_channel})
        result = materialize(tmp_path, instance)
    assert result.success
    checks = {
        (str(check.asset_key.path[-1]), check.check_name): check for check in result.get_asset_check_evaluations()
    }
    assert len(checks) == 12
    assert {table: all(c.passed for (t, _), c in checks.items() if t == table) for table in passing} == passing
    lost = checks["orders", "no_column_is_lost"]
    assert (lost.passed, lost.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "column amount is not in export snapshot-20260112" in str(lost.description)
    assert "add to `accept` in shop/defs.yaml" in str(lost.description)
    assert lost.metadata["new_columns"].value == "channel"
    assert [check for check in checks.values() if not check.passed] == [lost]


def described(folder: Path) -> dict[str, str]:
    """The columns of a raw table as DuckDB reads them."""
    files = str(folder / "*" / "*.parquet")
    rows = duckdb.connect().execute(f"describe select * from '{files}'").fetchall()
    return {name: kind.lower() for name, kind, *_ in rows}


def test_a_dynamodb_table_shows_its_attributes_and_the_columns_that_hold_them(tmp_path: Path) -> None:
    environment = local_environment(tmp_path)
    write_films(environment.exports, [film(1) | {"year": {"N": "1994"}}, film(2) | {"year": {"NULL": True}}])
    with dg.DagsterInstance.ephemeral() as instance:
        (event,) = dg.materialize(
            export_assets(FILMS, "films", environment), instance=instance
        ).get_asset_materialization_events()
    schema = event.step_materialization_data.materialization.metadata["dagster/column_schema"].value
    assert isinstance(schema, dg.TableSchema)
    types = {column.name: column.type for column in schema.columns}
    assert (types["film_id"], types["year"]) == ("N", "N, NULL")
    stored = described(tmp_path / "raw" / "films" / "films")
    assert {name: types[name] for name in stored} == stored


def test_what_a_person_accepted_passes_and_says_why(tmp_path: Path) -> None:
    exports = local_environment(tmp_path).exports
    write_shop(exports)
    write_shop(exports, LATER, {**shop_tables(), "shop.orders": shop_tables()["shop.orders"].drop(["amount"])})
    because = Accepted(export="snapshot-20260112", table="orders", because="Amounts moved to payments.")
    (assets,) = export_assets(SHOP.model_copy(update={"accept": [because]}), "shop", local_environment(tmp_path))
    key = dg.AssetCheckKey(dg.AssetKey(["raw", "shop", "orders"]), "no_column_is_lost")
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([assets], instance=instance)
        evaluations = {check.asset_check_key: check for check in result.get_asset_check_evaluations()}
        assert evaluations[key].passed
        assert evaluations[key].metadata["accepted"].value == "Amounts moved to payments."
        assert "column amount" in str(evaluations[key].metadata["accepted_differences"].value)
        alone = dg.Definitions(
            assets=[assets], jobs=[dg.define_asset_job("only", selection=dg.AssetSelection.checks(key))]
        )
        again = alone.resolve_job_def("only").execute_in_process(instance=instance)
    assert [check.asset_check_key for check in again.get_asset_check_evaluations()] == [key]


@pytest.mark.parametrize(("spec", "write"), [(SHOP, write_shop), (FILMS, write_films)], ids=["aurora", "dynamodb"])
def test_a_data_folder_may_have_any_name(
    tmp_path: Path, spec: ExportSourceSpec, write: Callable[[Path], object]
) -> None:
    environment = local_environment(tmp_path / 'it\'s "100 %" {of} [a] *ü $HOME')
    write(Path(environment.exports))
    assert dg.materialize(export_assets(spec, spec.path, environment)).success


PERSON = "bob@example.com"


def _texts_for_amounts(exports: Path) -> ExportSourceSpec:
    export = write_shop(exports)
    second = max(export.glob("shop/shop.orders/1/*.parquet"))
    columns = pq.read_table(second)
    texts = pa.array([PERSON] * len(columns))
    pq.write_table(columns.set_column(columns.column_names.index("amount"), "amount", texts), second)
    return SHOP


def _no_parquet(exports: Path) -> ExportSourceSpec:
    part(write_shop(exports)).write_text(PERSON * 10)
    return SHOP


def _no_items(exports: Path) -> ExportSourceSpec:
    rewrite_data(write_films(exports, files=1), gzip.compress(f'{{"email": {{"S": "{PERSON}"}}}}\n'.encode() * 2))
    return FILMS


def _no_text(exports: Path) -> ExportSourceSpec:
    rewrite_data(
        write_films(exports, files=1), gzip.compress(b'{"Item": {"email": {"S": "' + PERSON.encode() + b'\xff"}}}\n')
    )
    return FILMS


def _no_gzip(exports: Path) -> ExportSourceSpec:
    rewrite_data(write_films(exports, files=1), f'{{"Item": {{"email": {{"S": "{PERSON}"}}}}}}\n'.encode())
    return FILMS


def _two_of_a_key(exports: Path) -> ExportSourceSpec:
    write_films(exports, [{"film_id": {"S": PERSON}}] * 2)
    return FILMS


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (_texts_for_amounts, "its columns differ from those of the table's first part"),
        (_no_parquet, "not readable as Parquet (Invalid Input Error: No magic bytes found at end of file"),
        (_no_items, "2 of 2 lines are not an item of a full export"),
        (_no_text, "not readable as gzipped DynamoDB JSON (Invalid Input Error: Malformed JSON in file"),
        (_no_gzip, "not readable as gzipped DynamoDB JSON (IO Error: Input is not a GZIP stream"),
        (_two_of_a_key, "1 values of the key (film_id) belong to more than one row"),
    ],
)
def test_an_export_is_refused_without_a_word_of_its_cells(
    tmp_path: Path, broken: Callable[[Path], ExportSourceSpec], sentence: str
) -> None:
    environment = local_environment(tmp_path)
    spec = broken(Path(environment.exports))
    assets = export_assets(spec, spec.path, environment)
    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize(assets, instance=instance, raise_on_error=False)
        told = "\n".join(str(entry) for entry in instance.all_logs(run.run_id))
    assert sentence in told
    assert "bob" not in told
