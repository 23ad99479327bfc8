"""DynamoDB exports, full and incremental: from the two manifests to an `Export`.

Belongs here: the layout, manifest keys and item paths of "DynamoDB table export output format" (DynamoDB developer
guide). Does not belong here: reading items, and verifying data files (`engines`).
"""

import base64
import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

from platform_assets.data.exports.export import (
    DataFile,
    Export,
    ExportedTable,
    ExportError,
    ExportInProgress,
    changes_of,
    sha256,
)
from platform_assets.data.exports.lake import Lake
from platform_assets.data.exports.manifest import entry, instant, optional, parse_json
from platform_assets.data.exports.spec import ExportSourceSpec

HOME = "AWSDynamoDB"
SUMMARY = "manifest-summary.json"
_INCREMENTAL = "INCREMENTAL_EXPORT"
# Key of the summary → what may stand there.
_KNOWN = {
    "outputFormat": ("DYNAMODB_JSON",),
    "exportType": ("FULL_EXPORT", _INCREMENTAL),
    "outputView": ("NEW_IMAGE", "NEW_AND_OLD_IMAGES"),
}


def key_paths(attribute: str) -> dict[str, str]:
    """Type of a key attribute (number, string or binary: those that DynamoDB takes) → JSON path of its value in the item."""
    escaped = attribute.replace("\\", "\\\\").replace('"', '\\"')
    return {kind: f'$."{escaped}"."{kind}"' for kind in "NSB"}


def typed_key(attribute: str, text_at: Callable[[str], str]) -> str:
    """SQL for the value of a key attribute, its type before it.

    Args:
        text_at: an engine's SQL for the text at a JSON path of the item; null where none stands.
    """
    typed = [f"'{kind}' || {text_at(path)}" for kind, path in key_paths(attribute).items()]
    return f"coalesce({', '.join(typed)})"


def written_micros(text_at: Callable[[str], str]) -> str:
    """SQL for the text of the microseconds since 1970 at which an item was written, which AWS writes as a typed number.

    Args:
        text_at: an engine's SQL for the text at a JSON path of `Metadata`; null where none stands.
    """
    return f"coalesce({text_at('$.WriteTimestampMicros.N')}, {text_at('$.WriteTimestampMicros')})"


def export_ids(lake: Lake, spec: ExportSourceSpec) -> list[str]:
    """Ids of the exports below the source's path, begun or finished (the shared `data` folder is none)."""
    folders = lake.folders(f"{spec.path}/{HOME}")
    return [name for name in folders if name != "data"]


def read_dynamodb_export(lake: Lake, spec: ExportSourceSpec, source: str, export_id: str) -> Export:
    """The export `export_id` of the source; its `tables` is empty when it is of a table the source does not
    declare.

    Raises ExportInProgress until the summary manifest is there, ExportError when a manifest is damaged,
    incomplete, contradicts itself or is of an export that is not DynamoDB JSON, or of a part of the table.
    """
    folder = f"{spec.path}/{HOME}/{export_id}"
    summary_key = f"{folder}/{SUMMARY}"
    if not lake.exists(summary_key):
        raise ExportInProgress(f"{lake.location(folder)}: {SUMMARY} is not there yet")
    where = lake.location(summary_key)
    summary_text = _verified(lake, summary_key)
    summary = parse_json(summary_text, where)
    kind = _kind(summary, spec, where)
    table_name = entry(summary, "tableArn", str, where).rsplit("table/", 1)[-1]
    table_id, window_start = optional(summary, "tableId", str, where), None
    if kind == _INCREMENTAL:
        table_id = entry(summary, "tableId", str, where)
        window_start, exported_at = _window(summary, where)
    else:
        exported_at = instant(summary, "exportTime", where)
    declared = next((table for table in spec.tables if table.export_table == table_name), None)

    prefix = optional(summary, "s3Prefix", str, where) or ""
    files_key = _lake_key(entry(summary, "manifestFilesS3Key", str, where), prefix, spec.path, where)
    if not lake.exists(files_key):
        raise ExportError(
            f"{lake.location(files_key)}: the file that key 'manifestFilesS3Key' of {where} names is absent. "
            f"Copy the export again."
        )
    files_text = _verified(lake, files_key)
    files = _data_files(files_text, prefix, spec.path, lake.location(files_key))
    items = entry(summary, "itemCount", int, where)
    listed = sum(file.rows or 0 for file in files)
    if listed != items:
        raise ExportError(
            f"{where}: key 'itemCount' is {items}, but the data files listed in {lake.location(files_key)} "
            f"sum to {listed}. A manifest is damaged: copy the export again."
        )
    tables = {}
    if declared is not None:
        raw_name = changes_of(declared.name) if window_start else declared.name
        allowed = spec.expectations_of(declared.name).quarantine_at_most
        tables[raw_name] = ExportedTable(
            raw_name, table_name, tuple(declared.key), tuple(files), rows=items, quarantine_at_most=allowed
        )
    content = sha256(*(hashlib.sha256(text).hexdigest() for text in (summary_text, files_text)))
    others = () if declared else (table_name,)
    return Export(
        source,
        spec.format,
        export_id,
        exported_at,
        content,
        lake.root,
        folder,
        tables,
        others,
        window_start=window_start,
        table_id=table_id,
    )


def tables_of(lake: Lake, spec: ExportSourceSpec, export_id: str) -> frozenset[str]:
    """The declared tables that an unusable export may be of: the one its summary names, or all when it names none."""
    key = f"{spec.path}/{HOME}/{export_id}/{SUMMARY}"
    try:
        arn = entry(parse_json(lake.read(key), lake.location(key)), "tableArn", str, lake.location(key))
    except ExportError:
        return frozenset(table.name for table in spec.tables)
    exported = arn.rsplit("table/", 1)[-1]
    return frozenset(table.name for table in spec.tables if table.export_table == exported)


def _kind(summary: dict[str, Any], spec: ExportSourceSpec, where: str) -> str:
    """Whether an export is full or incremental; refused when it is neither, or does not hold what the platform reads."""
    # Exports from before incremental ones existed state no type, and are full.
    stated = {key: summary.get(key, known[0]) for key, known in _KNOWN.items() if key in summary or key != "outputView"}
    for key, value in stated.items():
        if value not in _KNOWN[key]:
            raise ExportError(
                f"{where}: key {key!r} is {str(value)[:80]!r}, but a dynamodb source reads {' and '.join(_KNOWN[key])} only. "
                f"Move this export out of {spec.path}/, or export the table as DynamoDB JSON."
            )
    for key, value in summary.items():
        if "filter" in key.lower() and value:
            raise ExportError(
                f"{where}: key {key!r} says that the export holds a part of the table alone, and what is not in it would count as "
                f"deleted. Move it out of {spec.path}/, and export the table without a filter."
            )
    return str(stated["exportType"])


def _window(summary: dict[str, Any], where: str) -> tuple[datetime, datetime]:
    start, end = instant(summary, "exportFromTime", where), instant(summary, "exportToTime", where)
    if start >= end:
        raise ExportError(
            f"{where}: key 'exportFromTime' is not before key 'exportToTime'. The manifest is damaged: copy the export again."
        )
    return start, end


def _verified(lake: Lake, key: str) -> bytes:
    """A manifest's text, checked against the checksum file beside it when there is one."""
    text = lake.read(key)
    for ending in (".md5", ".checksum"):
        beside = key.removesuffix(".json") + ending
        if lake.exists(beside):
            stated = lake.read(beside).decode("utf-8", "replace").strip()
            digest = base64.b64encode(hashlib.md5(text, usedforsecurity=False).digest()).decode()
            if stated != digest:
                raise ExportError(
                    f"{lake.location(key)}: its MD5 is {digest}, but {beside.rsplit('/', 1)[-1]} says {stated[:40]}. "
                    "The manifest was changed or did not arrive whole: copy the export again."
                )
    return text


def _data_files(text: bytes, prefix: str, path: str, where: str) -> list[DataFile]:
    files: dict[str, DataFile] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        at = f"{where}:{number}"
        document = parse_json(line, at)
        key = _lake_key(entry(document, "dataFileS3Key", str, at), prefix, path, at)
        if key in files:
            raise ExportError(f"{at}: key 'dataFileS3Key' names {key} a second time. Copy the export again.")
        files[key] = DataFile(
            key, rows=entry(document, "itemCount", int, at), md5=entry(document, "md5Checksum", str, at)
        )
    return list(files.values())


def _lake_key(s3_key: str, prefix: str, path: str, where: str) -> str:
    """Where a key of the bucket lies below the exports root: what was `prefix` there is `path` here."""
    prefix = prefix.strip("/")
    if f"/{path}".endswith(f"/{prefix}") or not prefix:
        bucket = path.removesuffix(prefix).rstrip("/") if prefix else path
        key = f"{bucket}/{s3_key}" if bucket else s3_key
    elif s3_key.startswith(f"{prefix}/"):
        key = f"{path}/{s3_key.removeprefix(f'{prefix}/')}"
    else:
        raise ExportError(
            f"{where}: key {s3_key!r} lies outside the export prefix {prefix!r}, and the export was copied to {path}/, "
            "so the file cannot be found. Copy the bucket's folders under their own names."
        )
    if ".." in key.split("/") or s3_key.startswith("/") or not s3_key.isprintable():
        raise ExportError(f"{where}: key {s3_key!r} leads out of the exports root. Correct the manifest.")
    return key
