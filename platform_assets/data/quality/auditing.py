"""Judging a table by its rules, and what came out.

Great Expectations judges, by measures that DuckDB takes of the full table in one pass: its own pandas engine copies the
table for every expectation (6 CPU-s and 350 MB for a million rows of 12 features, against 0.5 and 120).
Belongs here: the audit and its result. Does not belong here: kinds of rules (rules.py), pages (data_docs.py).
"""

import math
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from platform_assets.data.quality.rules import Columns, Expected, Rule, Severity, quoted

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from great_expectations.core import ExpectationValidationResult

SHOWN_VALUES = 5
SHOWN_CHECKS = 5
SAMPLED = ("ExpectColumnValuesToBeBetween", "ExpectColumnValuesToBeInSet")


@dataclass(frozen=True)
class Check:
    """One rule's outcome.

    Attributes:
        observed: what was measured, by what it counts.
        message: the outcome in a sentence.
        failing_rows_count: rows that break the rule (of the full table).
        sample: a few failing values and how often each occurs; texts are masked, columns of people never
            shown.
    """

    name: str
    severity: Severity
    passed: bool
    observed: dict[str, float | str | None]
    message: str
    failing_rows_count: int = 0
    sample: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class AuditResult:
    """All checks of one table; `passed` when no critical one failed.

    Attributes:
        validation: the suite's result as Great Expectations writes it in JSON; data_docs.py makes a page of it.
    """

    table: str
    rows: int
    checks: tuple[Check, ...]
    validation: dict[str, Any]

    @property
    def passed(self) -> bool:
        return not self.failed("critical")

    def failed(self, severity: Severity | None = None) -> tuple[Check, ...]:
        """Failed checks, of one severity or of any."""
        return tuple(c for c in self.checks if not c.passed and severity in (None, c.severity))

    def metadata(self) -> dict[str, Any]:
        """Plain JSON values without timings: counts, and the failed checks in full."""
        return {
            "table": self.table,
            "passed": self.passed,
            "rows": self.rows,
            "checks": len(self.checks),
            "critical_failures": len(self.failed("critical")),
            "warnings": len(self.failed("warning")),
            "failed": [asdict(c) | {"sample": list(c.sample)} for c in self.failed()],
            "validation": self.validation,
        }

    def raise_if_failed(self) -> "AuditResult":
        """Itself, when it passed.

        Raises:
            AuditFailed: a critical check failed.
        """
        if not self.passed:
            raise AuditFailed(self)
        return self


class AuditFailed(Exception):
    """A table broke a critical rule and must not be published; `.result` holds every check."""

    def __init__(self, result: AuditResult) -> None:
        self.result = result
        failed = result.failed("critical")
        sentences = "; ".join(c.message for c in failed[:SHOWN_CHECKS])
        more = f"; and {len(failed) - SHOWN_CHECKS} more" if len(failed) > SHOWN_CHECKS else ""
        super().__init__(
            f"{result.table}: audit failed on {len(failed)} of {len(result.checks)} rules over {result.rows} "
            "rows: "
            f"{sentences}{more}. Nothing was published; correct the data or the rule, then materialise "
            f"{result.table} again"
        )


def audit(table: "pa.Table", rules: Sequence[Rule], *, name: str, personal: Collection[str] = ()) -> AuditResult:
    """Judge `table` by `rules`.

    Args:
        table: the full table, as it would be published.
        rules: what it must satisfy; two rules of one name are refused.
        name: what people call the table, for messages; also that of its suite.
        personal: columns whose values name people: never sampled. Columns of a `Key` rule count as personal
            anyway.

    Raises:
        ValueError: two rules have one name.
        TypeError: a kind of rule does not say what breaks it.
    """
    import duckdb

    names = [rule.name for rule in rules]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise ValueError(f"{name}: two rules of one name: {', '.join(twice)}; state each rule once")
    hidden = set(personal).union(*(getattr(rule, "key", ()) for rule in rules))
    with duckdb.connect() as connection:
        connection.execute("set timezone='UTC'")
        connection.register("audited", table)
        judge = _Judge(connection, table, rules, hidden)
        checks = tuple(judge.check(rule) for rule in rules)
    return AuditResult(name, table.num_rows, checks, judge.validation(name))


class _Judge:
    """One registered table, measured once for all its rules."""

    def __init__(
        self, connection: "duckdb.DuckDBPyConnection", table: "pa.Table", rules: Sequence[Rule], hidden: set[str]
    ) -> None:
        self._connection, self._rows, self._hidden = connection, table.num_rows, hidden
        self._types = {field.name: str(field.type) for field in table.schema}
        self._results: list[ExpectationValidationResult] = []
        stated = [one for rule in rules for one in rule.expectations() if set(one.columns) <= self._types.keys()]
        asked = list(dict.fromkeys(sql for one in stated for sql in _measures(one)))
        row = connection.execute(f"select {', '.join(asked)} from audited").fetchone() if asked else ()  # noqa: S608
        self._measured = dict(zip(asked, row or (), strict=True))

    def check(self, rule: Rule) -> Check:
        """The rule's outcome: judged, counted, and sampled where its values may be shown."""
        stated = list(rule.expectations())
        absent = sorted({column for one in stated for column in one.columns} - self._types.keys())
        if absent and not isinstance(rule, Columns):
            message = f"{rule.name}: cannot be judged, column {', '.join(absent)} is absent"
            return Check(rule.name, rule.severity, False, {}, message)
        results = [self._result(one, rule) for one in stated]
        self._results += results
        observed = {one.counts: _observed(result.result) for one, result in zip(stated, results, strict=True)}
        failed = [(one, result) for one, result in zip(stated, results, strict=True) if not result.success]
        if not failed:
            return Check(rule.name, rule.severity, True, observed, rule.name)
        parts = [f"{one.counts} {_observed(result.result)}" for one, result in failed]
        counted = (self._measured[_measures(one)[0]] for one, _ in failed if one.count)
        failing = max([self._failing(one.breaks for one, _ in failed if one.breaks), *counted])
        if failing:
            parts.append(f"{failing} of {self._rows} rows fail")
        message = rule.sentence(failing, self._rows) or f"{rule.name}: {', '.join(parts)}"
        sample = next((self._sample(*pair) for pair in failed if pair[0].kind in SAMPLED), ())
        return Check(rule.name, rule.severity, False, observed, message, failing, sample)

    def validation(self, suite: str) -> dict[str, Any]:
        """All that was judged, as the result of a suite."""
        from great_expectations.core import ExpectationSuiteValidationResult

        held = sum(bool(result.success) for result in self._results)
        statistics = {
            "evaluated_expectations": len(self._results),
            "successful_expectations": held,
            "unsuccessful_expectations": len(self._results) - held,
            "success_percent": 100 * held / len(self._results) if self._results else None,
        }
        whole = held == len(self._results)
        return ExpectationSuiteValidationResult(whole, self._results, suite, statistics=statistics).to_json_dict()

    def _result(self, expected: Expected, rule: Rule) -> "ExpectationValidationResult":
        """What Great Expectations says of the measures; of a type, what it would say of an Arrow table."""
        os.environ["GX_ANALYTICS_ENABLED"] = "False"
        from great_expectations import expectations as kinds
        from great_expectations.core import ExpectationValidationResult

        own = {"severity": rule.severity, "meta": {"rule": rule.name}}
        expectation = getattr(kinds, expected.kind)(**expected.arguments, **own)
        if expected.kind == "ExpectColumnValuesToBeOfType":
            actual = self._types.get(expectation.column)
            outcome = {"success": actual == expectation.type_, "result": {"observed_value": actual}}
        else:
            broken, unjudged = (self._measured.get(sql) for sql in _measures(expected) or ("", ""))
            kind = getattr(expectation, "map_metric", "")
            if kind and broken is None:  # what is not measured would pass
                raise TypeError(f"{type(rule).__name__} says of {expected.kind} neither what breaks it nor how often")
            metrics = {
                "table.row_count": self._rows,
                "table.columns": list(self._types),
                "column_values.nonnull.unexpected_count": unjudged,
                f"{kind}.filtered_row_count": self._rows - (unjudged or 0),
                f"{kind}.unexpected_count": broken,
            }
            counted = {"result_format": {"result_format": "BASIC", "partial_unexpected_count": 0}}
            outcome = expectation._validate(metrics, counted)
        return ExpectationValidationResult(
            outcome["success"], expectation.configuration, outcome["result"], exception_info={}
        )

    def _failing(self, conditions: Iterable[str]) -> int:
        if not (condition := " or ".join(conditions)):
            return 0
        query = f"select count(*) from audited where {condition}"  # noqa: S608
        counted = self._connection.execute(query).fetchone()
        return counted[0] if counted else 0

    def _sample(self, expected: Expected, result: "ExpectationValidationResult") -> tuple[dict[str, Any], ...]:
        (column,) = expected.columns
        if column in self._hidden:
            return ()
        query = f"""
            select {quoted(column)} as value, count(*) as times from audited where {expected.breaks}
            group by 1 order by times desc, value limit {SHOWN_VALUES}
        """  # noqa: S608
        values = [(_masked(value), times) for value, times in self._connection.execute(query).fetchall()]
        result.result["partial_unexpected_counts"] = [{"value": value, "count": times} for value, times in values]
        return tuple({"value": value, "rows": times} for value, times in values)


def _measures(expected: Expected) -> tuple[str, ...]:
    """SQL for how many rows break an expectation, and how many have no value to judge."""
    if expected.breaks is None:
        return (expected.count, "0") if expected.count else ()
    if expected.kind == "ExpectColumnValuesToNotBeNull":
        return (f"count(*) filter (where {expected.breaks})", "0")
    missing = " or ".join(f"{quoted(column)} is null" for column in expected.columns)
    return (f"count(*) filter (where {expected.breaks})", f"count(*) filter (where {missing})")


def _observed(result: Mapping[str, Any]) -> float | int | str | None:
    """A judged expectation's figure: the rows that break it, or the value that it saw."""
    if "unexpected_count" in result:
        return result["unexpected_count"]
    mismatched = result.get("details", {}).get("mismatched")
    if mismatched:
        return ", ".join(f"{kind}: {', '.join(names)}" for kind, names in sorted(mismatched.items()))
    seen = result.get("observed_value")
    return ", ".join(seen) if isinstance(seen, list) else seen


def _masked(value: Any) -> float | int | str | bool | None:
    """Numbers as they are; texts by shape only (`Ab-12` → `Aa-99`), since any text may say who someone is."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return re.sub(r"[^\W\d_]", lambda m: "A" if m[0].isupper() else "a", re.sub(r"\d", "9", value))[:40]
    number = float(value)
    if not math.isfinite(number):
        return str(number)
    return int(number) if number == int(number) else round(number, 6)
