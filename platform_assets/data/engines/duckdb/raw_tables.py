"""Raw tables in a folder: when a verified table of an export becomes visible, and what is loaded already.

Belongs here: the folder of a loaded export, idempotence by export id, and the order verify – all, then publish – all. Does
not belong here: how a table is verified and decoded (`staging`), and which exports there are (`raw.discover`).

On disk: `<raw>/<source>/<table>/<export_id>/part-NNNNN.parquet`, their checksums, `_export.json` and `_profile.json`; the
folder appears by one rename. What an export holds stands beside its record, as older code refuses a record that says more than
it knows; so does `_link.json`, by which exports of a DynamoDB table form a chain. Rows that were left out lie in `_quarantine/`, where no
reader of parts looks, and are counted in `_quarantined.json`. A damaged one, once found, holds `_damaged` as well, and is moved to `<raw>/.damaged` when its export is loaded again.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from platform_assets.data.engines.duckdb.checksums import damaged, has_sums, write_sums
from platform_assets.data.engines.duckdb.staging import keys_gone, loading, profile_of, stage
from platform_assets.data.engines.profiles import ITEM, KeysGone, Profile, RowKey, profile_text
from platform_assets.data.engines.raw_tables import RawTable, RawTableDamaged, in_order, require_same, require_table
from platform_assets.data.exports.export import BrokenRows, Export, ExportError, holds_changes
from platform_assets.data.exports.lake import Lake
from platform_assets.data.exports.quarantine.record import Quarantined
from platform_assets.data.exports.quarantine.sifting import Sifted, sift
from platform_assets.environment import Limits
from platform_assets.foundation.storage import entries, exchange, flush, only_one, permitted

if TYPE_CHECKING:
    import duckdb

_ASIDE = ".aside"
_MARK = "_export.json"
_PROFILE = "_profile.json"
_LINK = "_link.json"
_QUARANTINED = "_quarantined.json"
_QUARANTINE = "_quarantine"
_DAMAGED = "_damaged"
_BESIDE = ("location", "new", "window_start", "table_id", "quarantined")


class FolderTables:
    """Raw tables as Parquet below a folder; implements `RawTables` and `RawProfiles`."""

    kinds = frozenset({"parquet"})
    own_columns = MappingProxyType(
        {ITEM: "varchar", "_export_id": "varchar", "_exported_at": "timestamp with time zone"}
    )

    def __init__(self, root: Path, limits: Limits | None = None) -> None:
        self._root = Path(root)
        self._limits = limits or Limits()

    def load(self, wanted: Iterable[tuple[Export, str]]) -> list[RawTable]:
        """See `RawTables.load`; a table is verified by writing it aside, and published by one rename."""
        wanted = list(wanted)
        if not wanted:
            return []
        with self._only_loader(wanted[0][0].source) as aside:
            done = [self._loaded_before(export, table) for export, table in wanted]
            new = [number for number, before in enumerate(done) if before is None]
            staged = self._stage_all({number: wanted[number] for number in new}, aside) if new else {}
            for folder, raw in staged.values():
                target = Path(raw.location)
                target.parent.mkdir(parents=True, exist_ok=True)
                self._set_aside(target)
                os.replace(folder, target)
                flush(target.parent)
            return [before or staged[number][1] for number, before in enumerate(done)]

    def reload(self, export: Export, table: str) -> RawTable:
        """See `RawTables.reload`; the folders change places."""
        require_table(export, table)
        with self._only_loader(export.source) as aside:
            folder, raw = self._stage_all({0: (export, table)}, aside)[0]
            target = Path(raw.location)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(folder, target)
            elif not _damaged(target) and _read_mark(target).rows_hash == raw.rows_hash:
                return replace(raw, new=False)
            else:
                exchange(folder, target)
            flush(target.parent)
            return raw

    def loaded(self, tables: Iterable[tuple[str, str]]) -> dict[tuple[str, str], list[RawTable]]:
        """See `RawTables.loaded`."""
        folders = {(source, table): entries(self._root / source / table) for source, table in tables}
        return {
            table: in_order(_read_mark(folder) for folder in exports if folder.is_dir())
            for table, exports in folders.items()
        }

    def require_whole(self, loaded: Mapping[tuple[str, str], Iterable[RawTable]]) -> None:
        """See `RawTables.require_whole`."""
        for (source, table), exports in sorted(loaded.items()):
            for folder in (Path(raw.location) for raw in exports):
                if files := _damaged(folder):
                    (folder / _DAMAGED).touch()
                    raise RawTableDamaged(
                        f"{files[0]}: gone, or not what was loaded into raw table {source}.{table}. Materialise "
                        f"raw/{source}/{table}, which loads export {folder.name} again; when that export is gone, put back a "
                        f"copy of the file, or delete {folder} to go without it."
                    )

    def location(self, source: str, table: str) -> str:
        """See `RawTables.location`."""
        return str(self._root / source / table)

    def record(self, source: str, table: str) -> str:
        """See `RawTables.record`: each export's own folder holds its record."""
        return self.location(source, table)

    def recorded(self, source: str, table: str) -> dict[str, Profile]:
        """See `RawProfiles.recorded`."""
        folders = entries(self._root / source / table)
        return {folder.name: _read_profile(folder) for folder in folders if (folder / _PROFILE).is_file()}

    def profile(self, raw: RawTable, key: RowKey) -> Profile:
        """See `RawProfiles.profile`."""
        with _readable(raw):
            return profile_of(Path(raw.location), key.format)

    def keys_gone(self, before: RawTable, now: RawTable, key: RowKey) -> KeysGone:
        """See `RawProfiles.keys_gone`."""
        with _readable(before, now):
            return keys_gone(Path(before.location), Path(now.location), key)

    def removal(self, raw: RawTable) -> str:
        """See `RawProfiles.removal`."""
        return f"delete {raw.location}"

    def _loaded_before(self, export: Export, table: str) -> RawTable | None:
        require_table(export, table)
        folder = self._root / export.source / table / export.export_id
        if not folder.exists() or ((folder / _DAMAGED).exists() and _damaged(folder)):
            return None
        before = _read_mark(folder)
        require_same(export, before, self.removal(before))
        return before

    def _stage_all(self, wanted: Mapping[int, tuple[Export, str]], aside: Path) -> dict[int, tuple[Path, RawTable]]:
        with loading(aside / "spill") as engine:
            return {
                number: self._stage_aside(engine, export, table, aside / str(number))
                for number, (export, table) in wanted.items()
            }

    def _stage_aside(
        self, engine: "duckdb.DuckDBPyConnection", export: Export, table: str, folder: Path
    ) -> tuple[Path, RawTable]:
        folder.mkdir(parents=True)
        profile, sifted = self._staged(engine, export, table, folder)
        location = str(self._root / export.source / table / export.export_id)
        raw = RawTable.of(export, table, profile.rows, location, new=True)
        raw = replace(raw, quarantined=sifted.quarantined if sifted else None)
        mark = asdict(raw) | {"exported_at": raw.exported_at.isoformat(), "format": export.format}
        for name in _BESIDE:
            del mark[name]
        (folder / _MARK).write_text(json.dumps(mark, indent=2) + "\n", encoding="utf-8")
        (folder / _PROFILE).write_text(profile_text(profile) + "\n", encoding="utf-8")
        if raw.table_id or raw.window_start:
            start = raw.window_start.isoformat() if raw.window_start else None
            (folder / _LINK).write_text(json.dumps({"window_start": start, "table_id": raw.table_id}) + "\n")
        if sifted:
            _keep_quarantine(sifted, folder)
        write_sums(folder)
        for path in [*folder.rglob("*"), folder]:
            flush(path)
        return folder, raw

    def _staged(
        self, engine: "duckdb.DuckDBPyConnection", export: Export, table: str, folder: Path
    ) -> tuple[Profile, Sifted | None]:
        """What was staged into the empty folder, and what was left out of it because it is broken."""
        lake, whole = Lake(export.lake), export.tables[table]
        try:
            return stage(engine, export, whole, lake, folder, self._limits), None
        except BrokenRows as refused:
            sifted = sift(export, whole, lake, folder.with_name(f"{folder.name}.sifted"), refused)
        _remove(folder)
        folder.mkdir()
        return stage(engine, export, sifted.table, sifted.lake, folder, self._limits), sifted

    def _set_aside(self, folder: Path) -> None:
        """Keep a damaged folder for a look, out of the way of what is loaded in its place."""
        if folder.exists():
            kept = self._root / ".damaged" / folder.relative_to(self._root)
            _remove(kept)
            kept.parent.mkdir(parents=True, exist_ok=True)
            os.replace(folder, kept)

    @contextmanager
    def _only_loader(self, source: str) -> Iterator[Path]:
        """An empty folder to write aside in, while no other process loads this source.

        What a killed process left there is removed: its lock went with it.
        """
        aside = self._root / _ASIDE / source
        with only_one(aside.with_name(f"{source}.lock")):
            _remove(aside)
            try:
                yield aside
            finally:
                _remove(aside)


def _read_mark(folder: Path) -> RawTable:
    try:
        with permitted(folder / _MARK, "read"):
            mark: dict[str, Any] = json.loads((folder / _MARK).read_text(encoding="utf-8"))
        mark["exported_at"] = datetime.fromisoformat(mark["exported_at"])
        del mark["format"]
        beside = _read_link(folder, mark["table"]) | _read_quarantined(folder)
        return RawTable(**mark, location=str(folder), **beside)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExportError(
            f"{folder / _MARK}: not a readable record of a loaded export ({type(error).__name__}). "
            f"Delete {folder} to load the export anew."
        ) from error


def _read_link(folder: Path, table: str) -> dict[str, Any]:
    """Raises OSError, ValueError, KeyError or TypeError when it is not readable, or absent where there must be one."""
    if not holds_changes(table) and not (folder / _LINK).is_file():
        return {}
    link = json.loads((folder / _LINK).read_text(encoding="utf-8"))
    start = link["window_start"]
    return {"window_start": datetime.fromisoformat(start) if start else None, "table_id": link["table_id"]}


def _read_quarantined(folder: Path) -> dict[str, Any]:
    """Raises OSError, ValueError, KeyError or TypeError when it is not readable."""
    if not (folder / _QUARANTINED).is_file():
        return {}
    return {"quarantined": Quarantined.from_json(json.loads((folder / _QUARANTINED).read_text(encoding="utf-8")))}


def _keep_quarantine(sifted: Sifted, folder: Path) -> None:
    """The rows that were left out, and their counts, beside those that were staged into the folder."""
    kept = folder / _QUARANTINE
    kept.mkdir()
    os.replace(sifted.rows, kept / sifted.rows.name)
    write_sums(kept)
    (folder / _QUARANTINED).write_text(json.dumps(sifted.quarantined.to_json()) + "\n", encoding="utf-8")


def _damaged(folder: Path) -> list[Path]:
    """As `damaged`, of the rows that are loaded and of those that were left out."""
    kept = folder / _QUARANTINE
    gone = [kept] if (folder / _QUARANTINED).is_file() and not has_sums(kept) else []
    return [*damaged(folder), *gone, *damaged(kept)]


def _read_profile(folder: Path) -> Profile:
    try:
        return Profile.from_json(json.loads((folder / _PROFILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ExportError(
            f"{folder / _PROFILE}: not a readable record of what the export holds ({type(error).__name__}). Delete {folder} to "
            "load the export anew."
        ) from error


@contextmanager
def _readable(*tables: RawTable) -> Iterator[None]:
    """Says which raw tables were being read when DuckDB could not read them, without what it may quote of a row."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        folders = " or ".join(raw.location for raw in tables)
        raise ExportError(
            f"{folders}: the raw table cannot be read ({type(error).__name__}). Delete the folder to load the export anew."
        ) from None


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
