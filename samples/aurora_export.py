"""Writes an Aurora (RDS) snapshot export exactly as AWS lays it out.

Belongs here: the folder layout, file names and manifest keys of a finished snapshot export.
Does not belong here: what is exported, and reading exports back.

Layout, from "File naming conventions for exports to Amazon S3" in the Aurora user guide:
`<export id>/<database>/<schema>.<table>/<batch>/part-<index>-<uuid>.gz.parquet` with `_SUCCESS` in each batch
folder, and at the top `export_info_<id>.json` and `export_tables_info_<id>_from_<n>_to_<m>.json`. An index
whose key range held no rows is skipped, so gaps in the numbering are normal.
"""

import json
import os
import shutil
import uuid
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_ACCOUNT = "arn:aws:rds:eu-central-1:123456789012"
_TABLES_PER_FILE = 96


def write_aurora_export(
    root: Path,
    export_id: str,
    database: str,
    tables: Mapping[str, pa.Table],
    snapshot_time: datetime,
    *,
    parts: int = 4,
    skip: Collection[int] = (1,),
    batches: int = 1,
    state_rows: bool = False,
) -> Path:
    """Writes `<root>/<export_id>/…` and returns that folder; an export that is already there is left as it
    is.

    tables: `"<schema>.<table>"` to its rows. On MySQL the schema is the database.
    parts: Parquet files a batch; skip: part numbers left out, as an empty key range leaves them out.
    state_rows: adds `tableStatistics.rowCount`, which AWS does not write, for readers that check it.
    The folder appears by one rename, so that what is there is whole; the bytes depend on the arguments alone.
    """
    target = Path(root) / export_id
    if target.exists():
        return target
    aside = target.with_name(f".{export_id}.{os.getpid()}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    entries = []
    for name, rows in tables.items():
        folder = aside / database / name
        files = _write_parts(folder, f"{export_id}/{name}", rows, parts, skip, batches)
        size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
        entries.append(_table_status(database, name, rows, snapshot_time, size, files, state_rows))
    for start in range(0, max(len(entries), 1), _TABLES_PER_FILE):
        chunk = entries[start : start + _TABLES_PER_FILE]
        name = f"export_tables_info_{export_id}_from_{start + 1}_to_{start + len(chunk)}.json"
        _write_json(aside / name, {"perTableStatus": chunk})
    info = _export_info(root, export_id, [entry["target"] for entry in entries], snapshot_time, entries)
    _write_json(aside / f"export_info_{export_id}.json", info)
    os.replace(aside, target)
    return target


def _write_parts(folder: Path, seed: str, rows: pa.Table, parts: int, skip: Collection[int], batches: int) -> int:
    """Writes the batch folders of one table and returns how many key ranges they stand for."""
    numbers = [number for number in range(parts + len(skip)) if number not in skip][:parts]
    per_file = -(-rows.num_rows // (parts * batches)) or 1
    for batch in range(1, batches + 1):
        batch_folder = folder / str(batch)
        batch_folder.mkdir(parents=True)
        run = uuid.uuid5(uuid.NAMESPACE_URL, f"{seed}/{batch}")
        for position, number in enumerate(numbers):
            piece = rows.slice(((batch - 1) * parts + position) * per_file, per_file)
            if piece.num_rows:
                path = batch_folder / f"part-{number:05d}-{run}-c000.gz.parquet"
                pq.write_table(piece, path, compression="gzip")
        (batch_folder / "_SUCCESS").touch()
    return batches * (max(numbers) + 1)


def _table_status(
    database: str, name: str, rows: pa.Table, at: datetime, size: int, partitions: int, state_rows: bool
) -> dict[str, Any]:
    schema = name.split(".", 1)[0]
    statistics: dict[str, Any] = {
        "extractionStartTime": _instant(at + timedelta(minutes=30)),
        "extractionEndTime": _instant(at + timedelta(minutes=31)),
        "partitioningInfo": {"numberOfPartitions": partitions, "numberOfCompletedPartitions": partitions},
    }
    if state_rows:
        statistics["rowCount"] = rows.num_rows
    return {
        "tableStatistics": statistics,
        "schemaMetadata": {"originalTypeMappings": [_column(field) for field in rows.schema]},
        "status": "COMPLETE",
        "sizeGB": size / 1e9,
        "target": name if schema == database else f"{database}.{name}",
    }


def _column(field: pa.Field) -> dict[str, Any]:
    original, exported, precision = _types(field.type)
    return {
        "columnName": field.name,
        "originalType": original,
        "expectedExportedType": exported,
        "originalCharMaxLength": 65535 if original == "text" else 0,
        "originalNumPrecision": precision,
        "originalDateTimePrecision": 6 if original == "datetime" else 0,
    }


def _types(kind: pa.DataType) -> tuple[str, str, int]:
    """MySQL's type, the Parquet type AWS gives it, and the numeric precision."""
    if pa.types.is_int64(kind):
        return "bigint", "int64", 19
    if pa.types.is_int32(kind):
        return "int", "int32", 10
    if pa.types.is_timestamp(kind):
        return "datetime", "int64 (TIMESTAMP_MICROS)", 0
    if pa.types.is_decimal(kind):
        shape = f"({kind.precision},{kind.scale})"
        return f"decimal{shape}", f"decimal{shape}", kind.precision
    if pa.types.is_string(kind):
        return "text", "binary (UTF8)", 0
    if pa.types.is_float64(kind):
        return "double", "double", 22
    if pa.types.is_boolean(kind):
        return "boolean", "boolean", 0
    if pa.types.is_binary(kind):
        return "blob", "binary", 0
    raise TypeError(
        f"Arrow type {kind}: the Aurora writer knows int32, int64, decimal, double, boolean, timestamp, string and binary."
    )


def _export_info(
    root: Path, export_id: str, targets: list[str], at: datetime, entries: list[dict[str, Any]]
) -> dict[str, Any]:
    prefix = Path(root).name
    return {
        "exportTaskIdentifier": export_id,
        "sourceArn": f"{_ACCOUNT}:cluster-snapshot:rds:{prefix}-{at:%Y-%m-%d-%H-%M}",
        "exportOnly": targets,
        "snapshotTime": _instant(at),
        "taskStartTime": _instant(at + timedelta(minutes=5)),
        "taskEndTime": _instant(at + timedelta(minutes=35)),
        "s3Bucket": "operational-exports",
        "s3Prefix": prefix,
        "exportedFilesPath": f"{prefix}/{export_id}",
        "iamRoleArn": "arn:aws:iam::123456789012:role/snapshot-export",
        "kmsKeyId": "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000",
        "status": "COMPLETE",
        "percentProgress": 100,
        "totalExportedDataInGB": sum(entry["sizeGB"] for entry in entries),
    }


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
