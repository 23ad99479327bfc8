"""Features that grow with the calendar are left to past dates: models see them where those come out no worse with them."""

import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from platform_assets.audiences.report.backtest import backtest
from platform_assets.audiences.report.files import FILE as REPORT
from platform_assets.campaigns.declaration.feature_choice import feature_names, may_be_left_out
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.promotion.card import Judged, card_of
from platform_assets.campaigns.registry.past import find_past
from platform_assets.campaigns.training.fold_artifacts import TrainingTask, fit_fold_of
from platform_assets.campaigns.training_sets.ageing import choice_of
from platform_assets.campaigns.training_sets.training_rows import TrainingRows, rows_hash
from platform_assets.campaigns.training_sets.training_set import FILE
from tests.audiences.conftest import make
from tests.campaigns.running import failures_of, materialized, run_training
from tests.campaigns.worlds import LAST_DAY, LATEST, Workshop, campaign, shop
from tests.data.features.conftest import GROUPS, order

AGEING = ("days_since_first_order",)
SCORED = LATEST - timedelta(days=60)
PEOPLE = 400


def asked(**selection: Any) -> CampaignSpec:
    """Who orders again within 60 days, told by what orders are worth and by how long ago the first was."""
    hidden = ["orders_per_month", "days_since_last_order", "ordering_span_days"]
    advanced = {"models": {"logistic": {}}, "feature_selection": {"drop": hidden, **selection}}
    return campaign(features=["order_value"], advanced=advanced)


def people_who_joined_in_four_months(pace: Callable[[float], float]) -> list[dict[str, Any]]:
    """Orders of people who joined within the 120 days before the first as-of date and order at a steady pace, in orders
    a day, by the share of those days that was over when they joined.
    """
    draw = random.Random(1)
    rows: list[dict[str, Any]] = []
    for person in range(1, PEOPLE + 1):
        share = draw.random()
        day = 95 + 119 * share
        while day < LAST_DAY:
            rows.append(order(len(rows) + 1, person, round(day, 4), draw.randint(1, 4), f"{draw.uniform(5, 90):.2f}"))
            day += draw.expovariate(pace(share))
    return rows


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A shop whose second half of joiners order a lot: an age stands for the month of joining, and only for now."""
    folder = tmp_path_factory.mktemp("growing")
    orders = people_who_joined_in_four_months(lambda share: 0.001 if share < 0.5 else 0.03)
    return Workshop(folder, shop(folder, PEOPLE, orders))


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A shop whose people order alike, whenever they joined."""
    folder = tmp_path_factory.mktemp("steady")
    return Workshop(folder, shop(folder, PEOPLE, people_who_joined_in_four_months(lambda share: 0.008)))


def test_where_they_hurt_models_do_not_see_them_and_promise_what_comes(growing: Workshop) -> None:
    came = {}
    for name, spec in {"auto": asked(), "kept": asked(drop_ageing=False)}.items():
        [replay] = backtest(name, spec, growing.work, [SCORED], timedelta(days=60))
        assert replay.figures is not None, replay.why_not
        came[name] = replay.figures
    assert came["kept"]["predicted_over_actual"] < 0.8
    assert 0.9 < came["auto"]["predicted_over_actual"] < 1.1
    assert came["auto"]["log_loss"] < came["kept"]["log_loss"]


def test_the_choice_is_kept_with_its_figures_and_shown_with_the_training_set_and_on_the_card(growing: Workshop) -> None:
    result = run_training(growing, "shown", asked(), score_at=SCORED.isoformat())
    assert result.success, failures_of(result)
    training = growing.training_set("shown", asked(), SCORED)
    choice = choice_of(training)
    assert choice is not None
    assert choice.left_out
    assert choice.columns == AGEING
    assert training.metadata["left_out"] == list(AGEING)
    assert training.metadata["features"] == ["mean_order_amount", "largest_order_amount"]
    assert materialized(result)["shown/training_set"]["ageing_choice"] == choice.sentence
    [promotion] = growing.promoted.all("shown")
    card = card_of(
        "shown",
        asked(),
        Judged(training, *map(growing.store.open, (promotion.ensemble, promotion.decision))),
        GROUPS,
        None,
    )
    assert card.ageing_choice == choice.sentence
    assert card.ageing_replays == choice.replays
    assert not set(AGEING) & {feature.name for feature in card.features}
    page = Path(str(materialized(result)["shown/promoted_model"]["model_card"])).read_text()
    assert "past dates came out better without them" in page
    [replay] = choice.replays
    assert f"{replay.without.log_loss:.4f}" in page
    report = make(growing, asked(), SCORED, "shown").report
    assert choice.sentence in Path(report.path(REPORT)).read_text()


def test_labels_of_a_campaign_that_left_them_out_still_teach_one_that_may_see_them(growing: Workshop) -> None:
    growing.train("earlier", asked(), SCORED)
    assert growing.training_set("earlier", asked(), SCORED).metadata["left_out"]
    later = growing.question("later", asked(), LATEST)
    past = find_past(later, feature_names(asked(), GROUPS), SCORED - timedelta(days=60), growing.work)
    assert "earlier" in {task.campaign for task in past.tasks}


def test_a_champion_that_saw_them_is_compared_with_a_challenger_that_does_not(growing: Workshop) -> None:
    growing.train("gated", asked(drop_ageing=False), SCORED)
    challenger = growing.train("gated", asked(), LATEST)
    assert challenger.training.metadata["left_out"] == list(AGEING)
    assert "against the champion on rows since its scoring date" in challenger.decision.metadata["reason"]


def test_where_they_do_no_harm_models_see_them(steady: Workshop) -> None:
    training = steady.training_set("again", asked(), SCORED)
    choice = choice_of(training)
    assert choice is not None
    assert (choice.left_out, len(choice.replays)) == (False, 1)
    assert TrainingRows.of(training).features == tuple(training.metadata["features"])
    assert set(AGEING) <= set(training.metadata["features"])
    # Left to past dates, or kept because the file says so: the same rows, and so the same models.
    assert rows_hash(training) == rows_hash(steady.training_set("again", asked(drop_ageing=False), SCORED))


def test_past_dates_judge_what_was_found_and_what_feature_groups_declare() -> None:
    spec = campaign(features=["order_value", "order_windows"])
    names = feature_names(spec, GROUPS)
    judged = may_be_left_out(spec, names, ["orders_7d"], GROUPS)
    assert set(judged) == {"days_since_first_order", "ordering_span_days", "orders_7d"}
    assert list(judged) == [name for name in names if name in judged]


def test_what_the_file_states_is_done_untried(growing: Workshop) -> None:
    stated = {value: growing.training_set("again", asked(drop_ageing=value), SCORED) for value in (True, False)}
    assert [choice_of(training) for training in stated.values()] == [None, None]
    assert not set(AGEING) & set(stated[True].metadata["features"])
    assert set(AGEING) <= set(stated[False].metadata["features"])
    assert {training.metadata["ageing_choice"] for training in stated.values()} == {""}


@pytest.mark.parametrize("value", ["maybe", 2, None])
def test_anything_else_in_the_file_is_refused(value: object) -> None:
    with pytest.raises(ValidationError, match="Input should be 'auto', True or False"):
        asked(drop_ageing=value)


def test_too_few_past_dates_are_told_and_the_features_kept(growing: Workshop) -> None:
    spec = asked().model_copy(update={"train": campaign(train={"snapshots": 1}).train})
    training = growing.training_set("again", spec, SCORED)
    assert set(AGEING) <= set(training.metadata["features"])
    told = training.metadata["ageing_choice"]
    assert "are kept without a replay of past dates" in told
    assert "Train on more dates, or state `advanced.feature_selection.drop_ageing`." in told


def test_what_models_do_not_see_stays_in_the_rows_and_makes_their_fits_others(growing: Workshop) -> None:
    left, kept = (growing.training_set("again", spec, SCORED) for spec in (asked(), asked(drop_ageing=False)))
    rows = TrainingRows.of(left)
    assert set(AGEING) <= set(rows.frame.columns)
    assert pq.read_table(left.path(FILE)).equals(pq.read_table(kept.path(FILE)))
    assert rows_hash(left) != rows_hash(kept)
    first = fit_fold_of(TrainingTask("again", asked(), left, growing.store), "logistic", 0)
    other = fit_fold_of(TrainingTask("again", asked(drop_ageing=False), kept, growing.store), "logistic", 0)
    assert first.ref != other.ref
    assert growing.training_set("again", asked(), SCORED).hit
