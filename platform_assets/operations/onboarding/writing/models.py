"""The SQL of staging models and marts.

Belongs here: from a proposal to a model's text. Does not belong here: YAML (`declarations`), and what is proposed.
"""
# ruff: noqa: S608 - names are those that `column_name` makes.

import re

from platform_assets.operations.onboarding.marts import Mart
from platform_assets.operations.onboarding.names import RESERVED
from platform_assets.operations.onboarding.tables import INSTANTS, Column, Table

_TEXT = "{{ dbt.type_string() }}"


def staging_name(source: str, table: str) -> str:
    return f"stg_{source}__{table}"


def staging_sql(source: str, mart: Mart, table: Table) -> str:
    """The staging model of a table: the latest export of events, every export of what may have changed."""
    every = reads_every_export(mart)
    condition = f"is_in_{'loaded' if every else 'latest'}_export('{source}', '{table.name}')"
    relation = f"source('{source}', '{table.name}')"
    if table.changes:
        condition, relation = "'true'", _folded(source, mart, table)
    kept = kept_columns(mart)
    if table.columns[0].reading.tags:
        lines = [f"        {_item_column(column)}," for column in table.columns]
        keep = f"    keep=[{', '.join(repr(name) for name in kept)}],\n" if kept else ""
        return (
            f"{{{{ dynamodb_select(\n    {relation},\n    [\n"
            + "\n".join(lines)
            + f"\n    ],\n    where={condition},\n{keep}) }}}}\n"
        )
    lines = [f"    {_raw_column(column)} as {column.name}" for column in table.columns] + [
        f"    {name}" for name in kept
    ]
    return f"select\n{_listed(lines)}\nfrom {{{{ source('{source}', '{table.name}') }}}}\nwhere {{{{ {condition} }}}}\n"


def _folded(source: str, mart: Mart, table: Table) -> str:
    """The relation of a table that has incremental exports: events as first written, people as they are, or every version."""
    which = "versions" if reads_every_export(mart) else "first_items" if mart.kind == "event" else "items"
    return f"dynamodb_{which}({_of_table(source, table)})"


def _of_table(source: str, table: Table) -> str:
    key = ", ".join(repr(table.column(name).reading.path[0]) for name in table.key)
    return f"'{source}', '{table.name}', key=[{key}]"


def contradictions_name(source: str, table: str) -> str:
    return f"{staging_name(source, table)}_contradictions"


def contradictions_sql(source: str, table: Table) -> str:
    """The staging model of old images that are not what earlier exports say."""
    return f"select *\nfrom {{{{ dynamodb_contradictions({_of_table(source, table)}) }}}} as contradictions\n"


def reads_every_export(mart: Mart) -> bool:
    return mart.kind == "dimension" or mart.history == "scd2"


def kept_columns(mart: Mart) -> tuple[str, ...]:
    """What a staging model passes on of the row's export."""
    if mart.kind == "dimension":
        return ("_export_id", "_exported_at")
    if mart.history == "scd2":
        return ("valid_from", "valid_to") if mart.table.changes else ("_export_id",)
    return ()


def mart_sql(source: str, mart: Mart) -> str:
    staged = f"{{{{ ref('{staging_name(source, mart.table.name)}') }}}}"
    if mart.people_of:
        key = mart.key
        return f"select distinct {key}\nfrom {staged}\nwhere {key} is not null\n"
    if mart.history == "scd2":
        return _versions(source, mart, staged)
    if mart.kind == "dimension":
        order = ", ".join(mart.table.key)
        return (
            "-- As first exported, so that nothing a later export says reaches past dates; what went away stays.\n"
            f"select\n{_listed(_own(mart, ''))}\nfrom {staged}\n"
            f"qualify _exported_at = min(_exported_at) over (partition by {order})\n"
        )
    if mart.kind == "entity":
        return f"select\n{_listed(_own(mart, ''))}\nfrom {staged}\n"
    return _events(source, mart, staged)


def _events(source: str, mart: Mart, staged: str) -> str:
    ctes = []
    for reference in mart.joined:
        names = [one.source for one in mart.columns if one.origin == reference.table]
        columns = ", ".join([reference.key, *names])
        ctes.append(
            f"first_{reference.table} as (\n"
            f"    -- As first exported, so that nothing a later export says reaches past dates.\n"
            f"    select {columns}\n"
            f"    from {{{{ ref('{staging_name(source, reference.table)}') }}}}\n"
            f"    qualify _exported_at = min(_exported_at) over (partition by {reference.key})\n)"
        )
    lines = _own(mart, "events.")
    joins = []
    if mart.parent:
        parent = mart.parent
        joins.append(
            f"-- The person and time of what each row belongs to. Rows that belong to nothing are left out; the test\n"
            f"-- {orphans_test(mart)} counts them.\n"
            f"inner join {{{{ ref('{staging_name(source, parent.table)}') }}}} as parents on parents.{parent.key} = events.{parent.column}"
        )
    for reference in mart.joined:
        alias = f"first_{reference.table}"
        joins.append(f"left join {alias} on {alias}.{reference.key} = events.{reference.column}")
    conditions = []
    if mart.without_person:
        conditions.append(f"where events.{mart.entity_key} is not null")
    elif mart.parent:
        conditions.append(f"where parents.{mart.entity_key} is not null")
    head = [f"with {', '.join(ctes)}\n"] if ctes else []
    body = [f"select\n{_listed(lines)}", f"from {staged} as events", *joins, *conditions]
    return f"{{% call by_changed_days('{mart.event_time}') %}}\n" + "\n".join([*head, *body]) + "\n{% endcall %}\n"


def orphans_test(mart: Mart) -> str:
    assert mart.parent is not None
    return f"{mart.name}_belong_to_{mart.parent.table}"


def _own(mart: Mart, alias: str) -> list[str]:
    """The select list: the key that is put together, then every column."""
    lines = []
    if mart.made_key:
        pieces = [_key_piece(mart.table.column(name), alias) for name in mart.table.key]
        joined = "\n    || '-' || ".join(pieces)
        lines.append(f"    {joined} as {mart.made_key}")
    for column in mart.columns:
        place = {"own": alias, "parent": "parents."}.get(column.origin, f"first_{column.origin}.")
        value = f"{place}{column.source}"
        if column.column.type == "texts" and place not in (alias, "parents."):
            value = f"coalesce({value}, {{{{ no_strings() }}}})"
        lines.append(f"    {value}" + ("" if value == f"{place}{column.name}" else f" as {column.name}"))
    return lines


def _key_piece(column: Column, alias: str) -> str:
    value = f"{alias}{column.name}"
    if column.type in INSTANTS:
        value = f"{{{{ epoch_of_timestamp('{value}') }}}}"
    return f"cast({value} as {_TEXT})"


def _versions(source: str, mart: Mart, staged: str) -> str:
    key = mart.entity_key
    attributes = [column.name for column in mart.columns if column.name != key]
    exports = (
        "\"(select export_id, exported_at from \" ~ ref('stg_exports') ~ "
        f"\" where source_name = '{source}' and table_name = '{mart.table.name}')\""
    )
    version = f"cast({key} as {_TEXT}) || '-' || cast({{{{ epoch_of_timestamp('valid_from') }}}} as {_TEXT}) as {mart.made_key}"
    lines = [f"    {line}" for line in (version, key, *attributes, "valid_from", "valid_to")]
    listed = ", ".join(f"'{name}'" for name in attributes)
    staging = staged.strip("{} ")
    if mart.table.changes:
        merged = (
            f"merged_versions(\n        rows={staging},\n        key='{key}',\n        attributes=[{listed}],\n    )"
        )
        return f"select\n{_listed(lines)}\nfrom (\n    {{{{ {merged} }}}}\n) as versions\n"
    return (
        f"select\n{_listed(lines)}\nfrom (\n    {{{{ scd2(\n        rows={staging},\n        exports={exports},\n"
        f"        key='{key}',\n        attributes=[{listed}],\n    ) }}}}\n) as versions\n"
    )


def _item_column(column: Column) -> str:
    path = ", ".join(f"'{part}'" for part in column.reading.path)
    tags = ", ".join(f"'{tag}'" for tag in column.reading.tags)
    return f"{{'name': '{column.name}', 'path': [{path}], 'tags': [{tags}], 'type': '{column.type}'}}"


def _raw_column(column: Column) -> str:
    raw = column.reading.path[0]
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", raw) and raw.lower() not in RESERVED
    name = raw if plain else f'{{{{ adapter.quote("{raw}") }}}}'
    argument = f"'{raw}'" if plain else f'adapter.quote("{raw}")'
    match column.type:
        case "integer":
            return f"cast({name} as bigint)"
        case "decimal":
            return f"{{{{ decimal_of({argument}) }}}}"
        case "float":
            return f"cast({name} as {{{{ float_type() }}}})"
        case "boolean" | "date":
            return f"cast({name} as {column.type})"
        case "instant" if column.reading.parse:
            return f"cast({name} as {{{{ timestamp_type() }}}})"
        case "instant":
            return f"{{{{ utc_timestamp({argument}) }}}}"
        case "epoch_seconds":
            return f"{{{{ timestamp_from_epoch({argument}) }}}}"
        case "epoch_milliseconds":
            return f"{{{{ timestamp_from_epoch_milliseconds({argument}) }}}}"
    return f"cast({name} as {_TEXT})"


def _listed(lines: list[str]) -> str:
    return ",\n".join(lines)
