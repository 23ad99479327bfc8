"""The YAML of a source: its defs.yaml, dbt's sources, and the properties of staging models and marts.

Belongs here: from a plan to text with its comments. Does not belong here: SQL (`models`), and merging with what is there
(`writing`).
"""

import json
from collections.abc import Iterable

from platform_assets.data.exports.export import changes_of
from platform_assets.operations.onboarding.marts import Mart, MartColumn, Plan
from platform_assets.operations.onboarding.names import singular
from platform_assets.operations.onboarding.tables import INSTANTS, NUMBERS, Place, Table
from platform_assets.operations.onboarding.writing.models import (
    contradictions_name,
    kept_columns,
    orphans_test,
    reads_every_export,
    staging_name,
)

_FILL_IN = "To fill in."
_DATA_TYPES = {
    "text": "*text",
    "integer": "bigint",
    "decimal": "*decimal",
    "float": "*float",
    "boolean": "boolean",
    "date": "date",
    "texts": "*texts",
    **dict.fromkeys(INSTANTS, "*instant"),
}
_ANCHORS = """\
anchors:
  # Types that the engines call differently.
  - &text "{{ 'string' if target.type == 'bigquery' else 'varchar' }}"
  - &texts "{{ 'array<string>' if target.type == 'bigquery' else 'varchar[]' }}"
  - &instant "{{ 'timestamp' if target.type == 'bigquery' else 'timestamptz' }}"
  - &decimal "{{ 'numeric /* 38, 9 */' if target.type == 'bigquery' else 'decimal(38, 9)' }}"
  - &float "{{ 'float64' if target.type == 'bigquery' else 'double' }}"
  # What describes a person. BigQuery shows these columns to those who may see personal data, and no feature is made of them
  # unless it is admitted by name.
  - &personal ["{{ env_var('PLATFORM_POLICY_TAG_PERSONAL', 'personal') }}"]
  # BigQuery's labels: who is billed for what.
  - &labels {source: SOURCE, environment: "{{ env_var('PLATFORM_STAGE', 'dev') }}"}
  # On BigQuery event marts are built by the days that changed (the macro by_changed_days), on DuckDB whole.
  - &by_day
    materialized: "{{ 'incremental' if target.type == 'bigquery' else 'table' }}"
    incremental_strategy: insert_overwrite
    on_schema_change: fail
"""


def quoted(text: str) -> str:
    """Text as YAML takes it whatever it holds."""
    return json.dumps(text, ensure_ascii=False)


def source_yaml(plan: Plan, place: Place, owner: str) -> str:
    """defs.yaml."""
    lines = [
        "type: platform_assets.components.ExportSource",
        "attributes:",
        f"  description: {quoted(f'{_FILL_IN} What {plan.source} holds, and which system it comes from.')}",
        f"  owner: {quoted(owner)}",
        f"  format: {place.format}",
        f"  path: {quoted(place.path)}",
    ]
    if place.database:
        lines.append(f"  database: {quoted(place.database)}")
    lines.append("  tables:")
    for table in plan.tables.values():
        key = ", ".join(quoted(table.column(name).reading.path[0]) for name in table.key)
        lines.append(f"    - {{name: {table.name}, export_table: {quoted(table.export_table)}, key: [{key}]}}")
    return "\n".join(lines) + "\n"


def sources_yaml(plan: Plan, place: Place) -> str:
    """dbt's sources."""
    what = "DynamoDB tables" if place.format == "dynamodb" else "Aurora database"
    what, loads = ("objects", "the loads of its API") if place.fetched else (what, "exports")
    columns = (
        ["        - {name: Item, description: The item in DynamoDB's typed JSON.}"]
        if place.format == "dynamodb"
        else []
    )
    columns += [
        "        - {name: _export_id, description: The export this row was read from.}",
        "        - {name: _exported_at, description: When that export was taken.}",
    ]
    lines = [
        "version: 2",
        "",
        "sources:",
        f"  - name: {plan.source}",
        f"    description: {quoted(f'The {what} of {plan.source}, from {loads}.')}",
        "    # On BigQuery: <stage>_raw.<source>__<table>.",
        "    schema: \"{{ env_var('PLATFORM_RAW_STAGE', env_var('PLATFORM_STAGE', 'dev')) }}_raw\"",
        "    config:",
        "      freshness:",
        "        warn_after: {count: 2, period: day}",
        "        error_after: {count: 4, period: day}",
        '      loaded_at_query: "{{ latest_exported_at(model.source_name, model.name) }}"',
        "      meta:",
        "        external_location: \"read_parquet('{{ env_var('PLATFORM_RAW', '.data/raw') | replace('{', '{{') | replace('}', '}}') }}/"
        + plan.source
        + "/{name}/*/*.parquet', hive_partitioning=false, union_by_name=true)\"",
        "    tables:",
    ]
    for name in plan.tables:
        lines += [
            f"      - name: {name}",
            f"        identifier: {plan.source}__{name}",
            f"        description: {quoted(f'One row per export and row of {name}.')}",
            "        columns:",
            *(f"  {line}" for line in columns),
        ]
        if plan.tables[name].changes:
            lines += [
                f"      - name: {changes_of(name)}",
                f"        identifier: {plan.source}__{changes_of(name)}",
                f"        description: {quoted(f'One row per incremental export and changed item of {name}.')}",
                "        columns:",
                *(f"          - {{name: {column}, description: {meaning}}}" for column, meaning in _CHANGE.items()),
                *(f"  {line}" for line in columns[1:]),
            ]
    return "\n".join(lines) + "\n"


def staging_yaml(plan: Plan) -> str:
    lines = ["version: 2", "", "models:"]
    for mart in plan.marts:
        if mart.people_of:
            continue
        table, name = mart.table, staging_name(plan.source, mart.table.name)
        every = reads_every_export(mart)
        lines += [
            f"  - name: {name}",
            f"    description: {quoted(f'{_FILL_IN} {table.name} ' + ('in every export.' if every else 'as of the latest export.'))}",
        ]
        if mart.kind == "dimension" and (kept := [one.name for one in mart.columns if one.name not in table.key]):
            lines += [
                "    data_tests:",
                "      - unchanged_across_exports:",
                f"          name: {table.name}_of_{plan.source}_never_change",
                f"          arguments: {{key: {quoted(', '.join(table.key))}, columns: [{', '.join(kept)}]}}",
            ]
        lines.append("    columns:")
        for column in table.columns:
            lines.append(f"      - name: {column.name}")
            lines.append(
                f"        description: {quoted(f'{_FILL_IN} Column {column.reading.shown} of {table.export_table}.')}"
            )
            if mart.parent and column.name == mart.parent.column:
                lines += [
                    "        data_tests:",
                    "          # Rows that belong to nothing have no person and time, and are not in the mart.",
                    *_relationship(plan.source, orphans_test(mart), mart.parent.table, mart.parent.key, warn=True),
                ]
            elif mart.without_person and column.name == mart.entity_key:
                lines += [
                    "        data_tests:",
                    "          # Rows without a person are not in the mart.",
                    "          - not_null:",
                    f"              name: {mart.name}_have_a_{mart.entity}",
                    "              config: {severity: warn}",
                ]
        lines += [f"      - {{name: {name}, description: {_PROVENANCE[name]}}}" for name in kept_columns(mart)]
        if table.changes:
            lines += _contradictions(plan.source, table)
    return "\n".join(lines) + "\n"


def _contradictions(source: str, table: Table) -> list[str]:
    return [
        f"  - name: {contradictions_name(source, table.name)}",
        f"    description: {quoted(f'Incremental exports of {table.name} whose old images are not what was known; none is right.')}",
        "    data_tests:",
        "      - old_images_agree:",
        f"          name: old_images_of_{source}_{table.name}_agree",
        "          config: {severity: warn}",
        "    columns:",
        "      - {name: _export_id, description: The export.}",
        "      - {name: _exported_at, description: When its window ends.}",
        "      - {name: contradictions, description: How many of its items.}",
    ]


_CHANGE = {
    "Keys": "The key of the item that changed.",
    "NewImage": "What the item became; null where it was deleted.",
    "OldImage": "What the item was before; null where it did not exist.",
    "Metadata": "When it was written.",
}
_PROVENANCE = {
    "_export_id": "The export that shows the row so.",
    "_exported_at": "When that export was taken.",
    "valid_from": "When it was written so, or first exported so.",
    "valid_to": "When it was written otherwise or deleted; null while it lasts.",
}


def marts_yaml(plan: Plan) -> str:
    lines = ["version: 2", "", _ANCHORS.replace("SOURCE", plan.source).rstrip(), "", "models:"]
    for mart in plan.marts:
        lines += _mart(plan, mart)
    return "\n".join(lines) + "\n"


def _mart(plan: Plan, mart: Mart) -> Iterable[str]:
    one = mart.entity if mart.people_of or mart.kind == "entity" else singular(mart.table.name)
    version = " and version of what was known of them" if mart.history == "scd2" else ""
    yield f"  - name: {mart.name}"
    yield f"    description: {quoted(f'{_FILL_IN} One row per {one}{version}.')}"
    for reason in mart.reasons:
        yield f"    # {reason}"
    yield "    config:"
    if mart.kind == "event":
        yield "      <<: *by_day"
        yield f"      partition_by: {{field: {mart.event_time}, data_type: timestamp, granularity: day}}"
    yield f"      cluster_by: {mart.entity_key or mart.key}"
    yield "      labels: *labels"
    yield "      meta:"
    yield "        platform:"
    for key, value in _platform(plan, mart):
        yield f"          {key}: {value}"
    if mart.history == "scd2":
        yield "    data_tests:"
        yield "      - versions_do_not_overlap:"
        yield f"          name: versions_of_{mart.name}_do_not_overlap"
        yield f"          arguments: {{key: {mart.entity_key}}}"
    yield "    columns:"
    if mart.made_key:
        parts = "person and beginning" if mart.history == "scd2" else ", ".join(mart.table.key)
        yield from _column(
            mart.made_key, "*text", f"The row; {parts}.", "none", "the key of the mart", tests=["unique", "not_null"]
        )
    for column in mart.columns:
        yield from _mart_column(plan, mart, column)
    if mart.history == "scd2":
        yield from _column(
            "valid_from",
            "*instant",
            "When the export was taken that first shows it so.",
            "none",
            "the version's",
            tests=["not_null"],
        )
        yield from _column(
            "valid_to",
            "*instant",
            "When the export was taken that shows it otherwise, or no longer; null while it lasts.",
            "none",
            "the version's",
        )


def _platform(plan: Plan, mart: Mart) -> Iterable[tuple[str, str]]:
    yield "kind", mart.kind
    if mart.entity and mart.kind != "dimension":
        yield "entity", mart.entity
    yield "key", mart.key
    if (mart.kind != "dimension" and mart.entity_key and mart.entity_key != mart.key) or (
        mart.kind == "event" and mart.entity_key
    ):
        yield "entity_key", mart.entity_key
    if mart.event_time:
        yield "event_time", mart.event_time
        yield "require_partition_filter", "true"
    if mart.history:
        yield "history", mart.history
    if mart.kind == "entity":
        yield "timezone", quoted(plan.timezone)
        yield "population", str(mart.population)


def _mart_column(plan: Plan, mart: Mart, column: MartColumn) -> Iterable[str]:
    tests = []
    if column.name == mart.key:
        tests += ["unique", "not_null"]
    elif column.name in (mart.entity_key, mart.event_time):
        tests.append("not_null")
    elif column.origin == "own" and mart.kind == "event" and column.column.type in NUMBERS and not column.column.nulls:
        tests.append("not_null:warn")
    lines = list(_more_tests(plan, mart, column))
    shown = column.column.reading.shown
    origin = {"own": mart.table.name, "parent": mart.parent.table if mart.parent else ""}.get(
        column.origin, column.origin
    )
    changes = column.origin == "own" and column.column.changed and mart.history != "scd2"
    yield from _column(
        column.name,
        _DATA_TYPES[column.column.type],
        f"{_FILL_IN} {shown} of {origin}.",
        column.proposal.role + (", changes: true" if changes else ""),
        column.proposal.reason,
        personal=column.proposal.personal,
        tests=tests,
        more=lines,
        required=column.name == mart.event_time and mart.kind == "event",
    )


def _more_tests(plan: Plan, mart: Mart, column: MartColumn) -> Iterable[str]:
    if mart.kind == "event" and column.name == mart.event_time:
        table = mart.parent.table if mart.parent else mart.table.name
        yield "          - before_latest_export:"
        yield f"              name: {mart.name}_are_older_than_their_export"
        yield f"              arguments: {{source_name: {plan.source}, table_name: {table}}}"
    for reference in mart.references:
        is_parent = mart.parent is not None and reference.column == mart.parent.column
        if column.origin == "own" and reference.column == column.name and mart.kind == "event" and not is_parent:
            name = f"{mart.name}_have_a_known_{column.name}"
            # DynamoDB exports tables one by one: what is referred to may be newer than its export.
            warn = reference.share < 1 or bool(column.column.reading.tags)
            yield from _relationship(plan.source, name, reference.table, reference.key, warn)


def _relationship(source: str, name: str, table: str, key: str, warn: bool) -> Iterable[str]:
    yield "          - relationships:"
    yield f"              name: {name}"
    yield f"              arguments: {{to: ref('{staging_name(source, table)}'), field: {key}}}"
    if warn:
        yield "              config: {severity: warn}"


def _column(
    name: str,
    data_type: str,
    description: str,
    role: str,
    reason: str,
    *,
    personal: bool = False,
    required: bool = False,
    tests: Iterable[str] = (),
    more: Iterable[str] = (),
) -> Iterable[str]:
    yield f"      - name: {name}"
    yield f"        data_type: {data_type}"
    if required:
        yield "        constraints: [{type: not_null}]"
    yield f"        description: {quoted(description)}"
    if personal:
        yield "        policy_tags: *personal"
    yield f"        config: {{meta: {{platform: {{role: {role}}}}}}}  # {reason}"
    tests, more = list(tests), list(more)
    if tests and not more and all(":" not in test for test in tests):
        yield f"        data_tests: [{', '.join(tests)}]"
    elif tests or more:
        yield "        data_tests:"
        for test in tests:
            plain, _, severity = test.partition(":")
            if severity:
                yield f"          - {plain}: {{config: {{severity: {severity}}}}}"
            else:
                yield f"          - {plain}"
        yield from more


def key_columns(table: Table) -> list[str]:
    return [table.column(name).reading.path[0] for name in table.key]
