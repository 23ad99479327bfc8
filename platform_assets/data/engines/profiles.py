"""What a raw table of one export holds, column by column, and what of another export it lacks: facts, no verdicts.

Belongs here: `Profile`, as it is recorded when an export is loaded, and the interface `RawProfiles`. Does not belong here: an
engine, and what follows from a difference (`raw.comparison`).
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from platform_assets.data.engines.raw_tables import RawTable
from platform_assets.data.exports.export import DataFile, ExportFormat

# DynamoDB's names of types; https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
ATTRIBUTE_TYPES = frozenset({"S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M"})
# Levels of maps in maps that are looked into.
DEPTH = 3
# An attribute in fewer items counts as absent: else a map whose names are ids would be a column an id. Of one that counts, all
# types do.
LEAST_SHARE = 0.001
_PLAIN_NAME = re.compile(r"\w+")
_PART = re.compile(r"(?:/(\d+))?/(part-\d+)-[^/]*$")
_SEGMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^."]+)')


@dataclass(frozen=True)
class Column:
    """A column, or a DynamoDB attribute with values of one type.

    Attributes:
        name: of an attribute in a map: `profile.plan`.
        type: as the engine calls it, or DynamoDB's own name of it (`N`, `S`, …).
        filled: rows with a value; for type `NULL`, items that have the attribute without one.
        source_type: as the export's metadata calls it; empty where that says nothing.
    """

    name: str
    type: str
    filled: int
    source_type: str = ""


@dataclass(frozen=True)
class Profile:
    """A table of one export.

    Attributes:
        keys: distinct values of the declared key; as many as rows, since other exports are refused.
        columns: as the export has them, without the platform's own.
        files: Aurora's parts, such as `1/part-00002`, and their rows; empty for DynamoDB, whose manifest lists its files.
    """

    rows: int
    keys: int
    columns: tuple[Column, ...]
    files: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Profile":
        """Raises KeyError or TypeError when it is no such record."""
        columns = tuple(Column(**column) for column in record["columns"])
        return cls(int(record["rows"]), int(record["keys"]), columns, dict(record["files"]))


@dataclass(frozen=True)
class RowKey:
    """What tells the rows of a table apart: columns (Aurora) or attributes (DynamoDB)."""

    format: ExportFormat
    columns: tuple[str, ...]


@dataclass(frozen=True)
class KeysGone:
    """Keys of one export that another does not hold.

    Attributes:
        gone: how many.
        months: column of instants → first and last month (`2026-01`) that it has in their rows; empty when they are too few
            to stay anonymous.
    """

    gone: int
    months: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "KeysGone":
        """Raises KeyError, TypeError or ValueError when it is no such record."""
        return cls(int(record["gone"]), {name: (first, last) for name, (first, last) in dict(record["months"]).items()})


# Of fewer rows nothing is told but their number.
FEW = 10
# The column of a DynamoDB table that holds its items.
ITEM = "Item"
# The columns of a raw table of incremental exports, as AWS names them.
KEYS, NEW_IMAGE, OLD_IMAGE, METADATA = CHANGE = ("Keys", "NewImage", "OldImage", "Metadata")


class RawProfiles(Protocol):
    """What is known of the contents of loaded exports."""

    @property
    def own_columns(self) -> Mapping[str, str]:
        """The columns of raw tables that no export has, by name, with their types; `Item` holds what DynamoDB exported."""
        ...

    def recorded(self, source: str, table: str) -> dict[str, Profile]:
        """Export id → what was recorded when it was loaded. Exports that were loaded by a version that recorded nothing are
        not among them."""
        ...

    def profile(self, raw: RawTable, key: RowKey) -> Profile:
        """What an export's rows hold, read now. Where exports share a table, a column that is null in all rows is absent."""
        ...

    def keys_gone(self, before: RawTable, now: RawTable, key: RowKey) -> KeysGone:
        """The keys of `before` that `now` does not hold."""
        ...

    def removal(self, raw: RawTable) -> str:
        """What to do so that an export is no longer loaded, as in "to get rid of it, …"."""
        ...


def profile_text(profile: Profile) -> str:
    """A profile as it is kept."""
    return json.dumps(profile.to_json(), sort_keys=True)


def parts_of(files: Sequence[DataFile], rows: Sequence[int]) -> dict[str, int]:
    """Aurora's parts by number, without the random part of their names, and their rows."""
    names = (_PART.search(file.key) for file in files)
    return {
        "/".join(part for part in match.groups() if part): count
        for match, count in zip(names, rows, strict=True)
        if match
    }


def attribute(path: Iterable[str]) -> str:
    """The name of an attribute in maps; a part that is not plain is quoted."""
    return ".".join(part if _PLAIN_NAME.fullmatch(part) else json.dumps(part, ensure_ascii=False) for part in path)


def attributes(counts: Iterable[tuple[Sequence[str], str, int]]) -> tuple[Column, ...]:
    """Columns from (path of an attribute, type, items that have it so), by name."""
    known = [Column(attribute(path), kind, count) for path, kind, count in counts if kind in ATTRIBUTE_TYPES]
    return tuple(sorted(known, key=lambda column: (column.name, column.type)))


def typed_path(keys: str) -> tuple[list[str], str] | None:
    """(path, type) from the keys that lead to a value in typed JSON: `profile.M."a b".S` → [profile, a b], S.

    None when they do not end at a type.
    """
    parts = [re.sub(r"\\(.)", r"\1", quoted) or plain for quoted, plain in _SEGMENT.findall(keys)]
    path, types = parts[::2], parts[1::2]
    if not path or len(path) != len(types) or any(kind != "M" for kind in types[:-1]):
        return None
    return path, types[-1]


def least_items(rows: int) -> int:
    """In how many of so many items an attribute must be to count."""
    return max(1, round(rows * LEAST_SHARE))
