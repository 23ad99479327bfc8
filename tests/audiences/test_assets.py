"""The face of audiences: one pass for all campaigns of an entity, files where people look, refusals in sentences."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from tests.audiences.conftest import Made, assets_of, with_failed_features
from tests.campaigns.conftest import AGAIN, copy_of
from tests.campaigns.running import failures_of, materialized, run, run_training
from tests.campaigns.worlds import PAST, Campaigns, Workshop, campaign, customers_orders
from tests.data.features.conftest import CATALOG, publish

ALONE = {"again": AGAIN}
CAMPAIGNS = {**ALONE, "untrained": campaign(description="Nobody ever trained this one")}


def run_scoring(
    workshop: Workshop, campaigns: Campaigns = ALONE, selection: Sequence[str] = ("*",), day: str = "1998-05-01"
) -> dg.ExecuteInProcessResult:
    return run(workshop, assets_of(workshop.folder, campaigns), selection, partition=day)


def failure(result: dg.ExecuteInProcessResult) -> str:
    assert not result.success
    [said] = failures_of(result)
    assert not said.startswith("UNTOLD")
    return said


@pytest.fixture(scope="module")
def shared_run(
    shared_shop: Workshop, latest: Made, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workshop, dg.ExecuteInProcessResult]:
    """A copy of the shop after one run of scores, audience and report, and the run; read only."""
    workshop = copy_of(shared_shop, tmp_path_factory.mktemp("ran"))
    return workshop, run_scoring(workshop)


@pytest.fixture
def ran(shared_run: tuple[Workshop, dg.ExecuteInProcessResult], tmp_path: Path) -> Workshop:
    """The same, to change."""
    return copy_of(shared_run[0], tmp_path)


def test_one_run_ends_with_the_files_people_look_for(shared_run: tuple[Workshop, dg.ExecuteInProcessResult]) -> None:
    workshop, result = shared_run
    assert result.success
    told = materialized(result)
    folder = workshop.folder / "audiences" / "again" / PAST.isoformat()
    written = {path.name for path in folder.iterdir()}
    assert written == {"audience.csv", "audience.parquet", "figures.json", "lift.svg", "report.html"}
    assert told["again/audience"]["csv"] == str(folder / "audience.csv")
    assert told["again/report"]["report"] == str(folder / "report.html")
    served = "http://127.0.0.1:3001/reports/again/1998-05-01"
    assert told["again/report"]["open"] == f"{served}/report.html"
    assert told["again/report"]["lift"] == f"![Lift by tenth of people]({served}/lift.svg)"
    assert told["again/report"]["headline"].startswith("40 of 400 people. In the top tenth ")
    assert "| AUC |" in told["again/report"]["held_out"]
    assert told["again/audience"]["selected"] == 40
    assert told["again/scores"]["people"] == 400


def test_a_rerun_finds_everything_and_says_so(ran: Workshop) -> None:
    for metadata in materialized(run_scoring(ran)).values():
        assert (metadata["cache"], metadata["cache_reason"]) == ("hit", "same code, settings and inputs")


@pytest.mark.slow
def test_all_campaigns_of_an_entity_are_one_step_and_one_alone_can_be_asked_for(own_shop: Workshop) -> None:
    narrow = campaign(features=["order_value"], advanced={"models": {"logistic": {}}})
    own_shop.train("narrow", narrow, PAST)
    both = {"again": AGAIN, "narrow": narrow}
    result = run_scoring(own_shop, both, ['key:"again/scores"', 'key:"narrow/scores"'])
    assert {event.step_key for event in result.all_events if event.is_step_success} == {"scores_customer"}
    assert set(materialized(result)) == {"again/scores", "narrow/scores"}
    assert set(materialized(run_scoring(own_shop, both, ['key:"narrow/scores"']))) == {"narrow/scores"}


@pytest.mark.slow
def test_a_campaign_never_trained_does_not_starve_the_others(own_shop: Workshop) -> None:
    result = run_scoring(own_shop, CAMPAIGNS)
    assert result.success
    assert set(materialized(result)) == {"again/scores", "again/audience", "again/report"}


def test_a_campaign_never_trained_asked_for_alone_is_refused_in_a_sentence(own_shop: Workshop) -> None:
    said = failure(run_scoring(own_shop, CAMPAIGNS, ['key:"untrained/scores"']))
    told = "untrained cannot be scored as of 1998-05-01: it has no promoted model; materialise untrained/promoted_model"
    assert said.startswith(told)


@pytest.mark.slow
def test_an_audience_started_alone_after_the_model_was_replaced_is_refused(ran: Workshop) -> None:
    ran.train("again", campaign(advanced={"models": {"logistic": {}}}), PAST)
    said = failure(run_scoring(ran, selection=['key:"again/audience"']))
    assert "again/scores as of 1998-05-01 come from another model than is promoted now" in said
    assert "again/audience as of 1998-05-01 come" in failure(run_scoring(ran, selection=['key:"again/report"']))
    assert run_scoring(ran).success


def test_an_audience_started_before_its_scores_says_what_is_missing(own_shop: Workshop) -> None:
    said = failure(run_scoring(own_shop, selection=['key:"again/audience"']))
    assert "has not been materialised yet; materialise it first" in said


def test_a_date_after_the_watermark_is_refused_in_a_sentence(own_shop: Workshop) -> None:
    assert "cover everything before 1998-07-01" in failure(run_scoring(own_shop, day="1998-07-02"))


def test_after_a_failed_feature_audit_scores_started_alone_are_refused(ran: Workshop) -> None:
    broken, features = with_failed_features(ran)
    assert "order_windows: audit failed" in failure(features)
    said = failure(run_scoring(broken, selection=['key:"again/scores"']))
    assert "features/customer/order_windows at 1998-05-01 must not be read: its audit failed" in said


@pytest.mark.slow
def test_a_run_from_training_to_report_needs_nothing_but_the_marts(
    own_shop: Workshop, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("fresh")
    fresh = replace(own_shop, folder=folder, warehouse=publish(folder, CATALOG, {"orders": customers_orders()}))
    spec = campaign(features=["order_value"], advanced={"models": {"logistic": {}}})
    assert run_training(fresh, "again", spec, score_at=PAST.isoformat()).success
    assert run_scoring(fresh, {"again": spec}).success
