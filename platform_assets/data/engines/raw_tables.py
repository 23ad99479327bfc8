"""Raw tables, wherever they are kept: what is known of a loaded export, and what every way of keeping them promises.

Belongs here: `RawTable`, the interface `RawTables`, when an export counts as loaded, and what a build reads of the list of
loaded exports. Does not belong here: an engine.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from platform_assets.data.exports.export import Export, ExportError, sha256
from platform_assets.data.exports.quarantine.record import Quarantined


class RawTableDamaged(ExportError):
    """A file of a loaded table is not what was loaded."""


@dataclass(frozen=True)
class RawTable:
    """A loaded table of one export.

    Attributes:
        location: the folder of its parts, or the BigQuery table that holds it beside other exports.
        new: whether this call loaded it.
        window_start: of an incremental export, the instant (UTC) from which on it holds changes, up to `exported_at`; None
            for a full one.
        table_id: AWS's id of a DynamoDB table; None where it was not recorded.
        quarantined: the rows that were left out because they are broken; None where all are loaded.
    """

    source: str
    table: str
    export_id: str
    exported_at: datetime
    content_hash: str
    rows: int
    location: str
    new: bool = field(default=False, compare=False)
    window_start: datetime | None = None
    table_id: str | None = None
    quarantined: Quarantined | None = None

    @classmethod
    def of(cls, export: Export, table: str, rows: int, location: str, new: bool = False) -> "RawTable":
        """A table of an export, as it was loaded."""
        content = export.table_hash(table)
        at, window = export.exported_at, export.window_start
        return cls(export.source, table, export.export_id, at, content, rows, location, new, window, export.table_id)

    @property
    def rows_hash(self) -> str:
        """Of what was loaded: the hash of the export's table and, where rows were left out, of which."""
        return sha256(self.content_hash, self.quarantined.digest) if self.quarantined else self.content_hash


class RawTables(Protocol):
    """Where the tables of exports are kept as they were exported, one export beside the other.

    Attributes:
        kinds: what Dagster shows them as.
    """

    kinds: frozenset[str]

    def load(self, wanted: Iterable[tuple[Export, str]]) -> list[RawTable]:
        """Loads tables of exports of one source: verifies all of them, then publishes each as a whole.

        What is loaded already is not read again. Killed at any point, it leaves an export's table as it was or loaded;
        called again, it loads the rest.

        Raises:
            ExportError: something declared does not hold, an export does not hold the table, or it was loaded before
                with other content; nothing is published then.
            LoadRefused, StorageRefused: nothing can be loaded, whatever the exports hold.
        """
        ...

    def reload(self, export: Export, table: str) -> RawTable:
        """Loads a table of an export again, in place of what is loaded of it, which stays when that fails.

        Killed at any point, it leaves the one or the other. What is the same is not written again, and not `new`.

        Raises:
            ExportError, LoadRefused, StorageRefused: as `load`, but for other content than before.
        """
        ...

    def loaded(self, tables: Iterable[tuple[str, str]]) -> dict[tuple[str, str], list[RawTable]]:
        """What is loaded of each (source, table), oldest export first."""
        ...

    def require_whole(self, loaded: Mapping[tuple[str, str], Iterable[RawTable]]) -> None:
        """Return when these loaded tables are what was loaded. Where a service keeps them, that is its responsibility.

        Raises:
            RawTableDamaged: they are not; what is damaged is loaded again with the next load of its export.
        """
        ...

    def location(self, source: str, table: str) -> str:
        """The folder or BigQuery table in which all exports of a table are."""
        ...

    def record(self, source: str, table: str) -> str:
        """The folder or BigQuery table in which it is written down what is loaded of a table."""
        ...


def require_table(export: Export, table: str) -> None:
    """Raises ExportError when the export does not hold the table."""
    if table not in export.tables:
        held = ", ".join(sorted(export.tables)) or "none of the declared tables"
        raise ExportError(f"{export.folder}: the export holds no table {table}; it holds {held}.")


def require_same(export: Export, before: RawTable, remedy: str) -> None:
    """Raises ExportError when what was loaded under the export's id had other content.

    Args:
        remedy: how to load the export anew.
    """
    now = export.table_hash(before.table)
    if before.content_hash != now and before.quarantined:
        raise ExportError(
            f"{export.folder}: {before.table} of this export was loaded without {before.quarantined.rows} broken rows, and its "
            f"files are others now. If they are mended, load them in its place: platform-assets source replay {before.source}."
        )
    if before.content_hash != now:
        raise ExportError(
            f"{export.folder}: {before.table} of this export was loaded before into {before.location} with other content "
            f"(hash {before.content_hash[:12]}, now {now[:12]}). An export never changes under its id: put the original "
            f"files back, or {remedy} to load it anew."
        )


def exports_hash(exports: Iterable[RawTable]) -> str:
    """One hash of the exports of a raw table: changes when one comes, goes or differs."""
    listed = sorted([raw.export_id, raw.exported_at.astimezone(UTC).isoformat(), raw.rows_hash] for raw in exports)
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def watermark(exports: Iterable[RawTable]) -> datetime:
    """UTC; the latest of these exports covers everything before this instant."""
    return max(raw.exported_at.astimezone(UTC) for raw in exports)


def in_order(raw: Iterable[RawTable]) -> list[RawTable]:
    """Oldest export first."""
    return sorted(raw, key=lambda table: (table.exported_at, table.export_id))
