"""The gate: nothing worthless is promoted, nothing good is replaced by worse, and the past keeps its own model."""

import json
import random
from datetime import date
from pathlib import Path

import pytest

from platform_assets.campaigns.promotion.gate import DECISION_FILE, NotPromoted
from platform_assets.campaigns.registry.bundles import load_bundle
from platform_assets.campaigns.registry.promoted import NothingPromoted
from platform_assets.foundation.artifacts import ArtifactCorrupt
from tests.campaigns.conftest import AGAIN, Trained
from tests.campaigns.worlds import LATEST, PAST, TREES, TREES_AND_NETWORK, Workshop, campaign, fans, labelled
from tests.data.features.conftest import GROUPS

# Orders of the last seven days only: better than chance here, far from enough.
OLDER = [name for name in GROUPS["customer"]["order_windows"].features if name != "orders_7d"]
WEAK = campaign(advanced={"feature_selection": {"drop": OLDER}})
BLIND = campaign(advanced={"models": {"lightgbm": {**TREES["lightgbm"], "min_data_in_leaf": 100_000}}})


def register(workshop: Workshop) -> str:
    return (workshop.folder / "artifacts" / "promoted" / "again.json").read_text()


def test_labels_that_mean_nothing_are_refused_and_nothing_is_promoted(own_cinema: Workshop) -> None:
    draw = random.Random(4)
    own_cinema.teach(labelled(240, lambda _: draw.randint(0, 1)))
    said = r"fans: nothing is promoted\. The challenger is no better than chance: out-of-fold AUC 0\.\d{3} "
    for _ in range(2):
        with pytest.raises(NotPromoted, match=said):
            own_cinema.train("fans", fans())
        assert own_cinema.promoted.all("fans") == []


def test_labels_that_mean_something_are_promoted(own_cinema: Workshop) -> None:
    own_cinema.teach(labelled(240, lambda n: n % 3 == 0))
    assert own_cinema.train("fans", fans(features=["genres"])).decision.metadata["outcome"] == "promoted"


def test_a_first_model_better_than_chance_is_promoted_from_its_date(shared_shop: Workshop, trained: Trained) -> None:
    assert trained.decision.metadata["outcome"] == "promoted"
    assert "first model of this campaign" in trained.decision.metadata["reason"]
    [promotion] = shared_shop.promoted.all("again")
    assert promotion.score_at == PAST.isoformat()
    assert (promotion.ensemble, promotion.training_set) == (trained.ensemble.ref, trained.training.ref)
    decided = json.loads(Path(trained.decision.path(DECISION_FILE)).read_text())
    assert decided["outcome"] == "promoted"
    assert decided["figures"]["challenger_auc"] == trained.ensemble.metadata["auc"]


def test_a_worse_challenger_keeps_the_champion(own_shop: Workshop) -> None:
    before = register(own_shop)
    decision = own_shop.train("again", WEAK, PAST).decision
    assert decision.metadata["outcome"] == "kept"
    assert decision.metadata["reason"].startswith("The challenger is worse: AUC -0.")
    assert "rows both were trained on, out of fold" in decision.metadata["reason"]
    assert decision.metadata["auc_over_champion_high"] < 0
    assert register(own_shop) == before


def test_a_challenger_no_better_than_chance_keeps_the_champion(own_shop: Workshop) -> None:
    before = register(own_shop)
    decision = own_shop.train("again", BLIND, PAST).decision
    assert decision.metadata["outcome"] == "kept"
    assert "no better than chance" in decision.metadata["reason"]
    assert register(own_shop) == before


def test_the_champion_asked_again_gets_its_decision_and_no_second_entry(own_shop: Workshop, trained: Trained) -> None:
    before = register(own_shop)
    again = own_shop.train("again", AGAIN, PAST)
    assert again.decision.ref == trained.decision.ref
    assert register(own_shop) == before


def test_a_damaged_champion_is_made_again_to_the_same_bytes_and_stays_the_champion(
    own_shop: Workshop, trained: Trained
) -> None:
    before, store = register(own_shop), own_shop.folder / "artifacts"
    ensemble, training = (store / "content" / one.ref.content_hash for one in (trained.ensemble, trained.training))
    for file in (ensemble / "bundle" / "bundle.json", training / "training_set.parquet"):
        content = file.read_bytes()
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    (store / "recipes" / f"{trained.decision.ref.fingerprint}.json").write_bytes(b"")
    [promotion] = own_shop.promoted.all("again")
    with pytest.raises(ArtifactCorrupt, match=r"again/ensemble: .* materialise again/ensemble to make it again"):
        load_bundle(own_shop.store.open(promotion.ensemble))
    again = own_shop.train("again", AGAIN, PAST)
    made = (again.training, again.ensemble, again.decision)
    assert [one.ref for one in made] == [one.ref for one in (trained.training, trained.ensemble, trained.decision)]
    assert [one.hit for one in made] == [False] * 3
    assert register(own_shop) == before
    assert load_bundle(own_shop.store.open(promotion.ensemble)).feature_names


def test_a_good_challenger_of_that_date_takes_its_place_and_may_lose_it(own_shop: Workshop, trained: Trained) -> None:
    as_good = {**TREES_AND_NETWORK, "network": {**TREES_AND_NETWORK["network"], "weight_decay": 0.05}}
    other = own_shop.train("again", campaign(advanced={"models": as_good}), PAST)
    assert other.ensemble.ref != trained.ensemble.ref
    assert other.decision.metadata["outcome"] == "promoted"
    assert [p.ensemble for p in own_shop.promoted.all("again")] == [other.ensemble.ref]
    back = own_shop.train("again", AGAIN, PAST)
    assert back.decision.metadata["outcome"] == "promoted"
    assert [p.ensemble for p in own_shop.promoted.all("again")] == [trained.ensemble.ref]


def test_a_later_model_joins_the_earlier_one_and_each_date_has_its_own(own_shop: Workshop, trained: Trained) -> None:
    later = own_shop.train("again", AGAIN)
    assert later.decision.metadata["outcome"] == "promoted"
    assert "on rows since its scoring date" in later.decision.metadata["reason"]
    promoted = own_shop.promoted
    assert [p.score_at for p in promoted.all("again")] == [PAST.isoformat(), LATEST.isoformat()]
    assert promoted.champion("again", date(1998, 4, 30)) is None
    assert promoted.require("again", PAST).ensemble == trained.ensemble.ref
    assert promoted.require("again", date(1998, 6, 30)).ensemble == trained.ensemble.ref
    assert promoted.require("again", LATEST).ensemble == later.ensemble.ref


def test_a_replay_of_the_past_does_not_meet_a_later_champion(own_shop: Workshop) -> None:
    earlier = own_shop.train("again", campaign(advanced={"models": {"logistic": {}}}), date(1998, 3, 15))
    assert "first model of this campaign" in earlier.decision.metadata["reason"]
    assert [p.score_at for p in own_shop.promoted.all("again")] == ["1998-03-15", PAST.isoformat()]
    assert own_shop.promoted.require("again", PAST).score_at == PAST.isoformat()


def test_a_date_without_a_model_is_told_what_to_do(shared_shop: Workshop, trained: Trained) -> None:
    with pytest.raises(
        NothingPromoted,
        match="again cannot be scored as of 1998-04-01: its first promoted model is good from 1998-05-01 on; "
        "materialise again/promoted_model with score_at 1998-04-01",
    ):
        shared_shop.promoted.require("again", date(1998, 4, 1))
    with pytest.raises(NothingPromoted, match="never cannot be scored as of 1998-04-01: it has no promoted model"):
        shared_shop.promoted.require("never", date(1998, 4, 1))
