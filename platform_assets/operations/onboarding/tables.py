"""What was found out about the tables of an export: columns, their types, and figures over all rows.

Belongs here: the shapes that finding, proposing and writing share, and the error of all three. Does not belong here: finding
or proposing anything.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from platform_assets.data.exports.export import ExportFormat

Type = Literal[
    "text", "integer", "decimal", "float", "boolean", "date", "instant", "epoch_seconds", "epoch_milliseconds", "texts"
]
INSTANTS = ("instant", "epoch_seconds", "epoch_milliseconds")
NUMBERS = ("integer", "decimal", "float")


class OnboardingError(ValueError):
    """A source cannot be written from its export as asked; the message says what to do."""


@dataclass(frozen=True)
class Reading:
    """How a column is read from the raw table.

    Attributes:
        path: the column (Aurora), or the attribute and those of maps below it (DynamoDB).
        tags: the DynamoDB types to read, as `N`; none for Aurora.
        parse: whether an instant is text (ISO 8601) in the raw table.
    """

    path: tuple[str, ...]
    tags: tuple[str, ...] = ()
    parse: bool = False

    @property
    def shown(self) -> str:
        """Its name in the export."""
        return ".".join(self.path)


@dataclass(frozen=True)
class Column:
    """A column of a staging model, with figures over the rows of the newest export.

    Attributes:
        nulls: rows without a value.
        values: different values (0 for lists of texts).
        low, high: the least and greatest value of numbers, dates and instants; None where there is none.
        changed: whether a key has had two values in two exports.
    """

    name: str
    reading: Reading
    type: Type
    nulls: int = 0
    values: int = 0
    low: Any = None
    high: Any = None
    changed: bool = False

    @property
    def may_be_key(self) -> bool:
        """Whether a source can declare it as key: an attribute inside a map is none."""
        return len(self.reading.path) == 1


@dataclass(frozen=True)
class Table:
    """A table of the export.

    Attributes:
        name: of the raw table.
        export_table: as the export names it.
        rows: in the newest export.
        key: the columns that identify a row; empty where none was found.
        exported_at: of the newest export.
        exports: how many exports hold it.
        notes: sentences on what is not read, and why.
        changes: whether incremental exports follow full ones.
    """

    name: str
    export_table: str
    rows: int
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    exported_at: datetime
    exports: int
    notes: tuple[str, ...] = ()
    changes: bool = False

    def column(self, name: str) -> Column:
        """A column; raises KeyError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]


@dataclass(frozen=True)
class Place:
    """Where the exports of a source lie.

    Attributes:
        path: below the exports root, as a source declares it.
        database: Aurora's.
        fetched: whether they are loads of a service, whose source is declared before there are any.
    """

    path: str
    format: ExportFormat
    database: str | None = None
    fetched: bool = False


@dataclass(frozen=True)
class Wishes:
    """What a person says beforehand; mappings are by table (roles: by table.column)."""

    tables: tuple[str, ...] = ()
    database: str | None = None
    entity: str | None = None
    entity_key: str | None = None
    population: str | None = None
    timezone: str = "UTC"
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    event_times: Mapping[str, str] = field(default_factory=dict)
    histories: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """What cannot be guessed.

    Attributes:
        text: a sentence that says what is ambiguous.
        choices: the answers.
        option: how to say it on the command line.
    """

    text: str
    choices: tuple[str, ...]
    option: str


Ask = Callable[[Question], str]


def refuse(question: Question) -> str:
    """Answers by refusing: for where nobody can be asked."""
    raise OnboardingError(f"{question.text} Say which with {question.option}: {', '.join(question.choices)}.")
