"""Which exports of a source there are, complete or in progress, and loading those that are not loaded yet.

Belongs here: which can be used, and the choice of what to load. Does not belong here: listing (`looks`), layouts, verification,
and publishing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path

from platform_assets.data.engines.raw_tables import RawTable, RawTables
from platform_assets.data.exports.chain import Chain, chain_of
from platform_assets.data.exports.export import Export, ExportError, ExportInProgress, changes_of, sha256, table_of
from platform_assets.data.exports.lake import Lake
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.raw.known import KnownExports
from platform_assets.data.raw.looks import exports_of, listed, look, tables_of

_SHOWN = 10


@dataclass(frozen=True)
class SetAside:
    """An export that is finished and cannot be used, so that nothing of it is loaded.

    Attributes:
        tables: the declared tables it is of, as far as that can be told.
        reason: what is wrong with it, where, and what to do.
    """

    export_id: str
    tables: frozenset[str]
    reason: str


@dataclass(frozen=True)
class Discovered:
    """The finished exports that hold a declared table, oldest first, those set aside, and a note on each one in progress.

    Attributes:
        undeclared: tables that finished exports hold and the source does not declare.
    """

    complete: tuple[Export, ...]
    in_progress: tuple[str, ...]
    set_aside: tuple[SetAside, ...] = ()
    undeclared: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadedTable:
    """A table after loading.

    Attributes:
        exports: all its full exports, oldest first.
        new: how many exports this load added.
        changes: all its incremental exports, oldest first.
    """

    exports: tuple[RawTable, ...]
    new: int
    changes: tuple[RawTable, ...] = ()

    @property
    def data_version(self) -> str:
        """Hash of what the raw tables consist of: the exports' ids, content hashes and quarantined rows."""
        return sha256(*(f"{raw.export_id}={raw.rows_hash}" for raw in (*self.exports, *self.changes)))

    @cached_property
    def chain(self) -> Chain:
        """What is known by these exports."""
        return chain_of((*self.exports, *self.changes))

    @property
    def standing(self) -> list[RawTable]:
        """The exports that tell what the table holds now: the last full one of the chain, and the windows after it."""
        if not self.chain.segments:
            return []
        last = self.chain.segments[-1]
        links = {link.export_id for link in (last.base, *last.windows)}
        return [raw for raw in (*self.exports, *self.changes) if raw.export_id in links]

    @property
    def behind(self) -> list[str]:
        """Why exports that tell of later than the chain does are no links of it; empty while it goes on."""
        end = self.chain.end
        later = [raw for raw in self.changes if end is None or raw.exported_at > end]
        return [self.chain.apart[raw.export_id] for raw in later]


@dataclass(frozen=True)
class LoadedSource:
    """What a load of a source did.

    Attributes:
        tables: those asked for, by name, with what is loaded of them by now, which may be nothing.
        in_progress: a note on each export that is not finished.
        set_aside: the exports that cannot be used.
        absent: table → why no export of it can be loaded, of those tables.
    """

    source: str
    tables: dict[str, LoadedTable]
    in_progress: tuple[str, ...]
    set_aside: tuple[SetAside, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict)

    def faults(self, table: str) -> list[str]:
        """What a person has to know of the exports of a table: which are set aside and why, or why there is none."""
        reasons = [export.reason for export in self.set_aside if table in export.tables]
        return [*reasons, self.absent[table]] if table in self.absent else reasons


def discover(
    spec: ExportSourceSpec, source: str, exports_root: str | Path, known: KnownExports | None = None
) -> Discovered:
    """All exports of the source below `exports_root`. Those that are known are opened when one of their tables is asked for.

    Raises:
        StorageRefused: what is there is not known.
    """
    lake = listed(spec, exports_root)
    complete, in_progress, set_aside = [], [], []
    undeclared: set[str] = set()
    for seen in exports_of(lake, spec, source, known):
        if isinstance(seen.outcome, ExportInProgress):
            in_progress.append(str(seen.outcome))
        elif isinstance(seen.outcome, ExportError):
            # One of a table that is not declared is nobody's concern.
            if tables := tables_of(lake, spec, seen.export_id):
                set_aside.append(SetAside(seen.export_id, tables, str(seen.outcome)))
        else:
            undeclared |= set(seen.outcome.undeclared)
            if seen.outcome.tables or spec.format == "aurora_snapshot":
                complete.append(seen.outcome)
    complete.sort(key=lambda export: (export.exported_at, export.export_id))
    return Discovered(tuple(complete), tuple(in_progress), tuple(set_aside), tuple(sorted(undeclared)))


def content_key(spec: ExportSourceSpec, source: str, exports_root: str | Path) -> str:
    """The key of a look.

    Raises:
        StorageRefused: what is there is not known.
    """
    return look(spec, source, exports_root).key


def load_source(
    spec: ExportSourceSpec,
    source: str,
    exports_root: str | Path,
    raw: RawTables,
    tables: Collection[str] | None = None,
    known: KnownExports | None = None,
) -> LoadedSource:
    """Loads every finished export of the source that is not loaded yet into `raw`, for `tables` (all when None).

    An export that cannot be used is set aside as a whole and told; the others are loaded. Where one export holds all
    tables and the newest lacks one, it is set aside too. Once mended it is loaded like any other, and what was loaded is
    then what would have been loaded had it been right at once.

    Raises:
        LoadRefused, StorageRefused: nothing can be loaded, or what is there is not known.
    """
    names = [table.name for table in spec.tables if tables is None or table.name in tables]
    discovered = discover(spec, source, exports_root, known)
    if known:
        known.keep()
    discovered, absent = _with_tables(spec, discovered, exports_root, names)
    raw_names = [*names, *(changes_of(name) for name in names if spec.format == "dynamodb")]
    wanted = [(export, name) for export in discovered.complete for name in raw_names if name in export.tables]
    done, refused = _load(raw, wanted)
    there = raw.loaded((source, name) for name in raw_names)
    loaded = {
        name: LoadedTable(
            tuple(there[source, name]),
            sum(table.new for table in done if table_of(table.table) == name),
            tuple(there.get((source, changes_of(name)), ())),
        )
        for name in names
    }
    for name in names:
        if name not in absent and not any(export.export_id not in refused for export, other in wanted if other == name):
            absent[name] = f"{Lake(exports_root).location(spec.path)}: no export of {name} can be used."
    return LoadedSource(source, loaded, discovered.in_progress, (*discovered.set_aside, *refused.values()), absent)


def _load(raw: RawTables, wanted: Sequence[tuple[Export, str]]) -> tuple[list[RawTable], dict[str, SetAside]]:
    """The tables of every export that can be used, and by their ids the exports that cannot."""
    try:
        return raw.load(wanted), {}
    except ExportError as error:
        return _load_each(raw, wanted, error)


def _load_each(
    raw: RawTables, wanted: Sequence[tuple[Export, str]], error: ExportError
) -> tuple[list[RawTable], dict[str, SetAside]]:
    """As `_load`, each export by itself: which of them it was that could not be used together with the others shows then."""
    loaded = raw.loaded({(export.source, name) for export, name in wanted})
    before = {(table.export_id, table.table): table for tables in loaded.values() for table in tables}
    done: list[RawTable] = []
    missing: list[list[tuple[Export, str]]] = []
    for export, group in groupby(wanted, key=lambda pair: pair[0]):
        pairs = list(group)
        there = [before.get((export.export_id, name)) for _, name in pairs]
        same = [table for table in there if table and table.content_hash == export.table_hash(table.table)]
        if len(same) == len(pairs):
            done += same
        else:
            missing.append(pairs)
    if len(missing) == 1:
        return done, _refused(missing[0], error)
    refused: dict[str, SetAside] = {}
    for pairs in missing:
        try:
            done += raw.load(pairs)
        except ExportError as own:
            refused |= _refused(pairs, own)
    return done, refused


def _refused(pairs: Sequence[tuple[Export, str]], error: ExportError) -> dict[str, SetAside]:
    export_id = pairs[0][0].export_id
    return {export_id: SetAside(export_id, frozenset(table_of(name) for _, name in pairs), str(error))}


def _with_tables(
    spec: ExportSourceSpec, exports: Discovered, exports_root: str | Path, names: Collection[str]
) -> tuple[Discovered, dict[str, str]]:
    """The exports that may be loaded, and for each of the tables of which there is none why that is so."""
    absent: dict[str, str] = {}
    for name in names:
        try:
            _require_export(spec, exports, exports_root, name)
        except ExportError as error:
            if not any(name in export.tables for export in exports.complete):
                absent[name] = str(error)
                continue
            *older, partial = exports.complete
            aside = SetAside(partial.export_id, frozenset([name, *partial.tables]), str(error))
            exports = replace(exports, complete=tuple(older), set_aside=(*exports.set_aside, aside))
            return _with_tables(spec, exports, exports_root, names)
    return exports, absent


def _require_export(spec: ExportSourceSpec, exports: Discovered, exports_root: str | Path, name: str) -> None:
    """A table must be in some finished export and, where one export holds all tables, in the newest."""
    holding = [export for export in exports.complete if name in export.tables]
    exported_name = next(table.export_table for table in spec.tables if table.name == name)
    where = Lake(exports_root).location(spec.path)
    if not holding:
        waiting = f" In progress: {'; '.join(exports.in_progress)}." if exports.in_progress else ""
        others = {table_of(other) for export in exports.complete for other in export.tables}
        other = ", ".join(sorted(table.export_table for table in spec.tables if table.name in others))
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
