"""Which exports of a source there are, complete or in progress, and loading those that are not loaded yet.

Belongs here: listing, the key a sensor compares, and the choice of what to load. Does not belong here: layouts,
verification, and publishing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from platform_assets.data.engines.raw_tables import RawTable, RawTables
from platform_assets.data.exports import aurora, dynamodb
from platform_assets.data.exports.export import Export, ExportError, ExportInProgress, sha256
from platform_assets.data.exports.lake import Lake
from platform_assets.data.exports.spec import ExportSourceSpec

_SHOWN = 10
_LAYOUTS = {
    "aurora_snapshot": (aurora.export_ids, aurora.read_aurora_export),
    "dynamodb_full": (dynamodb.export_ids, dynamodb.read_dynamodb_export),
}


@dataclass(frozen=True)
class Discovered:
    """The finished exports that hold a declared table, oldest first, and a note on each one in progress.

    Attributes:
        undeclared: tables that finished exports hold and the source does not declare.
    """

    complete: tuple[Export, ...]
    in_progress: tuple[str, ...]
    undeclared: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadedTable:
    """A raw table after loading: all its exports, oldest first; `new` counts those that this load added."""

    exports: tuple[RawTable, ...]
    new: int

    @property
    def data_version(self) -> str:
        """Hash of what the raw table consists of: the ids and content hashes of its exports."""
        return sha256(*(f"{raw.export_id}={raw.content_hash}" for raw in self.exports))


@dataclass(frozen=True)
class LoadedSource:
    """What a load of a source did: its tables by name, and a note on each export still in progress."""

    tables: dict[str, LoadedTable]
    in_progress: tuple[str, ...]


def discover(spec: ExportSourceSpec, source: str, exports_root: str | Path) -> Discovered:
    """All exports of the source below `exports_root`; raises ExportError on the first that cannot be used."""
    lake = Lake(exports_root)
    list_ids, read = _LAYOUTS[spec.format]
    complete, in_progress = [], []
    undeclared: set[str] = set()
    for export_id in list_ids(lake, spec):
        try:
            export = read(lake, spec, source, export_id)
        except ExportInProgress as note:
            in_progress.append(str(note))
        else:
            undeclared |= set(export.undeclared)
            if export.tables or spec.format == "aurora_snapshot":
                complete.append(export)
    complete.sort(key=lambda export: (export.exported_at, export.export_id))
    return Discovered(tuple(complete), tuple(in_progress), tuple(sorted(undeclared)))


def content_key(spec: ExportSourceSpec, source: str, exports_root: str | Path) -> str:
    """What a sensor compares: changes when an export is finished, changes, or turns out unusable.

    An unusable export does not raise here, and one in progress does not count: its progress starts nothing.
    """
    lake = Lake(exports_root)
    list_ids, read = _LAYOUTS[spec.format]
    parts = []
    for export_id in list_ids(lake, spec):
        try:
            parts.append(f"{export_id}={read(lake, spec, source, export_id).content_hash}")
        except ExportInProgress:
            continue
        except ExportError as error:
            parts.append(f"{export_id}!{error}")
    return sha256(*parts)


def load_source(
    spec: ExportSourceSpec,
    source: str,
    exports_root: str | Path,
    raw: RawTables,
    tables: Collection[str] | None = None,
) -> LoadedSource:
    """Loads every finished export of the source that is not loaded yet into `raw`, for `tables` (all when None).

    Verifies all of them before it publishes any. Raises ExportError when one cannot be used, or when there is
    no finished export of a table at all.
    """
    names = [table.name for table in spec.tables if tables is None or table.name in tables]
    discovered = discover(spec, source, exports_root)
    for name in names:
        _require_export(spec, discovered, exports_root, name)
    wanted = [(export, name) for export in discovered.complete for name in names if name in export.tables]
    done = raw.load(wanted)
    loaded = {
        name: LoadedTable(tuple(exports), sum(table.new for table in done if table.table == name))
        for (_, name), exports in raw.loaded((source, name) for name in names).items()
    }
    return LoadedSource(loaded, discovered.in_progress)


def _require_export(spec: ExportSourceSpec, exports: Discovered, exports_root: str | Path, name: str) -> None:
    """A table must be in some finished export and, where one export holds all tables, in the newest."""
    holding = [export for export in exports.complete if name in export.tables]
    exported_name = next(table.export_table for table in spec.tables if table.name == name)
    where = Lake(exports_root).location(spec.path)
    if not holding:
        waiting = f" In progress: {'; '.join(exports.in_progress)}." if exports.in_progress else ""
        other = ", ".join(
            sorted({table.export_table for export in exports.complete for table in export.tables.values()})
        )
        held = f" Finished exports hold: {other}." if other else ""
        raise ExportError(
            f"{where}: there is no finished export of table {exported_name}.{waiting}{held}{_renamed(exports.undeclared)} Wait for AWS to finish, "
            "start an export, or correct `path` and `export_table` in the source's defs.yaml."
        )
    if spec.format == "aurora_snapshot" and name not in exports.complete[-1].tables:
        newest = exports.complete[-1]
        raise ExportError(
            f"{where}: the newest export, {newest.export_id}, does not hold table {exported_name}, which {len(holding)} older "
            f"ones do.{_renamed(newest.undeclared)} Export the table again, or remove the partial export."
        )


def _renamed(undeclared: Sequence[str]) -> str:
    """What an export holds that no `export_table` names: among it the new name of a table that was renamed."""
    if not undeclared:
        return ""
    more = f" and {len(undeclared) - _SHOWN} more" if len(undeclared) > _SHOWN else ""
    return (
        f" Of tables that the source does not declare there is {', '.join(undeclared[:_SHOWN])}{more}: if it was renamed, "
        "write its new name into `export_table` in the source's defs.yaml."
    )
