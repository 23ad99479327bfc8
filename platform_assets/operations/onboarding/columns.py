"""The columns of a mart and their roles: its own, its parent's person and time, and those of things that do not change.

Belongs here: one mart whose kind is settled. Does not belong here: what a table is (`proposing`).
"""

from collections.abc import Mapping
from dataclasses import replace

from platform_assets.data.catalog.declaration import nearest
from platform_assets.operations.onboarding.marts import Mart, MartColumn, Reference
from platform_assets.operations.onboarding.names import column_name, is_person, person_of, singular
from platform_assets.operations.onboarding.roles import ROLES, TYPES, Proposal, Role, role_of
from platform_assets.operations.onboarding.tables import OnboardingError

_STRUCTURE = Proposal("none", "key, person or time of the mart")


def with_columns(marts: Mapping[str, Mart], roles: Mapping[str, str], notes: list[str]) -> dict[str, Mart]:
    """The marts with their columns; what stays out of one is said in `notes`.

    Args:
        marts: by table.
        roles: table.column → the role that a person asked for.

    Raises:
        OnboardingError: a role names a column that is not there, or that cannot have it.
    """
    result = {name: _wished(_with_columns(mart, marts, notes), roles) for name, mart in marts.items()}
    known = {f"{mart.table.name}.{column.name}" for mart in result.values() for column in mart.columns}
    for name in roles:
        if name not in known:
            raise OnboardingError(f"--role {name}: no mart has that column{nearest(name, known)}.")
    return result


def with_role(mart: Mart, column: MartColumn, wished: str) -> MartColumn:
    """The column with another role.

    Raises:
        OnboardingError: there is no such role, or the column cannot have it.
    """
    name = f"{mart.table.name}.{column.name}"
    roles: dict[str, Role] = {role: role for role in ROLES}
    if wished not in roles:
        raise OnboardingError(f"--role {name}={wished}: roles are {', '.join(ROLES)}.")
    type_ = column.column.type
    if wished != "none" and type_ not in TYPES[wished]:
        raise OnboardingError(
            f"--role {name}={wished}: the column is {type_}; a {wished} is {', '.join(TYPES[wished])}."
        )
    if wished != "none" and column.proposal is _STRUCTURE:
        raise OnboardingError(
            f"--role {name}={wished}: it is the key, person or time of its mart, and has no other role."
        )
    return replace(column, proposal=replace(column.proposal, role=roles[wished], reason="as asked", certain=True))


def _wished(mart: Mart, roles: Mapping[str, str]) -> Mart:
    columns = tuple(
        with_role(mart, column, wished) if (wished := roles.get(f"{mart.table.name}.{column.name}")) else column
        for column in mart.columns
    )
    return replace(mart, columns=columns)


def _with_columns(mart: Mart, marts: Mapping[str, Mart], notes: list[str]) -> Mart:
    if mart.people_of:
        person = mart.table.column(mart.table.key[0])
        return replace(mart, columns=(MartColumn(person.name, "own", person.name, person, _STRUCTURE),))
    columns = [*_of_parent(mart, marts), *_own(mart, notes)]
    joined: list[Reference] = []
    for reference in mart.references if mart.kind == "event" else ():
        other = marts.get(reference.table)
        # What is known of people changes: joined to past events it would leak.
        if other is None or other.kind != "dimension" or reference.column == mart.entity_key:
            continue
        if reference.table in [one.table for one in joined]:
            notes.append(
                f"{mart.table.name}.{reference.column}: {reference.table} is joined by another column already."
            )
            continue
        joined.append(reference)
        columns += _of_thing(mart, other, reference, columns)
    return replace(mart, columns=tuple(columns), joined=tuple(joined))


def _of_parent(mart: Mart, marts: Mapping[str, Mart]) -> list[MartColumn]:
    if mart.parent is None:
        return []
    parent = marts[mart.parent.table].table
    names = [name for name in (mart.entity_key, mart.event_time) if name]
    return [MartColumn(name, "parent", name, parent.column(name), _STRUCTURE) for name in names]


def _own(mart: Mart, notes: list[str]) -> list[MartColumn]:
    references = {one.column: one.table for one in mart.references}
    structure = {mart.key, mart.entity_key, mart.event_time}
    columns = []
    for column in mart.table.columns:
        shown = f"{mart.table.name}.{column.name}"
        if mart.kind == "dimension" and column.changed:
            continue
        if mart.history == "scd2" and column.type == "texts":
            notes.append(f"{shown}: lists have no versions; it stays out of the mart.")
            continue
        if mart.parent and column.name in (mart.entity_key, mart.event_time):
            notes.append(f"{shown}: stays out of the mart, where {column.name} is that of {mart.parent.table}.")
            continue
        people = mart.kind == "entity" or _of_people(mart)
        proposal = role_of(column, mart.table, people, references.get(column.name))
        if column.name in structure:
            proposal = _STRUCTURE
        if column.changed and mart.history != "scd2":
            use = (
                "whose or when a row is must not"
                if column.name in structure
                else "no feature is made of it unless it is admitted"
            )
            notes.append(f"{shown}: differs between exports; {use}.")
        columns.append(MartColumn(column.name, "own", column.name, column, proposal))
    return columns


def _of_thing(mart: Mart, other: Mart, reference: Reference, before: list[MartColumn]) -> list[MartColumn]:
    taken = [mart.key, *(one.name for one in before)]
    columns = []
    for column in other.table.columns:
        if column.name == reference.key or column.changed:
            continue
        name = column.name
        if name in taken:
            name = column_name([singular(other.table.name), name], taken)
        taken.append(name)
        proposal = role_of(column, other.table, _of_people(other), None)
        columns.append(MartColumn(name, other.table.name, column.name, column, proposal))
    return columns


def _of_people(mart: Mart) -> bool:
    return is_person(singular(mart.table.name)) or any(person_of(name) for name in mart.table.key)
