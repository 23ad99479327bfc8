"""The model card: a page that needs nothing beside itself, the same figures as JSON, and limits that follow from figures."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from platform_assets.campaigns.promotion.card_page import (
    CardFeature,
    CardFigures,
    CardMember,
    CardPast,
    ModelCard,
    render_model_card,
)
from platform_assets.learning.data_checks.ageing import ageing_columns
from platform_assets.learning.data_checks.leaks import Finding
from platform_assets.learning.figures import metrics
from platform_assets.learning.figures.intervals import differences_with_intervals, figures_with_intervals
from platform_assets.learning.figures.slices import slice_report
from tests.support.pages import Page

PEOPLE = 700
DATES = ("1998-01-01", "1998-04-01")


def example() -> ModelCard:
    """A card of simulated people on two dates: shops are promised too much, and the second date has twice the positives."""
    generator = np.random.default_rng(0)
    people, date = np.tile(np.arange(PEOPLE), 2), np.repeat([0, 1], PEOPLE)
    z = generator.normal(size=2 * PEOPLE) - 1.6 + 0.9 * date
    channel = np.where(generator.random(2 * PEOPLE) < 0.3, "shop", "web")
    y = (generator.random(2 * PEOPLE) < 1 / (1 + np.exp(-np.where(channel == "shop", z - 1.2, z)))).astype(int)
    p, rule = 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(-z - generator.normal(size=2 * PEOPLE)))
    X = pd.DataFrame({"recency": -z, "tenure": people % 90 + date * 90.0})

    def figures(when: str, part: str, rows: np.ndarray) -> CardFigures:
        found = figures_with_intervals(y[rows], p[rows], people[rows], resamples=100)
        return CardFigures(when, part, int(rows.sum()), int(y[rows].sum()), found)

    return ModelCard(
        campaign="repeat_buyers",
        owner="crm@example.com",
        question="Who will order again within 90 days?",
        entity="customer",
        decision="Promoted: the first model of this campaign, better than chance.",
        score_at="1998-07-01",
        as_of=DATES,
        horizon_days=90,
        watermark="1998-07-01T00:00:00+00:00",
        population="count(orders) >= 1",
        label="count(orders) >= 1",
        rows=2 * PEOPLE,
        positives=int(y.sum()),
        features=(
            CardFeature("recency", "order_value", "days since the last order", ("lightgbm", "network")),
            CardFeature("tenure", "order_value", "days since the first order", ("lightgbm",), ageing=True),
            CardFeature("noise", "order_value", "nothing", ()),
        ),
        members=(
            CardMember("lightgbm", "lightgbm", 0.7, {"num_leaves": 8, "learning_rate": 0.05}),
            CardMember("network", "network", 0.3, {"hidden_width": 32}),
        ),
        overall=figures("all dates", "out of fold", date >= 0),
        by_date=tuple(figures(when, "out of fold", date == number) for number, when in enumerate(DATES)),
        slices=slice_report(y, p, pd.DataFrame({"channel": channel, "vip": people < 5}), people),
        leaks=(),
        ageing=tuple(ageing_columns(X, np.asarray(DATES, dtype="datetime64[D]")[date], people, list(X.columns))),
        calibration_method="platt",
        calibration=tuple(metrics.calibration_table(y, p).drop(columns="ratio").to_dict("records")),  # type: ignore[arg-type]  # its columns' names are texts
        lineage={"Training set": "ab12" * 16, "Ensemble": "cd34" * 16, "Commit": "14d2a46"},
        past=(CardPast("first_orders", "1997-10-01", "score", "ef56" * 16),),
        rule="recency, lower first",
        over_rule=differences_with_intervals(y, p, rule, people, resamples=100)["auc"],
    )


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return example()


def test_the_page_loads_nothing_from_anywhere(card: ModelCard) -> None:
    text = render_model_card(card)
    page = Page(text)
    loading = {"src", "href", "xlink:href", "action", "data", "poster", "srcset"}
    assert not [name for _, attributes in page.tags for name in attributes if name in loading]
    assert not re.findall(r"url\(|@import", text)
    assert not {"script", "link", "iframe", "img", "object", "embed"} & {tag for tag, _ in page.tags}


def test_the_page_says_what_a_reader_needs(card: ModelCard) -> None:
    text = Page(render_model_card(card)).text
    auc = card.overall.figures["auc"]
    for part in (
        card.question, "repeat_buyers", "crm@example.com", "good from 1998-07-01", "1998-01-01, 1998-04-01", card.watermark,
        "count(orders) >= 1", "within 90 days after the as-of date", "num_leaves: 8", "Calibrated by platt", *card.lineage.values(),
        f"{auc.value:.3f} {auc.low:.3f} to {auc.high:.3f}", "channel shop", "channel web", "days since the first order",
        "grows with the calendar", "no member", "first_orders", "found nothing", "1 had too few rows to judge", *card.limits,
    ):  # fmt: skip
        assert part in text, part


def test_slices_that_are_surely_off_are_marked(card: ModelCard) -> None:
    assert card.slices.worst_calibrated is not None
    marked = [tag for tag, attributes in Page(render_model_card(card)).tags if attributes.get("class") == "worst"]
    worst = {id(each) for each in (card.slices.worst_ranked, card.slices.worst_calibrated) if each is not None}
    assert len(marked) == len(worst)


def test_json_holds_everything_and_equal_cards_give_equal_bytes(card: ModelCard) -> None:
    told = json.loads(json.dumps(card.to_json(), allow_nan=False))
    assert told["limits"] == card.limits
    assert told["overall"]["figures"]["auc"]["value"] == card.overall.figures["auc"].value
    assert told["slices"]["worst_calibrated"]["value"] == "shop"
    assert told["members"][0]["parameters"] == {"num_leaves": 8, "learning_rate": 0.05}
    assert render_model_card(card) == render_model_card(example())


def test_limits_follow_from_the_figures(card: ModelCard) -> None:
    told = " ".join(card.limits)
    for part in (
        "out of fold, on the dates it was trained on",
        "The share of positives moves between dates",
        "furthest off for people with channel shop",
        "times as many positives as came",
        "grow with the calendar (tenure)",
        "too few rows to judge: 1.",
        "earlier campaigns (first_orders)",
        "fitted on CPUs",
    ):
        assert part in told, part
    assert "positives only" not in told
    assert "not surely better" not in told
    assert card.over_rule is not None
    fewer = " ".join(replace(card, positives=120, over_rule=replace(card.over_rule, low=-0.01)).limits)
    assert "made from 120 positives only" in fewer
    assert "not surely better than ordering people by recency, lower first" in fewer


def test_dates_on_which_it_ranks_otherwise_are_told_when_that_is_no_chance(card: ModelCard) -> None:
    first, second = card.by_date
    assert "How well it ranks moves" not in " ".join(card.limits)
    auc = second.figures["auc"]
    higher = replace(auc, value=auc.value + 0.2, low=auc.low + 0.2, high=auc.high + 0.2)
    moved = replace(card, by_date=(first, replace(second, figures={**second.figures, "auc": higher})))
    told = f"from an AUC of {first.figures['auc'].value:.3f} (1998-01-01) to {higher.value:.3f} (1998-04-01)"
    assert told in " ".join(moved.limits)


def test_what_the_figures_do_not_say_is_no_limit(card: ModelCard) -> None:
    y = np.tile([0, 1], 2000)
    p = np.where(np.random.default_rng(0).random(4000) < 0.8, y, 1 - y) * 0.6 + 0.2
    good = figures_with_intervals(y, p, resamples=100)
    dated = tuple(CardFigures(when, "held out", 2000, 1000, good) for when in DATES)
    fine = replace(
        card,
        positives=2000,
        by_date=dated,
        slices=slice_report(y, p, pd.DataFrame({"half": np.arange(4000) // 2 % 2})),
        features=card.features[:1],
        members=(replace(card.members[1], device="cuda"),),
        past=(),
    )
    assert fine.limits == []


def test_a_date_with_one_class_and_what_was_not_fitted_are_shown(card: ModelCard) -> None:
    nothing = CardFigures("1998-07-01", "held out", 50, 0, figures_with_intervals(np.zeros(50), np.full(50, 0.1)))
    failed = replace(card, by_date=(*card.by_date, nothing), not_fitted={"transfer": "its body is missing."})
    text = Page(render_model_card(failed)).text
    assert "1998-07-01 held out 50 0 – " in text
    assert "transfer is no member, because it could not be fitted: its body is missing." in text
    json.dumps(failed.to_json(), allow_nan=False)


def test_texts_of_people_are_shown_not_run(card: ModelCard) -> None:
    wild = "<script>alert(1)</script> & \"quotes\" 'too'"
    finding = Finding("survivor filter", "warn", wild, wild)
    member = CardMember(wild, wild, 1.0, {wild: wild})
    feature = CardFeature(wild, wild, wild, (wild,))
    shown = replace(
        card,
        question=wild, owner=wild, population=wild, label=wild, rule=wild, leaks=(finding,), members=(member,), features=(feature,),
        not_fitted={wild: wild}, lineage={wild: wild},
    )  # fmt: skip
    text = render_model_card(shown)
    assert "<script" not in text
    assert wild in Page(text).text
