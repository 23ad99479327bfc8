"""One export that cannot be used, or one source without any, over the whole platform: told, and the others go their way."""

import shutil
from pathlib import Path

import dagster as dg
import pytest

from platform_assets.data.catalog.pointer import MartStore
from platform_assets.operations.diagnosis import diagnose
from samples import movies, shop
from tests.data.exports.breaking import edit_summary, part, truncate
from tests.support.running import Platform, failures_of, materialized
from tests.support.small_exports import small_shop, write_shop

pytestmark = pytest.mark.slow


def failed_checks(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    return {
        check.asset_key.to_user_string(): str(check.description)
        for check in result.get_asset_check_evaluations()
        if not check.passed
    }


def test_an_export_in_another_format_and_a_damaged_one_are_told_and_marts_name_the_exports_that_they_stand_on(
    own_platform: Platform,
) -> None:
    exports = Path(own_platform.environment.exports)
    (full,) = (export for export in (exports / "movies" / "AWSDynamoDB").iterdir() if is_of(export, "ratings"))
    ion = full.with_name("09999999999999-11111111")
    shutil.copytree(full, ion)
    edit_summary(ion, outputFormat="ION")
    good = next((exports / "shop").iterdir()).name
    later = shop.UNTIL.replace(year=shop.UNTIL.year + 1)
    truncate(part(write_shop(exports, small_shop(), later), "shop.orders"))

    result = own_platform.run("refresh_marts")
    assert result.success, failures_of(result)
    told = failed_checks(result)
    assert set(told) == {"raw/movies/ratings", "raw/shop/customers", "raw/shop/orders"}
    assert f"{ion}/manifest-summary.json: key 'outputFormat'" in told["raw/movies/ratings"]
    assert "not readable as Parquet" in told["raw/shop/orders"]
    stands_on = {name: metadata.get("stands_on", "") for name, metadata in materialized(result).items()}
    assert f"movies.ratings: {full.name}, exported" in stands_on["marts/ratings"]
    assert f"shop.orders: {good}, exported" in stands_on["marts/orders"]
    found = {diagnosis.what: diagnosis for diagnosis in diagnose(own_platform.environment)}
    assert not found[f"export {ion.name} of movies"].good
    assert f"shop.orders: {good}" in found["mart orders"].found


def test_a_source_without_any_export_stops_its_own_marts_alone(own_platform: Platform) -> None:
    environment = own_platform.environment
    before = MartStore(environment.marts).read()
    shutil.rmtree(Path(environment.exports) / "movies")
    shutil.rmtree(environment.raw / "movies")
    # But for the record of all exports, which dbt would have to build again.
    all_keys = own_platform.definitions.resolve_job_def("refresh_marts").asset_layer.selected_asset_keys
    keys = [key for key in all_keys if key.path[-1] != "stg_exports"]
    result = own_platform.run("refresh_marts", asset_selection=keys)
    told = failures_of(result)
    assert set(told) == {"dbt_build"}
    held_up = {line.partition(" was not built: ")[0] for line in told["dbt_build"].splitlines()}
    assert {"ratings", "viewers", "films"} <= held_up
    assert not held_up & {"orders", "customers", "stg_exports"}
    assert {"marts/orders", "marts/customers"} <= set(materialized(result))
    assert set(failed_checks(result)) == {f"raw/movies/{table}" for table in movies.TABLES}
    assert "there is no finished export of table" in failed_checks(result)["raw/movies/ratings"]
    assert MartStore(environment.marts).read() == before


def is_of(export: Path, table: str) -> bool:
    summary = export / "manifest-summary.json"
    return summary.is_file() and f"table/{table}" in summary.read_text(encoding="utf-8")
