"""Many random histories as one table, its exports, and a dbt project that reads them.

Belongs here: writing the exports as AWS lays them out, the project, and the truth. Does not belong here: an engine.
"""

import itertools
import json
import random
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platform_assets.data.exports.spec import ExportSourceSpec, ExportTableSpec
from platform_assets.environment import REPOSITORY
from samples.dynamodb_export import View, change, export_id, write_dynamodb_export, write_incremental_export
from tests.data.exports.histories import EPOCH, Change, History, at, random_history

HOURS = 20
# Where windows begin and end; the full export at 9 lies at a joint, that at 5.5 inside a window.
JOINTS = (0, 3, 5, 8, 9, 14, 20)
FULLS = (0, 5.5, 9)
# Table → the views of its windows, in turn.
VIEWS: Mapping[str, Sequence[View]] = {
    "both": ["NEW_AND_OLD_IMAGES"],
    "new": ["NEW_IMAGE"],
    "mixed": ["NEW_AND_OLD_IMAGES", "NEW_IMAGE"],
}
KEY = ("history", "id")
LEFT_OUT = ("0", "k1")


@dataclass(frozen=True)
class Histories:
    """Histories by number, their states at every hour that is asked for, and what windows tell of them."""

    histories: tuple[History, ...]

    @classmethod
    def random(cls, count: int, seed: int = 0) -> "Histories":
        return cls(tuple(random_history(seed * 10_000 + number, hours=HOURS) for number in range(count)))

    def state(self, hour: float) -> dict[tuple[int, str], str]:
        return {
            (number, key): value
            for number, history in enumerate(self.histories)
            for key, value in history.state(hour).items()
        }

    def items(self, hour: float) -> Iterator[dict[str, Any]]:
        for (number, key), value in self.state(hour).items():
            yield _item(number, key, value)

    def changes(self, start: float, end: float) -> Iterator[tuple[int, Change]]:
        for number, history in enumerate(self.histories):
            for one in history.window(start, end):
                yield number, one

    def written(self) -> dict[tuple[int, str], float]:
        """(history, value) → the hour at which it was written; no value is written twice."""
        return {
            (number, write.value): write.hour
            for number, history in enumerate(self.histories)
            for write in history.writes
            if write.value is not None
        }


def spec_of(*tables: str) -> ExportSourceSpec:
    """The source of some of the tables."""
    return ExportSourceSpec(
        description="Random histories.",
        owner="team:tests",
        format="dynamodb",
        path="histories",
        tables=[ExportTableSpec(name=name, export_table=name, key=list(KEY)) for name in tables],
    )


def write_exports(lake: Path, histories: Histories, tables: Sequence[str], replays: int = len(JOINTS)) -> None:
    """Full exports, windows that tile, so many of them once more in other files and another order, and one that overlaps.

    In the last window the old image of the item that is left out is none that it ever had.
    """
    windows = list(itertools.pairwise(JOINTS))
    for table in tables:
        for hour in FULLS:
            write_dynamodb_export(
                lake, table, export_id(table, at(hour)), histories.items(hour), at(hour), prefix="histories", files=2
            )
        for place, (start, end) in enumerate([(4, 12), *windows]):
            view = VIEWS[table][place % len(VIEWS[table])]
            lines = [_line(number, one, view) for number, one in histories.changes(start, end)]
            if (start, end) == windows[-1]:
                _contradict(lines)
            window = (at(start), at(end))
            write_incremental_export(lake, table, lines, window, view=view, prefix="histories")
            if place >= replays:
                continue
            random.Random(place).shuffle(lines)
            replayed = f"{export_id(table, at(end))}-again-from-{start}"
            write_incremental_export(
                lake, table, lines, window, view=view, export_id=replayed, prefix="histories", files=1
            )


def _item(number: int, key: str, value: str) -> dict[str, Any]:
    return {"history": {"N": str(number)}, "id": {"S": key}, "value": {"S": value}}


def _line(number: int, one: Change, view: View) -> dict[str, Any]:
    keys = {"history": {"N": str(number)}, "id": {"S": one.key}}
    new, old = (None if value is None else _item(number, one.key, value) for value in (one.new, one.old))
    return change(keys, at(one.written), new, old if view == "NEW_AND_OLD_IMAGES" else None)


def _contradict(lines: Iterable[dict[str, Any]]) -> None:
    history, key = LEFT_OUT
    for line in lines:
        if line["Keys"] == {"history": {"N": history}, "id": {"S": key}} and "OldImage" in line:
            line["OldImage"] = _item(int(history), key, "never written")


_MODELS = {
    "stg_{table}_items": """
{{{{ dynamodb_select(
    relation=dynamodb_items('histories', '{table}', ['history', 'id']), columns=columns_of_items(), where='true', keep=['_written_at']
) }}}}
""",
    "stg_{table}_contradictions": """
select * from {{{{ dynamodb_contradictions('histories', '{table}', ['history', 'id']) }}}} as contradictions
""",
    "stg_{table}_versions": """
{{{{ dynamodb_select(
    relation=dynamodb_versions('histories', '{table}', ['history', 'id']), columns=columns_of_items(), where='true',
    keep=['valid_from', 'valid_to', '_written_at']
) }}}}
""",
}
# Every fold of the first table without one item, told apart by `fold`.
_LEFT_OUT = """
{%- set key = ['history', 'id'] -%}
{%- set left_out = "(select " ~ dynamodb_key(erased_item(), key) ~ " as item_key)" -%}
{%- set instant = "cast(null as " ~ timestamp_type() ~ ")" -%}
{%- set versions = dynamodb_select(
    relation=dynamodb_versions('histories', 'TABLE', key, left_out), columns=columns_of_items(), where='true',
    keep=['valid_from', 'valid_to']
) -%}
select 'items' as fold, history, id, value, {{ instant }} as valid_from, {{ instant }} as valid_to
from ({{ dynamodb_select(dynamodb_items('histories', 'TABLE', key, left_out), columns_of_items(), where='true') }}) as items
union all
select 'first items', history, id, value, valid_from, valid_to
from ({{ dynamodb_select(
    dynamodb_first_items('histories', 'TABLE', key, left_out), columns_of_items(), where='true', keep=['valid_from', 'valid_to']
) }}) as first_items
union all
select 'versions', history, id, value, valid_from, valid_to from ({{ versions }}) as versions
union all
select 'merged versions', history, id, value, valid_from, valid_to
from ({{ merged_versions("(" ~ versions ~ ")", 'history, id', ['value']) }}) as merged
union all
select 'contradictions', contradictions, _export_id, null, {{ instant }}, {{ instant }}
from {{ dynamodb_contradictions('histories', 'TABLE', key, left_out) }} as contradictions
"""
_MACROS = """
{% macro columns_of_items() %}
    {{ return([
        {'name': 'history', 'path': ['history'], 'tags': ['N'], 'type': 'integer'},
        {'name': 'id', 'path': ['id'], 'tags': ['S'], 'type': 'text'},
        {'name': 'value', 'path': ['value'], 'tags': ['S'], 'type': 'text'},
    ]) }}
{% endmacro %}
{% macro erased_item() %}{{ 'json ' if target.type == 'bigquery' }}'{"history": {"N": "0"}, "id": {"S": "k1"}}'{% endmacro %}
"""


def write_project(folder: Path, tables: Sequence[str], cases: Sequence[Iterable[Mapping[str, Any]]] = ()) -> Path:
    """A copy of the project with models of the histories, and of the segments of some cases, in place of its own."""
    project = shutil.copytree(
        REPOSITORY / "dbt_project", folder, ignore=shutil.ignore_patterns("target", "logs", "models", "macros")
    )
    staging, macros = project / "models" / "staging", project / "macros"
    staging.mkdir(parents=True)
    macros.mkdir()
    shutil.copyfile(REPOSITORY / "dbt_project/models/staging/stg_exports.sql", staging / "stg_exports.sql")
    (macros / "items.sql").write_text(_MACROS)
    raw_tables = [name for table in tables for name in (table, f"{table}__changes")]
    for table in tables:
        for name, model in _MODELS.items():
            (staging / f"{name.format(table=table)}.sql").write_text(model.format(table=table))
    if tables:
        (staging / "stg_left_out.sql").write_text(_LEFT_OUT.replace("TABLE", tables[0]))
    (staging / "sources.yml").write_text(json.dumps(sources_of("histories", raw_tables)))
    (staging / "tests.yml").write_text(json.dumps(_tests(tables)))
    if cases:
        said = json.dumps([list(case) for case in cases])
        (staging / "stg_segments.sql").write_text(
            "{%- set said = [] -%}{%- for case in fromjson('"
            + said
            + "') -%}{%- do said.append(segments_of(case)) -%}{%- endfor -%}\n"
            "select {{ dbt.string_literal(tojson(said)) }} as said\n"
        )
    return project


def sources_of(source: str, names: Sequence[str]) -> dict[str, Any]:
    """dbt's declaration of raw tables of a source, on either engine."""
    location = (
        "read_parquet('{{ env_var('PLATFORM_RAW', '.data/raw') | replace('{', '{{') | replace('}', '}}') }}"
        f"/{source}/{{name}}/*/*.parquet', hive_partitioning=false, union_by_name=true)"
    )
    return {
        "version": 2,
        "sources": [
            {
                "name": source,
                "schema": "{{ env_var('PLATFORM_STAGE', 'dev') }}_raw",
                "config": {"meta": {"external_location": location}},
                "tables": [{"name": name, "identifier": f"{source}__{name}"} for name in names],
            }
        ],
    }


def _tests(tables: Sequence[str]) -> dict[str, Any]:
    def agree(table: str) -> dict[str, Any]:
        return {
            "old_images_agree": {
                "name": f"old_images_of_{table}_agree",
                "config": {"severity": "warn"},
            }
        }

    return {
        "version": 2,
        "models": [{"name": f"stg_{table}_contradictions", "data_tests": [agree(table)]} for table in tables],
    }


def assert_left_out(
    found: Iterable[tuple[Any, ...]], items: Iterable[tuple[Any, ...]], versions: Iterable[tuple[Any, ...]]
) -> None:
    """That each fold without one key is that fold of all keys, less that key.

    Args:
        found: rows of stg_left_out: the fold, then as `items`.
        items, versions: history, key, value, and since when and until when.
    """
    history, left_out = int(LEFT_OUT[0]), LEFT_OUT[1]
    folds: dict[str, list[tuple[Any, ...]]] = {}
    for each in found:
        folds.setdefault(each[0], []).append(each[1:])
    kept, versions = ([row for row in rows if row[:2] != (history, left_out)] for rows in (items, versions))
    by_begin = sorted(versions, key=lambda row: row[3])
    first = {row[:2]: row for row in reversed(by_begin)}
    merged: list[tuple[Any, ...]] = []
    for row in sorted(versions, key=lambda row: (row[:2], row[3])):
        if merged and (*merged[-1][:3], merged[-1][4]) == row[:4]:
            row = (*merged.pop()[:4], row[4])
        merged.append(row)
    expected = {"items": kept, "first items": [*first.values()], "versions": versions, "merged versions": merged}
    assert {fold: set(rows) for fold, rows in folds.items()} == {fold: set(rows) for fold, rows in expected.items()}
    assert {fold: len(rows) for fold, rows in folds.items()} == {fold: len(rows) for fold, rows in expected.items()}
    assert len(merged) < len(versions)


def hours(instant: Any) -> float:
    """Hours since the first instant."""
    return float((instant - EPOCH).total_seconds() / 3600)
