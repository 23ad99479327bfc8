"""The exports of a table one after another: each compared with the last one before it that could be built from.

Belongs here: which exports are compared, what was accepted, and remembering what took a scan to find out. Does not belong here:
what is a difference (`exports`, `windows`), and what is stopped by one (`marts.gate`).

An export that differs too much and that nobody accepted is not what the next one is compared with: a column that stays away
is told every day, not on the first alone. Exports that were loaded before their contents were recorded are taken as they are.
A window of changes is compared with the full export that it follows and the windows between, alike.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from platform_assets.data.engines.profiles import KeysGone, Profile, RawProfiles, RowKey
from platform_assets.data.engines.raw_tables import RawTable, RawTables
from platform_assets.data.exports.chain import chain_of
from platform_assets.data.exports.export import holds_changes, table_of
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.raw.comparison.exports import Comparison, Finding, Side, findings, new_columns
from platform_assets.data.raw.comparison.windows import NOTHING, Before, Items, new_attributes, window_findings
from platform_assets.foundation.storage import Files, files_at

if TYPE_CHECKING:
    from platform_assets.data.engines.engine import Engine
    from platform_assets.environment import Environment

Fact = TypeVar("Fact")
_FORMAT = 1


@dataclass(frozen=True)
class Judged:
    """A table of an export, compared with an earlier one.

    Attributes:
        accepted: why the differences are meant; None where nobody said so.
        remedy: what to do about differences that stop marts.
    """

    export: RawTable
    before: RawTable
    findings: tuple[Finding, ...]
    new_columns: tuple[str, ...]
    accepted: str | None
    remedy: str

    @property
    def stops(self) -> bool:
        """Whether marts may not be built from this export."""
        return self.accepted is None and any(finding.stops for finding in self.findings)

    def why(self) -> str:
        """The differences that stop marts, and what to do, in one line."""
        sentences = "; ".join(finding.sentence for finding in self.findings if finding.stops)
        return f"{self.export.source}.{self.export.table}: {sentences}. {self.remedy}"


@dataclass(frozen=True)
class TableHistory:
    """Exports of a table that were compared, oldest first.

    Attributes:
        newest: the newest export; None where there is none, or nothing to compare it with.
        current: those by which the table is known as it is now: the newest, of windows all that follow the newest base.
    """

    judged: tuple[Judged, ...]
    newest: Judged | None
    current: tuple[Judged, ...] = ()

    def stopping(self, every_export: bool) -> list[Judged]:
        """What stops a model that reads the table as it is now, or `every_export`."""
        return [judged for judged in (self.judged if every_export else self.current) if judged.stops]


class Histories:
    """The histories of all tables of all sources.

    Args:
        sources: their declarations by name.
        place: folder or gs:// URL where comparisons are kept; they are made again when they are lost.
    """

    def __init__(
        self, raw: RawTables, profiles: RawProfiles, sources: Mapping[str, ExportSourceSpec], place: str | Path
    ) -> None:
        self._raw, self._profiles, self._sources = raw, profiles, sources
        self._files = files_at(place)

    def of(self, source: str, table: str) -> TableHistory:
        """The history of a table; empty where no source declares it.

        Raises:
            ExportError: a raw table, or the record of its contents, cannot be read.
        """
        spec = self._sources.get(source)
        if spec is None or table_of(table) not in {each.name for each in spec.tables}:
            return TableHistory((), None)
        if holds_changes(table):
            return self._of_windows(spec, source, table) if spec.format == "dynamodb" else TableHistory((), None)
        exports = self._raw.loaded([(source, table)])[source, table]
        if len(exports) < 2:
            return TableHistory((), None)
        recorded = self._profiles.recorded(source, table)
        unrecorded = [number for number, export in enumerate(exports) if export.export_id not in recorded]
        chain = exports[unrecorded[-1] if unrecorded else 0 :]
        if len(chain) < 2:
            return TableHistory((), None)
        memory = _Memory(self._files, f"{source}/{table}.json")
        key = RowKey(spec.format, tuple(spec.table(table).key))
        before = Side(chain[0].export_id, self._profile(chain[0], recorded, key, memory))
        good, judged = chain[0], list[Judged]()
        for export in chain[1:]:
            now = Side(export.export_id, recorded[export.export_id])
            comparison = Comparison(table, spec.format, before, now, self._gone(good, export, key, memory))
            judged.append(self._judge(spec, good, export, comparison))
            if not judged[-1].stops:
                good, before = export, now
        memory.keep(exports)
        return TableHistory(tuple(judged), judged[-1], (judged[-1],))

    def _of_windows(self, spec: ExportSourceSpec, source: str, table: str) -> TableHistory:
        """The windows of the chain; what is no link is read by nothing."""
        name = table_of(table)
        loaded = self._raw.loaded([(source, name), (source, table)])
        windows = {raw.export_id: raw for raw in loaded[source, table]}
        if not windows:
            return TableHistory((), None)
        bases = {raw.export_id: raw for raw in loaded[source, name]}
        full, changes = self._profiles.recorded(source, name), self._profiles.recorded(source, table)
        key = spec.table(name).key[0]
        judged, current = list[Judged](), tuple[Judged, ...]()
        for segment in chain_of([*bases.values(), *windows.values()]).segments:
            base = bases[segment.base.export_id]
            known = full.get(base.export_id)
            before, of_segment = Before(Items.of_export(known) if known else NOTHING), list[Judged]()
            for window in (windows[link.export_id] for link in segment.windows if link.export_id in changes):
                now = Items.of_window(changes[window.export_id], key)
                one = self._judge_window(spec, base, window, now, before)
                of_segment.append(one)
                if one.accepted and any(finding.stops for finding in one.findings):
                    before = before.accepting(now)
                elif not one.stops:
                    before = before.and_then(now)
            judged += of_segment
            current = tuple(of_segment)
        return TableHistory(tuple(judged), judged[-1] if judged else None, current)

    def _judge_window(
        self, spec: ExportSourceSpec, base: RawTable, window: RawTable, now: Items, before: Before
    ) -> Judged:
        name = table_of(window.table)
        return Judged(
            window,
            base,
            tuple(window_findings(window.export_id, now, before, spec.expectations_of(name))),
            tuple(new_attributes(now, before)),
            spec.accepts(window.export_id, name),
            f"Mend it at its source and start a full export, which begins anew (where versions are read, also take this window out of "
            f"the lake and {self._profiles.removal(window)}); or, if it is meant, add to `accept` in {window.source}/defs.yaml: "
            f"""{{export: "{window.export_id}", table: {name}, because: …}}""",
        )

    def _judge(self, spec: ExportSourceSpec, before: RawTable, export: RawTable, comparison: Comparison) -> Judged:
        accept = f"""{{export: "{export.export_id}", table: {export.table}, because: …}}"""
        return Judged(
            export,
            before,
            tuple(findings(comparison, spec.expectations_of(export.table))),
            tuple(new_columns(comparison)),
            spec.accepts(export.export_id, export.table),
            f"Start a new export that has what is absent (where all exports are read, also take this one out of the lake and "
            f"{self._profiles.removal(export)}); or, if it is meant, add to `accept` in {export.source}/defs.yaml: {accept}",
        )

    def _profile(self, raw: RawTable, recorded: Mapping[str, Profile], key: RowKey, memory: "_Memory") -> Profile:
        if raw.export_id in recorded:
            return recorded[raw.export_id]
        return memory.recall(
            "profiles",
            raw.rows_hash,
            Profile.from_json,
            lambda: self._profiles.profile(raw, key).to_json(),
        )

    def _gone(self, before: RawTable, now: RawTable, key: RowKey, memory: "_Memory") -> KeysGone:
        name = " ".join([before.rows_hash, now.rows_hash, json.dumps(key.columns)])
        return memory.recall(
            "gone", name, KeysGone.from_json, lambda: self._profiles.keys_gone(before, now, key).to_json()
        )


def open_histories(environment: "Environment", engine: "Engine", sources: Mapping[str, ExportSourceSpec]) -> Histories:
    """The histories of what an environment's engine holds of these sources."""
    return Histories(engine.raw, engine.profiles, sources, environment.comparisons)


class _Memory:
    """What was found out about a table's exports, which never change: one small file, replaced whole."""

    def __init__(self, files: Files, name: str) -> None:
        self._files, self._name = files, name
        stored = files.read(name)
        self._known = _parsed(stored.content if stored else None)
        self._new: dict[str, dict[str, Any]] = {"profiles": {}, "gone": {}}

    def recall(self, kind: str, name: str, read: Callable[[Any], Fact], find_out: Callable[[], dict[str, Any]]) -> Fact:
        """What is known under the name; found out where nothing is, or nothing that can be read."""
        try:
            return read(self._known[kind][name])
        except (KeyError, TypeError, ValueError):
            self._known[kind][name] = self._new[kind][name] = find_out()
            return read(self._known[kind][name])

    def keep(self, exports: Sequence[RawTable]) -> None:
        """Write down what is new, and drop what is about exports that are no longer loaded."""
        if not any(self._new.values()):
            return
        loaded = {export.rows_hash for export in exports}

        def merged(content: bytes | None) -> bytes:
            known = _parsed(content)
            kept = {
                kind: {
                    name: fact
                    for name, fact in {**known[kind], **self._new[kind]}.items()
                    if set(name.split(" ", 2)[:2] if kind == "gone" else [name]) <= loaded
                }
                for kind in self._new
            }
            return json.dumps({"format": _FORMAT, **kept}, sort_keys=True).encode()

        self._files.update(self._name, merged)


def _parsed(content: bytes | None) -> dict[str, dict[str, Any]]:
    """What a file says; nothing where it cannot be read, as all of it can be found out again."""
    nothing: dict[str, dict[str, Any]] = {"profiles": {}, "gone": {}}
    try:
        record = json.loads(content or b"{}")
    except ValueError:
        return nothing
    if not isinstance(record, dict) or record.get("format") != _FORMAT:
        return nothing
    return {kind: record[kind] if isinstance(record.get(kind), dict) else {} for kind in nothing}
