"""What earlier campaigns know: looked at only when it was known before, exactly, and told."""

from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.special import logit

from platform_assets.audiences.scoring.scoring import score_campaigns
from platform_assets.audiences.scoring.sharding import Plan, gather_scores, plan_scores, score_shard
from platform_assets.campaigns.registry.bundles import load_bundle, load_bundle_alone
from platform_assets.campaigns.registry.past import Past, find_past
from platform_assets.campaigns.registry.workspace import Workspace
from platform_assets.campaigns.training.out_of_fold import folds_of
from platform_assets.campaigns.training_sets.training_rows import TrainingRows
from platform_assets.campaigns.training_sets.training_set import FILE, build_training_set, question_of
from platform_assets.foundation.artifacts import Artifact
from tests.campaigns.worlds import LATEST, TREES, TREES_AND_NETWORK, Trained, Workshop, campaign, fans, labelled
from tests.data.features.conftest import GROUPS

EARLY = date(1997, 12, 1)
# Another question, of features that the later campaign does not choose by itself.
SPENDERS = campaign(
    label={"event": "orders", "within": "60d", "where": "amount >= 20"}, features=["order_value", "order_windows"]
)
LATER = campaign(advanced={"models": TREES_AND_NETWORK})


@pytest.fixture(scope="module")
def world(shared_shop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Only `spenders` is promoted, for EARLY."""
    workshop = replace(shared_shop, folder=tmp_path_factory.mktemp("past"))
    assert workshop.train("spenders", SPENDERS, EARLY).decision.metadata["outcome"] == "promoted"
    return workshop


@pytest.fixture(scope="module")
def later(world: Workshop) -> Trained:
    return world.train("later", LATER, LATEST)


def column_of(training: Artifact, name: str) -> np.ndarray:
    return pq.read_table(training.path(FILE))[name].to_numpy()


def test_the_score_of_a_model_promoted_before_is_a_column(world: Workshop, later: Trained) -> None:
    [score] = Past.of(later.training).scores
    assert (score.campaign, score.score_at) == ("spenders", "1997-12-01")
    assert later.training.metadata["past_scores"] == [score.column]
    assert "orders" in later.training.metadata["features"][0]
    bundle = load_bundle(world.store.open(score.ensemble))
    rows = TrainingRows.of(later.training).frame
    seen = [name for name in bundle.feature_names if name in rows.columns]
    assert len(seen) < len(bundle.feature_names)
    wider = world.training_set("wider", campaign(features=["order_value", "order_windows"]), LATEST)
    probability = bundle.predict(TrainingRows.of(wider).frame[list(bundle.feature_names)])
    np.testing.assert_array_equal(column_of(later.training, score.column), logit(probability))


def test_a_model_promoted_after_the_earliest_row_is_not_looked_at(world: Workshop) -> None:
    eve = campaign(train={"as_of": ["1997-11-30", "1998-03-01"]})
    day = campaign(train={"as_of": ["1997-12-01", "1998-03-01"]})
    assert world.training_set("eve", eve, LATEST).metadata["past_scores"] == []
    assert len(world.training_set("day", day, LATEST).metadata["past_scores"]) == 1


def test_labels_of_campaigns_promoted_for_the_same_date_are_not_waited_for(world: Workshop) -> None:
    same = campaign(train={"as_of": ["1997-09-01"]}, advanced={"models": TREES})
    assert world.training_set("same", same, EARLY).metadata["past_labels"] == []
    # Its features are spenders' too; the day after, their labels were known.
    assert world.training_set("after", same, date(1997, 12, 2)).metadata["past_labels"] == ["spenders"]


def test_a_campaign_may_look_at_nobody(world: Workshop) -> None:
    made = world.training_set("proud", campaign(advanced={"past_campaigns": False}), LATEST)
    assert Past.of(made) == Past()
    assert made.metadata["past_scores"] == made.metadata["past_labels"] == []


def test_people_of_another_entity_are_not_asked(world: Workshop, own_cinema: Workshop) -> None:
    own_cinema.teach(labelled(240, lambda n: n % 3 == 0, 273))
    work = Workspace(own_cinema.warehouse, GROUPS, world.store, own_cinema.teachers, world.promoted)
    training = build_training_set(question_of("fans", fans(), work), work)
    assert training.metadata["past_scores"] == training.metadata["past_labels"] == []


def test_only_trees_look_at_the_scores_of_others_and_the_rest_can_stand_alone(world: Workshop, later: Trained) -> None:
    [column] = later.training.metadata["past_scores"]
    assert folds_of(later.models["lightgbm"], world.store)[0].columns is None
    seen = folds_of(later.models["network"], world.store)[0].columns
    assert seen is not None
    assert column not in seen
    alone = load_bundle_alone(later.ensemble)
    assert [member.family for member in alone.members] == ["network"]
    assert later.ensemble.metadata["alone_features"] == later.training.metadata["features"]
    assert Past.of_bundle(alone) == Past()


def test_a_score_needs_features_and_no_scores_of_others(world: Workshop, later: Trained) -> None:
    found = find_past(world.question("third", SPENDERS, LATEST), ("orders_7d",), LATEST, world.work)
    needs = {score.campaign: score.features for score in found.scores}
    assert set(needs) == {"later", "spenders"}
    assert not any(feature.startswith("score_") for features in needs.values() for feature in features)


def test_people_are_scored_with_the_columns_that_the_model_was_made_with(world: Workshop, later: Trained) -> None:
    campaigns = {"later": LATER, "spenders": SPENDERS}
    whole = {scored.campaign: scored.scores for scored in score_campaigns(campaigns, world.work, LATEST)}
    table = pq.read_table(whole["later"].path("scores.parquet"))
    assert table.num_rows > 0
    assert len(set(table["score"].to_pylist())) > 10
    for path in (world.folder / "artifacts" / "recipes").glob("*.json"):
        if '/scores"' in path.read_text():
            path.unlink()
    plan = Plan.of(plan_scores(campaigns, 2, world.work, LATEST))
    sharded = dict(gather_scores(plan, [score_shard(plan, shard, world.store) for shard in range(2)], world.store))
    assert sharded.keys() == whole.keys()
    assert all(made.ref.content_hash == whole[name].ref.content_hash for name, made in sharded.items())
