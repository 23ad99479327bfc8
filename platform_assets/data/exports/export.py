"""The common shape of a finished export, whatever wrote it, and the errors of reading one.

Belongs here: `Export`, its tables and data files, and the errors of reading and loading one. Does not belong here: how a
layout is read.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

ExportFormat = Literal["aurora_snapshot", "dynamodb"]
_CHANGES = "__changes"
_QUARANTINE = "__quarantine"


class ExportError(Exception):
    """An export cannot be used. The message names the file and key that are wrong and says what to do."""


class BrokenRows(ExportError):
    """Rows of a table cannot be used; its files are those that the manifests name."""


class LoadRefused(Exception):
    """No export can be loaded as things are, whatever it holds: a place is missing, or a right to it."""


class ExportInProgress(Exception):
    """AWS has not finished this export, or it has not wholly arrived; nothing is wrong yet."""


@dataclass(frozen=True)
class DataFile:
    """A data file by its key below the exports root, with what is declared of it (None where nothing is)."""

    key: str
    size: int | None = None
    rows: int | None = None
    md5: str | None = None


@dataclass(frozen=True)
class ExportedTable:
    """One declared table in one export.

    rows: the number of rows the export states, None when it states none. columns: (name, type in the source)
    as the export's schema metadata gives them, empty when it gives none. quarantine_at_most: the share of the rows that may
    be left out because they are broken.
    """

    name: str
    export_table: str
    key: tuple[str, ...]
    files: tuple[DataFile, ...]
    rows: int | None = None
    columns: tuple[tuple[str, str], ...] = ()
    quarantine_at_most: float = 0.0


@dataclass(frozen=True)
class Export:
    """A finished export: where it lies, when the data was as it says, and the declared tables it holds.

    undeclared: names, as the source declares them, of tables that it holds besides and that nothing declares.
    content_hash: sha256 over the manifests. exported_at: the instant (UTC) the data stands at; everything
    before it is covered. lake: the exports root that all file keys are relative to. window_start: of an incremental
    export, the instant (UTC) from which on it holds changes, up to exported_at; None for a full one. table_id: AWS's
    id of the one table a DynamoDB export is of. hashes: table → its hash, where that is known without looking at its files.
    """

    source: str
    format: ExportFormat
    export_id: str
    exported_at: datetime
    content_hash: str
    lake: str
    folder: str
    tables: Mapping[str, ExportedTable] = field(default_factory=dict)
    undeclared: tuple[str, ...] = ()
    window_start: datetime | None = None
    table_id: str | None = None
    hashes: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def table_hash(self, name: str) -> str:
        """sha256 over the manifests' hash and one table's files: what idempotence compares."""
        if name in self.hashes:
            return self.hashes[name]
        table = self.tables[name]
        files = [(file.key.rsplit("/", 1)[-1], file.size, file.rows, file.md5) for file in table.files]
        return sha256(self.content_hash, table.export_table, json.dumps(files))


def changes_of(table: str) -> str:
    """The raw table that holds the incremental exports of a table; its full ones are in the raw table of its own name."""
    return f"{table}{_CHANGES}"


def holds_changes(table: str) -> bool:
    """Whether a raw table holds incremental exports."""
    return table.endswith(_CHANGES)


def quarantine_of(raw_table: str) -> str:
    """The table of the rows that were left out of a raw table."""
    return f"{raw_table}{_QUARANTINE}"


def holds_quarantine(table: str) -> bool:
    """Whether a table beside the raw tables is one of rows that were left out."""
    return table.endswith(_QUARANTINE)


def table_of(raw_table: str) -> str:
    """The declared table that a raw table is of."""
    return raw_table.removesuffix(_CHANGES)


def sha256(*parts: str) -> str:
    """One hex digest of several texts, kept apart from each other."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
