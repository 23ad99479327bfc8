"""What an audit promises: full-table counts, severities, samples that name nobody, a sentence for the person on call."""

import json
from collections.abc import Iterator

import great_expectations as gx
import great_expectations.expectations
import pyarrow as pa
import pytest

from platform_assets.data.quality import (
    Allowed,
    AuditFailed,
    Bounds,
    Columns,
    Key,
    Monotone,
    NullShare,
    RowCount,
    Rule,
    ShareBounds,
    audit,
)
from platform_assets.data.quality.auditing import Check
from platform_assets.data.quality.rules import Expected

GOOD = pa.table(
    {
        "person": pa.array([1, 2, 3, 4], pa.int64()),
        "orders_7d": [0.0, 1.0, 2.0, None],
        "orders_28d": [0.0, 3.0, 2.0, 5.0],
        "arm": ["treat", "treat", "holdout", "treat"],
        "zip": ["12345", "23456", "34567", "45678"],
    }
)
RULES: list[Rule] = [
    Columns(("person", "orders_7d", "orders_28d", "arm", "zip"), {"orders_7d": "double"}),
    Key(("person",)),
    RowCount(exactly=4),
    Bounds("orders_7d", 0, 10),
    NullShare("orders_7d", 0.5),
    NullShare("orders_28d"),
    Monotone(("orders_7d", "orders_28d")),
    Allowed("arm", ("treat", "holdout")),
    ShareBounds("arm", "holdout", 0.1, 0.5),
]


def replaced(column: str, values: list) -> pa.Table:
    return GOOD.set_column(GOOD.column_names.index(column), column, pa.array(values))


def only_failure(table: pa.Table, rules: list[Rule] = RULES) -> Check:
    failed = audit(table, rules, name="orders table").failed()
    assert len(failed) == 1, [c.name for c in failed]
    return failed[0]


def test_a_table_that_keeps_every_rule_passes() -> None:
    result = audit(GOOD, RULES, name="orders table")
    assert result.passed
    assert not result.failed()
    assert [check.name for check in result.checks] == [rule.name for rule in RULES]
    assert result.raise_if_failed() is result


@pytest.mark.parametrize(
    ("column", "values", "rule", "failing"),
    [
        ("orders_7d", [-1.0, 1.0, 2.0, None], "orders_7d finite, within 0 … 10", 1),
        ("orders_7d", [0.0, 1.0, 2.0, float("nan")], "orders_7d finite, within 0 … 10", 1),
        ("orders_28d", [0.0, None, 2.0, 5.0], "orders_28d never null", 1),
        ("orders_28d", [0.0, 0.5, 2.0, 5.0], "orders_7d ≤ orders_28d", 1),
        ("arm", ["treat", "Control", "holdout", "treat"], "arm in {treat, holdout}", 1),
        ("arm", ["treat"] * 4, "share of arm = holdout within 10.0% … 50.0%", 4),
        ("person", [1, 1, 2, 3], "key person unique and complete", 1),
        ("person", [1, None, 2, 3], "key person unique and complete", 1),
    ],
)
def test_each_broken_rule_is_named_with_its_count(column: str, values: list, rule: str, failing: int) -> None:
    rules = [r for r in RULES if not (isinstance(r, Monotone) and "nan" in str(values))]
    check = only_failure(replaced(column, values), rules)
    assert (check.name, check.failing_rows_count, check.severity) == (rule, failing, "critical")
    assert rule in check.message


BROKEN = [
    GOOD,
    GOOD.slice(0, 0),
    replaced("orders_7d", [-1.0, 11.0, float("inf"), None]),
    replaced("orders_28d", [0.0, None, 2.0, 5.0]),
    replaced("orders_28d", [0.0, 0.5, 1.5, 5.0]),
    replaced("arm", ["treat", "Control", None, "holdout"]),
    replaced("arm", ["treat", "treat", "treat", "treat"]),
    replaced("arm", ["holdout", "holdout", "holdout", None]),
    replaced("person", [1, 1, 1, 3]),
    GOOD.drop_columns(["zip"]),
]


@pytest.mark.parametrize("table", BROKEN)
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5])
def test_great_expectations_says_the_same_when_it_measures_the_table_itself(table: pa.Table, share: float) -> None:
    rules = [rule for rule in RULES if not isinstance(rule, NullShare | ShareBounds)]
    rules += [NullShare("orders_7d", share), ShareBounds("arm", "holdout", share, 1 - share), Key(("person", "arm"))]
    ours = audit(table, rules, name="t").validation["results"]
    suite = gx.ExpectationSuite("t", [getattr(gx.expectations, class_of(o))(**arguments_of(o)) for o in ours])
    source = gx.get_context(mode="ephemeral").data_sources.add_pandas("tables")
    batch = source.add_dataframe_asset("table").add_batch_definition_whole_dataframe("whole")
    theirs = batch.get_batch({"dataframe": table.to_pandas()}).validate(suite).results
    told = {
        identity(result.expectation_config.to_json_dict()): result for result in theirs if result.expectation_config
    }
    assert len(theirs) == len(ours) > 8
    for outcome in ours:
        their = told[identity(outcome["expectation_config"])]
        assert outcome["success"] == their.success, outcome
        if "unique" not in outcome["expectation_config"]["type"]:  # ours counts a first of equal rows as none too many
            assert outcome["result"].get("unexpected_count") == their.result.get("unexpected_count"), outcome


def identity(config: dict) -> tuple[str, str, str]:
    return config["type"], str(config["kwargs"].get("column")), str(config["kwargs"].get("value_set"))


def class_of(outcome: dict) -> str:
    return "".join(word.capitalize() for word in outcome["expectation_config"]["type"].split("_"))


def arguments_of(outcome: dict) -> dict:
    return outcome["expectation_config"]["kwargs"]


def test_a_missing_row_fails_the_row_count_and_the_minimum() -> None:
    assert only_failure(GOOD.slice(0, 3), [RowCount(exactly=4)]).observed == {"rows": 3}
    assert only_failure(GOOD, [RowCount(at_least=5)]).observed == {"rows": 4}
    assert audit(GOOD, [RowCount(at_least=4)], name="t").passed


def test_absent_and_unexpected_columns_are_named() -> None:
    check = only_failure(GOOD.rename_columns(["person", "a", "orders_28d", "arm", "zip"]), RULES[:1])
    assert "missing: orders_7d" in check.message
    assert "unexpected: a" in check.message
    assert "cannot be judged, column gone is absent" in only_failure(GOOD, [Bounds("gone", 0)]).message


def test_another_type_than_stated_fails() -> None:
    for table in (GOOD, GOOD.slice(0, 0)):
        check = only_failure(table, [Columns(tuple(GOOD.column_names), {"person": "string"})])
        assert check.message == "expected columns: type string, but person is int64"


def test_a_warning_shows_but_does_not_stop_the_table() -> None:
    result = audit(GOOD, [Bounds("orders_7d", 0, 1, severity="warning")], name="t")
    assert result.passed
    assert [c.severity for c in result.failed()] == ["warning"]
    assert result.metadata()["warnings"] == 1


def test_an_empty_table_keeps_bounds_but_has_no_share() -> None:
    empty = GOOD.slice(0, 0)
    assert audit(empty, [r for r in RULES if not isinstance(r, RowCount | ShareBounds)], name="t").passed
    assert not audit(empty, [ShareBounds("arm", "holdout", 0.1, 0.5)], name="t").passed


def test_full_table_rules_see_the_one_bad_row_in_many() -> None:
    many = pa.table({"person": range(200_000), "value": [0.0] * 199_999 + [-1.0]})
    assert only_failure(many, [Key(("person",)), Bounds("value", 0)]).failing_rows_count == 1


def test_metadata_is_json_and_names_nobody() -> None:
    table = pa.table(
        {"person": ["ann@example.com", "ann@example.com"], "name": ["Ann Lee", "Bo2"], "value": [-7.5, -7.5]}
    )
    rules = [Key(("person",)), Allowed("person", ("x",)), Allowed("name", ("x",)), Bounds("value", 0)]
    result = audit(table, rules, name="people")
    text = json.dumps(result.metadata())
    assert "ann" not in text
    assert "Lee" not in text
    assert "Bo2" not in text
    samples = {check.name: check.sample for check in result.checks}
    assert samples["person in {x}"] == ()
    assert {v["value"] for v in samples["name in {x}"]} == {"Aaa Aaa", "Aa9"}
    assert samples["value finite, within 0 … ∞"] == ({"value": -7.5, "rows": 2},)


def test_a_failed_audit_says_table_rule_counts_and_what_to_do() -> None:
    with pytest.raises(AuditFailed) as caught:
        audit(
            replaced("orders_28d", [-3.0, 3.0, 2.0, 5.0]),
            [*RULES, Bounds("orders_28d", 0)],
            name="orders table",
        ).raise_if_failed()
    text = str(caught.value)
    assert "orders table: audit failed on 2 of 10 rules over 4 rows" in text
    assert "orders_28d finite, within 0 … ∞" in text
    assert "1 of 4 rows fail" in text
    assert "materialise" in text
    assert not caught.value.result.passed


def test_a_rule_that_does_not_say_what_breaks_it_is_refused_rather_than_passed() -> None:
    class Vague(NullShare):
        def expectations(self) -> Iterator[Expected]:
            yield Expected("ExpectColumnValuesToNotBeNull", {"column": self.column}, "rows")

    with pytest.raises(TypeError, match="Vague says of ExpectColumnValuesToNotBeNull neither what breaks it"):
        audit(GOOD, [Vague("orders_7d")], name="t")


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two rules of one name: orders_7d never null"):
        audit(GOOD, [NullShare("orders_7d"), NullShare("orders_7d", severity="warning")], name="t")
