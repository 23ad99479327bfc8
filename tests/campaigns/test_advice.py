"""What a refusal advises is accepted: each sentence that says what to write is followed, to the letter."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.components.loading import read_source_files
from platform_assets.data.conditions.parsing import (
    Predicate,
    parse_event_condition,
    parse_person_condition,
)
from platform_assets.data.conditions.terms import PredicateError
from platform_assets.environment import REPOSITORY
from tests.campaigns.test_parsing import complaint, read
from tests.data.features.conftest import CATALOG
from tests.data.small_catalog import typed
from tests.support.declared import GOOD, write_declaration

MORE = {"gift": "boolean", "channel": "varchar", "shipped_on": "date", "words": "varchar[]", "sizes": "bigint[]"}
PEOPLE = {"is_employee": "boolean", "city": "varchar", "born": "date", "tags": "varchar[]"}
ORDERS = replace(
    CATALOG.marts["orders"], columns={**CATALOG.marts["orders"].columns, **typed({"ordered_at": "timestamptz", **MORE})}
)
CUSTOMERS = replace(
    CATALOG.marts["customers"], columns=typed({"customer_id": "bigint", "created_at": "timestamptz", **PEOPLE})
)
EVERY_KIND = replace(CATALOG, marts={**CATALOG.marts, "orders": ORDERS, "customers": CUSTOMERS})


def on_people(text: str) -> Predicate:
    return parse_person_condition(text, EVERY_KIND, "customer")


def on_orders(text: str) -> Predicate:
    return parse_event_condition(text, ORDERS, "UTC")


# (where, what was written, what the message says, the condition once that is followed)
FOLLOWED = [
    (on_people, "is_employee", "is_employee = true", "is_employee = true"),
    (on_people, "not is_employee", "is_employee = true", "not is_employee = true"),
    (on_people, "is_employee is true", "is_employee = true", "is_employee = true"),
    (on_people, "is_employee = 1", "write true or false", "is_employee = true"),
    (on_people, "is_employee = 'yes'", "write true or false", "is_employee = true"),
    (on_people, "city", "city = 'word'", "city = 'word'"),
    (on_people, "city = 5", "a text takes quotes: '5'", "city = '5'"),
    (on_people, "customer_id = '5'", "a number takes no quotes: 5", "customer_id = 5"),
    (on_people, "city = 2024-01-31", "it takes quotes: '2024-01-31'", "city = '2024-01-31'"),
    (on_people, "tags", "contains(tags, 'word')", "contains(tags, 'word')"),
    (on_people, "tags = 'x'", "contains(tags, 'word')", "contains(tags, 'word')"),
    (on_people, "contains(city, 'x')", "contains(tags, 'word')", "contains(tags, 'word')"),
    (on_people, "contains(tags, 5)", "contains(tags, 'word')", "contains(tags, 'word')"),
    (on_people, "contains(tags, 'x') = true", "is a condition; it is compared with nothing", "contains(tags, 'x')"),
    (on_people, "created_at", "created_at >= 2024-01-31", "created_at >= 2024-01-31"),
    (on_people, "created_at > 'soon'", "write a day as 2024-01-31", "created_at > 2024-01-31"),
    (on_people, "created_at > 20240131", "write a day as 2024-01-31", "created_at > 2024-01-31"),
    (on_people, "created_at > 2024-1-31", "write one as 2024-01-31", "created_at > 2024-01-31"),
    (on_people, "created_at > 2024-02-30", "write one as 2024-01-31", "created_at > 2024-01-31"),
    (on_people, "created_at > '2024-02-30'", "write one as 2024-01-31", "created_at > 2024-01-31"),
    (on_people, "created_at > 9999-01-01", "write a day from 1900-01-01 to 2199-12-31", "created_at > 2199-12-31"),
    (on_people, "created_at > date '2024-01-31'", "write 2024-01-31", "created_at > 2024-01-31"),
    (on_people, "born > created_at", "compare each with a day", "born > 2024-01-31 and created_at > 2024-01-31"),
    (on_people, "count(orders)", "count(orders) > 1", "count(orders) > 1"),
    (on_people, "days_since(orders)", "days_since(orders) > 1", "days_since(orders) > 1"),
    (on_people, "true", "count(orders) > 1", "count(orders) > 1"),
    (on_people, " ", "count(orders) > 1", "count(orders) > 1"),
    (on_people, "count(orders, 30d) > 1", "write days as 30", "count(orders, 30) > 1"),
    (on_people, "sum(orders.amount, 30d) > 1", "write days as 30", "sum(orders.amount, 30) > 1"),
    (on_people, "sum(orders.amount, 12w) > 1", "write days as 84", "sum(orders.amount, 84) > 1"),
    (on_people, "count(orders, 9999w) > 1", "write days as 3650", "count(orders, 3650) > 1"),
    (on_people, "count(orders, '30d') > 1", "write days as 30", "count(orders, 30) > 1"),
    (on_people, "days_since(orders) > 30d", "write days as 30", "days_since(orders) > 30"),
    (on_people, "count(orders, 0) > 1", "a number of days from 1 to 3650", "count(orders, 3650) > 1"),
    (on_people, "count() > 1", "count(orders)", "count(orders) > 1"),
    (on_people, "count(*) > 1", "count(orders)", "count(orders) > 1"),
    (on_people, "sum(orders) > 1", "write sum(orders.quantity)", "sum(orders.quantity) > 1"),
    (on_people, "sum(1) > 1", "sum(orders.quantity)", "sum(orders.quantity) > 1"),
    (on_people, "count(orders.amount) > 1", "write count(orders)", "count(orders) > 1"),
    (on_people, "days_since(orders, 3) > 1", "write days_since(orders)", "days_since(orders) > 1"),
    (on_people, "sum(orders.channel) > 1", 'known are quantity, amount, order_id, customer_id', "sum(orders.quantity) > 1"),
    (on_people, "sum(orders.amont) > 1", 'did you mean "amount"?', "sum(orders.amount) > 1"),
    (on_people, "cout(orders) > 1", 'did you mean "count"?', "count(orders) > 1"),
    (on_people, "avg_(orders.amount) > 1", "known are count, days_since, sum, mean, min, max, contains", "mean(orders.amount) > 1"),
    (on_people, "count(order) > 1", 'did you mean "orders"?', "count(orders) > 1"),
    (on_people, "orders.amount > 1", "e.g. max(orders.amount)", "max(orders.amount) > 1"),
    (on_people, "customer_id = 1e99", "larger than any number", "customer_id = 1e9"),
    (on_orders, "gift", "gift = true", "gift = true"),
    (on_orders, "amount", "amount >= 1", "amount >= 1"),
    (on_orders, "1", "ordered_at >= 2024-01-31", "ordered_at >= 2024-01-31"),
    (on_orders, "count(orders) > 1", "e.g. ordered_at >= 2024-01-31", "ordered_at >= 2024-01-31"),
    (on_orders, "count(orders)", "e.g. ordered_at >= 2024-01-31", "ordered_at >= 2024-01-31"),
    (on_orders, "coun(orders) > 1", "there is no function coun; known are contains", "contains(words, 'word')"),
    (on_orders, "containz(words, 'x')", 'did you mean "contains"?', "contains(words, 'x')"),
    (on_orders, "sizes = 1", "contains(sizes, 1)", "contains(sizes, 1)"),
    (on_orders, "shipped_on > 5", "write a day as 2024-01-31", "shipped_on > 2024-01-31"),
]  # fmt: skip


@pytest.mark.parametrize(("parse", "wrong", "advice", "followed"), FOLLOWED, ids=[row[1] for row in FOLLOWED])
def test_a_condition_that_follows_the_advice_is_taken(parse: object, wrong: str, advice: str, followed: str) -> None:
    assert parse in (on_people, on_orders)
    check = on_people if parse is on_people else on_orders
    with pytest.raises(PredicateError) as refused:
        check(wrong)
    said = str(refused.value)
    assert advice in said
    assert "\x1b" not in said
    assert "Line 1, Col" not in said
    assert check(followed)


TERMS = st.sampled_from(
    [*ORDERS.columns, *CUSTOMERS.columns, "orders", "customers", "count(orders)", "sum(orders.amount, 30d)", "max(orders.words)", "count(orders, 7)",
     "contains(tags, 1)", "1", "1.5", "'x'", "'2024-01-31'", "2024-01-31", "2024-13-01", "true", "null", "sum(orders)", "(1)", "30d", "-1", "nope"]
)  # fmt: skip
OPERATORS = st.sampled_from(["=", "!=", "<", ">=", "is", "is not", "in", "and", "or", "+", "between", "like", ""])
TEXTS = st.recursive(
    TERMS,
    lambda inner: st.tuples(st.sampled_from(["", "not ", "("]), inner, OPERATORS, inner).map(" ".join),
    max_leaves=4,
)


@given(st.sampled_from(["people", "orders"]), TEXTS)
@settings(max_examples=300, deadline=None)
def test_an_example_in_any_refusal_is_of_the_grammar(where: str, text: str) -> None:
    check = on_people if where == "people" else on_orders
    said = ""
    try:
        check(text)
    except PredicateError as refused:
        said = str(refused)
    for example in re.findall(r"compare something, e\.g\. (.+)$|here stand columns of \w+, e\.g\. (.+)$", said):
        assert check("".join(example))


# (the line of the minimal campaign that is replaced, what by, what the message says, what then stands there)
FIELDS = [
    ("owner: crm@example.com", "owner: nobody", "such as crm@example.com", "owner: crm@example.com"),
    ("owner: crm@example.com", "owner: jürgen@example.com", "team: and a name, such as team:crm", "owner: team:crm"),
    ("owner: crm@example.com", "owner: crm@example", "such as crm@example.com", "owner: crm@example.com"),
    ("within: 90d", "within: 3 months", "write days or weeks, such as 90d or 12w", "within: 12w"),
    ("within: 90d", "within: 90", "write days or weeks, such as 90d or 12w", "within: 90d"),
    ("within: 90d", "withn: 90d", 'did you mean "within"?', "within: 90d"),
    ("event: orders", "event: Orders", "write lower-case letters, digits and _", "event: orders"),
    ("event: orders, within: 90d", "within: 90d", "state one of `event`, `no_event` and `teacher`", "no_event: orders, within: 90d"),
    ("event: orders", "teacher: fans.txt", "write a name such as fans.csv", "teacher: fans.csv"),
    ("event: orders", "teacher: ../fans.csv", "write a name such as fans.csv", "teacher: fans.csv"),
    ("event: orders", "event: orders, where: amount", "e.g. amount >= 1", "event: orders, where: amount >= 1"),
    ("entity: customer", "entity: custmer", 'did you mean "customer"?', "entity: customer"),
    ("top: 10%", "top: 0.1", "write it as a percentage: 10%", "top: 10%"),
    ("top: 10%", "top: 0.12345678", "write it as a percentage: 12.346%", "top: 12.346%"),
    ("top: 10%", "top: 0.0000001", "write it as a percentage: 0.001%", "top: 0.001%"),
    ("top: 10%", "top: 0", "write a number such as 5000, or a percentage such as 10%", "top: 5000"),
    ("top: 10%", "top: 0%", "write a percentage such as 10%", "top: 10%"),
    ("top: 10%", "top: 101%", "write a percentage such as 10%", "top: 10%"),
    ("top: 10%", "top: 1.5", "write a percentage such as 10%", "top: 10%"),
    ("top: 10%", "top: 10%, holdout: 0.1", "write it as a percentage: 10%", "top: 10%, holdout: 10%"),
    ("top: 10%", "top: 10%, holdout: 0.9999999", "write it as a percentage: 99.999%", "top: 10%, holdout: 99.999%"),
    ("top: 10%", "top: 10%, holdout: 100%", "write a smaller percentage such as 10%", "top: 10%, holdout: 10%"),
    ("top: 10%", "holdout: 5%", "state one of `top` and `min_score`", "min_score: 0.5"),
    ("top: 10%", "min_score: 20%", "is not a number such as 0.5", "min_score: 0.5"),
    ("top: 10%", "min_score: 1.5", "should be less than 1", "min_score: 0.99"),
    ("{top: 10%}", "10%", "it takes keys: exclude, holdout, min_score, top", "{top: 10%}"),
    ("top: 10%", "top: 10%, exclude: count(orders) > 3", 'write ["count(orders) > 3"]', 'top: 10%, exclude: ["count(orders) > 3"]'),
    ("top: 10%", "top: 10%, exclude: [days_since(orders)]", "e.g. days_since(orders) > 1", "top: 10%, exclude: [days_since(orders) > 1]"),
    ("schedule: weekly", "schedule: fortnightly", "is not daily, weekly, monthly or a mapping such as {every: week}", "schedule: {every: week}"),
    ("schedule: weekly", "schedule: 7", "it takes keys: every, timezone", "schedule: {every: day, timezone: UTC}"),
    ("schedule: weekly", "schedule: {every: year}", "is not one of 'day', 'week' or 'month'", "schedule: {every: month}"),
    ("schedule: weekly", "schedule: {every: week, timezone: CET/Berlin}", "such as Europe/Berlin", "schedule: {every: week, timezone: Europe/Berlin}"),
    ("schedule: weekly", "score_at: tomorrow", "write it as 2024-01-31, or as latest", "score_at: latest"),
    ("schedule: weekly", "score_at: 20240131", "write it as 2024-01-31, or as latest", "score_at: 2024-01-31"),
    ("schedule: weekly", "score_at: 9999-01-01", "write a date from 1900-01-01 to 2199-12-31", "score_at: 2199-12-31"),
    ("schedule: weekly", "train: {as_of: [1998-1-1]}", "write it as 2024-01-31", "train: {as_of: [2024-01-31]}"),
    ("schedule: weekly", "train: {as_of: 1998-01-01}", 'write ["1998-01-01"]', 'train: {as_of: ["1998-01-01"]}'),
    ("schedule: weekly", "train: {snapshots: 24, every: 9999w}", "shorten `label.within` or `train`", "train: {snapshots: 24, every: 90d}"),
    ("schedule: weekly", "features: order_windows", "such as [order_windows]", "features: [order_windows]"),
    ("schedule: weekly", "features: [order_window]", 'did you mean "order_windows"?', "features: [order_windows]"),
    ("entity: customer", "entity:", "is empty; write a value", "entity: customer"),
    ("schedule: weekly", "value: ten", "is not a number such as 0.5", "value: 0.5"),
    ("schedule: weekly", "population: [count(orders) > 1]", "is not a text", "population: count(orders) > 1"),
    ("schedule: weekly", "population: 5", "a text that looks like one stands in quotes", 'population: "customer_id = 5"'),
    ("schedule: weekly", "advanced: {folds: many}", "is not a whole number such as 5", "advanced: {folds: 5}"),
    ("schedule: weekly", "advanced: {refit: maybe}", "is not true or false", "advanced: {refit: true}"),
    ("schedule: weekly", "advanced: {models: lightgbm}", "`auto` nor models by name, such as {lightgbm: {}}", "advanced: {models: {lightgbm: {}}}"),
    ("schedule: weekly", "advanced: {models: {}}", "`auto` nor models by name, such as {lightgbm: {}}", "advanced: {models: auto}"),
    ("schedule: weekly", "advanced: {models: {lightgbm: [1]}}", "it takes keys and values, such as {a: 1}", "advanced: {models: {lightgbm: {num_leaves: 1}}}"),
    ("schedule: weekly", "advanced: {models: {lightgbm: {num_leaves: [1]}}}", "write a number, a word, true or false", "advanced: {models: {lightgbm: {num_leaves: 8}}}"),
    ("schedule: weekly", "advanced: {models: {lightgbm: {num_leaves: x}}}", "a value like its default 8", "advanced: {models: {lightgbm: {num_leaves: 8}}}"),
    ("schedule: weekly", "advanced: {models: {class: {family: lightgbm}}}", "add _model to it", "advanced: {models: {class_model: {family: lightgbm}}}"),
    ("schedule: weekly", "advanced: {models: {training_set: {family: lightgbm}}}", "add _model to it", "advanced: {models: {training_set_model: {family: lightgbm}}}"),
    ("schedule: weekly", "advanced: {models: {My: {family: lightgbm}}}", "write lower-case letters, digits and _", "advanced: {models: {my: {family: lightgbm}}}"),
    ("schedule: weekly", "advanced: {resources: GPU}", "such as gpu-large", "advanced: {resources: gpu-large}"),
    ("schedule: weekly", "advanced: {resources: gpuu}", 'did you mean "gpu"?', "advanced: {resources: gpu}"),
    ("schedule: weekly", "advanced: {code: {commit: main}}", "write its 40 hex digits", f"advanced: {{code: {{commit: {'0123456789' * 4}}}}}"),
    ("schedule: weekly", "advanced: {deadline: soon}", "write it as 2024-01-31", "advanced: {deadline: 2024-01-31}"),
    ("schedule: weekly", "advanced: {feature_selection: {drop: orders_7d}}", 'write ["orders_7d"]', 'advanced: {feature_selection: {drop: ["orders_7d"]}}'),
    ("schedule: weekly", "advanced: {feature_selection: all}", "it takes keys: drop, drop_ageing, keep, method", "advanced: {feature_selection: {method: all}}"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "wrong", "advice", "followed"), FIELDS, ids=[row[1] for row in FIELDS])
def test_a_field_that_follows_the_advice_is_taken(
    tmp_path: Path, line: str, wrong: str, advice: str, followed: str
) -> None:
    said = complaint(tmp_path, line, wrong)
    assert advice in said
    assert "^" not in said, "a person is shown no pattern"
    assert read(tmp_path, GOOD.replace(line, followed)).error is None


SHOP_FILE = (REPOSITORY / "defs" / "sources" / "shop" / "defs.yaml").read_text(encoding="utf-8")
SOURCE_FIELDS = [
    ("owner: team:shop-engineering", "owner: nobody", "team: and a name, such as team:crm", "owner: team:crm"),
    ("format: aurora_snapshot", "format: aurora", "is not one of 'aurora_snapshot' or 'dynamodb'", "format: aurora_snapshot"),
    ("path: shop", "path: /shop", "write a folder below the exports root, without leading or trailing /", "path: lake/shop"),
    ("database: shop", "databse: shop", 'did you mean "database"?', "database: shop"),
    ("name: orders", "name: Orders", "write lower-case letters, digits and _", "name: orders"),
    ("name: orders", "name: customers", "name customers is given more than once", "name: orders"),
    ("key: [order_id]", "key: order_id", 'write ["order_id"]', 'key: ["order_id"]'),
    ("shop.orders", "orders", "is not of the form schema.table", "shop.orders"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "wrong", "advice", "followed"), SOURCE_FIELDS, ids=[row[1] for row in SOURCE_FIELDS])
def test_a_source_that_follows_the_advice_is_taken(
    tmp_path: Path, line: str, wrong: str, advice: str, followed: str
) -> None:
    place = write_declaration(tmp_path, "shop", SHOP_FILE.replace(line, wrong, 1))
    (broken,) = read_source_files(tmp_path)
    assert str(broken.error).startswith(f"{place}:")
    assert advice in str(broken.error)
    place.write_text(SHOP_FILE.replace(line, followed, 1))
    (mended,) = read_source_files(tmp_path)
    assert mended.error is None
