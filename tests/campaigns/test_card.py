"""Every promoted model has a card, made of its own figures, where people look for it."""

import json
from dataclasses import replace
from pathlib import Path

from platform_assets.campaigns.promotion.card import Judged, build_card, card_of
from platform_assets.campaigns.training.ensemble_artifact import evaluation_of
from tests.campaigns.conftest import AGAIN
from tests.campaigns.running import environment_of, failures_of, materialized, run_training
from tests.campaigns.worlds import PAST, Trained, Workshop, campaign
from tests.data.features.conftest import GROUPS


def test_a_promoted_models_card_is_published_and_linked(own_shop: Workshop) -> None:
    result = run_training(own_shop, "carded", campaign(), score_at=PAST.isoformat())
    assert result.success, failures_of(result)
    told = materialized(result)["carded/promoted_model"]
    page = Path(str(told["model_card"]))
    assert page.name == f"{PAST}.html"
    assert told["open"] == f"http://127.0.0.1:3001/reports/carded/model_cards/{PAST}.html"
    assert campaign().description in page.read_text()
    card = json.loads(page.with_suffix(".json").read_text())
    assert card["score_at"] == PAST.isoformat()
    assert all(limit in str(told["limits"]) for limit in card["limits"])
    decided = json.loads((page.parents[1] / "decision.json").read_text())
    assert decided == {what: told[what] for what in ("outcome", "reason", "score_at")}


def test_a_card_says_what_the_model_was_made_from(shared_shop: Workshop, trained: Trained) -> None:
    card = card_of("again", AGAIN, Judged(trained.training, trained.ensemble, trained.decision), GROUPS, "0" * 40)
    evaluation = evaluation_of(trained.ensemble)
    weights = {name: weight for name, weight in evaluation["ensemble"]["weights"].items() if weight > 0}
    assert {member.name: member.weight for member in card.members} == weights
    assert {feature.name for feature in card.features} == set(trained.training.metadata["features"])
    assert all(set(feature.selected_by) == set(weights) for feature in card.features)
    assert card.overall.figures["auc"].value == trained.ensemble.metadata["auc"]
    assert card.overall.figures["auc"].low < card.overall.figures["auc"].value < card.overall.figures["auc"].high
    assert [dated.when for dated in card.by_date] == list(card.as_of)
    assert card.watermark == "1998-07-01T00:00:00+00:00"
    assert card.lineage["Training set"] == trained.training.ref.content_hash
    assert card.lineage["Commit"] == "0" * 40
    assert {member.device for member in card.members} == {"cpu"}


def test_an_unchanged_model_keeps_its_card(own_shop: Workshop, trained: Trained) -> None:
    given = (
        "again",
        AGAIN,
        Judged(trained.training, trained.ensemble, trained.decision),
        GROUPS,
        environment_of(own_shop),
    )
    build_card(*given)
    assert build_card(*given).hit


def test_a_card_is_written_again_when_a_features_words_change(own_shop: Workshop, trained: Trained) -> None:
    judged = Judged(trained.training, trained.ensemble, trained.decision)
    windows = GROUPS["customer"]["order_windows"]
    others = {
        **windows.features,
        "orders_7d": replace(windows.features["orders_7d"], description="purchases of a week"),
    }
    said = {"customer": {**GROUPS["customer"], "order_windows": replace(windows, features=others)}}
    build_card("again", AGAIN, judged, GROUPS, environment_of(own_shop))
    card = build_card("again", AGAIN, judged, said, environment_of(own_shop))
    assert "purchases of a week" in Path(card.path("model_card.html")).read_text()
