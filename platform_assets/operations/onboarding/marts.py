"""What is proposed of a source: its marts, their columns, and how they refer to each other.

Belongs here: the shapes. Does not belong here: proposing them (`proposing`, `columns`), and writing them down.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from platform_assets.operations.onboarding.roles import Proposal
from platform_assets.operations.onboarding.tables import Column, Table

Kind = Literal["entity", "event", "dimension"]
KINDS = ("entity", "event", "dimension", "leave_out")


@dataclass(frozen=True)
class Reference:
    """A column that holds another table's keys; `share` of its different values are there."""

    column: str
    table: str
    key: str
    share: float


@dataclass(frozen=True)
class MartColumn:
    """A column of a mart.

    Attributes:
        name: in the mart.
        origin: own | parent | the table it is joined from.
        source: its name there.
    """

    name: str
    origin: str
    source: str
    column: Column
    proposal: Proposal


@dataclass(frozen=True)
class Mart:
    """What is proposed of one mart.

    Attributes:
        table: what it is made of; its columns are the staging model's.
        made_key: the name of the key that is put together of the table's key columns; None where one column is the key.
        parent: the reference through which an event gets its person and time, where it has none of its own.
        joined: references to tables whose columns, which never change, are joined.
        without_person: whether rows lack the person and are left out.
        people_of: for a mart of people without a table of their own, the event mart's table they are taken from.
    """

    name: str
    table: Table
    kind: Kind
    reasons: tuple[str, ...]
    columns: tuple[MartColumn, ...] = ()
    entity: str | None = None
    entity_key: str | None = None
    event_time: str | None = None
    history: str | None = None
    population: str | None = None
    made_key: str | None = None
    parent: Reference | None = None
    joined: tuple[Reference, ...] = ()
    references: tuple[Reference, ...] = ()
    without_person: bool = False
    people_of: bool = False

    @property
    def key(self) -> str:
        return self.made_key or self.table.key[0]


@dataclass(frozen=True)
class Plan:
    """Everything that is proposed of a source."""

    source: str
    marts: tuple[Mart, ...]
    tables: Mapping[str, Table]
    timezone: str
    notes: tuple[str, ...] = field(default=())
