"""What a person asked for, held against the tables that are there, and the key of each table.

Belongs here: whether wishes name what there is, and which tables can be written at all. Does not belong here: looking for a
key among the columns (`reading.finding`), and what a table is (`proposing`).
"""

from collections.abc import Mapping
from dataclasses import replace

from platform_assets.data.catalog.declaration import nearest
from platform_assets.operations.onboarding.reading.finding import Found
from platform_assets.operations.onboarding.tables import OnboardingError, Table, Wishes


def check_wishes(wishes: Wishes, tables: Mapping[str, Table]) -> None:
    """Whether wishes name tables and columns that are there.

    Raises:
        OnboardingError: one does not.
    """
    for option, names in (
        ("--key", wishes.keys),
        ("--kind", wishes.kinds),
        ("--event-time", wishes.event_times),
        ("--history", wishes.histories),
        ("--role", {name.partition(".")[0]: "" for name in wishes.roles}),
        ("--population", {wishes.population: ""} if wishes.population else {}),
    ):
        for name in names:
            if name not in tables:
                raise OnboardingError(f"{option} {name}: there is no such table{nearest(name, tables)}.")
    columns = [(f"--key {table}={name}", table, name) for table, names in wishes.keys.items() for name in names]
    columns += [(f"--event-time {table}={name}", table, name) for table, name in wishes.event_times.items()]
    for option, table, name in columns:
        if name not in tables[table].names:
            there = tables[table].names
            raise OnboardingError(
                f"{option}: {table} has no column {name}{nearest(name, there)}; it has {', '.join(there)}."
            )


def with_keys(found: Found, wishes: Wishes, notes: list[str]) -> dict[str, Table]:
    """The tables of which marts can be made, each with its key first and what differs between exports marked; what is left out is said in `notes`.

    Raises:
        OnboardingError: the key that a person named identifies no row.
    """
    tables = {}
    for name, table in found.tables.items():
        key = wishes.keys.get(name, table.key)
        if wishes.kinds.get(name) == "leave_out":
            continue
        if not table.rows:
            notes.append(
                f"{name}: has no rows, so that nothing tells its types and key; it is left out. Add it when it has some."
            )
        elif not key:
            notes.append(_without_key(table))
        elif inner := [one for one in key if not table.column(one).may_be_key]:
            raise OnboardingError(
                f"--key {name}={','.join(key)}: {', '.join(inner)} lies inside a map, and a key is made of attributes of the item."
            )
        elif not found.is_key(name, key):
            raise OnboardingError(
                f"--key {name}={','.join(key)}: rows of {name} lack it or share it. Name columns that identify a row."
            )
        else:
            columns = found.with_changes(replace(table, key=tuple(key)))
            columns = tuple(sorted(columns, key=lambda column: column.name not in key))
            tables[name] = replace(table, key=tuple(key), columns=columns)
    return tables


def _without_key(table: Table) -> str:
    choices = [c.name for c in table.columns if not c.nulls and c.values == table.rows and c.may_be_key]
    what = f"{', '.join(choices)} each identify its rows"
    if not choices:
        what = "no column, and no few references together, identify its rows"
    elif len(choices) == 1:
        what = f"{choices[0]} identifies its rows, perhaps by chance"
    return f"{table.name}: {what}; it is left out. Say what does with --key {table.name}=<column>[,<column>]."
