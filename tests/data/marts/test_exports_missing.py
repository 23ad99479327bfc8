"""Marts over raw tables of which some hold no export, or one that came late: what can be built is, the rest says why."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from platform_assets.data.catalog.standing import Standing
from platform_assets.data.marts.assets import transform_assets
from platform_assets.data.marts.build import RawTableEmpty, build, waiting
from platform_assets.environment import Environment
from platform_assets.operations.diagnosis import diagnose
from tests.data.marts.conftest import SOURCES, World, transform_of
from tests.data.marts.raw import MOVIES_EXPORTED_AT, SHOP_EXPORTED_AT
from tests.support.running import failures_of, materialized


@pytest.fixture(scope="module")
def late(world: World, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The small world before any export of movies came; nothing is published.

    What was built of the whole one is kept: dbt need not start for what has the same recipe.
    """
    whole = world.environment
    environment = replace(whole, data=tmp_path_factory.mktemp("late"))
    for place in ("raw", "marts", "artifacts"):
        shutil.copytree(whole.data / place, environment.data / place)
    (environment.data / "marts" / "current.json").unlink()
    shutil.rmtree(environment.raw / "movies")
    return environment


@pytest.fixture(scope="module")
def refreshed(late: Environment) -> dg.ExecuteInProcessResult:
    marts = dg.AssetSelection.groups("marts")
    return dg.materialize([transform_assets(late, SOURCES)], selection=marts, raise_on_error=False)


def test_marts_without_exports_fail_with_a_sentence_and_all_others_are_published(
    world: World, late: Environment, refreshed: dg.ExecuteInProcessResult
) -> None:
    (sentence,) = failures_of(refreshed).values()
    told = dict(line.split(" was not built: ") for line in sentence.splitlines())
    assert set(told) == {"films", "ratings", "viewers"}
    assert "raw table movies.films: no export in" in told["films"]
    assert "materialise raw/movies/viewers first" in told["viewers"]
    published = transform_of(late).marts.read()
    assert set(published) == {"customers", "orders"} == {name.split("/")[1] for name in materialized(refreshed)}
    assert published["orders"] == world.transform.marts.require("orders")


def test_marts_name_the_exports_that_they_stand_on(late: Environment, refreshed: dg.ExecuteInProcessResult) -> None:
    export = f"shop.orders: {SHOP_EXPORTED_AT:%Y%m%dT%H%M%S}, exported 1998-07-01 00:00 UTC"
    assert export in materialized(refreshed)["marts/orders"]["stands_on"]
    found = {diagnosis.what: diagnosis.found for diagnosis in diagnose(late)}
    assert export in found["mart orders"]


def test_what_a_mart_stood_on_is_not_told_of_another_version(
    late: Environment, refreshed: dg.ExecuteInProcessResult
) -> None:
    orders = transform_of(late).marts.require("orders")
    later = replace(orders, watermark=datetime(1999, 1, 1, tzinfo=UTC))
    assert Standing(late.marts).all([later]) == {"orders": ()}
    record = Path(str(late.marts)) / "stands_on.json"
    before = record.read_bytes()
    record.write_bytes(before[:20])
    assert Standing(late.marts).all([orders]) == {"orders": ()}
    record.write_bytes(before)


def test_a_model_that_waits_is_refused_when_it_is_built_by_itself(late: Environment) -> None:
    transform = transform_of(late)
    assert set(waiting(transform, ["orders", "ratings", "stg_exports"])) == {"ratings"}
    with pytest.raises(RawTableEmpty, match=r"raw table movies\.\w+: no export"):
        build(transform, ["orders", "ratings"])


@pytest.mark.usefixtures("refreshed", "no_dbt")
def test_exports_that_come_late_and_in_another_order_give_the_history_that_they_would_have_given(
    world: World, late: Environment
) -> None:
    transform, viewers = transform_of(late), Path("movies") / "viewers"
    for export in (f"{MOVIES_EXPORTED_AT:%Y%m%dT%H%M%S}", "19980201T000000"):
        shutil.copytree(world.environment.raw / viewers / export, late.raw / viewers / export)
    # The recipe is that of at once, so what was built then is what is published now.
    assert build(transform, ["viewers"])["viewers"].hit
    assert transform.marts.require("viewers") == world.transform.marts.require("viewers")
    standing = Standing(late.marts).all([transform.marts.require("viewers")])
    assert [one.export_id for one in standing["viewers"]] == [f"{MOVIES_EXPORTED_AT:%Y%m%dT%H%M%S}"]


def test_where_nothing_is_loaded_the_record_of_exports_waits_too(world: World, tmp_path: Path) -> None:
    transform = transform_of(replace(world.environment, data=tmp_path))
    assert set(waiting(transform, transform.graph.models)) == set(transform.graph.models)
