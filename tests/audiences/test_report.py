"""The report: a page that needs nothing beside itself, the same bytes every time, and no figure that is not recomputable."""

import json
import re
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest

from platform_assets.audiences.report.files import FIGURES_FILE, FILE, PICTURE_FILE
from platform_assets.audiences.report.page import render_report
from platform_assets.campaigns.registry.bundles import load_bundle
from platform_assets.campaigns.registry.promoted import Promotion
from platform_assets.campaigns.training.ensemble_artifact import evaluation_of
from platform_assets.campaigns.training_sets.training_rows import TrainingRows
from platform_assets.campaigns.training_sets.training_set import event_rows, join_features
from platform_assets.data.catalog.business_day import instant_of
from platform_assets.data.features.spine import Spine
from platform_assets.data.features.tables import feature_table
from platform_assets.foundation.artifacts import Artifact
from platform_assets.learning.families.baselines import OneColumnRule
from platform_assets.learning.figures import metrics
from tests.audiences.conftest import Made, make
from tests.campaigns.conftest import AGAIN, Trained
from tests.campaigns.worlds import LATEST, PAST, TREES_AND_NETWORK, Workshop, campaign, fans, labelled
from tests.data.features.conftest import CATALOG, GROUPS
from tests.support.pages import Page

LOADING = {"src", "href", "xlink:href", "action", "data", "poster", "srcset"}


def page_of(report: Artifact) -> str:
    return Path(report.path(FILE)).read_text(encoding="utf-8")


def figures_of(report: Artifact) -> dict:
    return json.loads(Path(report.path(FIGURES_FILE)).read_text())


@pytest.mark.parametrize("which", ["past", "latest"])
def test_the_page_loads_nothing_from_anywhere(request: pytest.FixtureRequest, which: str) -> None:
    text = page_of(request.getfixturevalue(which).report)
    page = Page(text)
    loaded = [value for _, attributes in page.tags for name, value in attributes.items() if name in LOADING]
    assert all(value and value.startswith("#") for value in loaded)
    assert not re.findall(r"(?:url\(|@import)\s*['\"]?(?!#)", text)
    assert not {"script", "link", "iframe", "img", "object", "embed"} & {tag for tag, _ in page.tags}


def test_the_page_has_its_figures_and_their_ids_do_not_clash(past: Made) -> None:
    page = Page(page_of(past.report))
    charts = [attributes.get("aria-label") for tag, attributes in page.tags if tag == "svg"]
    assert len(charts) == 4
    assert all(charts)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = {value for _, attributes in page.tags for name, value in attributes.items() if name == "xlink:href"}
    assert wanted <= {f"#{name}" for name in ids}


def test_the_page_says_what_a_reader_needs(past: Made, trained: Trained) -> None:
    text = Page(page_of(past.report)).text
    held_out, told = past.report.metadata["held_out"], trained.training.metadata
    for part in (
        AGAIN.description, "crm@example.com", "as of 1998-05-01", "looking 60 days ahead", "What came true",
        f"{held_out['people_also_in_training']} of the {held_out['people']} people were in its training set",
        f"{held_out['auc']['value']:.3f} ({held_out['auc']['low']:.3f}–{held_out['auc']['high']:.3f})",
        f"{held_out['predicted_over_actual']:.2f}", "one-column rule", "logistic regression", "random", "ordering by",
        "The first model of this campaign", "1998-01-01, 1998-03-02", f"{told['rows']}, {told['positives']}",
        trained.ensemble.ref.content_hash, trained.training.ref.content_hash, "Mart orders", "exports cover everything before 1998-07-01",
        "held out", "out of fold", "AUC lost when shuffled",
    ):  # fmt: skip
        assert part in text, part


@pytest.mark.parametrize("which", ["past", "latest"])
def test_the_picture_of_the_lift_stands_alone_and_has_the_lift_of_every_tenth(
    request: pytest.FixtureRequest, which: str, trained: Trained
) -> None:
    report = request.getfixturevalue(which).report
    text = Path(report.path(PICTURE_FILE)).read_text(encoding="utf-8")
    picture = ElementTree.fromstring(text)
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    drawn = [" ".join(element.itertext()).strip() for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    held_out = figures_of(report)["held_out"]
    tenths = held_out["calibration"] if held_out else evaluation_of(trained.ensemble)["calibration_table"]
    positives, rows = sum(row["rows"] * row["actual"] for row in tenths), sum(row["rows"] for row in tenths)
    assert (held_out is None) == (which == "latest")
    for row in tenths:
        assert f"{row['actual'] / (positives / rows):.1f}" in drawn
    assert ("Lift, held out, as of 1998-05-01" if held_out else "Lift, out of fold, at the dates of training") in drawn
    led_to = [value for element in picture.iter() for name, value in element.items() if name.endswith("href")]
    assert all(value.startswith("#") for value in led_to)
    assert not re.findall(r"(?:url\(|@import)\s*['\"]?(?!#)", text)


def test_the_headline_says_what_came_true_once_it_is_known_and_not_before(past: Made, latest: Made) -> None:
    held_out, audience = past.report.metadata["held_out"], past.audience.metadata
    people = f"{audience['selected']} of {audience['people']} people. "
    assert past.report.metadata["headline"].startswith(
        f"{people}In the top tenth {held_out['top_rate']:.1%} came true, "
    )
    assert f"as of all ({held_out['base_rate']:.1%}); ordered by {held_out['rule']['column']} alone, " in past.report.metadata["headline"]  # fmt: skip
    assert "What will come true is not known yet; out of fold the top tenth held " in latest.report.metadata["headline"]
    for made in (past, latest):
        assert figures_of(made.report)["headline"] == made.report.metadata["headline"]
        assert made.report.metadata["headline"] in Page(page_of(made.report)).text


def test_equal_figures_give_equal_bytes(past: Made) -> None:
    figures = figures_of(past.report)
    assert render_report(figures) == render_report(json.loads(json.dumps(figures)))


def test_the_report_made_elsewhere_is_the_same(own_shop: Workshop, past: Made) -> None:
    for record in (own_shop.folder / "artifacts" / "recipes").glob("*.json"):
        if json.loads(record.read_text())["recipe"]["key"] in ("again/scores", "again/audience", "again/report"):
            record.unlink()
    again = make(own_shop, AGAIN, PAST)
    assert not again.report.hit
    assert again.report.ref == past.report.ref


def test_the_held_out_figures_are_those_anyone_would_get(shared_shop: Workshop, past: Made, trained: Trained) -> None:
    warehouse, bundle = shared_shop.warehouse, load_bundle(trained.ensemble)
    names = list(bundle.feature_names)
    spine = Spine.of_population(CATALOG.entities["customer"], instant_of(PAST, "UTC"))
    features = feature_table([GROUPS["customer"]["order_windows"]], spine, warehouse, shared_shop.store).table
    events = event_rows(shared_shop.question("again", AGAIN, PAST), shared_shop.work, [PAST]).read()
    rows = join_features("customer_id", names, events, [features]).to_pandas()
    truth, score = rows["label"].to_numpy(), bundle.predict(rows[names])
    training = TrainingRows.of(trained.training)
    rule = OneColumnRule().fit(training.values, training.labels)
    ruled = rule.predict_proba(rows[names])[:, 1]

    told = figures_of(past.report)["held_out"]
    assert (told["rows"], told["positives"]) == (len(rows), truth.sum())
    assert told["auc"]["value"] == pytest.approx(metrics.auc(truth, score))
    assert told["predicted_over_actual"] == pytest.approx(score.sum() / truth.sum())
    ruled_auc = pytest.approx(metrics.auc(truth, ruled))
    assert told["rule"] == {"column": rule.column_name_, "direction": rule.direction_, "auc": ruled_auc}
    assert told["auc_over_rule"]["value"] == pytest.approx(metrics.auc(truth, score) - metrics.auc(truth, ruled))
    order = score.argsort()[::-1][: len(rows) // 10]
    assert told["top_rate"] == pytest.approx(truth[order].mean(), abs=1 / len(order))
    assert told["people_also_in_training"] == len(set(training.frame["customer_id"]) & set(rows["customer_id"]))
    scores = pq.ParquetFile(past.scores.path("scores.parquet")).read().to_pandas().set_index("customer_id")["score"]
    assert scores[rows["customer_id"]].tolist() == pytest.approx(score.tolist())
    assert past.report.metadata["held_out"]["auc"] == told["auc"]


def test_what_is_not_known_yet_is_said_and_no_figure_stands_in_for_it(latest: Made) -> None:
    assert latest.report.metadata["held_out"] is None
    assert figures_of(latest.report)["held_out"] is None
    text = Page(page_of(latest.report)).text
    assert "not yet known how many were positive: the 60 days are not over in the data" in text
    assert "What came true" not in text
    assert "as of 1998-07-01" in text


def test_texts_of_people_are_shown_not_run(own_shop: Workshop, past: Made) -> None:
    wild = campaign(
        description="Who <script>alert(1)</script> & \"quotes\" 'again'?",
        owner="team:crm", audience={"top": "10%", "exclude": ["days_since(orders) < 20"]}, advanced={"models": TREES_AND_NETWORK},
    )  # fmt: skip
    report = make(own_shop, wild, PAST).report
    text = page_of(report)
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "script" not in {tag for tag, _ in Page(text).tags}
    assert wild.description in Page(text).text
    assert "excluded: days_since(orders) < 20" in Page(text).text


@pytest.mark.slow
def test_a_value_and_an_empty_audience_are_shown(own_shop: Workshop, past: Made) -> None:
    for change, said in (
        ({"value": 10}, "expected value of the audience"),
        ({"population": "count(orders) > 100000"}, "0 people in the audience, of 0 asked about"),
    ):
        report = make(own_shop, campaign(advanced={"models": TREES_AND_NETWORK}, **change), PAST).report
        assert said in Page(page_of(report)).text


@pytest.mark.slow
def test_a_teacher_s_later_rows_tell_what_came_true(own_cinema: Workshop) -> None:
    early, late = (labelled(240, lambda n: n % 3 == 0, day) for day in (150, 220))
    rows = early[:170] + late[170:]
    own_cinema.teach(rows)
    spec, day = fans(features=["genres"], advanced={"models": {"logistic": {}}}), date(1997, 12, 8)
    own_cinema.train("fans", spec, day)
    told = make(own_cinema, spec, day, "fans").report.metadata["held_out"]
    assert (told["rows"], told["positives"]) == (70, [row["label"] for row in rows[170:]].count(1))
    assert told["people_also_in_training"] == 0
    assert told["auc"]["low"] > 0.5


def test_an_unchanged_report_is_found(own_shop: Workshop, past: Made) -> None:
    first = make(own_shop, AGAIN, PAST).report
    assert first.hit
    assert isinstance(past.promotion, Promotion)
    assert make(own_shop, AGAIN, LATEST).report.metadata["held_out"] is None
