"""What Dagster shows of exports that are asked for, from the schedule's tick to the loaded chain."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.raw.assets import export_assets
from platform_assets.data.raw.usable_exports import NAME as USABLE
from platform_assets.data.requests.record import RequestRefused
from platform_assets.environment import Environment, local_environment
from platform_assets.operations.automation.off import schedules_here
from platform_assets.operations.automation.requests import request_schedules, requested_sensors
from platform_assets.operations.automation.sensors import new_exports_sensor
from tests.data.exports.breaking import FILMS, SHOP
from tests.data.exports.histories import EPOCH
from tests.data.requests.aws_server import Aws, snapshot
from tests.data.requests.conftest import SHOP_SPEC, SPEC
from tests.data.transfer.conftest import s3, s3_endpoint
from tests.data.transfer.s3 import S3

__all__ = ["s3", "s3_endpoint"]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Location:
    """What a code location does for the films, tick by tick."""

    def __init__(self, aws: Aws, spec: ExportSourceSpec, environment: Environment) -> None:
        self.aws, self.spec, self.environment = aws, spec, environment
        sources = {"films": spec}
        (self.schedule,), (self.sensor,) = (
            request_schedules(sources, environment),
            requested_sensors(sources, environment),
        )
        self.news = new_exports_sensor(sources, environment)
        self.cursor: str | None = None

    def ask(self) -> str:
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_schedule_context(instance, scheduled_execution_time=self.aws.now)
            ticked = self.schedule.evaluate_tick(context)
        assert not ticked.run_requests
        return str(ticked.skip_message)

    def look(self) -> tuple[str, list[Any]]:
        with dg.DagsterInstance.ephemeral() as instance:
            ticked = self.sensor.evaluate_tick(dg.build_sensor_context(instance))
        assert not ticked.run_requests
        return str(ticked.skip_message), list(ticked.asset_events)

    def runs(self) -> int:
        """How many runs the sensor on new exports starts."""
        with dg.DagsterInstance.ephemeral() as instance:
            ticked = self.news.evaluate_tick(dg.build_sensor_context(instance, cursor=self.cursor))
        self.cursor = ticked.cursor or self.cursor
        return len(ticked.run_requests or [])

    def loaded(self) -> tuple[dict[str, Any], dg.AssetCheckEvaluation]:
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(export_assets(self.spec, "films", self.environment), instance=instance)
        (event,) = result.get_asset_materialization_events()
        metadata = event.step_materialization_data.materialization.metadata
        (check,) = (each for each in result.get_asset_check_evaluations() if each.check_name == USABLE)
        return {key: value.value for key, value in metadata.items()}, check


@pytest.fixture
def location(aws: Aws, s3: S3, tmp_path: Path) -> Location:
    """A location whose exports AWS writes to S3."""
    aws.bucket = s3
    spec = SPEC.model_copy(update={"origin": f"s3://{s3.bucket}/films"})
    return Location(aws, spec, local_environment(tmp_path / "data"))


def test_what_a_tick_asks_for_is_exported_brought_and_loaded_and_its_chain_covers_it(location: Location) -> None:
    aws = location.aws
    assert location.ask() == "films.Films: the full export as of 2026-01-03T00:00:00Z was asked for"
    assert location.ask() == "no export is due"
    said, events = location.look()
    assert said.startswith(
        "films.Films: the full export as of 2026-01-03T00:00:00Z, asked for at 2026-01-03T03:00:00Z, "
    )
    assert said.endswith(" ago: AWS is at it")
    assert events == []
    assert location.runs() == 0
    aws.now += DAY
    said, (observation,) = location.look()
    assert said.endswith(" ago: COMPLETED")
    assert observation.asset_key == dg.AssetKey(["raw", "films", "films"])
    location.ask()
    aws.now += HOUR
    location.look()
    assert location.look() == ("nothing that was asked for is in progress", [])
    assert location.runs() == 1
    assert location.runs() == 0
    metadata, check = location.loaded()
    assert check.passed
    assert (metadata["exports"], metadata["incremental_exports"]) == (1, 1)
    assert metadata["known_until"] == (EPOCH + 3 * DAY).timestamp()
    window, full = [record.data for record in metadata["requested_exports"].records]
    assert full["export"] == "the full export as of 2026-01-03T00:00:00Z"
    assert window["export"] == "the incremental export from 2026-01-03T00:00:00Z to 2026-01-04T00:00:00Z"
    for record, export in zip((full, window), aws.exports, strict=True):
        assert (record["status"], record["attempts"]) == ("COMPLETED", 1)
        assert record["at_aws"].endswith(export.id)


def test_a_failure_for_good_is_shown_at_the_table_once_and_by_each_look(location: Location) -> None:
    aws = location.aws
    aws.failures = [("S3NoSuchBucket", "The specified bucket does not exist")] * 3
    for turn in range(3):
        location.ask()
        aws.now += HOUR
        said, events = location.look()
        assert "FAILED (S3NoSuchBucket: The specified bucket does not exist)" in said
        assert len(events) == (2 if turn == 2 else 1)
    observation, evaluation = events
    (record,) = (each.data for each in observation.metadata["requested_exports"].records)
    assert (record["status"], record["attempts"]) == ("FAILED", 3)
    assert record["why"] == "S3NoSuchBucket: The specified bucket does not exist"
    assert (evaluation.check_name, evaluation.passed) == (USABLE, False)
    for look in (location.ask, location.look):
        # Of a schedule Dagster shows the cause of its own error.
        with pytest.raises(Exception, match=r"AWS failed 3 times|evaluation of schedule") as refusal:
            look()
        cause = refusal.value.__cause__ or refusal.value
        assert isinstance(cause, RequestRefused)
        assert str(cause).startswith("Films: AWS failed 3 times at the full export")
    metadata, check = location.loaded()
    assert "Films: AWS failed 3 times at the full export" in str(check.description)
    assert "Films: AWS failed 3 times at the full export" in metadata["not_asked_for"]


def test_a_record_that_cannot_be_read_is_told_and_stops_no_loading(location: Location) -> None:
    location.ask()
    location.aws.now += HOUR
    location.look()
    (record,) = Path(location.environment.exports).rglob("Films.json")
    record.write_text("{")
    metadata, check = location.loaded()
    assert metadata["dagster/row_count"] == 3
    assert f"{record}: the record of what was asked for cannot be read." in str(check.description)


def test_one_snapshot_is_shown_at_all_tables_of_its_cluster(aws: Aws, tmp_path: Path) -> None:
    aws.snapshots = [snapshot("shop", EPOCH + 2 * DAY)]
    environment = local_environment(tmp_path)
    (schedule,), (sensor,) = (
        request_schedules({"shop": SHOP_SPEC}, environment),
        requested_sensors({"shop": SHOP_SPEC}, environment),
    )
    with dg.DagsterInstance.ephemeral() as instance:
        schedule.evaluate_tick(dg.build_schedule_context(instance, scheduled_execution_time=aws.now))
        aws.now += HOUR
        ticked = sensor.evaluate_tick(dg.build_sensor_context(instance))
    assert {event.asset_key.path[-1] for event in ticked.asset_events} == {"customers", "orders"}


def test_where_nobody_asks_there_is_neither_schedule_nor_sensor_and_where_somebody_does_they_are_told(
    tmp_path: Path,
) -> None:
    environment = local_environment(tmp_path)
    others = {"films": FILMS, "shop": SHOP}
    assert request_schedules(others, environment) == requested_sensors(others, environment) == []
    assert "request" not in schedules_here({}, others, environment)
    assert ", request_exports, requested_exports; " in schedules_here({}, {"films": SPEC}, environment)
