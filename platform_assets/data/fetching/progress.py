"""How far a load has come, kept beside the exports in a folder that no load of exports looks into.

Belongs here: the record and its parts, whole or not there. Does not belong here: what is fetched.
"""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from platform_assets.data.fetching.items import packed
from platform_assets.data.fetching.spec import Kind
from platform_assets.foundation.storage import Files


@dataclass
class Progress:
    """A load that is not finished.

    Attributes:
        load: its id.
        asked: what it depends on.
        began: by the server's clock, ISO 8601.
        since: from when on events are read, ISO 8601.
        bases: kind → the export whose objects are taken over; kinds that are listed have none.
        listed_at: kind → when all its objects were listed last, ISO 8601.
        cursors: kind → ids of the last page that was kept, newest first.
        parts: kind → how many parts of its list are kept.
        listed: kinds whose list is whole.
        covered: the instant the load stands at, ISO 8601; None until events are read.
        changed: (kind, id) of what is read again.
        again: how many of them are read, in parts of their own.
    """

    load: str
    asked: dict[str, Any]
    began: str
    since: str
    bases: dict[Kind, str]
    listed_at: dict[Kind, str]
    cursors: dict[Kind, list[str]] = field(default_factory=dict)
    parts: dict[Kind, int] = field(default_factory=dict)
    listed: list[Kind] = field(default_factory=list)
    covered: str | None = None
    changed: list[tuple[Kind, str]] = field(default_factory=list)
    again: list[int] = field(default_factory=list)

    @property
    def since_at(self) -> datetime:
        return datetime.fromisoformat(self.since)


class Bench:
    """Where a load lies until it is an export."""

    def __init__(self, files: Files, folder: str) -> None:
        self._files, self._folder = files, folder

    @property
    def lease(self) -> str:
        return f"{self._folder}/lease.json"

    def read(self) -> Progress | None:
        """The load that was not finished; None where there is none, or its record is of another version of this code."""
        there = self._files.read(self._record)
        if there is None:
            return None
        try:
            document = json.loads(there.content)
            document["changed"] = [(kind, name) for kind, name in document["changed"]]
            return Progress(**document)
        except (ValueError, TypeError, KeyError):
            return None

    def keep(self, progress: Progress) -> None:
        """Everything that was kept before is in it."""
        self._files.write(self._record, json.dumps(asdict(progress), sort_keys=True).encode())

    def put(self, part: str, lines: list[bytes]) -> None:
        self._files.write(f"{self._folder}/parts/{part}.json.gz", packed(lines))

    def part(self, part: str) -> bytes:
        """A part as it was put.

        Raises:
            FileNotFoundError: somebody removed it.
        """
        there = self._files.read(f"{self._folder}/parts/{part}.json.gz")
        if there is None:
            raise FileNotFoundError(self._files.location(f"{self._folder}/parts/{part}.json.gz"))
        return there.content

    def clear(self) -> None:
        """Nothing is kept any more."""
        self._files.delete(self._record)
        for name in self._files.names(f"{self._folder}/parts/"):
            self._files.delete(name, durable=False)

    @property
    def _record(self) -> str:
        return f"{self._folder}/progress.json"
