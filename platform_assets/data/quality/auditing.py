"""Judging a table by its rules, and what came out.

DuckDB measures the full table in one pass of aggregates; Great Expectations judges that one row, and a sample
of the table for the shape of texts. Belongs here: the audit and its result. Does not belong here: kinds of
rules (rules.py).
"""

import math
import os
import re
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from platform_assets.data.quality.rules import Columns, Measure, Pattern, Rule, Severity, quoted

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

SAMPLE_ROWS = 50_000
SHOWN_VALUES = 5
SHOWN_CHECKS = 5


@dataclass(frozen=True)
class Check:
    """One rule's outcome.

    Attributes:
        observed: what was measured, by the measure's label.
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
    """All checks of one table; `passed` when no critical one failed."""

    table: str
    rows: int
    checks: tuple[Check, ...]
    seconds: float

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
        told = "; ".join(c.message for c in failed[:SHOWN_CHECKS])
        more = f"; and {len(failed) - SHOWN_CHECKS} more" if len(failed) > SHOWN_CHECKS else ""
        super().__init__(
            f"{result.table}: audit failed on {len(failed)} of {len(result.checks)} rules over {result.rows} "
            "rows: "
            f"{told}{more}. Nothing was published; correct the data or the rule, then materialise "
            f"{result.table} again"
        )


def audit(table: "pa.Table", rules: Sequence[Rule], *, name: str, personal: Collection[str] = ()) -> AuditResult:
    """Judge `table` by `rules`.

    Args:
        table: the full table, as it would be published.
        rules: what it must satisfy; two rules of one name are refused.
        name: what people call the table, for messages.
        personal: columns whose values name people: never sampled. Columns of a `Key` rule count as personal
            anyway.

    Raises:
        ValueError: two rules have one name.
        RuntimeError: Great Expectations could not evaluate a rule.
    """
    import duckdb

    started = time.perf_counter()
    names = [rule.name for rule in rules]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise ValueError(f"{name}: two rules of one name: {', '.join(twice)}; state each rule once")
    hidden = set(personal).union(*(getattr(rule, "key", ()) for rule in rules))
    with duckdb.connect() as connection:
        connection.execute("set timezone='UTC'")
        connection.register("audited", table)
        checks = _checks(connection, table, rules, hidden)
    return AuditResult(name, table.num_rows, checks, time.perf_counter() - started)


def _checks(
    connection: "duckdb.DuckDBPyConnection", table: "pa.Table", rules: Sequence[Rule], hidden: set[str]
) -> tuple[Check, ...]:
    present = set(table.column_names)
    answerable = [rule for rule in rules if set(rule.columns) <= present]
    measured = {rule.name: _column_measures(rule, table) for rule in answerable if isinstance(rule, Columns)}
    measured |= _measure(connection, [rule for rule in answerable if not isinstance(rule, Columns)])
    broken = _judge(measured, {rule.name: rule.severity for rule in rules})
    broken |= _judge_shapes(table, [rule for rule in answerable if isinstance(rule, Pattern)])
    checks = []
    for rule in rules:
        if absent := sorted(set(rule.columns) - present):
            message = f"{rule.name}: cannot be judged, column {', '.join(absent)} is absent"
            checks.append(Check(rule.name, rule.severity, False, {}, message))
        else:
            observed = {m.label: value for m, value in measured.get(rule.name, [])}
            checks.append(_check(connection, table.num_rows, rule, rule.name not in broken, observed, hidden))
    return tuple(checks)


def _column_measures(rule: Columns, table: "pa.Table") -> list[tuple[Measure, Any]]:
    missing = sorted(set(rule.names) - set(table.column_names))
    unexpected = sorted(set(table.column_names) - set(rule.names))
    repeated = len(table.column_names) - len(set(table.column_names))
    types = {f.name: str(f.type) for f in table.schema}
    mistyped = sorted(f"{c} ({types[c]}, not {t})" for c, t in rule.types.items() if types.get(c, t) != t)
    measures = [
        (Measure(f"columns missing{_listed(missing)}", "", most=0), len(missing)),
        (Measure(f"columns unexpected{_listed(unexpected)}", "", most=0), len(unexpected)),
        (Measure("columns repeated", "", most=0), repeated),
        (Measure(f"columns of another type{_listed(mistyped)}", "", most=0), len(mistyped)),
    ]
    return [(m, value) for m, value in measures if value or m.label == "columns missing"]


def _listed(names: list[str]) -> str:
    return f": {', '.join(names)}" if names else ""


def _measure(connection: "duckdb.DuckDBPyConnection", rules: Sequence[Rule]) -> dict[str, list[tuple[Measure, Any]]]:
    asked = [(rule.name, measure) for rule in rules for measure in rule.measures()]
    if not asked:
        return {}
    aggregates = ", ".join(measure.sql for _, measure in asked)
    row = connection.execute(f"select {aggregates} from audited").fetchone()  # noqa: S608
    assert row is not None
    measured: dict[str, list[tuple[Measure, Any]]] = {}
    for (rule_name, measure), value in zip(asked, row, strict=True):
        measured.setdefault(rule_name, []).append((measure, None if value is None else float(value)))
    return measured


def _judge(measured: dict[str, list[tuple[Measure, Any]]], severities: dict[str, Severity]) -> set[str]:
    """Names of the rules with a measure out of bounds. A measure without a value (no rows, only nulls) is not
    judged.
    """
    import pandas as pd

    row, expectations = {}, []
    for rule_name, values in measured.items():
        for measure, value in values:
            if value is not None and (measure.least is not None or measure.most is not None):
                column = f"{rule_name}: {measure.label}"
                row[column] = value
                expectations.append(("ExpectColumnMaxToBeBetween", rule_name, severities[rule_name], {
                    "column": column, "min_value": measure.least, "max_value": measure.most,
                }))  # fmt: skip
    return _validate(pd.DataFrame([row]), expectations)


def _judge_shapes(table: "pa.Table", rules: Sequence[Pattern]) -> set[str]:
    if not rules or not table.num_rows:
        return set()
    step = math.ceil(table.num_rows / SAMPLE_ROWS)
    sample = (
        table.select(sorted({rule.column for rule in rules})).take(list(range(0, table.num_rows, step))).to_pandas()
    )
    kind = "ExpectColumnValuesToMatchRegex"
    arguments = [{"column": rule.column, "regex": f"^(?:{rule.regex})$"} for rule in rules]
    return _validate(
        sample, [(kind, rule.name, rule.severity, own) for rule, own in zip(rules, arguments, strict=True)]
    )


def _validate(frame: "pd.DataFrame", stated: Sequence[tuple[str, str, Severity, dict[str, Any]]]) -> set[str]:
    if not stated:
        return set()
    os.environ["GX_ANALYTICS_ENABLED"] = "False"
    import great_expectations as gx
    from great_expectations import expectations as kinds

    suite = gx.ExpectationSuite(
        name="audit",
        expectations=[
            getattr(kinds, kind)(**arguments, severity=severity, meta={"rule": rule})
            for kind, rule, severity, arguments in stated
        ],
    )
    outcome = _whole_frame().get_batch({"dataframe": frame}).validate(suite)
    broken = set()
    for result in outcome.results:
        rule = result.expectation_config.meta["rule"]
        if result.exception_info and result.exception_info.get("raised_exception"):
            raise RuntimeError(f"rule “{rule}” could not be evaluated: {result.exception_info['exception_message']}")
        if not result.success:
            broken.add(rule)
    return broken


@cache
def _whole_frame() -> Any:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("audited").add_dataframe_asset("frame")
    return asset.add_batch_definition_whole_dataframe("whole")


def _check(
    connection: "duckdb.DuckDBPyConnection",
    rows: int,
    rule: Rule,
    passed: bool,
    observed: dict[str, Any],
    hidden: set[str],
) -> Check:
    observed = {label: _shown(value) for label, value in observed.items()}
    told = ", ".join(f"{label} {value}" for label, value in observed.items())
    if passed:
        return Check(rule.name, rule.severity, True, observed, f"{rule.name}: {told}" if told else rule.name)
    failing = 0
    sample: tuple[dict[str, Any], ...] = ()
    if condition := rule.failing():
        query = f"select count(*) from audited where {condition}"  # noqa: S608
        counted = connection.execute(query).fetchone()
        failing = counted[0] if counted else 0
        if (column := rule.shown()) and column not in hidden:
            sample = _sample(connection, column, condition)
    counts = f"{failing} of {rows} rows fail" if failing else ""
    message = f"{rule.name}: {', '.join(part for part in (told, counts) if part)}"
    return Check(rule.name, rule.severity, False, observed, message, failing, sample)


def _sample(connection: "duckdb.DuckDBPyConnection", column: str, condition: str) -> tuple[dict[str, Any], ...]:
    query = f"""
        select {quoted(column)} as value, count(*) as times from audited where {condition}
        group by 1 order by times desc, value limit {SHOWN_VALUES}
    """  # noqa: S608
    rows = connection.execute(query).fetchall()
    return tuple({"value": _masked(value), "rows": times} for value, times in rows)


def _shown(value: float | None) -> float | int | str | None:
    if value is None:
        return None
    if not math.isfinite(value):
        return str(value)
    return int(value) if value == int(value) else round(value, 6)


def _masked(value: Any) -> float | int | str | bool | None:
    """Numbers as they are; texts by shape only (`Ab-12` → `Aa-99`), since any text may say who someone is."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return re.sub(r"[^\W\d_]", lambda m: "A" if m[0].isupper() else "a", re.sub(r"\d", "9", value))[:40]
    return _shown(float(value))
