"""Writes a DynamoDB full export to S3 exactly as AWS lays it out.

Belongs here: the folder layout, both manifests, checksums and the gzipped DynamoDB JSON of a finished full
export. Does not belong here: what is exported, and reading exports back.

Layout, from "DynamoDB table export output format" in the DynamoDB developer guide:
`<prefix>/AWSDynamoDB/<export id>/` with `manifest-summary.json`, `manifest-files.json` (one JSON object a
line), a `.md5` beside each (base64), an empty `_started`, and `data/*.json.gz` with one `{"Item": …}` a line.
`md5Checksum` is that of the gzipped file.
"""

import base64
import gzip
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Item = Mapping[str, Mapping[str, Any]]
"""An item's attributes, each as DynamoDB types it: `{"viewer_id": {"N": "1"}, "title": {"S": "…"}}`."""

_BUCKET = "operational-exports"
_TABLES = "arn:aws:dynamodb:eu-central-1:123456789012:table"


def export_id(table_name: str, export_time: datetime) -> str:
    """An id of AWS's shape (`01234567890123-a1b2c3d4`) that depends on the table and the time alone."""
    suffix = hashlib.sha256(f"{table_name}@{export_time.isoformat()}".encode()).hexdigest()[:8]
    return f"{round(export_time.timestamp() * 1000):014d}-{suffix}"


def write_dynamodb_export(
    root: Path,
    table_name: str,
    export_id: str,
    items: Iterable[Item],
    export_time: datetime,
    *,
    prefix: str = "",
    files: int = 4,
    data_folder: str | None = None,
) -> Path:
    """Writes `<root>/<prefix>/AWSDynamoDB/<export_id>/…` and returns that folder; one that is there is left
    as it is.

    root: the bucket, to which all keys in the manifests are relative.
    files: how many data files, as if the table had so many partitions; an empty partition gives an empty
    file. data_folder: key of another folder for the data files than the export's own `data/`. The folder
    appears by one rename; the bytes depend on the arguments alone.
    """
    home = "/".join(filter(None, (prefix, "AWSDynamoDB", export_id)))
    target = Path(root) / home
    if target.exists():
        return target
    aside = target.with_name(f".{export_id}.{os.getpid()}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    data = Path(root) / data_folder if data_folder else aside / "data"
    aside.mkdir(parents=True)
    data.mkdir(parents=True, exist_ok=True)

    names = [_file_name(export_id, number) for number in range(files)]
    counts = _write_items(items, [data / name for name in names])
    lines = []
    for name, count in zip(names, counts, strict=True):
        md5 = hashlib.md5((data / name).read_bytes(), usedforsecurity=False)
        entry = {
            "itemCount": count,
            "md5Checksum": base64.b64encode(md5.digest()).decode(),
            "etag": hashlib.md5(md5.digest(), usedforsecurity=False).hexdigest() + "-1",
            "dataFileS3Key": f"{data_folder or f'{home}/data'}/{name}",
        }
        lines.append(json.dumps(entry, separators=(",", ":")))
    size = sum((data / name).stat().st_size for name in names)
    summary = _summary(table_name, export_id, export_time, prefix, home, size, sum(counts))
    (aside / "_started").touch()
    write_manifest(aside / "manifest-files.json", "".join(f"{line}\n" for line in lines))
    write_manifest(aside / "manifest-summary.json", json.dumps(summary, separators=(",", ":")))
    os.replace(aside, target)
    return target


def write_manifest(path: Path, text: str) -> None:
    """Writes a manifest and, beside it, the `.md5` file with its base64 checksum."""
    content = text.encode()
    path.write_bytes(content)
    digest = hashlib.md5(content, usedforsecurity=False).digest()
    path.with_suffix(".md5").write_text(base64.b64encode(digest).decode())


def _write_items(items: Iterable[Item], paths: list[Path]) -> list[int]:
    counts = [0] * len(paths)
    with ExitStack() as open_files:
        writers = []
        for path in paths:
            raw = open_files.enter_context(path.open("wb"))
            # A fixed name and time keep the bytes the same whenever and wherever they are written.
            writers.append(open_files.enter_context(gzip.GzipFile("", "wb", 6, raw, mtime=0)))
        for item in items:
            line = json.dumps({"Item": item}, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
            number = zlib.crc32(line) % len(paths)
            writers[number].write(line)
            counts[number] += 1
    return counts


def _file_name(export_id: str, number: int) -> str:
    digest = hashlib.sha256(f"{export_id}/{number}".encode()).digest()
    return base64.b32encode(digest).decode().lower()[:26] + ".json.gz"


def _summary(
    table_name: str, export_id: str, at: datetime, prefix: str, home: str, size: int, items: int
) -> dict[str, Any]:
    return {
        "version": "2020-06-30",
        "exportArn": f"{_TABLES}/{table_name}/export/{export_id}",
        "startTime": _instant(at),
        "endTime": _instant(at + timedelta(minutes=5)),
        "tableArn": f"{_TABLES}/{table_name}",
        "tableId": "12345a12-abcd-123a-ab12-1234abc12345",
        "exportTime": _instant(at),
        "s3Bucket": _BUCKET,
        "s3Prefix": prefix or None,
        "s3SseAlgorithm": "AES256",
        "s3SseKmsKeyId": None,
        "manifestFilesS3Key": f"{home}/manifest-files.json",
        "billedSizeBytes": size,
        "itemCount": items,
        "outputFormat": "DYNAMODB_JSON",
        "exportType": "FULL_EXPORT",
    }


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
