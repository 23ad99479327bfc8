"""Training sets: found when nothing that matters changed, made again when something did, never published when wrong."""

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from platform_assets.campaigns.declaration.feature_choice import feature_names
from platform_assets.campaigns.training_sets.calendar import ImmatureLabel, NotCovered
from platform_assets.campaigns.training_sets.label import event_labels
from platform_assets.campaigns.training_sets.population import people_asked
from platform_assets.campaigns.training_sets.training_set import FILE, TooFewPositives
from platform_assets.data.catalog.business_day import instant_of
from platform_assets.data.features.spine import Spine
from platform_assets.data.features.tables import feature_table
from platform_assets.data.quality import AuditFailed
from platform_assets.foundation.artifacts import Artifact
from tests.campaigns.worlds import PAST, Trained, Workshop, at, campaign, customers_orders, fans, labelled, shop
from tests.data.features.conftest import CATALOG, GROUPS, WATERMARK, in_zone, order, publish

DAYS = (date(1998, 1, 1), date(1998, 3, 2))


def read(training: Artifact) -> pa.Table:
    return pq.ParquetFile(training.path(FILE)).read()


def count_of_training_sets(workshop: Workshop) -> int:
    return sum('/training_set"' in path.read_text() for path in (workshop.folder / "artifacts").glob("recipes/*.json"))


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path, shop(tmp_path))


def test_columns_stand_in_their_order_and_rows_by_time_and_person(trained: Trained) -> None:
    table = read(trained.training)
    assert table.column_names == ["customer_id", "as_of", "label", "fold", *feature_names(campaign(), GROUPS)]
    pairs = list(zip(table["as_of"].to_pylist(), table["customer_id"].to_pylist(), strict=True))
    assert pairs == sorted(set(pairs))
    assert {when.date() for when, _ in pairs} == set(DAYS)


def test_labels_and_features_are_those_of_each_row_s_own_date(shared_shop: Workshop, trained: Trained) -> None:
    table, spec, warehouse = read(trained.training), campaign(), shared_shop.warehouse
    for day in DAYS:
        instant = instant_of(day, "UTC")
        own = table.filter([when == instant for when in table["as_of"].to_pylist()])
        people = people_asked(warehouse, spec, instant)
        labels = warehouse.to_arrow(event_labels(shared_shop.question("again", spec, day), warehouse, people))
        labels = labels.sort_by("customer_id")
        assert own["label"].to_pylist() == labels["label"].to_pylist()
        spine = Spine.of_population(CATALOG.entities["customer"], instant)
        features = feature_table([GROUPS["customer"]["order_windows"]], spine, warehouse, shared_shop.store).table
        assert own.select(feature_names(spec, GROUPS)).equals(features.select(feature_names(spec, GROUPS)))


def test_a_person_is_in_one_fold_at_every_date(trained: Trained) -> None:
    table = read(trained.training).select(["customer_id", "fold"]).to_pandas()
    assert table.groupby("customer_id")["fold"].nunique().max() == 1
    assert set(table["fold"]) == {0, 1}


def test_metadata_counts_people_and_positives_by_date(trained: Trained) -> None:
    table, told = read(trained.training).to_pandas(), trained.training.metadata
    assert told["score_at"] == PAST.isoformat()
    assert told["as_of"] == [day.isoformat() for day in DAYS]
    assert told["positives"] == table["label"].sum() == sum(part["positives"] for part in told["by_time"].values())
    newest = table[table["as_of"] == table["as_of"].max()]
    label = newest["label"]
    assert told["by_time"]["1998-03-02"] == {"rows": len(label), "positives": label.sum(), "base_rate": label.mean()}


def test_metadata_names_business_dates_east_of_greenwich_too(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, publish(tmp_path, in_zone("Europe/Berlin"), {"orders": customers_orders(200)}))
    spec = campaign(train={"as_of": ["1998-01-15", "1998-04-15"]})
    assert workshop.training_set("again", spec).metadata["as_of"] == ["1998-01-15", "1998-04-15"]


def test_the_second_call_finds_what_the_first_one_made(own_shop: Workshop, trained: Trained) -> None:
    again = own_shop.training_set("again", campaign(), PAST)
    assert again.hit
    assert again.ref == trained.training.ref
    assert again.reason == "same code, settings and inputs"


def test_models_audience_and_schedule_do_not_touch_the_training_set(own_shop: Workshop) -> None:
    use = {"audience": {"top": 5}, "value": 3, "schedule": "weekly", "description": "Another sentence here"}
    spec = campaign(advanced={"models": {"network": {}}}, **use)
    assert own_shop.training_set("again", spec, PAST).hit


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"label": {"event": "orders", "within": "59d"}}, "settings changed: label"),
        ({"population": "count(orders) >= 2"}, "settings changed: population"),
        ({"advanced": {"seed": 1}}, "settings changed: seed"),
        ({"advanced": {"folds": 3}}, "settings changed: folds"),
        ({"advanced": {"feature_selection": {"drop": ["orders_7d"]}}}, "settings changed: features"),
    ],
)
def test_what_it_is_made_from_makes_it_again_and_says_what_changed(
    own_shop: Workshop, changes: dict[str, object], told: str
) -> None:
    made = own_shop.training_set("again", campaign(**changes), PAST)
    assert not made.hit
    assert told in made.reason


def test_events_after_the_last_horizon_leave_it_as_it_is(workshop: Workshop) -> None:
    first = workshop.training_set("again", campaign(), PAST)
    later = [*customers_orders(), *(order(90_000 + n, n, (PAST - date(1997, 6, 1)).days + 1) for n in range(1, 300))]
    warehouse = publish(workshop.folder, CATALOG, {"orders": later}, WATERMARK + timedelta(days=30))
    again = Workshop(workshop.folder, warehouse).training_set("again", campaign(), PAST)
    assert again.hit
    assert again.ref == first.ref


@pytest.mark.slow
def test_a_late_event_within_the_horizon_makes_it_again(workshop: Workshop) -> None:
    first = workshop.training_set("again", campaign(), PAST)
    unlabelled = [row for row in read(first).to_pylist() if row["label"] == 0]
    silent = next(row["customer_id"] for row in unlabelled if row["as_of"].date() == DAYS[1])
    late = order(90_000, silent, (DAYS[1] - date(1997, 6, 1)).days + 3)
    workshop = Workshop(workshop.folder, publish(workshop.folder, CATALOG, {"orders": [*customers_orders(), late]}))
    again = workshop.training_set("again", campaign(), PAST)
    assert not again.hit
    assert "labels as of 1998-03-02" in again.reason
    changed = [new for old, new in zip(read(first).to_pylist(), read(again).to_pylist(), strict=True) if old != new]
    assert [(row["customer_id"], row["label"], row["as_of"].date()) for row in changed] == [(silent, 1, DAYS[1])]


def test_a_failed_audit_of_its_features_publishes_nothing(workshop: Workshop) -> None:
    with pytest.raises(AuditFailed, match="order_windows: audit failed"):
        workshop.with_broken_orders().training_set("again", campaign(), PAST)
    assert count_of_training_sets(workshop) == 0


def test_a_failed_audit_of_its_own_publishes_nothing(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    from platform_assets.campaigns.training_sets import training_set
    from platform_assets.data.quality import Allowed

    monkeypatch.setattr(training_set, "_rules", lambda *_: [Allowed("label", (0,), severity="critical")])
    with pytest.raises(AuditFailed, match="again/training_set: audit failed on 1 of 1 rules"):
        workshop.training_set("again", campaign(), PAST)
    assert count_of_training_sets(workshop) == 0


def few(tmp_path: Path, positives: int, people: int = 400) -> Workshop:
    """Everyone ordered on day 10; `positives` of them again within 60 days of 1998-03-02."""
    rows = [order(n, n, 10) for n in range(1, people + 1)]
    rows += [order(1000 + n, n, 280) for n in range(1, positives + 1)]
    return Workshop(tmp_path, shop(tmp_path, people, rows))


ONE_DATE = campaign(train={"as_of": ["1998-03-02"]})


def test_fewer_than_fifty_positives_are_refused_and_nothing_is_published(tmp_path: Path) -> None:
    workshop = few(tmp_path, 49)
    with pytest.raises(TooFewPositives, match="again: 49 positives among 400 rows; at least 50 are needed"):
        workshop.training_set("again", ONE_DATE)
    assert count_of_training_sets(workshop) == 0


def test_fewer_than_fifty_negatives_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TooFewPositives, match="again: 49 negatives among 150 rows"):
        few(tmp_path, 101, 150).training_set("again", ONE_DATE)


@pytest.mark.parametrize(("positives", "warnings"), [(50, 1), (199, 1), (200, 0)])
def test_fewer_than_two_hundred_positives_are_a_warning(tmp_path: Path, positives: int, warnings: int) -> None:
    told = few(tmp_path, positives).training_set("again", ONE_DATE).metadata["audit"]
    assert told["passed"]
    said = [f"only {positives} positives; figures will be uncertain below 200"]
    assert [check["message"] for check in told["failed"]] == said * warnings


def test_a_date_the_exports_do_not_cover_is_refused(shared_shop: Workshop) -> None:
    with pytest.raises(NotCovered, match="score_at 1998-07-02"):
        shared_shop.training_set("again", campaign(), date(1998, 7, 2))
    with pytest.raises(ImmatureLabel, match=r"train\.as_of 1998-06-01"):
        shared_shop.training_set("again", campaign(train={"as_of": ["1998-06-01"]}))


def test_a_teacher_s_rows_are_those_known_at_the_scoring_date(own_cinema: Workshop) -> None:
    rows = [{"viewer_id": n, "as_of": at(100 + n).isoformat(), "label": int(n % 2 == 0)} for n in range(1, 231)]
    own_cinema.teach(rows)
    score_at = date(1998, 4, 1)
    made = own_cinema.training_set("fans", fans(), score_at)
    table = read(made).to_pandas()
    newest = instant_of(score_at, "America/New_York") - timedelta(days=28)
    assert len(table) == sum(at(100 + n) <= newest for n in range(1, 231))
    assert made.metadata["latest_as_of"] == table["as_of"].max().isoformat()
    assert (table["label"] == (table["viewer_id"] + 1) % 2).all()
    assert len(made.metadata["as_of"]) < 24


def test_a_changed_teacher_file_makes_it_again(own_cinema: Workshop) -> None:
    rows = labelled(130, lambda n: n % 2)
    for again in (False, True):
        own_cinema.teach(rows)
        assert own_cinema.training_set("fans", fans()).hit == again
    own_cinema.teach([{**rows[0], "label": 0}, *rows[1:]])
    made = own_cinema.training_set("fans", fans())
    assert not made.hit
    assert made.reason == "inputs changed: teacher file"


def test_a_teacher_with_labels_after_the_scoring_date_only_is_refused(own_cinema: Workshop) -> None:
    own_cinema.teach(labelled(130, lambda n: n % 2))
    with pytest.raises(TooFewPositives, match="fans: no label is known at score_at 1997-09-01"):
        own_cinema.training_set("fans", fans(), date(1997, 9, 1))


@pytest.mark.slow
def test_rows_before_a_date_are_all_that_decide(tmp_path: Path) -> None:
    """The set made from everything equals the set made from an export that ends at its scoring date."""
    whole, early = Workshop(tmp_path / "whole", shop(tmp_path / "whole")), tmp_path / "early"
    end = instant_of(PAST, "UTC")
    rows = [row for row in customers_orders() if row["ordered_at"] < end]
    cut = Workshop(early, publish(early, CATALOG, {"orders": rows}, end)).training_set("again", campaign())
    assert cut.ref.content_hash == whole.training_set("again", campaign(), PAST).ref.content_hash
