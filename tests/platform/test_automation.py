"""What sets a run off, and what it then selects."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from platform_assets.components.loading import read_declarations, read_source_files
from platform_assets.components.platform import platform_of
from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.catalog.pointer import MartStore
from platform_assets.definitions import build_definitions
from platform_assets.environment import Environment, environment_from_variables
from platform_assets.operations.automation.off import off_here
from platform_assets.operations.automation.sensors import new_exports_sensor
from platform_assets.operations.diagnosis import diagnose
from tests.data.engines.writing import publish_from
from tests.data.exports.breaking import LATER, edit_json, export_info, truncate, write_films, write_shop
from tests.support.bucket_of_folder import bucket_of
from tests.support.declared import FETCHED, GOOD, with_campaigns, write_declaration

WATERMARK = datetime(1998, 7, 1, 3, tzinfo=UTC)
COLUMNS = {
    "customers": "customer_id bigint, created_at timestamptz",
    "orders": "order_id bigint, customer_id bigint, ordered_at timestamptz, quantity bigint, amount double",
    "viewers": "viewer_version_id varchar, viewer_id bigint, valid_from timestamptz, valid_to timestamptz",
    "ratings": "rating_id varchar, viewer_id bigint, film_id bigint, rated_at timestamptz, rating bigint",
}


class Looks:
    """The sensor, looked at again and again with the cursor of the last look."""

    def __init__(self, environment: Environment, cursor: str | None = None) -> None:
        declared = {file.name: file.spec for file in read_source_files(environment.sources) if file.spec}
        self.sensor = new_exports_sensor(declared, environment)
        self.cursor = cursor

    def look(self) -> list[dg.RunRequest]:
        with dg.build_sensor_context(cursor=self.cursor) as context:
            tick = self.sensor.evaluate_tick(context)
        if tick.cursor is not None:
            self.cursor = tick.cursor
        assert bool(tick.run_requests) != bool(tick.skip_message)
        return list(tick.run_requests or [])


def test_without_any_export_no_run_is_started(environment: Environment) -> None:
    assert Looks(environment).look() == []
    (Path(environment.exports) / "shop").mkdir(parents=True)
    assert Looks(environment).look() == []


def test_a_finished_export_starts_one_run_and_the_same_content_no_second(environment: Environment) -> None:
    looks = Looks(environment)
    export = write_shop(environment.exports)
    (request,) = looks.look()
    assert request.tags["new_exports"] == "shop"
    assert looks.look() == []
    export_info(export).write_bytes(export_info(export).read_bytes())
    assert looks.look() == []


def test_every_further_export_starts_a_run_of_its_own(environment: Environment) -> None:
    looks = Looks(environment)
    write_shop(environment.exports)
    (first,) = looks.look()
    write_shop(environment.exports, LATER)
    (second,) = looks.look()
    assert first.run_key != second.run_key


def test_an_export_in_progress_starts_nothing_until_it_is_finished(environment: Environment) -> None:
    looks = Looks(environment)
    export = write_shop(environment.exports)
    edit_json(export_info(export), lambda info: info.update(status="IN_PROGRESS"))
    assert looks.look() == []
    edit_json(export_info(export), lambda info: info.update(status="COMPLETE"))
    assert len(looks.look()) == 1


def test_an_unusable_export_starts_a_run_so_that_its_failure_shows_and_its_repair_another(
    environment: Environment,
) -> None:
    looks = Looks(environment)
    export = write_shop(environment.exports)
    given = export_info(export).read_text(encoding="utf-8")
    truncate(export_info(export))
    assert len(looks.look()) == 1
    assert looks.look() == []
    export_info(export).write_text(given, encoding="utf-8")
    assert len(looks.look()) == 1


def test_exports_that_are_tidied_away_start_nothing(environment: Environment) -> None:
    looks = Looks(environment)
    export = write_shop(environment.exports)
    assert len(looks.look()) == 1
    export.rename(environment.data / "elsewhere")
    assert looks.look() == []


def test_a_daemon_that_begins_again_looks_at_the_same_exports_by_their_listing_alone(
    environment: Environment, tmp_path: Path
) -> None:
    sources = environment.data / "sources"
    for name, text in SOURCES.items():
        write_declaration(sources, name, text)
    with bucket_of(tmp_path / "bucket") as server:
        in_bucket = replace(environment, sources=sources, exports="gs://lake/exports")
        exports = tmp_path / "bucket" / "exports"
        write_shop(exports)
        write_films(exports)
        first = Looks(in_bucket)
        (request,) = first.look()
        server.asked.clear()
        again = Looks(in_bucket, first.cursor)
        assert again.look() == []
        assert sorted(server.asked) == [("list", "exports/films/AWSDynamoDB/"), ("list", "exports/shop/")]
        # A cursor from before listings were remembered, and one that such code reads.
        assert Looks(in_bucket, request.run_key).look() == []
        assert request.run_key is not None
        assert json.loads(request.run_key).items() <= json.loads(again.cursor or "").items()
        info = export_info(write_shop(exports, LATER))
        edit_json(info, lambda document: document.update(status="IN_PROGRESS"))
        assert again.look() == []
        edit_json(info, lambda document: document.update(status="COMPLETE"))
        (request,) = again.look()
        assert request.tags["new_exports"] == "shop"


def test_one_look_at_two_sources_with_news_starts_one_run(environment: Environment) -> None:
    sources = environment.data / "sources"
    for name, text in SOURCES.items():
        write_declaration(sources, name, text)
    given = replace(environment, sources=sources)
    write_shop(given.exports)
    write_films(given.exports)
    (request,) = Looks(given).look()
    assert request.tags["new_exports"] == "films, shop"


SOURCES = {
    "shop": """\
type: platform_assets.components.ExportSource
attributes:
  description: A shop.
  owner: team:shop
  format: aurora_snapshot
  path: shop
  database: shop
  tables: [{name: orders, export_table: shop.orders, key: [order_id]}]
""",
    "films": """\
type: platform_assets.components.ExportSource
attributes:
  description: Films.
  owner: team:films
  format: dynamodb
  path: films
  tables: [{name: films, export_table: Films, key: [film_id]}]
""",
}


def publish_empty_marts(environment: Environment, watermarks: dict[str, datetime]) -> None:
    """Marts without rows, whose exports cover everything before the given instants."""
    catalog = Catalog.from_manifest(environment.dbt_manifest)
    database = environment.data / "built.duckdb"
    database.parent.mkdir(parents=True, exist_ok=True)
    database.unlink(missing_ok=True)
    with duckdb.connect(str(database)) as connection:
        connection.execute("create schema marts")
        for name in watermarks:
            connection.execute(f"create table marts.{name} ({COLUMNS[name]})")
    marts = [catalog.marts[name] for name in watermarks]
    publish_from(MartStore(environment.marts), database, marts, watermarks)


def tick(environment: Environment, name: str) -> Any:
    """What a schedule does when its time has come."""
    repository = build_definitions(environment).get_repository_def()
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_schedule_context(instance, repository_def=repository) as context,
    ):
        return repository.get_schedule_def(name).evaluate_tick(context)


def test_scoring_asks_for_the_latest_date_that_the_exports_cover_never_for_today(environment: Environment) -> None:
    publish_empty_marts(environment, {"customers": WATERMARK, "orders": WATERMARK})
    found = tick(environment, "score_customer_daily")
    (request,) = found.run_requests
    assert request.partition_key == "1998-07-01"
    assert tick(environment, "score_customer_daily").run_requests[0].run_key == request.run_key


def test_scoring_waits_for_the_slowest_source_that_its_campaigns_read(environment: Environment) -> None:
    text = GOOD.replace("entity: customer", "entity: viewer").replace("event: orders", "event: ratings")
    given = with_campaigns(environment, {"writers": text + "  population: occupation = 'writer'\n"})
    publish_empty_marts(given, {"viewers": WATERMARK.replace(day=1, month=6), "ratings": WATERMARK})
    (request,) = tick(given, "score_viewer_daily").run_requests
    assert request.partition_key == "1998-06-01"


@pytest.mark.parametrize("refused", [False, True])
def test_scoring_says_why_it_does_not_run(environment: Environment, refused: bool) -> None:
    if refused:
        publish_empty_marts(environment, {"customers": WATERMARK, "orders": WATERMARK})
        MartStore(environment.marts).refuse(["orders"], "its last build failed")
    found = tick(environment, "score_customer_daily")
    assert not found.run_requests
    assert "mart " in found.skip_message
    assert "materialise marts/" in found.skip_message


def test_a_training_schedule_runs_by_the_campaign_s_clock(environment: Environment) -> None:
    schedules = {
        "daily": "daily",
        "weekly": "weekly",
        "monthly": "monthly",
        "abroad": "{every: week, timezone: Asia/Tokyo}",
    }
    texts = {name: GOOD.replace("schedule: weekly", f"schedule: {text}") for name, text in schedules.items()}
    texts["by_hand"] = GOOD.replace("  schedule: weekly\n", "")
    given = with_campaigns(replace(environment, timezone="Europe/Berlin"), texts)
    repository = build_definitions(given).get_repository_def()
    found = {
        schedule.job_name: (schedule.cron_schedule, schedule.execution_timezone)
        for schedule in repository.schedule_defs
    }
    assert found == {
        "pretrain_customer": ("0 4 1 * *", "Europe/Berlin"),
        "pretrain_viewer": ("0 4 1 * *", "Europe/Berlin"),
        "train_daily": ("0 4 * * *", "Europe/Berlin"),
        "train_weekly": ("0 4 * * 1", "Europe/Berlin"),
        "train_monthly": ("0 4 1 * *", "Europe/Berlin"),
        "train_abroad": ("0 4 * * 1", "Asia/Tokyo"),
        "score_customer": ("0 6 * * *", "Europe/Berlin"),
    }
    assert {"train_daily_daily", "train_weekly_weekly", "train_monthly_monthly"} <= {
        schedule.name for schedule in repository.schedule_defs
    }


def test_a_campaign_s_job_ends_at_its_promoted_model_and_scoring_starts_from_features(environment: Environment) -> None:
    repository = build_definitions(environment).get_repository_def()

    def selected(job: str) -> set[str]:
        return {key.to_user_string() for key in repository.get_job(job).asset_layer.selected_asset_keys}

    trained = ("training_set", "models/lightgbm", "models/network", "ensemble", "promoted_model")
    assert selected("train_winback") == {f"winback/{step}" for step in trained}
    scored = selected("score_customer")
    results = {f"{name}/{step}" for name in ("repeat_buyers", "winback") for step in ("scores", "audience", "report")}
    assert results == {key for key in scored if not key.startswith("features/customer/")}
    assert len(scored) > len(results)
    assert {key.split("/")[0] for key in selected("refresh_marts")} == {"raw", "staging", "marts"}


def started_by_itself(environment: Environment) -> dict[str, bool]:
    """Schedule or sensor → whether it runs before anybody turned it on."""
    repository = build_definitions(environment).get_repository_def()
    schedules = {one.name: one.default_status.value == "RUNNING" for one in repository.schedule_defs}
    return schedules | {one.name: one.default_status.value == "RUNNING" for one in repository.sensor_defs}


@pytest.mark.parametrize(("stated", "runs"), [(None, False), (False, False), (True, True)])
def test_schedules_and_the_sensor_run_where_the_environment_says_so_and_are_told_where_not(
    environment: Environment, stated: bool | None, runs: bool
) -> None:
    weekly = with_campaigns(environment, {"weekly": GOOD, "never": GOOD.replace("  schedule: weekly\n", "")})
    given = replace(weekly, schedules=stated, sources=environment.data / "sources")
    write_declaration(given.sources, "billing", FETCHED)
    found = started_by_itself(given)
    assert {name for name, on in found.items() if on} == (
        {"train_weekly_weekly", "score_customer_daily", "new_exports", "fetch_billing"} if runs else set()
    )
    assert {"pretrain_customer_monthly", "train_weekly_weekly"} <= set(found)
    [told] = [one.found for one in diagnose(given) if one.what == "schedules"]
    assert told.startswith("on" if runs else "off unless turned on in Dagster's UI: train_weekly_weekly")
    declared = read_declarations(platform_of(given))
    off = off_here(declared.campaigns, declared.sources, given).partition(";")[0]
    assert off == ("" if runs else "off here unless turned on: weekly (week), billing (day)")


def test_in_google_cloud_schedules_run_unless_they_are_turned_off() -> None:
    cloud = {"PLATFORM_ENV": "gcp", "PLATFORM_PROJECT": "my-project"}
    assert environment_from_variables(cloud).starts_by_itself
    assert not environment_from_variables(cloud | {"PLATFORM_SCHEDULES": "0"}).starts_by_itself
    assert not environment_from_variables({}).starts_by_itself
    assert environment_from_variables({"PLATFORM_SCHEDULES": "1"}).starts_by_itself
