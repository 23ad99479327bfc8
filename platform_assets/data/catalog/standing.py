"""Which exports each published mart stands on: `stands_on.json` beside the pointer, which older code reads and so is left as it is.

Belongs here: writing that down and reading it. Does not belong here: the pointer, and which exports there are. Only words for
people depend on it: what does not belong to the version that is published is as if it were not there.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from platform_assets.data.catalog.pointer import PublishedTable
from platform_assets.foundation.storage import files_at

FILE = "stands_on.json"


@dataclass(frozen=True)
class StandsOn:
    """The newest export of a raw table that a mart was made from."""

    source: str
    table: str
    export_id: str
    exported_at: datetime

    def __str__(self) -> str:
        at = self.exported_at.astimezone(UTC)
        return f"{self.source}.{self.table}: {self.export_id}, exported {at:%Y-%m-%d %H:%M} UTC"


class Standing:
    """What the marts below `root`, a folder or gs:// URL, stand on."""

    def __init__(self, root: str | Path) -> None:
        self._files = files_at(root)

    def record(self, marts: Iterable[tuple[PublishedTable, Iterable[StandsOn]]]) -> None:
        """Write it down; to be called before the pointer is switched to these versions."""
        new = {table.name: {**_version(table), "exports": [_plain(one) for one in exports]} for table, exports in marts}
        if new:
            self._files.update(FILE, lambda before: json.dumps(_read(before) | new, indent=1, sort_keys=True).encode())

    def all(self, tables: Iterable[PublishedTable]) -> dict[str, tuple[StandsOn, ...]]:
        """Mart → what it stands on; nothing where that is not known of the version."""
        stored = self._files.read(FILE)
        records = _read(stored.content if stored else None)
        return {table.name: _exports(records.get(table.name), table) for table in tables}


def _version(table: PublishedTable) -> dict[str, str]:
    return {"version": table.version, "watermark": table.watermark.isoformat()}


def _plain(export: StandsOn) -> list[str]:
    return [export.source, export.table, export.export_id, export.exported_at.isoformat()]


def _read(content: bytes | None) -> dict[str, Any]:
    try:
        records = json.loads(content or b"{}")
    except ValueError:
        # The next build writes it anew.
        return {}
    return records if isinstance(records, dict) else {}


def _exports(record: Mapping[str, Any] | None, table: PublishedTable) -> tuple[StandsOn, ...]:
    if record is None or {name: record.get(name) for name in _version(table)} != _version(table):
        return ()
    return tuple(
        StandsOn(source, name, export_id, datetime.fromisoformat(at))
        for source, name, export_id, at in record["exports"]
    )
