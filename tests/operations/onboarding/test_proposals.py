"""What is proposed of tables and columns, and what is asked or refused instead of guessed."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from platform_assets.operations.onboarding.adding import Proposed
from platform_assets.operations.onboarding.marts import Mart
from platform_assets.operations.onboarding.tables import OnboardingError
from tests.operations.onboarding.conftest import AT, Project

ROWS = 40
DAYS = [datetime(2023, 1, 1) + timedelta(days=day) for day in range(ROWS)]


def grocery(**more: pa.Table) -> dict[str, pa.Table]:
    """Orders, their lines and products; the last line belongs to no order."""
    orders = {
        "basket_id": pa.array(range(100, 100 + ROWS), pa.int64()),
        "household_id": pa.array([number % 7 for number in range(ROWS)], pa.int64()),
        "store_id": pa.array([number % 3 for number in range(ROWS)], pa.int32()),
        "week": pa.array([number // 7 for number in range(ROWS)], pa.int32()),
        "transaction_timestamp": pa.array(DAYS, pa.timestamp("us")),
    }
    lines = {
        "basket_id": pa.array([*range(100, 100 + ROWS), *range(100, 100 + ROWS - 1), 999], pa.int64()),
        "product_id": pa.array([*[number % 5 for number in range(ROWS)], *[5] * ROWS], pa.int64()),
        "quantity": pa.array([1] * 2 * ROWS, pa.int32()),
        "sales_value": pa.array([Decimal("1.50")] * 2 * ROWS, pa.decimal128(10, 2)),
    }
    products = {
        "product_id": pa.array(range(6), pa.int64()),
        "department": pa.array(["PRODUCE", "GROCERY"] * 3),
        "product_category": pa.array(["FRUIT", "FRUIT", "BREAD", "BREAD", "MILK", None]),
        "introduced": pa.array([1990, 1995, 2000, 2001, 2010, 2011], pa.int32()),
    }
    return {"orders": pa.table(orders), "lines": pa.table(lines), "products": pa.table(products), **more}


def mart(proposed: Proposed, name: str) -> Mart:
    return next(mart for mart in proposed.plan.marts if mart.name == name)


def roles(mart: Mart) -> dict[str, str]:
    return {column.name: column.proposal.role for column in mart.columns}


def types(mart: Mart) -> dict[str, str]:
    return {column.name: column.type for column in mart.table.columns}


def one_table(columns: Mapping[str, Any], **kinds: pa.DataType) -> dict[str, pa.Table]:
    return {"things": pa.table({name: pa.array(values, kinds.get(name)) for name, values in columns.items()})}


def test_lines_get_their_person_and_time_by_one_hop_and_the_columns_of_things_that_do_not_change(
    project: Project,
) -> None:
    project.aurora("grocery", grocery())
    proposed = project.propose("grocery")
    orders, lines = mart(proposed, "orders"), mart(proposed, "lines")
    assert (orders.kind, orders.entity, orders.key, orders.entity_key, orders.event_time) == (
        "event",
        "household",
        "basket_id",
        "household_id",
        "transaction_timestamp",
    )
    assert lines.parent is not None
    assert (lines.parent.table, lines.parent.column) == ("orders", "basket_id")
    assert (lines.key, lines.table.key) == ("line_key", ("basket_id", "product_id"))
    assert (lines.entity_key, lines.event_time) == ("household_id", "transaction_timestamp")
    assert {"department", "product_category"} <= set(roles(lines))
    assert mart(proposed, "products").kind == "dimension"
    assert mart(proposed, "households").people_of
    assert mart(proposed, "households").population == "orders"


def test_references_weeks_and_years_are_never_measures(project: Project) -> None:
    project.aurora("grocery", grocery())
    proposed = project.propose("grocery")
    assert roles(mart(proposed, "orders"))["store_id"] == "identifier"
    assert roles(mart(proposed, "orders"))["week"] == "none"
    assert roles(mart(proposed, "lines")) | {
        "introduced": "none",
        "department": "category",
        "quantity": "measure",
    } == roles(mart(proposed, "lines"))
    assert roles(mart(proposed, "lines"))["sales_value"] == "measure"
    assert all(column.proposal.reason for one in proposed.plan.marts for column in one.columns)


def test_a_whole_number_of_which_the_name_says_nothing_is_left_to_a_person(project: Project) -> None:
    columns = {"thing_id": range(1, 41), "flibbet": range(7, 47)}
    project.aurora("app", one_table(columns))
    (things,) = project.propose("app").plan.marts
    (flibbet,) = [column for column in things.columns if column.name == "flibbet"]
    assert (flibbet.proposal.role, flibbet.proposal.certain) == ("none", False)
    (things,) = project.propose("app", roles={"things.flibbet": "measure"}).plan.marts
    assert roles(things)["flibbet"] == "measure"


def test_orders_are_written_as_events_lines_as_a_join_and_orphans_as_a_warning(project: Project) -> None:
    project.aurora("grocery", grocery())
    project.add("grocery")
    lines = project.model("lines")
    assert "inner join {{ ref('stg_grocery__orders') }} as parents on parents.basket_id = events.basket_id" in lines
    files = "\n".join(project.files().values())
    assert "name: lines_belong_to_orders" in files
    belongs = files[files.index("name: lines_belong_to_orders") :].splitlines()
    assert "config: {severity: warn}" in belongs[2]
    assert "config: {meta: {platform: {role: measure}}}" in files


def test_a_type_holds_for_every_row_of_every_export_and_not_for_a_sample(project: Project) -> None:
    columns = {
        "thing_id": range(3000),
        "day": ["2023-01-01"] * 2999 + ["tomorrow"],
        "all_days": ["2023-01-01"] * 3000,
        "sent_at": [1_690_000_000] * 2999 + [3],
        "created_at": [1_690_000_000] * 3000,
    }
    project.aurora("app", one_table(columns, sent_at=pa.int64(), created_at=pa.int64()))
    (things,) = project.propose("app").plan.marts
    assert types(things) == {
        "thing_id": "integer",
        "day": "text",
        "all_days": "date",
        "sent_at": "integer",
        "created_at": "epoch_seconds",
    }


def test_what_the_older_of_two_exports_holds_counts_for_types_and_for_what_changes(project: Project) -> None:
    project.aurora("app", one_table({"thing_id": [1, 2], "size": ["x", "2023-01-01"], "colour": ["red", "red"]}), AT)
    later = one_table({"thing_id": [1, 2], "size": ["2023-01-01", "2023-01-01"], "colour": ["red", "red"]})
    project.aurora("app", later, AT + timedelta(days=1))
    proposed = project.propose("app")
    (things,) = proposed.plan.marts
    assert types(things)["size"] == "text"
    assert set(roles(things)) == {"thing_id", "colour"}
    assert any("size changed between exports" in note for note in proposed.plan.notes)


def test_items_are_typed_by_all_of_them_and_read_in_one_pass(project: Project) -> None:
    items: list[Any] = [
        {
            "member_id": {"N": str(number)},
            "plan": {"S": "pro" if number % 2 else "free"},
            "seats": {"N": "3" if number else "3.5"},
            "big": {"N": "1" * 30 if number == 7 else "1"},
            "mixed": {"S": "a"} if number % 2 else {"N": "1"},
            "broken": {"S": "a"} if number % 2 else {"SS": ["a"]},
            "profile": {"M": {"city": {"S": "Ulm"}, "joined": {"S": "2020-01-01"}}},
            "tags": {"SS": ["b", "a"]},
            "notes": {"L": [{"S": "x"}]},
            "visits": {"L": [{"M": {}}]},
            "never": {"NULL": True},
            "last_seen": {"N": "1690000000000"},
        }
        for number in range(40)
    ]
    project.dynamodb("loyalty", "members", items)
    proposed = project.propose("loyalty")
    (members,) = proposed.plan.marts
    assert types(members) == {
        "member_id": "integer",
        "plan": "text",
        "seats": "decimal",
        "big": "text",
        "mixed": "text",
        "profile_city": "text",
        "profile_joined": "date",
        "tags": "texts",
        "notes": "texts",
        "never": "text",
        "last_seen": "integer",
    }
    notes = " ".join(proposed.plan.notes)
    assert all(name in notes for name in ("members.big", "members.mixed", "members.broken", "members.visits"))
    project.add("loyalty")
    assert project.model("stg_loyalty__members").count("dynamodb_select") == 1


def test_numbers_of_an_attribute_named_like_an_instant_are_read_as_one(project: Project) -> None:
    items: list[Any] = [
        {"id": {"S": str(n)}, "seen_at": {"N": "1690000000000"}, "made_at": {"N": "1690000000"}} for n in range(3)
    ]
    project.dynamodb("app", "things", items)
    (things,) = project.propose("app").plan.marts
    assert types(things) == {"thing_id": "text", "seen_at": "epoch_milliseconds", "made_at": "epoch_seconds"}


def test_a_map_that_is_a_dictionary_is_left_out_in_a_sentence(project: Project) -> None:
    items: list[Any] = [{"id": {"S": str(n)}, "by_day": {"M": {f"day{n}": {"N": "1"}}}} for n in range(60)]
    project.dynamodb("app", "things", items)
    proposed = project.propose("app")
    assert types(proposed.plan.marts[0]) == {"thing_id": "text"}
    assert any("as a dictionary has" in note for note in proposed.plan.notes)


def test_keywords_and_odd_names_become_names_that_both_engines_take(project: Project) -> None:
    columns = {"id": [1, 2], "Order": ["a", "b"], "2nd choice": ["a", "b"], "createdBy": ["a", "b"]}
    project.aurora("app", one_table(columns))
    (things,) = project.propose("app").plan.marts
    assert set(types(things)) == {"thing_id", "order_", "column_2nd_choice", "created_by"}
    project.add("app")
    assert 'adapter.quote("2nd choice")' in project.model("stg_app__things")


def people(**more: Sequence[Any]) -> pa.Table:
    return pa.table({"id": pa.array(range(7), pa.int64()), "email": [f"{n}@x" for n in range(7)], **more})


def test_a_table_of_people_gets_versions_and_personal_columns_are_tagged(project: Project) -> None:
    project.aurora("grocery", grocery(households=people(segment=["a", "b", "a", "b", "a", "b", "a"])))
    proposed = project.propose("grocery")
    households = mart(proposed, "households")
    assert (households.kind, households.history, households.key) == ("entity", "scd2", "household_version_id")
    assert [column.name for column in households.columns if column.proposal.personal] == ["email"]
    project.add("grocery")
    assert "scd2(" in project.model("households")


def test_people_who_cover_few_of_those_who_act_are_things_and_the_people_come_from_the_events(project: Project) -> None:
    few = pa.table({"household_id": pa.array([1, 2], pa.int64()), "segment": ["a", "b"]})
    project.aurora("grocery", grocery(households=few))
    proposed = project.propose("grocery")
    assert mart(proposed, "households").kind == "dimension"
    assert mart(proposed, "grocery_households").people_of


def test_what_is_known_of_people_is_not_joined_to_their_past_events(project: Project) -> None:
    project.aurora("grocery", grocery(households=people(segment=["a", "b", "a", "b", "a", "b", "a"])))
    proposed = project.propose("grocery", kinds={"households": "dimension"})
    assert mart(proposed, "households").kind == "dimension"
    assert "segment" not in roles(mart(proposed, "orders"))


def test_rows_without_a_person_are_left_out_and_counted(project: Project) -> None:
    tables = grocery()
    some = pa.array([None if number == 3 else number % 7 for number in range(ROWS)], pa.int64())
    tables["orders"] = tables["orders"].set_column(1, "household_id", some)
    project.aurora("grocery", tables)
    project.add("grocery")
    assert "where events.household_id is not null" in project.model("orders")
    assert "name: orders_have_a_household" in "\n".join(project.files().values())


def test_a_second_source_of_the_same_people_does_not_declare_them_again(project: Project) -> None:
    project.aurora("grocery", grocery())
    project.add("grocery")
    visits: list[Any] = [
        {"visit_id": {"S": f"v{n}"}, "household_id": {"N": str(n % 7)}, "visited_at": {"N": str(1_690_000_000 + n)}}
        for n in range(20)
    ]
    project.dynamodb("site", "visits", visits)
    (proposed,) = project.propose("site").plan.marts
    assert (proposed.kind, proposed.entity, proposed.event_time) == ("event", "household", "visited_at")


def test_events_of_a_day_are_at_its_beginning_in_utc(project: Project) -> None:
    columns = {"visit_id": range(3), "customer_id": [1, 1, 2], "visited_on": ["2023-01-01", "2023-01-02", "2023-01-02"]}
    project.aurora("app", {"visits": pa.table(columns)})
    visits = mart(project.add("app"), "visits")
    assert (visits.event_time, types(visits)["visited_on"]) == ("visited_on", "instant")
    assert "{{ utc_timestamp('visited_on') }} as visited_on" in project.model("stg_app__visits")


def test_a_reference_that_holds_days_is_in_a_key_once(project: Project) -> None:
    project.aurora("app", one_table({"zip_code": ["2023-01-01", "2023-01-02", "2023-01-03"], "store": ["a"] * 3}))
    (things,) = project.propose("app").plan.marts
    assert things.table.key == ("zip_code",)


def two_people(**times: Any) -> dict[str, pa.Table]:
    columns = {
        "order_id": range(5),
        "customer_id": [1, 1, 2, 2, 3],
        "account_id": [1, 2, 3, 4, 5],
        **{name: [datetime(2023, 1, 1)] * 5 for name in times},
    }
    return {"orders": pa.table(columns)}


@pytest.mark.parametrize(
    ("wishes", "tables", "sentence"),
    [
        ({}, two_people(ordered_at=1), "each name people. Say which with --entity: account, customer."),
        (
            {"entity": "customer"},
            two_people(ordered_at=1, checked_at=1),
            "Say which with --event-time orders=<column>: ordered_at, checked_at.",
        ),
        ({"entity": "shopper"}, two_people(ordered_at=1), "no table has a column shopper_id"),
        ({"keys": {"orders": ("customer_id",)}}, two_people(ordered_at=1), "rows of orders lack it or share it."),
        (
            {"keys": {"orders": ("ordr_id",)}},
            two_people(ordered_at=1),
            "orders has no column ordr_id; did you mean 'order_id'?",
        ),
        (
            {"kinds": {"order": "event"}},
            two_people(ordered_at=1),
            "--kind order: there is no such table; did you mean 'orders'?",
        ),
        (
            {"entity": "customer", "event_times": {"orders": "order_id"}},
            two_people(ordered_at=1),
            "--event-time orders=order_id: is no instant or date.",
        ),
        (
            {"entity": "customer", "roles": {"orders.account": "measure"}},
            two_people(ordered_at=1),
            "--role orders.account: no mart has that column; did you mean 'orders.account_id'?",
        ),
        (
            {"entity": "customer", "roles": {"orders.ordered_at": "time"}},
            two_people(ordered_at=1),
            "it is the key, person or time of its mart, and has no other role.",
        ),
        (
            {"entity": "customer", "roles": {"orders.account_id": "category"}},
            two_people(ordered_at=1),
            "the column is integer; a category is text, boolean, texts.",
        ),
        (
            {"entity": "customer", "roles": {"orders.account_id": "measures"}},
            two_people(ordered_at=1),
            "roles are measure, category, identifier, time, none.",
        ),
        (
            {"tables": ("ordrs",)},
            two_people(ordered_at=1),
            "--table ordrs: the export holds no such table; it holds orders.",
        ),
        ({"database": "shop"}, two_people(ordered_at=1), "--database shop: the exports hold app."),
        ({"kinds": {"orders": "leave_out"}}, two_people(ordered_at=1), "nothing can be written from this export."),
    ],
)
def test_what_is_ambiguous_or_not_there_is_refused_in_a_sentence(
    project: Project, wishes: dict[str, Any], tables: dict[str, pa.Table], sentence: str
) -> None:
    project.aurora("app", tables)
    with pytest.raises(OnboardingError) as refusal:
        project.propose("app", **wishes)
    assert sentence in str(refusal.value)


def test_an_instant_that_is_written_later_is_not_taken_for_the_event(project: Project) -> None:
    project.aurora("app", two_people(ordered_at=1, updated_at=1))
    (orders, _) = project.propose("app", entity="customer").plan.marts
    assert orders.event_time == "ordered_at"


def test_events_after_their_export_are_no_events(project: Project) -> None:
    project.aurora("app", two_people(ordered_at=1), datetime(2022, 1, 1, tzinfo=UTC))
    proposed = project.propose("app", entity="customer")
    assert mart(proposed, "orders").kind == "dimension"
    assert any("lies before the export" in note for note in proposed.plan.notes)


def test_a_table_without_a_key_is_left_out_in_a_sentence(project: Project) -> None:
    tables = {**two_people(ordered_at=1), "log": pa.table({"line": ["a", "a"], "level": ["x", "x"]})}
    project.aurora("app", tables)
    proposed = project.propose("app", entity="customer")
    assert "log" not in proposed.plan.tables
    assert any(
        note.startswith("log: no column, and no few references together, identify its rows")
        for note in proposed.plan.notes
    )


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"weight": [1.5, 2.5]}, "weight identifies its rows, perhaps by chance"),
        ({"size": ["a", "b"], "shade": ["c", "d"]}, "size, shade each identify its rows"),
        ({"size": ["a", "a"]}, "no column, and no few references together, identify its rows"),
    ],
)
def test_what_identifies_rows_without_a_name_that_says_so_is_no_key_until_a_person_says_so(
    columns: Mapping[str, list[Any]], said: str, project: Project
) -> None:
    project.aurora("app", one_table(columns))
    with pytest.raises(OnboardingError) as refused:
        project.propose("app")
    assert f"things: {said}; it is left out. Say what does with --key things=<column>[,<column>]." in str(refused.value)
