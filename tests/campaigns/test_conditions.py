"""The condition grammar: what it accepts means the same as plain Python, everything else is refused by name."""

import operator
from datetime import UTC, datetime

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.campaigns.training_sets.population import everyone, with_conditions
from platform_assets.data.conditions.parsing import parse_event_condition, parse_person_condition
from platform_assets.data.conditions.terms import PredicateError
from platform_assets.data.engines.duckdb.reading import DuckDBWarehouse
from tests.data.features.conftest import CATALOG, order, publish

ORDERS = CATALOG.marts["orders"]
AS_OF = datetime(1998, 1, 1, tzinfo=UTC)
MEANING = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> DuckDBWarehouse:
    rows = [order(n, person, day, quantity, amount) for n, (person, day, quantity, amount) in enumerate(
        [(1, 0, 1, "10"), (1, 200, 2, "30"), (2, 10, 5, "99.5"), (3, 213, 1, "1"), (3, 213, 1, "2"), (4, 300, 1, "7")]
    )]  # fmt: skip
    return publish(tmp_path_factory.mktemp("marts"), CATALOG, {"orders": rows, "customers": []})


def holding(warehouse: DuckDBWarehouse, text: str) -> set[int]:
    entity = CATALOG.entities["customer"]
    condition = parse_person_condition(text, CATALOG, "customer")
    people = everyone(warehouse, entity, AS_OF)
    table = warehouse.to_arrow(with_conditions(warehouse, entity, people, AS_OF, {"holds": condition}))
    return {row["customer_id"] for row in table.to_pylist() if row["holds"]}


# START is 1997-06-01, so AS_OF is day 214: person 4 orders after it and is not in the population.
@pytest.mark.parametrize(
    ("text", "people"),
    [
        ("count(orders) >= 2", {1, 3}),
        ("count(orders, 30) >= 1", {1, 3}),
        ("count(orders, 1) = 2", {3}),
        ("days_since(orders) > 90", {2}),
        ("days_since(orders) = 1", {3}),
        ("sum(orders.amount) between 3 and 40", {1, 3}),
        ("max(orders.quantity) in (2, 5)", {1, 2}),
        ("not (count(orders) = 1 or mean(orders.amount) < 5)", {1}),
        ("min(orders.amount, 30) is null", {2}),
        ("min(orders.amount, 30) > 0", {1, 3}),
        ("count(orders) != 2", {2}),
        ("sum(orders.amount, 30) between 1 and 35", {1, 3}),
        ("mean(orders.amount, 30) = 30 or avg(orders.amount, 30) < 2", {1, 3}),
        ("MAX(orders.quantity, 300) = 5", {2}),
    ],
)
def test_a_condition_on_people_looks_only_at_what_happened_before(
    warehouse: DuckDBWarehouse, text: str, people: set[int]
) -> None:
    assert holding(warehouse, text) == people


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("count(order) > 1", 'customer has no events called order; did you mean "orders"?'),
        ("cout(orders) > 1", 'there is no function cout; did you mean "count"?'),
        ("sum(orders.amont) > 1", 'orders has no column amont; did you mean "amount"?'),
        ("sum(orders) > 1", "write sum(orders.quantity)"),
        ("count(orders, 0) > 1", "a number of days from 1"),
        ("count(orders, 'x') > 1", "a number of days from 1"),
        ("count(orders)", "is not a condition"),
        ("count(orders) > 'many'", "compares number with text"),
        ("customer_id = 1; drop table orders", "is not a condition"),
        ("customer_id in (select 1)", "not"),
        ("exists (select 1)", "not"),
        ("read_csv('/etc/passwd') = 1", "there is no function"),
        ("customer_id = 1 union select 1", "not"),
        ("case when true then true end", "not"),
        ("count(orders) + 1 > 2", "is not part of this grammar"),
        ("custmer_id = 1", 'customers has no column custmer_id; did you mean "customer_id"?'),
        ("orders.amount > 1", "only columns of customers can stand here"),
        ("", "cannot read"),
        ("customer_id =", "cannot read"),
    ],
)
def test_what_is_not_of_the_grammar_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(PredicateError) as refused:
        parse_person_condition(text, CATALOG, "customer")
    assert said in str(refused.value)


def test_aggregates_cannot_stand_in_conditions_on_events() -> None:
    with pytest.raises(PredicateError, match="only in conditions on people"):
        parse_event_condition("count(orders) > 1", ORDERS, "UTC")


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_no_text_gets_past_the_parser_except_as_a_checked_tree(text: str) -> None:
    try:
        predicate = parse_event_condition(text, ORDERS, "UTC")
    except PredicateError:
        return
    assert predicate.columns <= set(ORDERS.columns)


@given(sign=st.sampled_from(sorted(MEANING)), bound=st.integers(-3, 12), value=st.integers(0, 10))
@settings(max_examples=60, deadline=None)
def test_comparisons_mean_what_they_say(sign: str, bound: int, value: int) -> None:
    condition = parse_event_condition(f"quantity {sign} {bound}", ORDERS, "UTC")
    table = ibis.memtable({"quantity": [value]})
    [holds] = table.select(holds=condition.to_ibis({"quantity": table.quantity})).execute()["holds"]
    assert holds == MEANING[sign](value, bound)
