"""Every group, whoever adds it: it knows the past only, bears little data, and both kinds of spine agree."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from platform_assets.data.engines.duckdb.reading import DuckDBWarehouse
from platform_assets.data.features.group import Feature, FeatureGroup
from platform_assets.data.features.spine import Spine
from platform_assets.data.features.tables import MartNotUsable, audit_rules, compute_features
from platform_assets.data.quality import audit
from tests.data.features.conftest import (
    AS_OF,
    CATALOG,
    GROUPS,
    INSTANT,
    ORDERS,
    RATINGS,
    START,
    Platform,
    each_as_of,
    order,
    publish,
    rating,
    viewer_version,
    with_lag,
)
from tests.tiers import Examples

ALL = [group for groups in GROUPS.values() for group in groups.values()]
each_group = pytest.mark.parametrize("group", ALL, ids=lambda group: f"{group.entity}-{group.name}")


def population(group: FeatureGroup, as_of: datetime = AS_OF) -> Spine:
    return Spine.of_population(CATALOG.entities[group.entity], as_of)


def own_dates(group: FeatureGroup, rows: Sequence[tuple[int, datetime]]) -> Spine:
    entity = CATALOG.entities[group.entity]
    return Spine.of_rows(entity, each_as_of(entity.key, rows))


def holds(group: FeatureGroup, spine: Spine, warehouse: DuckDBWarehouse) -> pa.Table:
    """The table, audited by the group's own rules."""
    table = compute_features(group, spine, warehouse)
    rules = audit_rules(group, spine.entity.key, spine.rows(warehouse).num_rows)
    audit(table, rules, name=group.key, personal=[spine.entity.key]).raise_if_failed()
    return table


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> DuckDBWarehouse:
    return publish(tmp_path_factory.mktemp("marts"), CATALOG, {"orders": ORDERS, "ratings": RATINGS})


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> DuckDBWarehouse:
    return publish(tmp_path_factory.mktemp("marts"), CATALOG, {"orders": [], "ratings": []})


@pytest.fixture(scope="module")
def single_event(tmp_path_factory: pytest.TempPathFactory) -> DuckDBWarehouse:
    return publish(tmp_path_factory.mktemp("marts"), CATALOG, {"orders": ORDERS[:1], "ratings": RATINGS[:1]})


def test_each_entity_has_at_least_three_groups_with_words_for_every_feature() -> None:
    assert {entity: len(groups) >= 3 for entity, groups in GROUPS.items()} == {
        "customer": True,
        "viewer": True,
    }
    for group in ALL:
        assert all(len(feature.description) > 8 for feature in group.features.values()), group.key
        assert all(name in group.features for along in group.monotone for name in along), group.key


@each_group
def test_a_population_equals_the_same_people_each_with_that_as_of(group: FeatureGroup, shared: DuckDBWarehouse) -> None:
    whole = holds(group, population(group), shared)
    people = whole[CATALOG.entities[group.entity].key].to_pylist()
    later = AS_OF + timedelta(days=30)
    own = holds(group, own_dates(group, [*((person, AS_OF) for person in people), (people[0], later)]), shared)
    assert whole.column_names == [CATALOG.entities[group.entity].key, "as_of", *group.features]
    assert {whole.schema.field(name).type for name in group.features} == {pa.float64()}
    assert people == sorted(people)
    assert own.filter(pc.equal(own["as_of"], pa.scalar(AS_OF, INSTANT))).equals(whole)


@each_group
def test_no_events_make_an_empty_population_and_undefined_rows(group: FeatureGroup, bare: DuckDBWarehouse) -> None:
    assert compute_features(group, population(group), bare).num_rows == 0
    row = compute_features(group, own_dates(group, [(1, AS_OF), (1, AS_OF + timedelta(days=1))]), bare).to_pylist()[0]
    assert all(row[name] is None if feature.nullable else row[name] == 0 for name, feature in group.features.items())


@each_group
def test_one_event_is_enough(group: FeatureGroup, single_event: DuckDBWarehouse) -> None:
    assert holds(group, population(group), single_event).num_rows == 1


LAGS = (timedelta(0), timedelta(days=2))


def published(folder: Path, lag: timedelta, planted: Sequence[tuple[int, timedelta]] = ()) -> DuckDBWarehouse:
    """The marts with an order and a rating more for each planted (person, time after the last that counts)."""
    catalog = with_lag(with_lag(CATALOG, "orders", lag), "ratings", lag)
    days = [(person, (AS_OF - lag - START + late) / timedelta(days=1)) for person, late in planted]
    orders = [order(100 + n, person, day, 9, "9999") for n, (person, day) in enumerate(days)]
    ratings = [rating(100 + n, person, day, 5, ("Western",), 1900) for n, (person, day) in enumerate(days)]
    return publish(folder, catalog, {"orders": ORDERS + orders, "ratings": RATINGS + ratings})


def asked(warehouse: DuckDBWarehouse, together: bool) -> dict[str, pa.Table]:
    """Every group's features: of the population, or of people who each have their own as-of."""
    rows = [(1, AS_OF), (2, AS_OF), (2, AS_OF - timedelta(days=20))]
    spines = {group.key: population(group) if together else own_dates(group, rows) for group in ALL}
    return {group.key: compute_features(group, spines[group.key], warehouse) for group in ALL}


@cache
def undisturbed(folder: Path, lag: timedelta, together: bool) -> dict[str, pa.Table]:
    return asked(published(folder / f"undisturbed-{lag.days}-{together}", lag), together)


@pytest.mark.slow
def test_a_planted_future_event_moves_no_feature_of_any_group(
    tmp_path_factory: pytest.TempPathFactory, examples: Examples
) -> None:
    @examples(1, 12)
    @example(planted=[(1, timedelta(0)), (2, timedelta(microseconds=1))], lag=LAGS[0], together=True)
    @example(planted=[(1, timedelta(0)), (5, timedelta(0))], lag=LAGS[1], together=False)
    @given(
        planted=st.lists(
            st.tuples(st.integers(1, 5), st.timedeltas(timedelta(0), timedelta(days=80))), min_size=1, max_size=6
        ),
        lag=st.sampled_from(LAGS),
        together=st.booleans(),
    )
    def moves_nothing(planted: list[tuple[int, timedelta]], lag: timedelta, together: bool) -> None:
        tables = asked(published(tmp_path_factory.mktemp("planted"), lag, planted), together)
        before = undisturbed(tmp_path_factory.getbasetemp(), lag, together)
        assert [key for key, table in tables.items() if not table.equals(before[key])] == []

    moves_nothing()


@pytest.mark.slow
@pytest.mark.parametrize(("lag", "together"), [(LAGS[0], False), (LAGS[1], True)])
def test_an_event_that_arrived_just_in_time_moves_every_group(
    tmp_path_factory: pytest.TempPathFactory, lag: timedelta, together: bool
) -> None:
    in_time = published(tmp_path_factory.mktemp("in_time"), lag, [(1, -timedelta(microseconds=1))])
    before = undisturbed(tmp_path_factory.getbasetemp(), lag, together)
    assert [key for key, table in asked(in_time, together).items() if table.equals(before[key])] == []


def features_of(warehouse: DuckDBWarehouse, entity: str, group: str, person: int = 1) -> dict[str, float | None]:
    table = compute_features(GROUPS[entity][group], population(GROUPS[entity][group]), warehouse)
    return next(row for row in table.to_pylist() if row[CATALOG.entities[entity].key] == person)


def test_customer_features_are_what_they_say(shared: DuckDBWarehouse) -> None:
    counted = features_of(shared, "customer", "order_windows")
    assert [counted[f"orders_{w}"] for w in ("7d", "28d", "90d", "all")] == [1, 1, 2, 4]
    assert [counted[f"amount_{w}"] for w in ("7d", "all")] == [99.99, 132.49]
    worth = features_of(shared, "customer", "order_value")
    assert (worth["days_since_last_order"], worth["days_since_first_order"]) == (4.5, 100)
    assert worth["mean_order_amount"] == pytest.approx(132.49 / 4)
    assert worth["orders_per_month"] == pytest.approx(1.2)
    pauses = features_of(shared, "customer", "order_regularity")
    assert (pauses["mean_gap_days"], pauses["longest_gap_days"]) == (47.5, 65)
    assert pauses["std_gap_days"] == pytest.approx(24.748737)
    assert pauses["recency_in_mean_gaps"] == pytest.approx(4.5 / 47.5)
    baskets = features_of(shared, "customer", "order_variety")
    assert (baskets["visits_all"], baskets["multi_item_share_all"], baskets["order_values_all"]) == (
        3,
        0.5,
        3,
    )


def test_viewer_features_are_what_they_say(shared: DuckDBWarehouse) -> None:
    genres = features_of(shared, "viewer", "genres")
    assert (genres["sci_fi_share"], genres["sci_fi_liked_share"], genres["western_share"]) == (0.5, 0.25, 0)
    variety = features_of(shared, "viewer", "variety")
    assert (variety["genres_all"], variety["films_all"], variety["genres_28d"]) == (3, 4, 1)
    assert variety["mean_film_age"] == pytest.approx((7 + 7 - 2) / 3)
    taste = features_of(shared, "viewer", "taste")
    assert (taste["mean_rating_all"], taste["liked_share_all"], taste["liked_share_28d"]) == (3, 0.5, 0)
    activity = features_of(shared, "viewer", "rating_activity")
    assert (activity["days_since_last_rating"], activity["rating_days"]) == (1, 3)


AGE = FeatureGroup(
    "age", "viewer", "Their age", ("viewers",), {"age": Feature("age in years", nullable=True)},
    lambda marts, spine: marts["viewers"], __name__,
)  # fmt: skip


def test_a_changing_attribute_is_read_as_it_was(tmp_path: Path) -> None:
    warehouse = publish(
        tmp_path, CATALOG, {"viewers": [viewer_version(1, 30, 10, 50), viewer_version(1, 31, 50, None)]}
    )
    days = (5, 10, 11, 50, 51, 200)
    table = compute_features(AGE, own_dates(AGE, [(1, START + timedelta(days=day)) for day in days]), warehouse)
    assert table["age"].to_pylist() == [None, None, 30, 30, 31, 31]


def test_events_of_other_people_cannot_be_a_groups_input(platform: Platform) -> None:
    odd = FeatureGroup("odd", "viewer", "Odd", ("orders",), {"n": Feature("orders")}, AGE.build, __name__)
    with pytest.raises(MartNotUsable, match="mart orders holds events of customer, not of viewer"):
        compute_features(odd, own_dates(odd, [(1, AS_OF)]), platform.warehouse)
