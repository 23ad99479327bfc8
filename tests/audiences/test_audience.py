"""The audience: columns as documented, only the selected in the CSV, reasons in words, and which model it came from."""

import csv

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from platform_assets.audiences.audience.audience import CSV_FILE, FILE, build_audience
from platform_assets.audiences.report.figures import build_report
from platform_assets.audiences.scoring.scoring import OtherModel, score_campaigns
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.training_sets.population import everyone, with_conditions
from platform_assets.data.catalog.business_day import instant_of
from platform_assets.data.conditions.parsing import parse_person_condition
from platform_assets.foundation.artifacts import Artifact
from tests.audiences.conftest import Made
from tests.campaigns.conftest import AGAIN
from tests.campaigns.worlds import PAST, TREES_AND_NETWORK, Trained, Workshop, campaign
from tests.data.features.conftest import CATALOG, GROUPS

COLUMNS = {
    "customer_id": pa.int64(), "as_of": pa.timestamp("us", "UTC"), "horizon_days": pa.int64(), "score": pa.float64(),
    "rank": pa.int64(), "decile": pa.int64(), "expected_value": pa.float64(), "reasons": pa.string(), "eligible": pa.bool_(),
    "why_not": pa.string(), "selected": pa.bool_(), "arm": pa.string(), "model_version": pa.string(), "config_hash": pa.string(),
}  # fmt: skip


def read(audience: Artifact) -> pa.Table:
    return pq.ParquetFile(audience.path(FILE)).read()


def again(**changes: object) -> CampaignSpec:
    return campaign(advanced={"models": TREES_AND_NETWORK}, **changes)


def audience_of(workshop: Workshop, spec: CampaignSpec = AGAIN) -> Artifact:
    [scored] = score_campaigns({"again": spec}, workshop.work, PAST)
    return build_audience(workshop.question("again", spec, PAST), scored.scores, scored.promotion, workshop.work)


def test_the_columns_are_exactly_those_documented(past: Made, trained: Trained) -> None:
    table = read(past.audience)
    assert {field.name: field.type for field in table.schema} == COLUMNS
    assert table.column_names == list(COLUMNS)
    assert set(table["horizon_days"].to_pylist()) == {60}
    assert set(table["model_version"].to_pylist()) == {trained.ensemble.ref.content_hash[:16]}
    assert len(set(table["config_hash"].to_pylist())) == 1
    assert set(table["as_of"].to_pylist()) == {instant_of(PAST, "UTC")}


def test_everyone_scored_is_in_the_table_once_best_first(past: Made) -> None:
    table = read(past.audience)
    assert table["rank"].to_pylist() == list(range(1, 401))
    assert table["score"].to_pylist() == sorted(table["score"].to_pylist(), reverse=True)
    assert len(set(table["customer_id"].to_pylist())) == 400
    assert sum(table["selected"].to_pylist()) == past.audience.metadata["selected"] == 40


def test_the_csv_holds_the_selected_only_in_the_same_columns(past: Made) -> None:
    with open(past.audience.path(CSV_FILE), newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(COLUMNS)
    chosen = read(past.audience).filter(read(past.audience)["selected"])
    assert [int(row["customer_id"]) for row in rows] == chosen["customer_id"].to_pylist()
    assert {row["selected"] for row in rows} == {"true"}


def test_reasons_are_the_words_of_features_and_given_to_the_selected(past: Made) -> None:
    table = read(past.audience)
    words = [feature.description for group in GROUPS["customer"].values() for feature in group.features.values()]
    reasons = [row["reasons"] for row in table.to_pylist() if row["selected"]]
    assert all(reasons)
    for text in reasons:
        assert 1 <= len(text.split("; ")) <= 3
        assert all(any(part.startswith(f"{said}: ") for said in words) for part in text.split("; "))
    assert {row["reasons"] for row in table.to_pylist() if not row["selected"]} == {None}


def test_exclusions_are_as_of_the_date_and_the_first_that_holds_is_told(own_shop: Workshop) -> None:
    texts = ["days_since(orders) < 20", "count(orders) >= 8"]
    table = read(audience_of(own_shop, again(audience={"top": 50, "exclude": texts})))
    entity, instant = CATALOG.entities["customer"], instant_of(PAST, "UTC")
    conditions = {text: parse_person_condition(text, CATALOG, "customer") for text in texts}
    warehouse = own_shop.warehouse
    people = with_conditions(warehouse, entity, everyone(warehouse, entity, instant), instant, conditions)
    held = warehouse.to_arrow(people).to_pylist()
    expected = {row["customer_id"]: next((f"excluded: {text}" for text in texts if row[text]), None) for row in held}
    assert dict(zip(table["customer_id"].to_pylist(), table["why_not"].to_pylist(), strict=True)) == expected
    assert {f"excluded: {text}" for text in texts} < set(expected.values())
    assert sum(table["selected"].to_pylist()) == 50


def test_its_metadata_counts_what_it_holds(own_shop: Workshop) -> None:
    rule = {"top": "25%", "exclude": ["days_since(orders) < 20"], "holdout": "30%"}
    audience = audience_of(own_shop, again(audience=rule, value=4))
    rows, told = read(audience).to_pylist(), audience.metadata
    chosen = [row for row in rows if row["selected"]]
    assert told["people"] == len(rows)
    assert told["eligible"] == sum(row["eligible"] for row in rows)
    assert told["why_not"] == {"excluded: days_since(orders) < 20": len(rows) - told["eligible"]}
    assert told["selected"] == len(chosen) == -(-told["eligible"] // 4)
    assert all(told[arm] == sum(row["arm"] == arm for row in chosen) for arm in ("treat", "holdout"))
    assert told["expected_value"] == pytest.approx(4 * sum(row["score"] for row in chosen))
    assert told["lowest_score"] == min(row["score"] for row in chosen)
    assert told["curve"][-1]["people"] == told["eligible"]


def test_without_a_value_nothing_claims_one(past: Made) -> None:
    assert set(read(past.audience)["expected_value"].to_pylist()) == {None}
    assert past.audience.metadata["expected_value"] is None


def test_an_unchanged_rerun_is_found_and_another_rule_is_made_again(own_shop: Workshop, past: Made) -> None:
    assert audience_of(own_shop).ref == past.audience.ref
    assert audience_of(own_shop).hit
    other = audience_of(own_shop, again(audience={"top": 7}))
    assert not other.hit
    assert other.metadata["selected"] == 7


def test_nobody_asked_about_gives_an_empty_audience_of_the_same_columns(own_shop: Workshop) -> None:
    audience = audience_of(own_shop, again(population="count(orders) > 100000"))
    assert {field.name: field.type for field in read(audience).schema} == COLUMNS
    assert (audience.metadata["people"], audience.metadata["selected"], audience.metadata["mean_score"]) == (0, 0, None)


def test_nobody_good_enough_gives_an_empty_choice(own_shop: Workshop) -> None:
    audience = audience_of(own_shop, again(audience={"min_score": 0.9999}))
    assert audience.metadata["selected"] == 0
    assert read(audience).num_rows == 400


def test_scores_of_a_replaced_model_are_not_passed_off_as_the_new_one_s(own_shop: Workshop, past: Made) -> None:
    [scored] = score_campaigns({"again": AGAIN}, own_shop.work, PAST)
    audience = audience_of(own_shop)
    own_shop.train("again", campaign(advanced={"models": {"logistic": {}}}), PAST)
    replaced = own_shop.promoted.require("again", PAST)
    assert replaced.ensemble != scored.promotion.ensemble
    question = own_shop.question("again", AGAIN, PAST)
    said = "again/scores as of 1998-05-01 come from another model than is promoted now; materialise again/scores"
    with pytest.raises(OtherModel, match=said):
        build_audience(question, scored.scores, replaced, own_shop.work)
    with pytest.raises(OtherModel, match="again/audience as of 1998-05-01 come"):
        build_report(question, audience, replaced, own_shop.work)
