"""Which version of each mart is current: one small file, `current.json`, switched in one step.

Belongs here: the pointer, what it records of each table, refusals, and the errors a reader gets. Does not belong here:
how tables are written or queried. Only the standard library and `storage` are imported: definitions load this module.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from platform_assets.foundation.storage import files_at

POINTER = "current.json"
_FORMAT = 1
_TIMES = ("watermark", "first_event", "last_event")


class MartMissing(LookupError):
    """A mart was never published here."""


class MartRefused(RuntimeError):
    """A mart's newest build failed its audit; what was published before it must not be read as current."""


class MartDamaged(MartRefused):
    """A published mart, or the pointer to the published marts, is not what was written."""


@dataclass(frozen=True)
class PublishedTable:
    """One immutable version of a mart.

    Attributes:
        name: the mart.
        version: names this version; equal content has equal versions.
        location: where the engine keeps it: a folder below the marts (DuckDB), or a table's full name (BigQuery).
        rows: row count.
        watermark: UTC; the exports it was made from cover everything before this instant.
        first_event, last_event: UTC; None on marts without event time, and on empty ones.
        days: UTC day (ISO) → content hash of that day's rows; {} on marts without event time.
        content_hash: of all rows, schema and engine version; independent of row order.
    """

    name: str
    version: str
    location: str
    rows: int
    watermark: datetime
    first_event: datetime | None
    last_event: datetime | None
    days: dict[str, str]
    content_hash: str

    def to_json(self) -> dict[str, Any]:
        record = asdict(self)
        for name in _TIMES:
            record[name] = None if record[name] is None else record[name].isoformat()
        return record

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "PublishedTable":
        times = {name: None if record[name] is None else datetime.fromisoformat(record[name]) for name in _TIMES}
        return cls(**{**record, **times})


@dataclass(frozen=True)
class Pointer:
    """What `current.json` says at one moment: the tables, and why some are refused."""

    tables: dict[str, PublishedTable]
    refused: dict[str, str]

    def require(self, name: str) -> PublishedTable:
        """The published table of a mart.

        Raises:
            MartRefused: its newest build failed its audit.
            MartMissing: it was never published.
        """
        if name in self.refused:
            raise MartRefused(f"mart {name}: {self.refused[name]}; fix its cause and materialise marts/{name} again")
        if name not in self.tables:
            raise MartMissing(
                f"mart {name} has not been published yet; materialise marts/{name} first, as "
                "`platform-assets run <campaign>` does"
            )
        return self.tables[name]


class MartStore:
    """Which marts are published, in a folder or a bucket.

    Readers take no lock: `current.json` is replaced as a whole, so one read of it names one consistent set of
    tables. Writers read, change and swap it, so that none undoes another's change.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = root
        self._files = files_at(root)

    def pointer(self) -> Pointer:
        """The whole pointer as of now.

        Raises:
            MartDamaged: `current.json` is not readable; every other method raises it too, and leaves the file as it is.
        """
        stored = self._files.read(POINTER)
        return self._parsed(None if stored is None else stored.content)

    def read(self) -> dict[str, PublishedTable]:
        """All published tables, those that are refused included."""
        return self.pointer().tables

    def require(self, name: str) -> PublishedTable:
        """See `Pointer.require`."""
        return self.pointer().require(name)

    def refusals(self) -> dict[str, str]:
        """Mart → why it is refused."""
        return self.pointer().refused

    def publish(self, tables: Iterable[PublishedTable]) -> None:
        """Make these versions, which are written, current; all in one step; and clear their refusals."""
        new = {table.name: table for table in tables}

        def accepting(old: Pointer) -> Pointer:
            refused = {name: reason for name, reason in old.refused.items() if name not in new}
            return Pointer({**old.tables, **new}, refused)

        self._change(accepting)

    def refuse(self, names: Iterable[str], reason: str) -> None:
        """Record that the newest build of these marts failed; readers that `require` them get `reason`."""
        refused = dict.fromkeys(names, reason)
        self._change(lambda old: Pointer(old.tables, {**old.refused, **refused}))

    def _change(self, change: Callable[[Pointer], Pointer]) -> None:
        def rendered(content: bytes | None) -> bytes:
            new = change(self._parsed(content))
            tables = {name: table.to_json() for name, table in new.tables.items()}
            record = {"format": _FORMAT, "tables": tables, "refused": new.refused}
            return json.dumps(record, indent=1, sort_keys=True).encode()

        self._files.update(POINTER, rendered)

    def _parsed(self, content: bytes | None) -> Pointer:
        if content is None:
            return Pointer({}, {})
        where = self._files.location(POINTER)
        try:
            record = json.loads(content)
            form = record["format"]
            if form == _FORMAT:
                tables = {name: PublishedTable.from_json(table) for name, table in record["tables"].items()}
                return Pointer(tables, {name: str(reason) for name, reason in record["refused"].items()})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MartDamaged(
                f"{where}, which says what marts are published, is damaged ({type(error).__name__}). Put back a copy of it, or "
                f"remove it and run the job refresh_marts, which publishes again what is written"
            ) from error
        raise ValueError(
            f"{where} has format {form} where this version reads {_FORMAT}; remove it and materialise the marts again"
        )
