"""Models of a campaign: `auto` or picked, within a budget, one failure told and not fatal, watched and taken up again."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from platform_assets.campaigns.declaration.families import families_of
from platform_assets.campaigns.registry.bundles import load_bundle
from platform_assets.campaigns.training.ensemble_artifact import evaluation_of
from platform_assets.campaigns.training.fold_artifacts import NO_USE, fit_fold_of
from platform_assets.campaigns.training.members import members_of
from platform_assets.campaigns.training.out_of_fold import folds_of
from platform_assets.campaigns.training.watching import FILE, event_files
from platform_assets.foundation.artifacts import Artifact
from platform_assets.learning.portfolio import NothingFitted, auto_portfolio
from tests.campaigns.running import environment_of, failures_of, materialized, run_training
from tests.campaigns.worlds import LATEST, PAST, TREES, TREES_AND_NETWORK, Workshop, campaign

DIVERGING = {"network": {"learning_rate": 1e30, "max_epochs": 2}}
SLOW = {"lightgbm": {"learning_rate": 0.0001, "max_iterations": 100_000, "early_stopping_rounds": 100_000}}


def test_auto_tries_every_member_that_has_a_use_and_tells_the_rest(own_shop: Workshop) -> None:
    spec = campaign(advanced={"models": "auto", "cpu_seconds": 40})
    made = own_shop.train("auto", spec, PAST)
    used = set(members_of(spec, made.training))
    unused = set(families_of(spec)) - used
    assert {"lightgbm", "network", "logistic"} <= used
    assert {"multitask", "transfer"} <= unused
    assert made.ensemble.metadata["not_fitted"] == dict.fromkeys(unused, NO_USE)
    listed = {row["model"]: row for row in evaluation_of(made.ensemble)["leaderboard"]}
    assert set(listed) == used | {"ensemble", "one-column rule", "logistic regression", "random"}
    assert all(listed[member]["fold_auc_se"] > 0 for member in used)
    spent = sum(model.metadata["cpu_seconds"] for model in made.models.values() if "cpu_seconds" in model.metadata)
    assert 0 < spent <= 44


@given(rows=st.integers(2, 10**8), rate=st.floats(0, 1), tasks=st.booleans(), body=st.booleans(), scores=st.booleans())
def test_auto_has_steps_for_every_member_that_any_training_set_asks_for(
    rows: int, rate: float, tasks: bool, body: bool, scores: bool
) -> None:
    asked_for = auto_portfolio(rows, round(rows * rate), tasks, body, ("a past score",) if scores else ())
    steps = families_of(campaign(advanced={"models": "auto"}))
    assert {member.name: member.family for member in asked_for}.items() <= steps.items()


def test_a_model_that_lightgbm_refuses_is_told_and_does_not_sink_the_run(own_shop: Workshop) -> None:
    spec = campaign(advanced={"models": {"lightgbm": {"num_leaves": 1}, "logistic": {}}})
    made = own_shop.train("refused", spec, PAST)
    assert set(made.ensemble.metadata["not_fitted"]) == {"lightgbm"}
    assert "num_leaves" in made.ensemble.metadata["not_fitted"]["lightgbm"]


def test_a_model_that_diverges_is_told_and_does_not_sink_the_run(own_shop: Workshop) -> None:
    spec = campaign(advanced={"models": {**TREES, **DIVERGING}})
    result = run_training(own_shop, "half", spec, score_at=PAST.isoformat())
    assert result.success, failures_of(result)
    told = materialized(result)["half/ensemble"]["not_fitted"]
    assert set(told) == {"network"}
    assert "lower learning_rate" in told["network"]
    [check] = [check for check in result.get_asset_check_evaluations() if check.check_name == "models_fitted"]
    assert not check.passed
    assert "lower learning_rate" in str(check.description)
    leaderboard = str(materialized(result)["half/ensemble"]["leaderboard"])
    assert "not fitted: " in leaderboard


def test_a_run_ends_with_a_sentence_when_no_model_can_be_fitted(own_shop: Workshop) -> None:
    said = r"none: none of its models could be fitted. network: .*lower learning_rate"
    with pytest.raises(NothingFitted, match=said):
        own_shop.train("none", campaign(advanced={"models": DIVERGING}), PAST)


def test_a_fit_ends_with_its_budget_and_a_larger_one_is_fitted_anew(own_shop: Workshop) -> None:
    training = own_shop.training_set("tight", campaign(), PAST)

    def fold(seconds: int) -> Artifact:
        spec = campaign(advanced={"models": SLOW, "cpu_seconds": seconds})
        return fit_fold_of(own_shop.task("tight", spec, training), "lightgbm", 0)

    first = fold(1)
    assert first.metadata["ended_by"] == "budget"
    assert first.metadata["cpu_seconds"] < 2
    assert fold(1).hit
    more = fold(3)
    assert not more.hit
    assert more.metadata["best_iteration"] > first.metadata["best_iteration"]


def test_what_a_fit_was_allowed_does_not_matter_when_it_was_enough(own_shop: Workshop) -> None:
    training = own_shop.training_set("ample", campaign(), PAST)
    for seconds, found in ((100, False), (200, True), (100, True)):
        spec = campaign(advanced={"models": TREES, "cpu_seconds": seconds})
        assert fit_fold_of(own_shop.task("ample", spec, training), "lightgbm", 0).hit is found


def test_a_refit_predicts_with_one_model_a_member_and_is_found_again(own_shop: Workshop) -> None:
    spec = campaign(advanced={"models": TREES_AND_NETWORK, "refit": True})
    result = run_training(own_shop, "refitted", spec, score_at=PAST.isoformat())
    assert result.success, failures_of(result)
    again = own_shop.train("refitted", spec, PAST)
    assert all(again.hits.values())
    bundle = load_bundle(again.ensemble)
    assert {len(member.models) for member in bundle.members} == {1}
    folds = own_shop.train("folds", campaign(advanced={"models": TREES_AND_NETWORK}), PAST)
    assert {len(member.models) for member in load_bundle(folds.ensemble).members} == {2}


def test_a_members_features_are_chosen_in_each_fold(own_shop: Workshop) -> None:
    spec = campaign(advanced={"models": TREES, "feature_selection": {"method": "top_gain", "keep": 3}})
    made = own_shop.train("few", spec, PAST)
    for result in folds_of(made.models["lightgbm"], own_shop.store):
        assert result.columns is not None
        assert len(result.columns) == 3


def test_a_model_of_another_name_says_which_family_it_is(own_shop: Workshop) -> None:
    models = {"small": {"family": "lightgbm", "num_leaves": 3, **TREES["lightgbm"]}, **TREES}
    made = own_shop.train("two", campaign(advanced={"models": models}), PAST)
    assert made.models["small"].metadata["family"] == "lightgbm"
    assert made.models["small"].metadata["parameters"]["num_leaves"] == 3


def test_every_fit_leaves_an_event_file_that_tensorboard_reads(own_shop: Workshop) -> None:
    environment = environment_of(own_shop)
    training = own_shop.training_set("seen", campaign(), LATEST)
    spec = campaign(advanced={"models": TREES_AND_NETWORK})
    for model in TREES_AND_NETWORK:
        fit_fold_of(replace(own_shop.task("seen", spec, training), watching=event_files(environment)), model, 0)
    runs = sorted(Path(environment.tensorboard).rglob(FILE))
    assert [run.relative_to(environment.tensorboard).parts[:3] for run in runs] == [
        ("seen", "models", "lightgbm"), ("seen", "models", "network"),
    ]  # fmt: skip
    for run in runs:
        read = EventAccumulator(str(run.parent))
        read.Reload()
        assert {"loss/train", "loss/validation", "learning_rate", "rows_per_second"} <= set(read.Tags()["scalars"])


def test_nothing_is_left_of_a_fit_s_state_once_it_is_done(own_shop: Workshop) -> None:
    training = own_shop.training_set("clean", campaign(), PAST)
    spec = campaign(advanced={"models": TREES_AND_NETWORK})
    fit_fold_of(own_shop.task("clean", spec, training), "network", 0)
    assert list((own_shop.folder / "artifacts").glob("checkpoints/*")) == []
