"""Which as-of dates Dagster offers, and that none is lost to whoever loaded definitions before an export came."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from platform_assets.components.as_of_dates import as_of_dates
from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.catalog.pointer import POINTER, MartStore, PublishedTable
from platform_assets.definitions import build_definitions
from platform_assets.environment import Environment
from platform_assets.operations.asking.phases import Terminal
from tests.support.declared import GOOD, with_campaigns

BEFORE, LATER = datetime(1998, 4, 23, tzinfo=UTC), datetime(1998, 7, 1, tzinfo=UTC)
ARCHIVE = {"ratings": BEFORE, "orders": LATER, "viewers": BEFORE, "customers": LATER}


def publish(environment: Environment, watermarks: Mapping[str, datetime]) -> None:
    """Say of marts that they are published, with exports that cover everything before an instant."""
    MartStore(environment.marts).publish(
        PublishedTable(name, "1", name, 0, watermark, None, None, {}, "0") for name, watermark in watermarks.items()
    )


def dates(environment: Environment) -> dg.DailyPartitionsDefinition:
    return as_of_dates(environment, Catalog.from_manifest(environment.dbt_manifest))


def end_of(environment: Environment) -> date:
    last = dates(environment).get_last_partition_key()
    assert last is not None
    return date.fromisoformat(last)


def ends_today(environment: Environment) -> bool:
    return end_of(environment) >= datetime.now(UTC).date() - timedelta(days=1)


def test_the_dates_of_an_archive_end_where_the_exports_of_an_entity_reach_last(environment: Environment) -> None:
    publish(environment, ARCHIVE)
    graph = build_definitions(environment).resolve_asset_graph()
    for asset in ("features/viewer/taste", "repeat_buyers/scores", "repeat_buyers/report"):
        offered = graph.get(dg.AssetKey(asset.split("/"))).partitions_def
        assert offered is not None
        assert offered.get_last_partition_key() == "1998-07-01"
    assert dates(environment).has_partition_key("1997-01-01")


def test_the_last_date_is_one_whose_beginning_the_exports_cover(environment: Environment) -> None:
    publish(environment, {**ARCHIVE, "orders": datetime(1998, 6, 30, 23, tzinfo=UTC)})
    assert end_of(environment) == date(1998, 6, 30)


def test_while_exports_come_in_the_dates_end_today(environment: Environment) -> None:
    publish(environment, {**ARCHIVE, "ratings": datetime.now(UTC) - timedelta(days=3)})
    assert ends_today(environment)


def test_before_all_entities_have_exports_the_dates_end_today(environment: Environment) -> None:
    assert ends_today(environment)
    publish(environment, {"orders": LATER, "customers": LATER})
    assert ends_today(environment)


def damage(pointer: Path) -> None:
    pointer.write_text("{")


def outdate(pointer: Path) -> None:
    pointer.write_text('{"format": 99}')


def replace_by_a_folder(pointer: Path) -> None:
    pointer.unlink()
    pointer.mkdir()


@pytest.mark.parametrize("harm", [damage, outdate, replace_by_a_folder])
def test_marts_that_cannot_be_looked_up_keep_no_definitions_from_loading(environment: Environment, harm: Any) -> None:
    publish(environment, ARCHIVE)
    harm(Path(environment.marts) / POINTER)
    assert ends_today(environment)


def test_dates_stay_the_same_definition_wherever_they_end(environment: Environment) -> None:
    before = dates(environment)
    publish(environment, ARCHIVE)
    after = dates(environment)
    assert before.equal_except_for_start_or_end(after)
    assert str(before) == str(after)


def test_definitions_that_do_not_know_the_date_yet_say_so_and_score_once_they_are_loaded_again(
    environment: Environment,
) -> None:
    given = with_campaigns(environment, {"again": GOOD})
    publish(given, ARCHIVE)

    def tick(loaded: dg.RepositoryDefinition) -> Any:
        with (
            dg.DagsterInstance.ephemeral() as instance,
            dg.build_schedule_context(instance, repository_def=loaded) as context,
        ):
            return loaded.get_schedule_def("score_customer_daily").evaluate_tick(context)

    earlier = build_definitions(given).get_repository_def()
    assert [request.partition_key for request in tick(earlier).run_requests] == ["1998-07-01"]
    publish(given, {**ARCHIVE, "orders": LATER + timedelta(days=31), "customers": LATER + timedelta(days=31)})
    skipped = tick(earlier)
    assert not skipped.run_requests
    assert "1998-08-01 is later than 1998-07-01, the last date" in skipped.skip_message
    assert "reload the code location" in skipped.skip_message
    again = tick(build_definitions(given).get_repository_def())
    assert [request.partition_key for request in again.run_requests] == ["1998-08-01"]


def test_a_question_asked_from_a_terminal_is_answered_for_a_date_that_its_own_refresh_brought() -> None:
    last = ["2020-01-01"]
    ran = []

    def load() -> dg.Definitions:
        @dg.asset
        def refreshed() -> None:
            last[0] = "2020-02-01"

        @dg.asset(partitions_def=dg.DailyPartitionsDefinition("2019-12-01", end_date=last[0]))
        def answer(context: dg.AssetExecutionContext) -> None:
            ran.append(context.partition_key)

        jobs = [dg.define_asset_job(asset.key.path[-1], [asset]) for asset in (refreshed, answer)]
        return dg.Definitions(assets=[refreshed, answer], jobs=jobs)

    with dg.DagsterInstance.ephemeral() as instance:
        terminal = Terminal(load, lambda: instance, print)
        terminal.run("refreshed", [dg.AssetKey("refreshed")])
        terminal.run("answer", [dg.AssetKey("answer")], partition_key="2020-01-15")
    assert ran == ["2020-01-15"]
