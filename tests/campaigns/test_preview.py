"""The preview: the numbers a person decides by, equal to those that training would report."""

from datetime import timedelta
from pathlib import Path

import pytest

from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.training_sets.preview import Preview, preview_campaign, rendered
from platform_assets.campaigns.training_sets.training_set import TooFewPositives
from platform_assets.learning.figures import metrics
from tests.campaigns.test_training_set import ONE_DATE, few, read
from tests.campaigns.worlds import WATERMARK, Workshop, campaign, fans, labelled


def preview(workshop: Workshop, spec: CampaignSpec, name: str = "again") -> Preview:
    return preview_campaign(name, spec, workshop.work)


@pytest.mark.slow
def test_it_counts_what_training_will_count(own_shop: Workshop) -> None:
    audience = {"top": 30, "exclude": ["days_since(orders) < 30", "count(orders) > 10"]}
    spec = campaign(population="count(orders) >= 2", audience=audience)
    seen = preview(own_shop, spec)
    training = own_shop.training_set("again", spec)
    by_time = training.metadata["by_time"]
    assert seen.by_time == [(when, part["rows"], part["positives"]) for when, part in by_time.items()]
    assert seen.score_at.isoformat() == training.metadata["score_at"] == "1998-07-01"
    assert seen.warnings == []
    table = read(training).to_pandas()
    column, direction, auc = seen.rule
    area = metrics.auc(table["label"], table[column].fillna(-1))
    assert auc == pytest.approx(area if direction == "high" else 1 - area, abs=0.02)
    assert auc == metrics.one_column_table(table.iloc[:, 4:], table["label"])["auc"].max()


def test_it_counts_people_and_exclusions_as_of_the_scoring_date(tmp_path: Path) -> None:
    workshop = few(tmp_path, 60)
    spec = campaign(
        train={"as_of": ["1998-03-02"]}, population="count(orders) = 1",
        audience={"top": 1000, "exclude": ["days_since(orders) > 1000", "count(orders) < 9"]},
    )  # fmt: skip
    seen = preview(workshop, spec)
    assert (seen.population, seen.asked) == (400, 340)
    assert seen.excluded == {"days_since(orders) > 1000": 0, "count(orders) < 9": 340}
    assert seen.by_time == [("1998-03-02", 400, 60)]
    assert seen.warnings == [
        "only 60 positives; figures will be uncertain below 200",
        "audience.top is 1000, and only 340 people are asked about",
    ]


def test_it_refuses_under_fifty_positives(tmp_path: Path) -> None:
    with pytest.raises(TooFewPositives, match="again: 49 positives among 400 rows; at least 50 are needed"):
        preview(few(tmp_path, 49), ONE_DATE)


@pytest.mark.parametrize(("positives", "warned"), [(199, True), (200, False)])
def test_it_warns_under_two_hundred_positives(tmp_path: Path, positives: int, warned: bool) -> None:
    assert any("positives" in warning for warning in preview(few(tmp_path, positives), ONE_DATE).warnings) == warned


def test_it_warns_of_a_date_with_one_class_only(tmp_path: Path) -> None:
    spec = campaign(train={"as_of": ["1997-07-01", "1998-03-02"]})
    assert "one class only as of 1997-07-01" in preview(few(tmp_path, 250), spec).warnings


def test_it_tells_of_teacher_rows_left_out(own_cinema: Workshop) -> None:
    rows = labelled(140, lambda n: n % 2)
    late = (WATERMARK - timedelta(days=1)).isoformat()
    own_cinema.teach([*({**row, "as_of": late} for row in rows[:5]), *rows[5:]])
    seen = preview(own_cinema, fans({"immature": "set_aside"}), "fans")
    assert "5 teacher rows are left out: their 28 days are not over in the data" in seen.warnings


def test_a_teacher_with_nothing_known_yet_is_refused_in_a_sentence(own_cinema: Workshop) -> None:
    own_cinema.teach(labelled(140, lambda n: n % 2))
    with pytest.raises(TooFewPositives, match="fans: 0 positives among 0 rows"):
        preview(own_cinema, fans(score_at="1997-09-01"), "fans")


def test_it_reads_as_a_page(own_shop: Workshop) -> None:
    page = rendered(preview(own_shop, campaign(audience={"top": "10%", "exclude": ["days_since(orders) < 30"]})))
    assert page.startswith("again: scores as of 1998-07-01 (exports cover everything before 1998-07-01")
    for part in ("population         400", "days_since(orders) < 30", "1998-05-02", "best one-column rule: "):
        assert part in page
