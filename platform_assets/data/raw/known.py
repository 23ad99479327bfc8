"""Exports whose manifests were read before: known by what the storage says of the files, and opened when they are to be loaded.

Belongs here: remembering, recalling and opening. Does not belong here: which exports there are (`discover`).

A small file a source; lost or damaged, all of it is read again. Whoever loads writes it, looks only read it. An export that is not
finished or cannot be used is not in it, nor is one of which it cannot be told whether its files changed.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_assets.data.exports.export import Export, ExportedTable, ExportError, ExportInProgress, sha256
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.foundation.storage import files_at

if TYPE_CHECKING:
    from platform_assets.environment import Environment

_FORMAT = 1


class KnownExports:
    """What was read of a source's exports.

    Args:
        place: folder or gs:// URL of these files.
    """

    def __init__(self, place: str | Path, source: str, spec: ExportSourceSpec, exports_root: str | Path) -> None:
        self._place, self._source, self._spec, self._root = place, source, spec, str(exports_root)
        self._new: dict[str, dict[str, Any]] = {}
        self._there: set[str] = set()

    def recall(self, export_id: str, state: str | None, read: Callable[[], Export]) -> Export | None:
        """The export, if its files are as they were when it was read.

        Args:
            read: reads its manifests; called once one of its tables is asked for.
        """
        self._there.add(export_id)
        entry = self._entries.get(export_id)
        if entry is None or state is None or entry.get("state") != state:
            return None
        try:
            return self._export(export_id, entry, read)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    def learn(self, export: Export, state: str | None) -> None:
        """An export that was read, whose files were in this state."""
        if state is not None:
            self._new[export.export_id] = {
                "state": state,
                "folder": export.folder,
                "exported_at": export.exported_at.isoformat(),
                "content_hash": export.content_hash,
                "tables": {name: export.table_hash(name) for name in export.tables},
                "undeclared": list(export.undeclared),
                "window_start": export.window_start.isoformat() if export.window_start else None,
                "table_id": export.table_id,
            }

    def keep(self) -> None:
        """Write down what is new, and drop exports of which this was not asked: they are not there any more."""
        gone = self._entries.keys() - self._there
        if not self._new and not gone:
            return

        def merged(content: bytes | None) -> bytes:
            known = {**self._parsed(content), **self._new}
            kept = {export_id: entry for export_id, entry in known.items() if export_id not in gone}
            return json.dumps({"format": _FORMAT, "of": self._of, "exports": kept}, sort_keys=True).encode()

        files_at(self._place).update(self._name, merged)

    @property
    def _name(self) -> str:
        return f"{self._source}.json"

    @cached_property
    def _of(self) -> str:
        """What else the entries depend on: where exports lie, and which of their tables are declared."""
        tables = sorted((table.name, table.export_table) for table in self._spec.tables)
        return sha256(self._root, self._spec.format, self._spec.path, self._spec.database or "", json.dumps(tables))

    @cached_property
    def _entries(self) -> dict[str, dict[str, Any]]:
        stored = files_at(self._place).read(self._name)
        return self._parsed(stored.content if stored else None)

    def _parsed(self, content: bytes | None) -> dict[str, dict[str, Any]]:
        """What a file says; nothing where it cannot be read or is of another declaration, as all can be read again."""
        try:
            record = json.loads(content or b"{}")
        except ValueError:
            return {}
        if not isinstance(record, dict) or (record.get("format"), record.get("of")) != (_FORMAT, self._of):
            return {}
        exports = record.get("exports")
        return exports if isinstance(exports, dict) else {}

    def _export(self, export_id: str, entry: Mapping[str, Any], read: Callable[[], Export]) -> Export:
        start = entry["window_start"]
        known = Export(
            self._source,
            self._spec.format,
            export_id,
            datetime.fromisoformat(entry["exported_at"]),
            entry["content_hash"],
            self._root,
            entry["folder"],
            undeclared=tuple(entry["undeclared"]),
            window_start=datetime.fromisoformat(start) if start else None,
            table_id=entry["table_id"],
            hashes=dict(entry["tables"]),
        )
        return replace(known, tables=_Unopened(known, read))


def known_exports(environment: "Environment", source: str, spec: ExportSourceSpec) -> KnownExports:
    """What an environment remembers of a source's exports."""
    return KnownExports(environment.looks, source, spec, environment.exports)


class _Unopened(Mapping[str, ExportedTable]):
    """The tables of an export by name; its manifests are read when one is asked for."""

    def __init__(self, known: Export, read: Callable[[], Export]) -> None:
        self._known, self._read = known, read

    def __getitem__(self, name: str) -> ExportedTable:
        if name not in self._known.hashes:
            raise KeyError(name)
        return self._opened[name]

    def __contains__(self, name: object) -> bool:
        return name in self._known.hashes

    def __iter__(self) -> Iterator[str]:
        return iter(self._known.hashes)

    def __len__(self) -> int:
        return len(self._known.hashes)

    @cached_property
    def _opened(self) -> Mapping[str, ExportedTable]:
        try:
            export = self._read()
        except ExportInProgress as note:
            raise ExportError(f"{note}, and was before. Load again.") from note
        if {name: export.table_hash(name) for name in export.tables} != self._known.hashes:
            raise ExportError(f"{export.folder}: the export's manifests changed while it was loaded. Load again.")
        return export.tables
