"""Shards: together the scores of one step to the last byte, or refused; and nothing is computed twice."""

import json
import random
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from platform_assets.audiences.scoring.scoring import score_campaigns
from platform_assets.audiences.scoring.sharding import (
    SHARD_FILE,
    Plan,
    ShardsRefused,
    gather_scores,
    plan_scores,
    score_shard,
    shard_recipe,
    shares,
)
from platform_assets.campaigns.registry.bundles import load_bundle
from platform_assets.foundation.artifacts import Artifact, ArtifactRef
from platform_assets.learning.families.estimator import TableClassifier
from platform_assets.learning.families.registry import FAMILIES, family_class
from tests.campaigns.conftest import AGAIN, Trained
from tests.campaigns.worlds import LATEST, PAST, TREES_AND_NETWORK, Campaigns, Workshop, campaign, customers_orders
from tests.data.features.conftest import CATALOG, publish

SILENT = campaign(population="days_since(orders) > 30", advanced={"models": TREES_AND_NETWORK})
BOTH = {"again": AGAIN, "silent": SILENT}
# Tables hold UTF-8, and pandas takes a NUL for the end of a text.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
people = st.one_of(st.lists(st.integers(-(2**40), 2**40), unique=True), st.lists(texts, unique=True))


def records(workshop: Workshop) -> dict[Path, str]:
    """Record of every artifact that scores or a share of them → its key."""
    paths = workshop.folder.glob("artifacts/recipes/*")
    found = {path: json.loads(path.read_text())["recipe"]["key"] for path in paths}
    return {path: key for path, key in found.items() if "/scores" in key}


def forget(workshop: Workshop, *keys: str) -> None:
    for path, key in records(workshop).items():
        if not keys or key in keys:
            path.unlink()


def plan_of(workshop: Workshop, campaigns: Campaigns, shards: int, day: date = PAST) -> Plan:
    return Plan.of(plan_scores(campaigns, shards, workshop.work, day))


def in_shards(workshop: Workshop, campaigns: Campaigns = BOTH, shards: int = 3) -> dict[str, Artifact]:
    plan = plan_of(workshop, campaigns, shards)
    parts = [score_shard(plan, shard, workshop.store) for shard in range(shards)]
    return dict(gather_scores(plan, parts, workshop.store))


def in_one_step(workshop: Workshop, campaigns: Campaigns = BOTH, day: date = PAST) -> dict[str, Artifact]:
    return {scored.campaign: scored.scores for scored in score_campaigns(campaigns, workshop.work, day)}


def refs(made: dict[str, Artifact]) -> dict[str, ArtifactRef]:
    return {name: artifact.ref for name, artifact in made.items()}


@pytest.fixture
def unscored(own_shop: Workshop) -> Workshop:
    """Both campaigns are trained, and nobody is scored."""
    forget(own_shop)
    for promoted in own_shop.folder.glob("artifacts/promoted/again.json"):
        promoted.with_name("silent.json").write_bytes(promoted.read_bytes())
    return own_shop


@settings(deadline=None)
@given(people, st.integers(2, 127), st.randoms())
def test_every_person_is_in_exactly_one_share_whoever_else_is_there_in_whatever_order(
    keys: list[Any], shards: int, draw: random.Random
) -> None:
    share = dict(zip(keys, shares(keys, shards).tolist(), strict=True))
    assert set(share.values()) <= set(range(shards))
    others = draw.sample(keys, k=draw.randint(0, len(keys)))
    assert dict(zip(others, shares(others, shards).tolist(), strict=True)) == {key: share[key] for key in others}


def test_shares_are_about_equal() -> None:
    sizes = np.bincount(shares(np.arange(30_000), 3))
    assert sizes.min() > 9_700
    assert sizes.max() < 10_300


@pytest.mark.parametrize("shards", [2, 3, 7])
def test_shards_make_the_bytes_that_one_step_makes(unscored: Workshop, shards: int) -> None:
    sharded = in_shards(unscored, shards=shards)
    assert [made.hit for made in sharded.values()] == [False, False]
    forget(unscored)
    whole = in_one_step(unscored)
    assert not any(made.hit for made in whole.values())
    assert refs(sharded) == refs(whole)
    assert {name: made.metadata for name, made in sharded.items()} == {n: made.metadata for n, made in whole.items()}
    assert 0 < sharded["silent"].metadata["people"] < sharded["again"].metadata["people"] == 400


def test_what_one_step_scored_is_found_by_shards_and_the_other_way_round(unscored: Workshop) -> None:
    whole = in_one_step(unscored)
    sharded = in_shards(unscored)
    assert refs(sharded) == refs(whole)
    assert all(made.hit for made in sharded.values())
    assert not [key for key in records(unscored).values() if "/scores/shard_" in key and not key.startswith("scores/")]
    assert all(made.hit for made in in_one_step(unscored).values())


def test_a_second_asking_scores_nobody(unscored: Workshop) -> None:
    in_shards(unscored)
    before = {path for path, key in records(unscored).items() if not key.startswith("scores/")}
    assert all(made.hit for made in in_shards(unscored).values())
    assert all(made.hit for made in in_shards(unscored, shards=5).values())
    assert {path for path, key in records(unscored).items() if not key.startswith("scores/")} == before


def test_a_lost_shard_is_scored_again_alone(unscored: Workshop) -> None:
    in_shards(unscored)
    forget(unscored, "again/scores", "again/scores/shard_1")
    kept = {path: path.stat().st_mtime_ns for path in records(unscored)}
    assert not in_shards(unscored)["again"].hit
    assert kept.items() <= {path: path.stat().st_mtime_ns for path in records(unscored)}.items()
    made = [key for path, key in records(unscored).items() if path not in kept and not key.startswith("scores/")]
    assert sorted(made) == ["again/scores", "again/scores/shard_1"]


def test_shards_without_people_change_nothing(unscored: Workshop) -> None:
    few = replace(unscored, warehouse=publish(unscored.folder, CATALOG, {"orders": customers_orders(people=5)}))
    sharded = in_shards(few, shards=11)
    assert 0 < sharded["again"].metadata["people"] <= 5
    forget(few)
    assert refs(in_one_step(few)) == refs(sharded)


def test_nobody_asked_about_makes_an_empty_table_of_the_same_columns(unscored: Workshop) -> None:
    nobody = {"again": campaign(population="count(orders) > 100000", advanced={"models": TREES_AND_NETWORK})}
    sharded = in_shards(unscored, nobody)["again"]
    assert sharded.metadata["people"] == 0
    forget(unscored)
    assert in_one_step(unscored, nobody)["again"].ref == sharded.ref


def test_anything_but_each_shard_once_is_refused(unscored: Workshop) -> None:
    plan = plan_of(unscored, BOTH, 3)
    parts = [score_shard(plan, shard, unscored.store) for shard in range(3)]
    for given_parts, told in (
        (parts[:2], [0, 1]),
        ([*parts, parts[1]], [0, 1, 1, 2]),
        ([parts[0], parts[1], parts[1]], [0, 1, 1]),
        ([], []),
    ):
        said = f"takes each of the shards 0 to 2 once, and was given {told}; materialise the scores again"
        with pytest.raises(ShardsRefused, match=re.escape(f"scores of customer as of 1998-05-01: {said}")):
            list(gather_scores(plan, given_parts, unscored.store))
    assert list(dict(gather_scores(plan, parts[::-1], unscored.store))) == ["again", "silent"]


@pytest.mark.parametrize(
    "other",
    [{"day": LATEST}, {"campaigns": {"again": AGAIN}}, {"shards": 4}],
    ids=["another date", "other campaigns", "another number of shards"],
)
def test_a_shard_of_another_plan_is_refused(unscored: Workshop, other: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"campaigns": BOTH, "shards": 3, "day": PAST}
    plan, foreign = plan_of(unscored, **asked), plan_of(unscored, **asked | other)
    parts = [score_shard(plan, 0, unscored.store), score_shard(plan, 1, unscored.store)]
    said = r"shards \[2\] were scored by another plan: .*; materialise the scores again"
    with pytest.raises(ShardsRefused, match=said):
        list(gather_scores(plan, [*parts, score_shard(foreign, 2, unscored.store)], unscored.store))


@pytest.mark.slow
def test_a_shard_of_another_model_is_refused(unscored: Workshop) -> None:
    plan = plan_of(unscored, {"again": AGAIN}, 2)
    first = score_shard(plan, 0, unscored.store)
    unscored.train("again", campaign(advanced={"models": {"logistic": {}}}), PAST)
    foreign = score_shard(plan_of(unscored, {"again": AGAIN}, 2), 1, unscored.store)
    with pytest.raises(ShardsRefused, match=r"shards \[1\] were scored by another plan"):
        list(gather_scores(plan, [first, foreign], unscored.store))


def test_a_model_promoted_meanwhile_does_not_mix_with_the_plan_s(unscored: Workshop) -> None:
    plan = plan_of(unscored, {"again": AGAIN}, 2)
    first = score_shard(plan, 0, unscored.store)
    unscored.folder.joinpath("artifacts", "promoted", "again.json").unlink()
    [(_, made)] = gather_scores(plan, [first, score_shard(plan, 1, unscored.store)], unscored.store)
    assert made.metadata["model"] == plan.campaigns["again"].ensemble.content_hash


def test_scores_that_vanish_while_shards_run_are_told_of_not_half_made(unscored: Workshop) -> None:
    in_one_step(unscored)
    plan = plan_of(unscored, BOTH, 2)
    parts = [score_shard(plan, shard, unscored.store) for shard in range(2)]
    forget(unscored, "silent/scores")
    said = r"silent/scores were in the store .* and are gone; materialise silent/scores again"
    with pytest.raises(ShardsRefused, match=said):
        list(gather_scores(plan, parts, unscored.store))


def test_a_shard_scores_every_campaign_of_the_plan_and_no_other(unscored: Workshop) -> None:
    plan = plan_of(unscored, {"silent": SILENT}, 3)
    listed = json.loads(Path(score_shard(plan, 1, unscored.store).path(SHARD_FILE)).read_text())["scores"]
    assert list(listed) == ["silent"]
    assert listed["silent"]["fingerprint"] == shard_recipe("silent", plan.campaigns["silent"], 1, 3).fingerprint
    assert not [key for key in records(unscored).values() if key.startswith("again/")]


ROWS = 2500
WIDTH = 9


def values(rows: int, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    drawn = np.exp(draw.normal(size=(rows, WIDTH), scale=3)) * draw.choice([-1, 1], size=(rows, WIDTH))
    drawn[draw.random(drawn.shape) < 0.1] = np.nan
    return drawn


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def fitted(request: pytest.FixtureRequest) -> tuple[TableClassifier, np.ndarray, np.ndarray]:
    """A model of every family, and its scores of everyone at once."""
    train = values(600, seed=1)
    model = family_class(request.param)()
    few = {"max_epochs": 2, "max_iterations": 30}
    model.set_params(**{name: value for name, value in few.items() if name in model.get_params()})
    model.fit(train, (np.nan_to_num(train[:, 0]) + np.nan_to_num(train[:, 1]) > 0).astype(int))
    asked = values(ROWS, seed=2)
    return model, asked, model.positive_probability(asked)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 7, 100, 833, 1023, 1024, 1025, 2048, ROWS]))
def test_a_score_does_not_depend_on_who_is_scored_along_or_where_in_the_batch(
    fitted: tuple[TableClassifier, np.ndarray, np.ndarray], seed: int, size: int
) -> None:
    model, asked, whole = fitted
    rows = np.random.default_rng(seed).permutation(ROWS)[:size]
    np.testing.assert_array_equal(model.positive_probability(asked[rows]), whole[rows])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1), st.integers(1, 2000))
def test_a_promoted_bundle_scores_a_share_as_it_scores_everyone(
    shared_shop: Workshop, trained: Trained, seed: int, size: int
) -> None:
    bundle = load_bundle(trained.ensemble)
    draw = np.random.default_rng(seed)
    asked = np.abs(np.resize(values(ROWS, seed=3), (ROWS, len(bundle.feature_names))))
    rows = draw.permutation(ROWS)[:size]
    np.testing.assert_array_equal(bundle.predict_values(asked[rows]), bundle.predict_values(asked)[rows])
