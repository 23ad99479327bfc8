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

EARLIER = "19980201T000000"


@pytest.fixture(scope="module")
def late(world: World, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The small world without ratings and films, and with one of the two exports of viewers; nothing is published.

    What was built of the whole one is kept, so that dbt need not build again what is the same.
    """
    whole = world.environment
    environment = replace(whole, data=tmp_path_factory.mktemp("late"))
    for place in ("raw", "marts", "artifacts"):
        shutil.copytree(whole.data / place, environment.data / place)
    (environment.data / "marts" / "current.json").unlink()
    for absent in ("ratings", "films", f"viewers/{EARLIER}"):
        shutil.rmtree(environment.raw / "movies" / absent)
    return environment


@pytest.fixture(scope="module")
def refreshed(late: Environment) -> dg.ExecuteInProcessResult:
    return dg.materialize([transform_assets(late, SOURCES)], raise_on_error=False)


def test_marts_without_exports_fail_with_a_sentence_and_all_others_are_published(
    world: World, late: Environment, refreshed: dg.ExecuteInProcessResult
) -> None:
    (sentence,) = failures_of(refreshed).values()
    held_up = {"stg_movies__films", "stg_movies__ratings", "films", "ratings"}
    told = dict(line.split(" was not built: ") for line in sentence.splitlines())
    assert held_up <= set(told)
    assert "raw table movies.films: no export in" in told["films"]
    assert "materialise raw/movies/ratings first" in told["stg_movies__ratings"]
    published = transform_of(late).marts.read()
    assert set(published) == {"customers", "orders", "viewers"}
    assert published["orders"].content_hash == world.transform.marts.require("orders").content_hash
    assert {f"marts/{name}" for name in published} <= set(materialized(refreshed))


def test_marts_name_the_exports_that_they_stand_on(late: Environment, refreshed: dg.ExecuteInProcessResult) -> None:
    told = materialized(refreshed)
    at = f"{SHOP_EXPORTED_AT:%Y%m%dT%H%M%S}"
    assert f"shop.orders: {at}, exported 1998-07-01 00:00 UTC" in told["marts/orders"]["stands_on"]
    assert "movies.viewers" in told["marts/viewers"]["stands_on"]
    tables = transform_of(late).marts.read()
    standing = Standing(late.marts).all(tables.values())
    assert [(one.table, one.export_id) for one in standing["viewers"]] == [
        ("viewers", f"{MOVIES_EXPORTED_AT:%Y%m%dT%H%M%S}")
    ]
    found = {diagnosis.what: diagnosis.found for diagnosis in diagnose(late)}
    assert f"movies.viewers: {MOVIES_EXPORTED_AT:%Y%m%dT%H%M%S}" in found["mart viewers"]


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


@pytest.mark.usefixtures("refreshed", "no_dbt")
def test_an_export_that_came_late_gives_the_history_that_it_would_have_given(world: World, late: Environment) -> None:
    transform = transform_of(late)
    at_once = world.transform.marts.require("viewers")
    assert transform.marts.require("viewers").content_hash != at_once.content_hash
    place = Path("movies") / "viewers" / EARLIER
    shutil.copytree(world.environment.raw / place, late.raw / place)
    # The same recipe as at once, so what was built then is what is published now.
    assert build(transform, ["viewers"])["viewers"].hit
    assert transform.marts.require("viewers") == at_once


def test_a_model_that_waits_is_refused_when_it_is_built_by_itself(late: Environment) -> None:
    transform = transform_of(late)
    assert set(waiting(transform, ["orders", "ratings", "stg_exports"])) == {"ratings"}
    with pytest.raises(RawTableEmpty, match=r"raw table movies\.\w+: no export"):
        build(transform, ["orders", "ratings"])


def test_where_nothing_is_loaded_the_record_of_exports_waits_too(world: World, tmp_path: Path) -> None:
    transform = transform_of(replace(world.environment, data=tmp_path))
    assert set(waiting(transform, transform.graph.models)) == set(transform.graph.models)
