"""Which version of each mart is current: one small file, `current.json`, switched in one step.

Belongs here: the pointer, what it records of each table, refusals, and the errors a reader gets. Does not
belong here: how tables are written or queried. Only the standard library is imported: definitions load this
module.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

POINTER = "current.json"
PART = "part-0.parquet"
_FORMAT = 1
_TIMES = ("watermark", "first_event", "last_event")


class MartMissing(LookupError):
    """A mart was never published here."""


class MartRefused(RuntimeError):
    """A mart's newest build failed its audit; what was published before it must not be read as current."""


@dataclass(frozen=True)
class PublishedTable:
    """One immutable version of a mart.

    Attributes:
        name: the mart.
        version: names this version's folder; equal content has equal versions.
        location: the folder that holds `part-0.parquet`.
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

    @property
    def file(self) -> str:
        """The Parquet file."""
        return os.path.join(self.location, PART)

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
            raise MartMissing(f"mart {name} has not been published yet; materialise marts/{name} first")
        return self.tables[name]


class MartStore:
    """The published marts below one folder.

    Readers take no lock: `current.json` is replaced as a whole, so one read of it names one consistent set of
    tables. Writers take turns on a lock that the kernel releases when their process ends, however it ends.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def pointer(self) -> Pointer:
        """The whole pointer as of now."""
        try:
            record = json.loads((self.root / POINTER).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Pointer({}, {})
        if record["format"] != _FORMAT:
            raise ValueError(
                f"{self.root / POINTER} has format {record['format']} where this version reads {_FORMAT}; "
                f"remove it and materialise the marts again"
            )
        tables = {
            name: PublishedTable.from_json({**table, "location": str(self.root / table["location"])})
            for name, table in record["tables"].items()
        }
        return Pointer(tables, record["refused"])

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
        """Make these versions current, all in one step, and clear their refusals."""
        new = {table.name: table for table in tables}
        for table in new.values():
            if not Path(table.file).is_file():
                raise FileNotFoundError(
                    f"mart {table.name}: {table.file} is not there; write the version before publishing it"
                )

        def accept(old: Pointer) -> Pointer:
            refused = {name: reason for name, reason in old.refused.items() if name not in new}
            return Pointer({**old.tables, **new}, refused)

        self._switch(accept)

    def refuse(self, names: Iterable[str], reason: str) -> None:
        """Record that the newest build of these marts failed; readers that `require` them get `reason`."""
        refused = dict.fromkeys(names, reason)
        self._switch(lambda old: Pointer(old.tables, {**old.refused, **refused}))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the writers' lock."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _switch(self, change: Callable[[Pointer], Pointer]) -> None:
        with self.writing():
            new = change(self.pointer())
            tables = {name: self._relative(table).to_json() for name, table in new.tables.items()}
            record = {"format": _FORMAT, "tables": tables, "refused": new.refused}
            aside = self.root / f".{POINTER}.{uuid4().hex}"
            with aside.open("w", encoding="utf-8") as file:
                json.dump(record, file, indent=1, sort_keys=True)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, self.root / POINTER)
            sync_folder(self.root)

    def _relative(self, table: PublishedTable) -> PublishedTable:
        # The folder of marts may be moved or mounted elsewhere as a whole.
        return replace(table, location=os.path.relpath(table.location, self.root))


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
