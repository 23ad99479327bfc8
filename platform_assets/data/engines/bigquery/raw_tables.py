"""Raw tables in BigQuery: when a verified table of an export becomes visible, and what is loaded already.

Belongs here: the layout of raw tables, the record of loaded exports, idempotence by export id, and the order verify – all,
then publish – each in one transaction. Does not belong here: how a table is loaded aside and verified (`staging`), and which
exports there are (`raw.discover`).

A raw table `<stage>_raw.<source>__<table>` holds all exports of a table, a slice each; `<stage>_raw._exports` has a row for
each slice, and `<stage>_raw._profiles` another one that says what it holds, both written in the slice's own transaction, and
so are the rows that were left out of it, in `<stage>_raw.<source>__<table>__quarantine`.
"""
# ruff: noqa: S608 - statements are composed of names and literals, each quoted by `quoted` or `literal`.

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING

from platform_assets.data.engines.bigquery.connection import BigQuery, literal, quoted, retrying
from platform_assets.data.engines.bigquery.slices import ColumnChanged, Layout, make_table, replace_slice, widened
from platform_assets.data.engines.bigquery.staging import (
    Aside,
    key_columns,
    profile_of,
    quarantine_fields,
    stage,
    stage_sifted,
)
from platform_assets.data.engines.profiles import FEW, ITEM, KeysGone, Profile, RowKey, profile_text
from platform_assets.data.engines.raw_tables import RawTable, in_order, require_same, require_table
from platform_assets.data.exports.export import BrokenRows, Export, ExportError, LoadRefused, quarantine_of
from platform_assets.data.exports.lake import Lake
from platform_assets.data.exports.quarantine.record import COLUMNS, Quarantined
from platform_assets.data.exports.quarantine.sifting import sift
from platform_assets.foundation.storage import StorageRefused

if TYPE_CHECKING:
    from google.cloud.bigquery import SchemaField, Table

EXPORTS = "_exports"
PROFILES = "_profiles"
_PROVENANCE = ("_export_id", "_exported_at")
_INSTANTS = ("DATETIME", "TIMESTAMP")
# Columns of the record of exports that it did not always have.
_ADDED = ("window_start", "table_id", "quarantined")
_AT_ONCE = 4
# How often a load begins again because another one of the same exports overtook it.
_OVERTAKEN = 5

Wanted = tuple[Export, str]
# (table, export id) → what is loaded of it.
_Done = dict[tuple[str, str], RawTable]


class BigQueryTables:
    """Raw tables in BigQuery, loaded from a lake in GCS; implements `RawTables` and `RawProfiles`."""

    kinds = frozenset({"bigquery", "gcs"})
    own_columns = MappingProxyType({ITEM: "json", "_export_id": "string", "_exported_at": "timestamp"})

    def __init__(self, bigquery: BigQuery) -> None:
        self._bigquery = bigquery
        self._exports = bigquery.name("raw", EXPORTS)
        self._profiles = bigquery.name("raw", PROFILES)

    def load(self, wanted: Iterable[Wanted]) -> list[RawTable]:
        """See `RawTables.load`; a table is verified in the scratch dataset, and published by one transaction.

        Several processes may load the same exports at once: one of them publishes each, the others find it done. What a
        killed one leaves in the scratch dataset goes away after a day.
        """
        wanted = list(wanted)
        if not wanted:
            return []
        self._require_places(wanted)
        done: _Done = {}
        _unless_overtaken(lambda: self._load(self._not_loaded(wanted, done), done))
        return [done[table, export.export_id] for export, table in wanted]

    def reload(self, export: Export, table: str) -> RawTable:
        """See `RawTables.reload`; one transaction."""
        self._require_places([(export, table)])
        done: _Done = {}
        _unless_overtaken(lambda: self._load([(export, table)], done, again=True))
        return done[table, export.export_id]

    def loaded(self, tables: Iterable[tuple[str, str]]) -> dict[tuple[str, str], list[RawTable]]:
        """See `RawTables.loaded`; one query whatever the number of tables."""
        loaded: dict[tuple[str, str], list[RawTable]] = {table: [] for table in tables}
        sources = sorted({source for source, _ in loaded})
        record = self._bigquery.find(self._exports) if sources else None
        if record is None:
            return loaded
        # Older versions recorded less.
        recorded = [name for name in _ADDED if name in {field.name for field in record.schema}]
        rows = self._bigquery.values(
            f"select {', '.join(['source_name, table_name, export_id, exported_at, content_hash, row_count', *recorded])} from "
            f"{quoted(self._exports)} where source_name in ({', '.join(map(literal, sources))})",
            " ".join(sources),
        )
        for source, table, export_id, at, content_hash, count, *added in rows:
            if (source, table) in loaded:
                raw = RawTable(source, table, export_id, at, content_hash, count, self.location(source, table))
                more = dict(zip(recorded, added, strict=True))
                if more.get("quarantined"):
                    more["quarantined"] = Quarantined.from_json(json.loads(more["quarantined"]))
                loaded[source, table].append(replace(raw, **more))
        return {table: in_order(exports) for table, exports in loaded.items()}

    def require_whole(self, loaded: Mapping[tuple[str, str], Iterable[RawTable]]) -> None:
        """See `RawTables.require_whole`: BigQuery answers for what it keeps."""

    def location(self, source: str, table: str) -> str:
        """See `RawTables.location`."""
        return self._bigquery.name("raw", f"{source}__{table}")

    def record(self, source: str, table: str) -> str:
        """See `RawTables.record`: one for all tables."""
        return self._exports

    def recorded(self, source: str, table: str) -> dict[str, Profile]:
        """See `RawProfiles.recorded`."""
        if self._bigquery.find(self._profiles) is None:
            return {}
        rows = self._bigquery.values(
            f"select export_id, profile from {quoted(self._profiles)} "
            f"where source_name = {literal(source)} and table_name = {literal(table)}",
            source,
        )
        return {export_id: Profile.from_json(json.loads(text)) for export_id, text in rows}

    def profile(self, raw: RawTable, key: RowKey) -> Profile:
        """See `RawProfiles.profile`: the table has the columns of all its exports."""
        table = self._bigquery.client.get_table(raw.location, retry=retrying())
        schema = [field for field in table.schema if field.name not in _PROVENANCE]
        profile = profile_of(self._bigquery, f"(select * from {_slice(raw)})", schema, key, raw.source)
        return replace(profile, columns=tuple(column for column in profile.columns if column.filled))

    def keys_gone(self, before: RawTable, now: RawTable, key: RowKey) -> KeysGone:
        """See `RawProfiles.keys_gone`."""
        table = self._bigquery.client.get_table(before.location, retry=retrying())
        columns = {f"key_{number}": column for number, column in enumerate(key_columns(key))}
        aliased = ", ".join(f"{column} as {name}" for name, column in columns.items())
        instants = [
            field.name for field in table.schema if field.field_type in _INSTANTS and field.name not in _PROVENANCE
        ]
        bounds = "".join(
            f", format_timestamp('%Y-%m', timestamp({bound}({quoted(name)})))"
            for name in instants
            for bound in ("min", "max")
        )
        same = " and ".join(f"earlier.{name} = later.{name}" for name in columns)
        gone, *months = self._bigquery.values(
            f"select count(*){bounds} from (select *, {aliased} from {_slice(before)}) as earlier "
            f"left join (select {aliased} from {_slice(now)}) as later on {same} where later.key_0 is null",
            before.source,
        )[0]
        pairs = zip(instants, zip(months[::2], months[1::2], strict=True), strict=True)
        return KeysGone(gone, {name: pair for name, pair in pairs if gone >= FEW and None not in pair})

    def removal(self, raw: RawTable) -> str:
        """See `RawProfiles.removal`."""
        rows = f"with _export_id = {literal(raw.export_id)}"
        return f"delete its rows {rows} from {raw.location} and its row from {self._exports}"

    def _require_places(self, wanted: Iterable[Wanted]) -> None:
        from google.api_core.exceptions import NotFound

        for export, table in wanted:
            require_table(export, table)
            if not export.lake.startswith("gs://"):
                raise LoadRefused(
                    f"{export.lake}: BigQuery loads exports from gs:// only. Copy them to a bucket, for instance with "
                    f"Storage Transfer Service, and name its folder in PLATFORM_EXPORTS."
                )
        for purpose in ("raw", "scratch"):
            dataset = f"{self._bigquery.cloud.project}.{self._bigquery.cloud.dataset(purpose)}"
            try:
                self._bigquery.client.get_dataset(dataset, retry=retrying())
            except NotFound as error:
                raise LoadRefused(
                    f"BigQuery has no dataset {dataset}. Create what the platform needs with: platform-assets prepare"
                ) from error

    def _not_loaded(self, wanted: Sequence[Wanted], done: _Done) -> list[Wanted]:
        """What is not loaded; adds to `done` what is."""
        loaded = self.loaded((export.source, table) for export, table in wanted)
        for export, table in wanted:
            for before in loaded[export.source, table]:
                if before.export_id == export.export_id:
                    self._require_same(export, before)
                    done.setdefault((table, export.export_id), before)
        return [(export, table) for export, table in wanted if (table, export.export_id) not in done]

    def _require_same(self, export: Export, before: RawTable) -> None:
        require_same(export, before, self.removal(before))

    def _load(self, missing: Sequence[Wanted], done: _Done, again: bool = False) -> None:
        """Loads what is missing, or once more; adds each to `done` when it is published."""
        if not missing:
            return
        names: list[str] = []
        try:
            asides = self._asides(missing, names)
            targets = self._targets(missing, asides)
            quarantines = self._quarantines(missing, asides)
        except (ExportError, LoadRefused, StorageRefused):
            self._remove(names)
            raise
        self._make_records(missing[0][0].source)
        for (export, table), aside in zip(missing, asides, strict=True):
            raw = RawTable.of(export, table, aside.rows, self.location(export.source, table))
            raw = replace(raw, quarantined=aside.quarantined)
            new = self._publish(
                raw, aside, targets[table], quarantines[table], partial(self._stands, export, raw, again)
            )
            done[table, export.export_id] = replace(raw, new=new)
            if new or again:
                self._remove(aside.names)

    def _stands(self, export: Export, raw: RawTable, again: bool) -> bool:
        """Whether what is to be published is so already."""
        [loaded] = self.loaded([(raw.source, raw.table)]).values()
        before = next((other for other in loaded if other.export_id == raw.export_id), None)
        if again:
            return before is not None and before.rows_hash == raw.rows_hash
        if before is not None:
            self._require_same(export, before)
        return before is not None

    def _asides(self, missing: Sequence[Wanted], names: list[str]) -> list[Aside]:
        """All tables, verified in the scratch dataset; `names` gets each as soon as it may be there."""
        lakes = {export.lake: Lake(export.lake) for export, _ in missing}

        def one(wanted: Wanted) -> Aside:
            export, table = wanted
            whole, lake, own = export.tables[table], lakes[export.lake], list[str]()

            def loading(name: str) -> None:
                own.append(name)
                names.append(name)

            try:
                return stage(self._bigquery, export, whole, lake, loading)
            except BrokenRows as refused:
                self._remove(own)
                with TemporaryDirectory() as folder:
                    sifted = sift(export, whole, lake, Path(folder), refused)
                    return stage_sifted(self._bigquery, export, sifted, loading)

        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            return list(pool.map(one, missing))

    def _remove(self, asides: Iterable[str]) -> None:
        for name in asides:
            self._bigquery.client.delete_table(name, not_found_ok=True, retry=retrying())

    def _targets(self, missing: Sequence[Wanted], asides: Sequence[Aside]) -> dict[str, "Table"]:
        """The raw tables, made or widened, once it is known that all exports fit into them."""
        layouts: dict[str, tuple[Export, tuple[SchemaField, ...]]] = {}
        for (export, table), aside in zip(missing, asides, strict=True):
            there = self._bigquery.find(self.location(export.source, table))
            before = layouts[table][1] if table in layouts else tuple(there.schema) if there else ()
            try:
                layouts[table] = export, tuple(widened(before, aside.schema))
            except ColumnChanged as changed:
                raise ExportError(
                    f"{export.lake}/{export.folder}: column {changed.column} of {table} is {changed.wanted} in this "
                    f"export, but {changed.there} in {self.location(export.source, table)}, from exports before. Give the "
                    f"table another `name` in the source's defs.yaml, so that both can be read."
                ) from changed
        return {table: self._target(export, table, schema) for table, (export, schema) in layouts.items()}

    def _target(self, export: Export, table: str, schema: Iterable["SchemaField"]) -> "Table":
        from google.cloud.bigquery import SchemaField

        provenance = (
            SchemaField("_export_id", "STRING", description="The export that the row was read from."),
            SchemaField("_exported_at", "TIMESTAMP", description="The instant at which the export shows the table."),
        )
        ours = {field.name for field in provenance}
        exported = export.tables[table].export_table
        layout = self._layout(
            f"{exported} of {export.source}, as exported: all exports, one beside the other.",
            (*(field for field in schema if field.name not in ours), *provenance),
        )
        return make_table(self._bigquery, self.location(export.source, table), layout, export.source)

    def _layout(self, description: str, schema: tuple["SchemaField", ...]) -> Layout:
        return Layout(description, schema, "_exported_at", self._bigquery.cloud.raw_expiry_days, ("_export_id",))

    def _quarantines(self, missing: Sequence[Wanted], asides: Sequence[Aside]) -> dict[str, str | None]:
        """Table → the table of rows that were left out of it, made where there are any; None where there never were."""
        names: dict[str, str | None] = {}
        for (export, table), aside in zip(missing, asides, strict=True):
            name = self.location(export.source, quarantine_of(table))
            if aside.quarantine:
                words = f"Rows of {export.source}__{table} that are broken, as they stand in the exports' files."
                make_table(self._bigquery, name, self._layout(words, quarantine_fields()), export.source)
                names[table] = name
            elif table not in names:
                names[table] = name if self._bigquery.find(name) else None
        return names

    def _make_records(self, source: str) -> None:
        """The records of loaded exports and of what they hold, if they are not there."""
        from google.cloud.bigquery import SchemaField

        which = (
            ("source_name", "STRING", "The source, as its folder of declarations is called."),
            ("table_name", "STRING", "The table, as the source declares it."),
            ("export_id", "STRING", "The export, as AWS called it."),
        )
        exports = (
            ("exported_at", "TIMESTAMP", "The instant at which the export shows the table."),
            ("content_hash", "STRING", "sha256 of the export's manifests and the table's files."),
            ("row_count", "INTEGER", "Rows of the table in this export."),
            ("loaded_at", "TIMESTAMP", "When it was loaded."),
            ("window_start", "TIMESTAMP", "Of an incremental export, the instant from which on it holds changes."),
            ("table_id", "STRING", "AWS's id of a DynamoDB table, which a recreated one does not keep."),
            ("quarantined", "STRING", "Counts of the rows that were left out because they are broken, as JSON."),
        )
        profiles = (
            ("profile", "STRING", "Rows, keys, columns with their rows that have a value, and parts, as JSON."),
        )
        for name, description, columns in (
            (self._exports, "The exports that were loaded, a row a table.", exports),
            (self._profiles, "What the tables of loaded exports hold, a row a table.", profiles),
        ):
            schema = tuple(SchemaField(column, kind, description=meaning) for column, kind, meaning in which + columns)
            make_table(self._bigquery, name, Layout(description, schema), source)

    def _publish(
        self, raw: RawTable, aside: Aside, target: "Table", quarantine: str | None, stands: Callable[[], bool]
    ) -> bool:
        """Whether this call published the slice, rather than another process."""
        which = {
            "source_name": literal(raw.source),
            "table_name": literal(raw.table),
            "export_id": literal(raw.export_id),
        }
        row = which | {
            "exported_at": f"timestamp {literal(raw.exported_at.isoformat())}",
            "content_hash": literal(raw.content_hash),
            "row_count": str(raw.rows),
            "loaded_at": "current_timestamp()",
        }
        if raw.window_start:
            row["window_start"] = f"timestamp {literal(raw.window_start.isoformat())}"
        if raw.table_id:
            row["table_id"] = literal(raw.table_id)
        if raw.quarantined:
            row["quarantined"] = literal(json.dumps(raw.quarantined.to_json()))
        records = {self._exports: row, self._profiles: which | {"profile": literal(profile_text(aside.profile))}}
        same = " and ".join(f"{column} = {value}" for column, value in which.items())
        shared = {"_export_id": row["export_id"], "_exported_at": row["exported_at"]}
        statements = [
            f"delete from {quoted(name)} where {same};\n"
            f"insert into {quoted(name)} ({', '.join(values)}) values ({', '.join(values.values())})"
            for name, values in records.items()
        ]
        if quarantine:
            broken, names = quoted(quarantine), ", ".join(map(quoted, COLUMNS))
            where = " and ".join(f"{column} = {value}" for column, value in shared.items())
            statements.append(f"delete from {broken} where {where}")
            if aside.quarantine:
                statements.append(f"insert into {broken} ({names}) select {names} from {quoted(aside.quarantine)}")
        return replace_slice(
            self._bigquery,
            target,
            shared=shared,
            aside=aside.name,
            schema=aside.schema,
            source=raw.source,
            stands=stands,
            also=";\n".join(statements),
        )


def _unless_overtaken(load: Callable[[], None]) -> None:
    """Loads, once more if need be: another process published these exports and took their asides away, and left some."""
    from google.api_core.exceptions import NotFound

    for _ in range(_OVERTAKEN - 1):
        with suppress(NotFound):
            load()
            return
    load()


def _slice(raw: RawTable) -> str:
    """A loaded export's rows, with the literal by which BigQuery skips the partitions of all others."""
    at = f"timestamp {literal(raw.exported_at.isoformat())}"
    return f"{quoted(raw.location)} where _export_id = {literal(raw.export_id)} and _exported_at = {at}"
