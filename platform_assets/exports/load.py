"""Raw tables: when a verified table of an export becomes visible, and what is loaded already.

Belongs here: the folder of a loaded export, idempotence by export id, and the order verify – all, then
publish – all. Does not belong here: how a table is verified and decoded (`staging`), and which exports there
are (`discover`).

On disk: `<raw>/<source>/<table>/<export_id>/part-NNNNN.parquet` and `_export.json`; the folder appears by one
rename.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from platform_assets.exports.export import Export, ExportError
from platform_assets.exports.lake import Lake
from platform_assets.exports.staging import stage

_ASIDE = ".aside"
_MARK = "_export.json"


@dataclass(frozen=True)
class RawTable:
    """A loaded table of one export: `folder` holds its parts, `new` says whether this call loaded it."""

    source: str
    table: str
    export_id: str
    exported_at: datetime
    format: str
    content_hash: str
    rows: int
    folder: Path
    new: bool = field(default=False, compare=False)


def load_export(export: Export, table: str, raw_root: Path) -> RawTable:
    """Loads one table of an export: verifies all of it, writes it aside, and publishes it by one rename.

    An export that is loaded already is not read again. Raises ExportError when anything declared does not
    hold (see `staging.stage`), when the export does not hold the table, or when it was loaded before with
    other content; nothing is published then.
    """
    return load_exports([(export, table)], raw_root)[0]


def load_exports(wanted: Iterable[tuple[Export, str]], raw_root: Path) -> list[RawTable]:
    """Loads tables of exports of one source as `load_export` does, and publishes when all are verified."""
    wanted = list(wanted)
    if not wanted:
        return []
    source = wanted[0][0].source
    with _only_loader(raw_root, source) as aside:
        done = [_loaded_before(export, table, raw_root) for export, table in wanted]
        staged: dict[int, tuple[Path, RawTable]] = {}
        for number, (export, table) in enumerate(wanted):
            if done[number] is None:
                staged[number] = _stage_aside(export, table, raw_root, aside / str(number))
        for folder, raw in staged.values():
            raw.folder.parent.mkdir(parents=True, exist_ok=True)
            os.replace(folder, raw.folder)
            _sync(raw.folder.parent)
        return [before or staged[number][1] for number, before in enumerate(done)]


def loaded_exports(raw_root: Path, source: str, table: str) -> list[RawTable]:
    """What is loaded of a table, oldest export first."""
    folders = sorted(path for path in (Path(raw_root) / source / table).glob("*") if path.is_dir())
    return sorted((_read_mark(folder) for folder in folders), key=lambda raw: (raw.exported_at, raw.export_id))


def _loaded_before(export: Export, table: str, raw_root: Path) -> RawTable | None:
    if table not in export.tables:
        held = ", ".join(sorted(export.tables)) or "none of the declared tables"
        raise ExportError(f"{export.folder}: the export holds no table {table}; it holds {held}.")
    folder = Path(raw_root) / export.source / table / export.export_id
    if not folder.exists():
        return None
    before = _read_mark(folder)
    if before.content_hash != export.table_hash(table):
        raise ExportError(
            f"{export.folder}: {table} of this export was loaded before into {folder} with other content "
            f"(hash {before.content_hash[:12]}, now {export.table_hash(table)[:12]}). An export never "
            f"changes under "
            f"its id: put the original files back, or delete {folder} to load it anew."
        )
    return before


def _stage_aside(export: Export, table: str, raw_root: Path, folder: Path) -> tuple[Path, RawTable]:
    folder.mkdir(parents=True)
    rows = stage(export, export.tables[table], Lake(export.lake), folder)
    target = Path(raw_root) / export.source / table / export.export_id
    raw = RawTable(
        source=export.source,
        table=table,
        export_id=export.export_id,
        exported_at=export.exported_at,
        format=export.format,
        content_hash=export.table_hash(table),
        rows=rows,
        folder=target,
        new=True,
    )
    mark = {name: value for name, value in asdict(raw).items() if name not in ("folder", "new")}
    mark["exported_at"] = raw.exported_at.isoformat()
    (folder / _MARK).write_text(json.dumps(mark, indent=2) + "\n", encoding="utf-8")
    for path in [*folder.iterdir(), folder]:
        _sync(path)
    return folder, raw


def _read_mark(folder: Path) -> RawTable:
    try:
        mark: dict[str, Any] = json.loads((folder / _MARK).read_text(encoding="utf-8"))
        mark["exported_at"] = datetime.fromisoformat(mark["exported_at"])
        return RawTable(**mark, folder=folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExportError(
            f"{folder / _MARK}: not a readable record of a loaded export ({type(error).__name__}). "
            f"Delete {folder} to load the export anew."
        ) from error


@contextmanager
def _only_loader(raw_root: Path, source: str) -> Iterator[Path]:
    """An empty folder to write aside in, while no other process loads this source.

    What a killed process left there is removed: its lock went with it.
    """
    home = Path(raw_root) / _ASIDE
    home.mkdir(parents=True, exist_ok=True)
    with (home / f"{source}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        aside = home / source
        _remove(aside)
        try:
            yield aside
        finally:
            _remove(aside)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
