"""Scores: of everyone asked about, as of the date, from the model that was good then."""

from dataclasses import replace
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from platform_assets.audiences.scoring.scoring import FILE, Scored, score_campaigns
from platform_assets.campaigns.registry.bundles import load_bundle
from platform_assets.campaigns.registry.promoted import NothingPromoted
from platform_assets.campaigns.training_sets.population import people_asked
from platform_assets.data.catalog.business_day import instant_of
from platform_assets.data.features.spine import Spine
from platform_assets.data.features.tables import AsOfNotCovered, feature_table
from platform_assets.foundation.artifacts import Artifact
from tests.audiences.conftest import Made
from tests.campaigns.conftest import AGAIN
from tests.campaigns.worlds import LATEST, PAST, Campaigns, Trained, Workshop, campaign, customers_orders
from tests.data.features.conftest import CATALOG, GROUPS, WATERMARK, order, publish


def read(scores: Artifact) -> pa.Table:
    return pq.ParquetFile(scores.path(FILE)).read()


def score(workshop: Workshop, campaigns: Campaigns, day: date = PAST) -> dict[str, Scored]:
    return {scored.campaign: scored for scored in score_campaigns(campaigns, workshop.work, day)}


def test_scores_are_what_the_promoted_bundle_says_of_features_of_the_date(shared_shop: Workshop, past: Made) -> None:
    table = read(past.scores)
    assert table.column_names == ["customer_id", "as_of", "score"]
    assert set(table["as_of"].to_pylist()) == {instant_of(PAST, "UTC")}
    spine = Spine.of_population(CATALOG.entities["customer"], instant_of(PAST, "UTC"))
    groups = [GROUPS["customer"]["order_windows"]]
    features = feature_table(groups, spine, shared_shop.warehouse, shared_shop.store).table
    assert table["customer_id"].to_pylist() == features["customer_id"].to_pylist()
    bundle = load_bundle(shared_shop.store.open(past.promotion.ensemble))
    assert table["score"].to_pylist() == bundle.predict(features.select(list(bundle.feature_names))).tolist()


def test_only_the_people_asked_about_are_scored(own_shop: Workshop) -> None:
    spec = campaign(population="days_since(orders) > 30")
    table = read(score(own_shop, {"again": spec})["again"].scores)
    asked = own_shop.warehouse.to_arrow(people_asked(own_shop.warehouse, spec, instant_of(PAST, "UTC")))
    assert set(table["customer_id"].to_pylist()) == set(asked["customer_id"].to_pylist())
    assert 0 < table.num_rows < 400


def test_a_population_of_nobody_scores_nobody(own_shop: Workshop) -> None:
    made = score(own_shop, {"again": campaign(population="count(orders) > 100000")})["again"].scores
    assert made.metadata["people"] == 0
    assert read(made).num_rows == 0


@pytest.mark.slow
def test_scoring_as_of_a_date_uses_the_latest_model_good_by_then(own_shop: Workshop, trained: Trained) -> None:
    later = own_shop.train("again", AGAIN)
    assert later.decision.metadata["outcome"] == "promoted"
    for day, model in ((PAST, trained), (LATEST - timedelta(days=1), trained), (LATEST, later)):
        scored = score(own_shop, {"again": AGAIN}, day)["again"]
        assert scored.promotion.ensemble == model.ensemble.ref
        assert scored.scores.metadata["model_good_from"] == model.training.metadata["score_at"]


def test_a_date_before_the_first_model_is_refused(shared_shop: Workshop, trained: Trained) -> None:
    with pytest.raises(NothingPromoted, match="again cannot be scored as of 1998-04-30"):
        score(shared_shop, {"again": AGAIN}, PAST - timedelta(days=1))


def test_a_date_the_exports_do_not_cover_is_refused(shared_shop: Workshop, trained: Trained) -> None:
    with pytest.raises(AsOfNotCovered, match="1998-07-02"):
        score(shared_shop, {"again": AGAIN}, LATEST + timedelta(days=1))


def test_several_campaigns_are_scored_in_one_pass_each_as_it_would_be_alone(own_shop: Workshop) -> None:
    narrow = campaign(features=["order_value"], advanced={"models": {"logistic": {}}})
    own_shop.train("narrow", narrow, PAST)
    together = score(own_shop, {"again": AGAIN, "narrow": narrow})
    assert list(together) == ["again", "narrow"]
    alone = score(own_shop, {"narrow": narrow})["narrow"].scores
    assert alone.hit
    assert alone.ref == together["narrow"].scores.ref


def test_an_unchanged_rerun_scores_nobody_again_and_later_events_change_nothing(own_shop: Workshop, past: Made) -> None:
    later = [*customers_orders(), *(order(90_000 + n, n, 340) for n in range(1, 300))]
    unchanged = score(own_shop, {"again": AGAIN})["again"].scores
    warehouse = publish(own_shop.folder, CATALOG, {"orders": later}, WATERMARK + timedelta(days=9))
    for found in (unchanged, score(replace(own_shop, warehouse=warehouse), {"again": AGAIN})["again"].scores):
        assert found.hit
        assert found.ref == past.scores.ref


def test_an_event_before_the_date_scores_again(own_shop: Workshop) -> None:
    score(own_shop, {"again": AGAIN})
    late = [*customers_orders(), order(90_000, 1, 330)]
    grown = replace(own_shop, warehouse=publish(own_shop.folder, CATALOG, {"orders": late}))
    assert not score(grown, {"again": AGAIN})["again"].scores.hit


def test_a_model_that_looks_at_features_the_file_no_longer_asks_for_is_refused_by_name(own_shop: Workshop) -> None:
    said = r"again cannot be scored .* its promoted model looks at orders_7d, .* and 8 more, .*; materialise again/promoted_model"
    with pytest.raises(NothingPromoted, match=said):
        score(own_shop, {"again": campaign(features=["order_value"])})
