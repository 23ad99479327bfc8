"""What Dagster and a terminal show of exports that are brought from S3."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.raw.assets import export_assets
from platform_assets.data.raw.usable_exports import NAME as USABLE
from platform_assets.environment import local_environment
from platform_assets.operations.asking.standing import NothingExported, _news_of_exports
from platform_assets.operations.automation.sensors import new_exports_sensor
from tests.data.exports.breaking import FILMS, LATER, data_file, film, write_films
from tests.data.transfer.s3 import S3


@pytest.fixture
def spec(s3: S3) -> ExportSourceSpec:
    return FILMS.model_copy(update={"origin": f"s3://{s3.bucket}/films"})


def test_loading_brings_first_and_tells_what_crossed_and_what_was_saved(
    s3: S3, spec: ExportSourceSpec, tmp_path: Path
) -> None:
    environment = local_environment(tmp_path / "data")
    write_films(tmp_path / "written", map(film, range(50)))
    later = data_file(write_films(tmp_path / "written", map(film, range(60)), at=LATER))
    later.write_bytes(later.read_bytes()[:-1] + b"\1")
    s3.fill(tmp_path / "written")
    assets = export_assets(spec, "films", environment)
    assert [set(each.kinds) for each in assets[0].specs] == [{"dynamodb", "parquet", "s3"}]

    def loaded() -> tuple[dict[str, Any], dg.AssetCheckEvaluation]:
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(assets, instance=instance)
        (event,) = result.get_asset_materialization_events()
        metadata = event.step_materialization_data.materialization.metadata
        (check,) = (each for each in result.get_asset_check_evaluations() if each.check_name == USABLE)
        return {key: value.value for key, value in metadata.items()}, check

    first, check = loaded()
    assert (first["dagster/row_count"], first["bytes_moved"]) == (50, s3.bytes_read)
    assert not check.passed
    assert f"s3://{s3.bucket}/{later.relative_to(tmp_path / 'written')}: its MD5 is " in str(check.description)
    assert first["set_aside"] == later.parents[1].name
    moved = s3.bytes_read
    again, _ = loaded()
    assert s3.bytes_read == moved
    assert (again["bytes_moved"], again["hit"]) == (0, True)
    assert again["bytes_avoided"] == again["bytes_avoided_ever"] > 0
    assert again["egress_saved_usd"] == round(again["bytes_avoided"] / 1e9 * 0.09, 4)


def test_a_source_from_nowhere_else_says_nothing_of_bytes(tmp_path: Path) -> None:
    environment = local_environment(tmp_path)
    write_films(environment.exports, map(film, range(5)))
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(export_assets(FILMS, "films", environment), instance=instance)
    (event,) = result.get_asset_materialization_events()
    assert "bytes_moved" not in event.step_materialization_data.materialization.metadata


def test_what_s3_refuses_fails_the_step_in_a_sentence(s3: S3, spec: ExportSourceSpec, tmp_path: Path) -> None:
    s3.client.delete_bucket(Bucket=s3.bucket)
    with dg.DagsterInstance.ephemeral() as instance:
        assets = export_assets(spec, "films", local_environment(tmp_path))
        result = dg.materialize(assets, instance=instance, raise_on_error=False)
    (failure,) = result.get_step_failure_events()
    assert failure.step_failure_data.error
    assert f"s3://{s3.bucket} does not exist." in str(failure.step_failure_data.error.message)


def test_the_sensor_sees_an_export_finish_in_s3_once(s3: S3, spec: ExportSourceSpec, tmp_path: Path) -> None:
    environment = local_environment(tmp_path / "data")
    sensor = new_exports_sensor({"films": spec}, environment)
    cursor = None

    def look() -> int:
        nonlocal cursor
        with dg.DagsterInstance.ephemeral() as instance:
            result = sensor.evaluate_tick(dg.build_sensor_context(instance, cursor=cursor))
        cursor = result.cursor or cursor
        return len(result.run_requests or [])

    assert look() == 0
    write_films(tmp_path / "written", map(film, range(50)))
    s3.fill(tmp_path / "written")
    assert look() == 1
    # What the run then brings is no news.
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize(export_assets(spec, "films", environment), instance=instance)
    assert look() == 0


def test_an_export_that_is_only_in_s3_is_news_and_not_an_absence(
    s3: S3, spec: ExportSourceSpec, tmp_path: Path
) -> None:
    environment = local_environment(tmp_path / "data")
    upstream: Any = SimpleNamespace(
        reader="somebody", environment=environment, raw=[("films", "films")], sources={"films": spec}
    )
    with pytest.raises(NothingExported):
        _news_of_exports(upstream)
    folder = write_films(tmp_path / "written", map(film, range(50)))
    s3.fill(tmp_path / "written")
    news = _news_of_exports(upstream)
    assert news == f"export {folder.name} of films is in {spec.origin} and not here yet"
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize(export_assets(spec, "films", environment), instance=instance)
    assert _news_of_exports(upstream) is None
