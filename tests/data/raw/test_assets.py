"""The Dagster face of a source."""

import gzip
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.raw.assets import export_assets
from platform_assets.environment import local_environment
from tests.data.exports.breaking import (
    FILMS,
    LATER,
    SHOP,
    edit_json,
    export_info,
    part,
    rewrite_data,
    truncate,
    write_films,
    write_shop,
)


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


def test_a_refused_export_fails_the_asset_with_its_sentence_and_publishes_nothing(tmp_path: Path) -> None:
    truncate(part(write_shop(local_environment(tmp_path).exports)))
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize(tmp_path, instance)
    failure = next(event for event in result.all_events if event.is_step_failure)
    described = failure.step_failure_data.user_failure_data
    assert described is not None
    assert "not readable as Parquet" in str(described.description)
    assert not result.get_asset_materialization_events()
    assert not list((tmp_path / "raw").glob("shop/**/*.parquet"))


def test_assets_are_found_by_key_group_kind_and_owner(tmp_path: Path) -> None:
    (assets,) = export_assets(SHOP, "shop", local_environment(tmp_path))
    specs = {spec.key.to_user_string(): spec for spec in assets.specs}
    assert set(specs) == {"raw/shop/customers", "raw/shop/orders"}
    assert {(spec.group_name, frozenset(spec.kinds), tuple(spec.owners)) for spec in specs.values()} == {
        ("raw", frozenset({"aurora", "parquet"}), ("team:shop",))
    }


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
