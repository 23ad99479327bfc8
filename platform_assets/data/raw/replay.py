"""Loading exports again of which rows were left out, after somebody mended their files or what the source declares.

Belongs here: which exports these are, and what came of each. Does not belong here: how an export takes the place of what was
loaded of it (`engines`), and what is broken (`exports.quarantine`).
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from platform_assets.data.engines.raw_tables import RawTable, RawTables
from platform_assets.data.exports.export import ExportError, changes_of, table_of
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.raw.discover import discover


@dataclass(frozen=True)
class Replayed:
    """What came of loading an export's table again.

    Attributes:
        before: as it was loaded.
        now: as it is loaded now; None where that failed, so that all is as before.
        refused: why it failed; empty where it did not.
    """

    before: RawTable
    now: RawTable | None
    refused: str = ""

    @property
    def table(self) -> str:
        return table_of(self.before.table)


def replay(
    spec: ExportSourceSpec,
    source: str,
    exports_root: str | Path,
    raw: RawTables,
    tables: Collection[str] | None = None,
) -> Iterator[Replayed]:
    """Loads each export again of which rows were left out, in place of what is loaded of it, one after the other.

    Args:
        tables: those of the source's tables that are meant; all when None.

    Raises:
        LoadRefused, StorageRefused: nothing can be loaded; what was replayed before stays.
    """
    names = [table.name for table in spec.tables if tables is None or table.name in tables]
    raw_names = [*names, *(changes_of(name) for name in names if spec.format == "dynamodb")]
    loaded = raw.loaded((source, name) for name in raw_names)
    broken = [one for name in raw_names for one in loaded[source, name] if one.quarantined]
    if not broken:
        return
    discovered = discover(spec, source, exports_root)
    there = {(export.export_id, name): export for export in discovered.complete for name in export.tables}
    unusable = {aside.export_id: aside.reason for aside in discovered.set_aside}
    for before in broken:
        export = there.get((before.export_id, before.table))
        if export is None:
            reason = f"export {before.export_id} of {before.table} is not in the lake any more; copy it there again."
            yield Replayed(before, None, unusable.get(before.export_id, reason))
            continue
        try:
            yield Replayed(before, raw.reload(export, before.table))
        except ExportError as error:
            yield Replayed(before, None, str(error))
