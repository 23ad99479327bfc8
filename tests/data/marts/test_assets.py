"""The Dagster face: keys, checks, what a run records, and what importing it costs."""

from pathlib import Path

import dagster as dg
import pytest

from platform_assets.data.catalog.catalog import ManifestMissing
from platform_assets.data.marts.assets import transform_assets
from platform_assets.data.marts.build import CheckOutcome, TransformFailed
from platform_assets.environment import (
    Cloud,
    Environment,
    EnvironmentVariableError,
    cloud_environment,
    local_environment,
)
from tests.data.marts.conftest import SOURCES, World
from tests.support.processes import run_python


@pytest.fixture(scope="module")
def assets(world: World) -> dg.AssetsDefinition:
    return transform_assets(world.environment, SOURCES)


def test_models_and_tests_are_assets_and_checks_with_their_lineage(assets: dg.AssetsDefinition) -> None:
    ratings = assets.specs_by_key[dg.AssetKey(["marts", "ratings"])]
    assert {dep.asset_key for dep in ratings.deps} == {
        dg.AssetKey(["staging", "stg_movies__ratings"]),
        dg.AssetKey(["staging", "stg_movies__films"]),
    }
    staging = assets.specs_by_key[dg.AssetKey(["staging", "stg_movies__ratings"])]
    assert dg.AssetKey(["raw", "movies", "ratings"]) in {dep.asset_key for dep in staging.deps}
    assert (ratings.group_name, staging.group_name) == ("marts", "staging")
    assert ratings.kinds == {"dbt", "duckdb"}
    assert list(ratings.owners) == ["team:data-engineering"]
    checks = {key.name for key in assets.check_keys if key.asset_key == ratings.key}
    assert {"unique_ratings_rating_id", "rating_is_from_1_to_5", "ratings_have_a_viewer"} <= checks
    viewers = {key.name for key in assets.check_keys if key.asset_key.path[-1] == "viewers"}
    assert "viewers_change_change_back_disappear_and_return" in viewers


@pytest.mark.usefixtures("no_dbt")
def test_a_run_records_versions_watermarks_and_why_nothing_ran(world: World, assets: dg.AssetsDefinition) -> None:
    result = dg.materialize([assets], selection=[dg.AssetKey(["marts", "orders"])])
    (event,) = result.get_asset_materialization_events()
    materialization = event.materialization
    published = world.transform.marts.require("orders")
    assert (materialization.tags or {})["dagster/data_version"] == published.content_hash
    found = {name: value.value for name, value in materialization.metadata.items()}
    assert found["cache"] == "hit"
    assert found["cache_reason"] == "same code, settings and inputs"
    assert float(str(found["seconds_saved"])) > 0
    assert found["dagster/row_count"] == 4
    assert found["watermark"] == published.watermark.timestamp()
    assert {check.check_name for check in result.get_asset_check_evaluations()} == {
        check.name for check in world.first["orders"].checks
    }


def test_a_failed_test_fails_the_run_and_materialises_nothing(
    assets: dg.AssetsDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = CheckOutcome("orders", "unique_orders_order_id", "error", "fail", 3, 0.1, "Got 3 results")

    def failed(*_: object) -> None:
        raise TransformFailed("orders: its last build failed", {("orders", outcome.name): outcome})

    monkeypatch.setattr("platform_assets.data.marts.build.build", failed)
    result = dg.materialize([assets], raise_on_error=False)
    assert not result.success
    assert result.get_asset_materialization_events() == []
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.ERROR
    assert check.metadata["failing_rows"].value == 3


@pytest.mark.usefixtures("no_dbt")
def test_a_check_started_alone_runs_without_materialising_its_mart(world: World, assets: dg.AssetsDefinition) -> None:
    key = dg.AssetCheckKey(dg.AssetKey(["marts", "orders"]), "unique_orders_order_id")
    definitions = dg.Definitions(
        assets=[assets], jobs=[dg.define_asset_job("only", selection=dg.AssetSelection.checks(key))]
    )
    result = definitions.resolve_job_def("only").execute_in_process()
    assert result.success
    assert result.get_asset_materialization_events() == []
    assert [check.check_name for check in result.get_asset_check_evaluations()] == ["unique_orders_order_id"]


def test_a_missing_manifest_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ManifestMissing, match="Run `platform-assets manifest`"):
        transform_assets(local_environment(tmp_path, dbt_project=tmp_path / "dbt_project"), SOURCES)


def test_importing_the_assets_imports_neither_dbt_nor_duckdb() -> None:
    heavy = {"dbt", "dagster_dbt", "duckdb", "ibis", "pandas", "pyarrow"}
    program = f"import sys, platform_assets.data.marts.assets; print(sorted({heavy} & set(sys.modules)))"
    done = run_python("-c", program)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


TAG = "projects/p/locations/us/taxonomies/1/policyTags/2"


def in_cloud(world: World, name: str, policy_tags: tuple[tuple[str, str], ...]) -> Environment:
    cloud = Cloud("my-project", "bucket", policy_tags=policy_tags)
    return cloud_environment(name, cloud, world.environment.data, dbt_project=world.environment.dbt_project)


@pytest.mark.parametrize("engine", ["duckdb", "bigquery"])
def test_sensitive_columns_are_tagged_in_dagster_on_both_engines(engine: str, world: World) -> None:
    environment = world.environment if engine == "duckdb" else in_cloud(world, "gcp", (("personal", TAG),))
    specs = {spec.key.path[-1]: spec for spec in transform_assets(environment, SOURCES).specs}
    assert engine in specs["viewers"].kinds
    columns = {
        (name, column.name): column.tags["policy_tag"]
        for name, spec in specs.items()
        for column in spec.metadata["dagster/column_schema"].columns
        if "policy_tag" in column.tags
    }
    assert columns == dict.fromkeys(
        [("viewers", column) for column in ("age", "gender", "occupation", "zip_code")], "personal"
    )


def test_in_google_cloud_a_sensitive_column_without_a_policy_tag_is_refused_at_load(world: World) -> None:
    with pytest.raises(
        EnvironmentVariableError, match=r"PLATFORM_POLICY_TAGS names no policy tag for 'personal'.*viewers"
    ):
        transform_assets(in_cloud(world, "gcp", ()), SOURCES)
    transform_assets(in_cloud(world, "emulated", ()), SOURCES)
