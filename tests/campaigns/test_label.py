"""Labels and populations: what counts, to the microsecond, against a plain reading of the same events."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.campaigns.declaration.question import Question
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.training_sets.calendar import ImmatureLabel
from platform_assets.campaigns.training_sets.label import event_labels, is_known
from platform_assets.campaigns.training_sets.population import everyone, people_asked, with_conditions
from platform_assets.data.catalog.business_day import instant_of
from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.conditions.parsing import parse_person_condition
from platform_assets.data.engines.duckdb.reading import DuckDBWarehouse
from tests.campaigns.worlds import campaign, fans
from tests.data.features.conftest import CATALOG, START, in_zone, order, publish, rating, with_lag

DAY = date(1997, 9, 9)
TICK = timedelta(microseconds=1)
NUMBER = 100  # DAY is this many days after START
WITHIN = 10


def orders_at(*events: tuple[int, datetime]) -> list[dict]:
    return [{**order(n, person, 0), "ordered_at": when} for n, (person, when) in enumerate(events)]


def question(warehouse: DuckDBWarehouse, spec: CampaignSpec, day: date) -> Question:
    return Question("again", spec, warehouse.catalog.entities[spec.entity], day)


def labels(warehouse: DuckDBWarehouse, spec: CampaignSpec, day: date = DAY) -> dict[int, int]:
    entity = warehouse.catalog.entities[spec.entity]
    people = people_asked(warehouse, spec, instant_of(day, entity.timezone))
    table = warehouse.to_arrow(event_labels(question(warehouse, spec, day), warehouse, people))
    assert table.column_names == [entity.key, "label"]
    found = dict(zip(table[entity.key].to_pylist(), table["label"].to_pylist(), strict=True))
    assert len(found) == table.num_rows
    return found


def ten_days(**changes: object) -> CampaignSpec:
    return campaign(label={"event": "orders", "within": f"{WITHIN}d", **changes})


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_the_as_of_instant_counts_for_the_label_and_the_end_of_the_horizon_does_not(tmp_path: Path, zone: str) -> None:
    start, end = instant_of(DAY, zone), instant_of(DAY + timedelta(days=WITHIN), zone)
    known = [(person, start - TICK) for person in (1, 2, 3, 4)]
    rows = orders_at(*known, (2, start), (3, end - TICK), (4, end), (5, start))
    warehouse = publish(tmp_path, in_zone(zone), {"orders": rows})
    assert labels(warehouse, ten_days()) == {1: 0, 2: 1, 3: 1, 4: 0}


def test_the_horizon_is_counted_in_business_days_over_a_clock_change(tmp_path: Path) -> None:
    # On 1997-10-26 Berlin's clocks go back: ten days from the 20th are 241 hours.
    day = date(1997, 10, 20)
    start = instant_of(day, "Europe/Berlin")
    late, too_late = start + timedelta(hours=240, minutes=59), start + timedelta(hours=241)
    rows = orders_at((1, start - TICK), (1, late), (2, start - TICK), (2, too_late))
    warehouse = publish(tmp_path, in_zone("Europe/Berlin"), {"orders": rows})
    assert labels(warehouse, ten_days(), day) == {1: 1, 2: 0}


def test_several_events_are_one_label(tmp_path: Path) -> None:
    warehouse = publish(tmp_path, CATALOG, {"orders": [order(n, 1, NUMBER - 1 + n / 4) for n in range(20)]})
    assert labels(warehouse, ten_days()) == {1: 1}


def test_only_events_that_meet_the_condition_count(tmp_path: Path) -> None:
    rows = [order(1, 1, 1), order(2, 2, 1), order(3, 1, NUMBER + 1, 1, "49.99"), order(4, 2, NUMBER + 1, 1, "50")]
    warehouse = publish(tmp_path, CATALOG, {"orders": rows})
    assert labels(warehouse, ten_days(where="amount >= 50")) == {1: 0, 2: 1}


def test_absence_is_the_opposite(tmp_path: Path) -> None:
    rows = [*(order(n, n, 1) for n in (1, 2, 3)), order(4, 2, NUMBER + 1, 1, "20"), order(5, 3, NUMBER + 2, 1, "60")]
    warehouse = publish(tmp_path, CATALOG, {"orders": rows})
    silent = {"no_event": "orders", "within": "10d"}
    assert labels(warehouse, campaign(label=silent)) == {1: 1, 2: 0, 3: 0}
    assert labels(warehouse, campaign(label={**silent, "where": "amount > 50"})) == {1: 1, 2: 1, 3: 0}


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_a_label_is_known_when_the_exports_cover_its_whole_horizon_and_its_lag(tmp_path: Path, zone: str) -> None:
    catalog = with_lag(in_zone(zone), "orders", timedelta(hours=6))
    covered = instant_of(DAY + timedelta(days=WITHIN), zone) + timedelta(hours=6)
    warehouse = publish(tmp_path, catalog, {"orders": [order(1, 1, 1)]}, covered)
    assert is_known(question(warehouse, ten_days(), DAY), warehouse)
    later = DAY + timedelta(days=1)
    assert not is_known(question(warehouse, ten_days(), later), warehouse)
    said = f"label.within 10d: the label as of {later} is not known yet.* so {DAY} is the latest"
    with pytest.raises(ImmatureLabel, match=said):
        labels(warehouse, ten_days(), later)


def test_an_event_that_had_not_arrived_yet_does_not_make_a_person_known(tmp_path: Path) -> None:
    catalog = with_lag(CATALOG, "orders", timedelta(days=2))
    rows = [order(1, 1, NUMBER - 2.01), order(2, 2, NUMBER - 1.99), order(3, 3, NUMBER - 2)]
    warehouse = publish(tmp_path, catalog, {"orders": rows})
    assert set(labels(warehouse, ten_days())) == {1}


def test_the_population_condition_looks_at_the_past_only(tmp_path: Path) -> None:
    rows = [order(1, 1, 1), order(2, 1, NUMBER + 1), order(3, 2, 1), order(4, 2, NUMBER - 5), order(5, 3, NUMBER - 95)]
    warehouse = publish(tmp_path, CATALOG, {"orders": rows})
    label = {"event": "orders", "within": "10d"}
    assert labels(warehouse, campaign(label=label, population="days_since(orders) > 90")) == {1: 1, 3: 0}
    assert labels(warehouse, campaign(label=label, population="count(orders) >= 2")) == {2: 0}


def viewer_versions(*versions: tuple[int, int, datetime, datetime | None]) -> list[dict]:
    return [
        {"viewer_version_id": f"v{n}", "viewer_id": person, "age": age, "valid_from": start, "valid_to": end}
        for n, (person, age, start, end) in enumerate(versions)
    ]


def grown_up(tmp_path: Path, versions: list[dict], catalog: Catalog = CATALOG) -> set[int]:
    """Who is at least 18 as of DAY in New York."""
    people = sorted({version["viewer_id"] for version in versions})
    warehouse = publish(tmp_path, catalog, {"ratings": [rating(n, n, 1) for n in people], "viewers": versions})
    spec = fans(population="age >= 18")
    asked = people_asked(warehouse, spec, instant_of(DAY, "America/New_York"))
    return set(warehouse.to_arrow(asked)["viewer_id"].to_pylist())


def test_attributes_are_those_of_the_date_not_of_today(tmp_path: Path) -> None:
    change = instant_of(DAY, "America/New_York") + timedelta(days=1)
    before = change - timedelta(days=2)
    birthdays = [(1, 17, START, change), (1, 18, change, None), (2, 17, START, before), (2, 18, before, None)]
    assert grown_up(tmp_path, viewer_versions(*birthdays, (3, 18, change, None))) == {2}


@pytest.mark.parametrize(("before", "lag"), [(0, 0), (1, 2)], ids=["at the very instant", "not arrived"])
def test_a_change_that_is_not_known_yet_does_not_count(tmp_path: Path, before: int, lag: int) -> None:
    instant = instant_of(DAY, "America/New_York") - timedelta(hours=before)
    catalog = with_lag(CATALOG, "viewers", timedelta(hours=lag))
    first, second = ((1, 17, START, instant), (1, 18, instant, None)), ((2, 18, START, instant), (2, 17, instant, None))
    assert grown_up(tmp_path, viewer_versions(*first, *second), catalog) == {2}


MOMENTS = st.integers(-24, 24).map(lambda quarter: NUMBER + quarter / 4)
EVENTS = st.lists(st.tuples(st.integers(1, 30), MOMENTS, st.sampled_from(["10", "60"])), min_size=40, max_size=90)


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(
    events=EVENTS,
    lag=st.sampled_from([0.0, 0.25, 1.5]),
    where=st.sampled_from([None, "amount > 50"]),
    absent=st.booleans(),
)
def test_labels_and_population_agree_with_a_plain_reading(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[tuple[int, float, str]],
    lag: float,
    where: str | None,
    absent: bool,
) -> None:
    catalog = with_lag(CATALOG, "orders", timedelta(days=lag))
    rows = [order(n, person, day, 1, amount) for n, (person, day, amount) in enumerate(events)]
    warehouse = publish(tmp_path_factory.mktemp("marts"), catalog, {"orders": rows})
    kind = "no_event" if absent else "event"
    spec = campaign(label={kind: "orders", "within": "5d", "where": where}, population="count(orders, 3) <= 1")

    known = [(person, day) for person, day, _ in events if day < NUMBER - lag]
    recent = [person for person, day in known if day >= NUMBER - lag - 3]
    asked = {person for person, _ in known if recent.count(person) <= 1}
    within = [(person, amount) for person, day, amount in events if NUMBER <= day < NUMBER + 5]
    happened = {person for person, amount in within if where is None or amount == "60"}
    assert labels(warehouse, spec) == {person: int((person in happened) != absent) for person in asked}


def test_every_person_is_asked_about_once(tmp_path: Path) -> None:
    warehouse = publish(tmp_path, CATALOG, {"orders": [order(n, 1 + n % 3, n) for n in range(30)]})
    people = warehouse.to_arrow(everyone(warehouse, CATALOG.entities["customer"], datetime(1997, 9, 1, tzinfo=UTC)))
    assert sorted(people["customer_id"].to_pylist()) == [1, 2, 3]


def test_a_condition_that_meets_a_missing_value_does_not_hold(tmp_path: Path) -> None:
    versions = [{**row, "age": None} for row in viewer_versions((1, 0, START, None))]
    warehouse = publish(tmp_path, CATALOG, {"ratings": [rating(1, 1, 1)], "viewers": versions})
    entity, instant = CATALOG.entities["viewer"], instant_of(DAY, "America/New_York")
    conditions = {"either": parse_person_condition("not (age >= 18)", CATALOG, "viewer")}
    people = everyone(warehouse, entity, instant)
    table = warehouse.to_arrow(with_conditions(warehouse, entity, people, instant, conditions))
    assert table["either"].to_pylist() == [False]
