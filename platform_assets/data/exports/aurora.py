"""Aurora (RDS) snapshot exports: from the export's JSON files and its folders to an `Export`.

Belongs here: the layout and manifest keys of "Exporting DB cluster snapshot data to Amazon S3" (Aurora user
guide). Does not belong here: reading the Parquet parts and verifying them (`engines`).
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from platform_assets.data.exports.export import (
    DataFile,
    Export,
    ExportedTable,
    ExportError,
    ExportInProgress,
    sha256,
)
from platform_assets.data.exports.lake import Lake
from platform_assets.data.exports.manifest import entry, instant, optional, parse_json
from platform_assets.data.exports.spec import ExportSourceSpec, ExportTableSpec

_UNFINISHED = {"STARTING", "IN_PROGRESS"}
# AWS puts the parts into batch folders; older exports have them directly in the table's folder.
_PART = re.compile(r"^(?:(?P<batch>\d+)/)?part-(?P<number>\d+)-[^/]*\.parquet$")


def export_ids(lake: Lake, spec: ExportSourceSpec) -> list[str]:
    """Ids of the exports below the source's path, begun or finished."""
    return lake.folders(spec.path)


def read_aurora_export(lake: Lake, spec: ExportSourceSpec, source: str, export_id: str) -> Export:
    """The export `export_id` of the source, with those declared tables that it holds.

    Raises ExportInProgress until `export_info_<id>.json` says COMPLETE; ExportError when the export or a
    declared table failed, a manifest is damaged or absent, or the parts contradict the manifests. Gaps in
    part numbers are normal, as AWS writes no file for an empty key range.
    """
    folder = f"{spec.path}/{export_id}"
    info_key = f"{folder}/export_info_{export_id}.json"
    if not lake.exists(info_key):
        raise ExportInProgress(f"{lake.location(folder)}: export_info_{export_id}.json is not there yet")
    where = lake.location(info_key)
    info_text = lake.read(info_key)
    info = parse_json(info_text, where)
    status = entry(info, "status", str, where)
    if status in _UNFINISHED:
        raise ExportInProgress(f"{where}: key 'status' is {status} ({info.get('percentProgress', '?')} %)")
    if status != "COMPLETE":
        raise ExportError(
            f"{where}: key 'status' is {status}"
            f"{_because(info, 'failureCause')}. Remove the folder of this export and start a new one."
        )
    if (stated := entry(info, "exportTaskIdentifier", str, where)) != export_id:
        raise ExportError(
            f"{where}: key 'exportTaskIdentifier' is {stated!r}, but the folder is {export_id!r}. "
            f"Give the folder the name of the export it holds."
        )
    exported_at = instant(info, "snapshotTime", where)
    statuses, texts = _table_statuses(lake, folder, export_id)
    tables = {}
    undeclared = set(statuses)
    for declared in spec.tables:
        if target := _target_of(statuses, spec, declared):
            tables[declared.name] = _table(lake, spec, folder, declared, *statuses[target])
            undeclared.remove(target)
    content = sha256(*(hashlib.sha256(text).hexdigest() for text in (info_text, *texts)))
    # As they would be declared: schema.table on PostgreSQL, database.table on MySQL.
    others = tuple(sorted(".".join(target.split(".")[-2:]) for target in undeclared))
    return Export(source, spec.format, export_id, exported_at, content, lake.root, folder, tables, others)


def tables_of(lake: Lake, spec: ExportSourceSpec, export_id: str) -> frozenset[str]:
    """The declared tables that an unusable export may be of: one snapshot holds them all."""
    return frozenset(table.name for table in spec.tables)


_Statuses = dict[str, tuple[dict[str, Any], str]]


def _table_statuses(lake: Lake, folder: str, export_id: str) -> tuple[_Statuses, list[bytes]]:
    """Target -> (its entry of perTableStatus, the file it is in), and the texts of those files in order."""
    pattern = re.compile(rf"^export_tables_info_{re.escape(export_id)}_from_(\d+)_to_(\d+)\.json$")
    matches = sorted(
        (match for name in lake.files(folder) if (match := pattern.match(name))),
        key=lambda match: int(match[1]),
    )
    statuses: _Statuses = {}
    texts = []
    # Each file goes on where the one before ended.
    expected = [1, *(int(match[2]) + 1 for match in matches)]
    listed: Sequence[re.Match[str] | None] = matches or [None]
    for first, match in zip(expected, listed, strict=False):
        if match is None or int(match[1]) != first:
            raise ExportError(
                f"{lake.location(folder)}: export_tables_info_{export_id}_from_{first}_to_….json is absent. "
                f"Copy the export again."
            )
        where = lake.location(f"{folder}/{match[0]}")
        texts.append(lake.read(f"{folder}/{match[0]}"))
        for document in entry(parse_json(texts[-1], where), "perTableStatus", list, where):
            if not isinstance(document, dict):
                raise ExportError(f"{where}: key 'perTableStatus' holds something that is not an object.")
            statuses[entry(document, "target", str, where)] = (document, where)
    return statuses, texts


def _target_of(statuses: _Statuses, spec: ExportSourceSpec, declared: ExportTableSpec) -> str | None:
    """A declared table's key there. PostgreSQL targets are `database.schema.table`; on MySQL `database.table`."""
    targets = [f"{spec.database}.{declared.export_table}"]
    if declared.export_table.startswith(f"{spec.database}."):
        targets.append(declared.export_table)
    return next((target for target in targets if target in statuses), None)


def _table(
    lake: Lake,
    spec: ExportSourceSpec,
    folder: str,
    declared: ExportTableSpec,
    status: dict[str, Any],
    where: str,
) -> ExportedTable:
    table = declared.export_table
    if (state := entry(status, "status", str, where)) != "COMPLETE":
        raise ExportError(
            f"{where}: key 'status' of table {table} is {state}{_because(status, 'failureCause', 'warningMessage')}. "
            "Nothing of this export is loaded: start a new export, and remove this one's folder."
        )
    statistics = optional(status, "tableStatistics", dict, where) or {}
    partitions = optional(statistics, "partitioningInfo", dict, where) or {}
    planned, completed = (partitions.get(f"numberOf{kind}Partitions") for kind in ("", "Completed"))
    if planned != completed:
        raise ExportError(
            f"{where}: key 'partitioningInfo' of table {table} says {completed} of {planned} partitions were "
            f"completed. Start a new export, and remove this one's folder."
        )
    rows = entry(statistics, "rowCount", int, where) if "rowCount" in statistics else None
    metadata = optional(status, "schemaMetadata", dict, where) or {}
    mappings = optional(metadata, "originalTypeMappings", list, where) or []
    if not all(isinstance(column, dict) for column in mappings):
        raise ExportError(
            f"{where}: key 'originalTypeMappings' of table {table} holds something that is not an object."
        )
    columns = tuple(
        (entry(column, "columnName", str, where), entry(column, "originalType", str, where)) for column in mappings
    )
    files = _parts(lake, f"{folder}/{spec.database}/{table}", table)
    allowed = spec.expectations_of(declared.name).quarantine_at_most
    return ExportedTable(declared.name, table, tuple(declared.key), files, rows, columns, allowed)


def _parts(lake: Lake, folder: str, table: str) -> tuple[DataFile, ...]:
    """The parts of one table, checked against each other and the `_SUCCESS` marks of their batches."""
    files = lake.tree(folder)
    parts: dict[tuple[int, int], DataFile] = {}
    marked = {path.rpartition("/")[0] for path in files if path.rsplit("/", 1)[-1] == "_SUCCESS"}
    for path, size in files.items():
        name = path.rsplit("/", 1)[-1]
        if name.startswith(("_", ".")):
            continue
        match = _PART.match(path)
        if match is None:
            raise ExportError(
                f"{lake.location(f'{folder}/{path}')}: not a part of table {table} by its name. Remove the file."
            )
        if marked and (match["batch"] or "") not in marked:
            raise ExportError(
                f"{lake.location(folder)}: batch {match['batch']} of table {table} has parts but no _SUCCESS, as other "
                "batches have. The export did not arrive whole: copy it again."
            )
        place = (int(match["batch"] or 0), int(match["number"]))
        if place in parts:
            raise ExportError(
                f"{lake.location(f'{folder}/{path}')}: part {place[1]} of table {table} is there twice, which would "
                "double its rows. Keep the file that the export wrote, or copy the export again into an empty folder."
            )
        parts[place] = DataFile(f"{folder}/{path}", size=size)
    if not parts and not marked:
        raise ExportError(
            f"{lake.location(folder)}: the export says that table {table} is COMPLETE, but its files are absent. Copy "
            "the export again."
        )
    return tuple(parts[place] for place in sorted(parts))


def _because(document: dict[str, Any], *keys: str) -> str:
    reasons = [str(document[key]) for key in keys if document.get(key)]
    return f" ({'; '.join(reasons)})" if reasons else ""
