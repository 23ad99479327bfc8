"""How a table differs from the export before it, in sentences, and which differences may not reach a mart.

Belongs here: the comparison of two full exports, as plain functions of what is known of them. Does not belong here: which exports
are compared (`history`), windows of changes (`windows`), how what is known of exports is read (`engines.profiles`), and
thresholds (`exports.spec`).

A sentence names counts, columns, months and parts, never a key or another value.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from platform_assets.data.engines.profiles import FEW, Column, KeysGone, Profile
from platform_assets.data.exports.export import ExportFormat
from platform_assets.data.exports.spec import Expectations

Subject = Literal["columns", "types", "rows", "nulls"]
# What had values, and has them in less than this share of what was there, has none to speak of.
HARDLY = 0.01
NO_VALUE = "NULL"
_PARTS_NAMED = 3
_FAMILIES = (
    ("integer", re.compile(r"^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|INT64)$")),
    ("decimal", re.compile(r"^(DECIMAL\(.*\)|(BIG)?NUMERIC)$")),
    ("float", re.compile(r"^(FLOAT|DOUBLE|FLOAT64)$")),
    ("instant", re.compile(r"^(TIMESTAMP.*|DATETIME)$")),
)


@dataclass(frozen=True)
class Side:
    """One of the two exports of a comparison."""

    export_id: str
    profile: Profile


@dataclass(frozen=True)
class Comparison:
    """Two exports of a table, and the keys of the earlier one that the later one lacks."""

    table: str
    format: ExportFormat
    before: Side
    now: Side
    gone: KeysGone

    @property
    def thing(self) -> str:
        return "attribute" if self.format == "dynamodb" else "column"

    @property
    def rows(self) -> str:
        return "items" if self.format == "dynamodb" else "rows"


@dataclass(frozen=True)
class Finding:
    """A difference.

    Attributes:
        stops: whether marts may not be built from it before somebody accepts it.
    """

    subject: Subject
    stops: bool
    sentence: str


def findings(comparison: Comparison, expectations: Expectations) -> list[Finding]:
    """Every difference that is more than expected."""
    return [*_columns(comparison, expectations), *_volume(comparison, expectations)]


def new_columns(comparison: Comparison) -> list[str]:
    """Columns or attributes with values that the export before does not have at all."""
    known = {column.name for column in comparison.before.profile.columns}
    return sorted({column.name for column in comparison.now.profile.columns if column.filled} - known)


def _columns(comparison: Comparison, expectations: Expectations) -> Iterator[Finding]:
    before, now = comparison.before.profile, comparison.now.profile
    for name in dict.fromkeys(column.name for column in before.columns):
        earlier, later = _named(before, name), _named(now, name)
        filled, left = _filled(earlier), _filled(later)
        if comparison.format == "aurora_snapshot" and not later:
            told = f"{_count(filled, before.rows, 'row')} had a value" if filled else "it had no value in any row"
            sentence = f"column {name} is not in export {comparison.now.export_id}; in export {comparison.before.export_id} {told}"
            yield Finding("columns", filled > 0, sentence)
        elif _is_lost(filled, left, comparison, expectations):
            yield Finding("columns", True, _shares(comparison, name, filled, left))
        else:
            if _fell(filled, left, comparison) > expectations.nulls_more:
                expected = f"(expected: nulls_more {expectations.nulls_more:g})"
                yield Finding("nulls", False, f"{_shares(comparison, name, filled, left)} {expected}")
            if comparison.format == "aurora_snapshot":
                yield from _type(comparison, earlier[0], later[0])
            else:
                yield from _types(comparison, earlier, later, expectations)


def _type(comparison: Comparison, earlier: Column, later: Column) -> Iterator[Finding]:
    """A column's type. Within a family values stay what they are, and are told alone."""
    if earlier.type != later.type:
        yield Finding(
            "types",
            earlier.filled > 0 and _family(earlier.type) != _family(later.type),
            f"column {later.name} is {later.type} in export {comparison.now.export_id}, and was {earlier.type} in export "
            f"{comparison.before.export_id}",
        )


def _types(
    comparison: Comparison, earlier: Sequence[Column], later: Sequence[Column], expectations: Expectations
) -> Iterator[Finding]:
    """An attribute's types: what reads one of them reads null where another stands, be it in few items."""
    told = False
    for column in earlier:
        left = sum(other.filled for other in later if other.type == column.type)
        lost = _is_lost(column.filled, left, comparison, expectations)
        if column.type == NO_VALUE or not (lost or _fell(column.filled, left, comparison) > expectations.nulls_more):
            continue
        others = [f"{other.type} in {other.filled:,}" for other in later if other.type not in (column.type, NO_VALUE)]
        if others:
            told = True
            yield Finding(
                "types",
                lost,
                f"attribute {column.name} is of type {column.type} in "
                f"{_count(left, comparison.now.profile.rows, 'item')} of export {comparison.now.export_id} "
                f"({', '.join(others)}), and was in {_count(column.filled, comparison.before.profile.rows, 'item')} of export "
                f"{comparison.before.export_id}: what reads it as {column.type} reads null",
            )
    known = [column.type for column in earlier if column.type != NO_VALUE]
    for other in later:
        if known and not told and other.type not in (*known, NO_VALUE):
            yield Finding(
                "types",
                False,
                f"attribute {other.name} is of type {other.type} in {_count(other.filled, comparison.now.profile.rows, 'item')} of "
                f"export {comparison.now.export_id}, and in none of export {comparison.before.export_id}: what reads it as "
                f"{' or '.join(known)} reads null",
            )


def _volume(comparison: Comparison, expectations: Expectations) -> Iterator[Finding]:
    before, now = comparison.before, comparison.now
    rows, rows_now, gone = before.profile.rows, now.profile.rows, comparison.gone.gone
    if gone >= FEW and gone > expectations.keys_gone * rows:
        yield Finding(
            "rows",
            True,
            f"{gone:,} of the {rows:,} keys of {comparison.table} in export {before.export_id} are not in export "
            f"{now.export_id} ({gone / rows:.1%}; expected: keys_gone {expectations.keys_gone:g}){_which(comparison)}",
        )
    elif rows - rows_now >= FEW and rows_now < expectations.rows_at_least * rows:
        yield Finding(
            "rows",
            True,
            f"{_volumes(comparison)} (expected: rows_at_least {expectations.rows_at_least:g})",
        )
    elif rows and rows_now - rows >= FEW and rows_now > expectations.rows_at_most * rows:
        yield Finding("rows", False, f"{_volumes(comparison)} (expected: rows_at_most {expectations.rows_at_most:g})")


def _which(comparison: Comparison) -> str:
    """Where the keys that are gone were: in parts that have no counterpart, and in which months."""
    before, now = comparison.before.profile.files, comparison.now.profile.files
    absent = [name for name in before if name not in now]
    told = ""
    if absent and len(now) < len(before):
        named = ", ".join(f"{name} ({before[name]:,} rows)" for name in absent[:_PARTS_NAMED])
        more = f" and {len(absent) - _PARTS_NAMED} more" if len(absent) > _PARTS_NAMED else ""
        told = f"; it has {len(now)} parts where {comparison.before.export_id} had {len(before)}, and none for {named}{more}"
    for name, (first, last) in comparison.gone.months.items():
        told += f"; their {name} is from {first} to {last}"
    return told


def _is_lost(filled: int, left: int, comparison: Comparison, expectations: Expectations) -> bool:
    """Whether (hardly) any row has a value of what had one in many; of fewer rows nothing can be said."""
    rows, rows_now = comparison.before.profile.rows, comparison.now.profile.rows
    if filled < FEW or rows_now < FEW:
        return False
    share = filled / rows
    return share >= expectations.filled and left / rows_now <= HARDLY * share


def _fell(filled: int, left: int, comparison: Comparison) -> float:
    """By how much the share of rows with a value is smaller; 0 where only a few rows are concerned."""
    rows, rows_now = comparison.before.profile.rows, comparison.now.profile.rows
    share = filled / rows if rows else 0.0
    return share - left / rows_now if share * rows_now - left >= FEW else 0.0


def _shares(comparison: Comparison, name: str, filled: int, left: int) -> str:
    one = comparison.rows.removesuffix("s")
    return (
        f"{comparison.thing} {name} has a value in {_count(left, comparison.now.profile.rows, one)} of export "
        f"{comparison.now.export_id}, and had one in {_count(filled, comparison.before.profile.rows, one)} of export "
        f"{comparison.before.export_id}"
    )


def _volumes(comparison: Comparison) -> str:
    return (
        f"export {comparison.now.export_id} has {comparison.now.profile.rows:,} {comparison.rows} of {comparison.table}, and "
        f"export {comparison.before.export_id} had {comparison.before.profile.rows:,}"
    )


def _count(some: int, every: int, one: str) -> str:
    return f"{some:,} of {every:,} {one}{'' if every == 1 else 's'}"


def _filled(columns: Sequence[Column]) -> int:
    return sum(column.filled for column in columns if column.type != NO_VALUE)


def _named(profile: Profile, name: str) -> list[Column]:
    return [column for column in profile.columns if column.name == name]


def _family(kind: str) -> str:
    return next((family for family, pattern in _FAMILIES if pattern.match(kind)), kind)
