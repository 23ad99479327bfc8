"""Pre-trained bodies: made from promoted campaigns' labels, used only by what comes later, on a cadence of their own."""

from dataclasses import replace
from datetime import date

import pytest

from platform_assets.campaigns.registry.past import Past
from platform_assets.campaigns.training.body_assets import body_assets
from platform_assets.campaigns.training.members import members_of
from platform_assets.campaigns.training.pretraining import NothingToLearnFrom, pretrain
from platform_assets.campaigns.training_sets.training_rows import related_task
from tests.campaigns.running import environment_of, failures_of, run
from tests.campaigns.test_past import EARLY, SPENDERS
from tests.campaigns.worlds import LATEST, TREES, Workshop, campaign
from tests.data.features.conftest import GROUPS

BOTH = {"multitask": {"max_epochs": 2}, "transfer": {"max_epochs": 2}, **TREES}


@pytest.fixture(scope="module")
def world(shared_shop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """`spenders` is promoted for EARLY, and a body is pre-trained on its labels."""
    workshop = replace(shared_shop, folder=tmp_path_factory.mktemp("bodies"))
    with pytest.raises(NothingToLearnFrom, match="no campaign of customer is promoted yet"):
        pretrain("customer", GROUPS, workshop.promoted, workshop.store)
    workshop.train("spenders", SPENDERS, EARLY)
    made = pretrain("customer", GROUPS, workshop.promoted, workshop.store)
    assert made.metadata["campaigns"] == ["spenders"]
    return workshop


def test_a_body_is_found_again_until_another_model_is_promoted(world: Workshop) -> None:
    assert pretrain("customer", GROUPS, world.promoted, world.store).hit


def test_a_body_is_good_for_rows_from_its_date_on(world: Workshop) -> None:
    assert world.promoted.body("customer", date(1997, 11, 30)) is None
    assert world.promoted.body("customer", EARLY) == pretrain("customer", GROUPS, world.promoted, world.store).ref
    before = world.training_set("eve", campaign(train={"as_of": ["1997-11-30"]}), LATEST)
    assert Past.of(before).body is None
    after = world.training_set("day", campaign(train={"as_of": ["1997-12-01"]}), LATEST)
    assert Past.of(after).body == world.promoted.body("customer", EARLY)


def test_networks_learn_from_earlier_labels_and_bodies_where_there_are_some(world: Workshop) -> None:
    spec = campaign(advanced={"models": BOTH})
    made = world.train("learns", spec, LATEST)
    needs = {name: one.needs for name, one in members_of(spec, made.training).items()}
    assert needs == {"multitask": "tasks", "transfer": "body", "lightgbm": None}
    assert made.ensemble.metadata["not_fitted"] == {}
    assert all(0.5 < made.models[model].metadata["auc"] < 1 for model in BOTH)


def test_a_task_has_the_columns_asked_for_and_gaps_where_it_knows_none(world: Workshop) -> None:
    [promotion] = world.promoted.all("spenders")
    task = related_task("spenders", world.store.open(promotion.training_set), ["orders_7d", "unheard_of"])
    assert task.X.shape == (len(task.y), 2)
    assert not (task.X[:, 0] != task.X[:, 0]).any()
    assert (task.X[:, 1] != task.X[:, 1]).all()


def test_a_body_is_an_asset_of_its_own(world: Workshop, shared_cinema: Workshop) -> None:
    assets = body_assets(environment_of(world), GROUPS)
    made = run(world, assets, ['key:"bodies/customer"'])
    assert made.success, failures_of(made)
    refused = run(world, assets, ['key:"bodies/viewer"'])
    assert failures_of(refused) == ["no campaign of viewer is promoted yet, so there is nothing to pre-train a body on"]
    assert {key.to_user_string() for asset in assets for key in asset.keys} == {"bodies/customer", "bodies/viewer"}
