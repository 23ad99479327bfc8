"""Writes DynamoDB exports to S3, full and incremental, exactly as AWS lays them out.

Belongs here: the folder layout, both manifests, checksums and the gzipped DynamoDB JSON of a finished export. Does not belong
here: what is exported, and reading exports back.

Layout, from "DynamoDB table export output format" in the DynamoDB developer guide:
`<prefix>/AWSDynamoDB/<export id>/` with `manifest-summary.json`, `manifest-files.json` (one JSON object a
line), a `.md5` beside each (base64), an empty `_started`, and `data/*.json.gz` with one `{"Item": …}` a line.
`md5Checksum` is that of the gzipped file. Incremental exports share `<prefix>/AWSDynamoDB/data/`, and a line is
`{"Metadata":{"WriteTimestampMicros":{"N":"…"}},"Keys":{…},"NewImage":{…},"OldImage":{…}}`: without `NewImage` the item was
deleted, and the old images are there in the view NEW_AND_OLD_IMAGES alone.
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
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

View = Literal["NEW_IMAGE", "NEW_AND_OLD_IMAGES"]
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
    about = {"exportTime": _instant(export_time)}
    ending = {"outputFormat": "DYNAMODB_JSON", "exportType": "FULL_EXPORT"}
    place = _Place(Path(root), table_name, export_id, prefix, data_folder)
    return _write(place, ({"Item": item} for item in items), files, "2020-06-30", export_time, about, ending)


def window_id(table_name: str, start: datetime, end: datetime) -> str:
    """An id of AWS's shape for an incremental export, that depends on the table and the window alone."""
    return export_id(f"{table_name} since {start.isoformat()}", end)


def change(keys: Item, written_at: datetime, new: Item | None = None, old: Item | None = None) -> dict[str, Any]:
    """A line of an incremental export: what became of an item, and when; without `new` it was deleted."""
    micros = round((written_at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))
    line: dict[str, Any] = {"Metadata": {"WriteTimestampMicros": {"N": str(micros)}}, "Keys": keys}
    images = {"NewImage": new, "OldImage": old}
    return line | {name: image for name, image in images.items() if image is not None}


def write_incremental_export(
    root: Path,
    table_name: str,
    changes: Iterable[Mapping[str, Any]],
    window: tuple[datetime, datetime],
    *,
    view: View = "NEW_AND_OLD_IMAGES",
    export_id: str | None = None,
    prefix: str = "",
    files: int = 2,
) -> Path:
    """As `write_dynamodb_export`, of what changed in a window; the data files go into the folder that such exports share.

    Args:
        changes: a line an item, as `change` makes them.
        window: its beginning, inclusive, and its end, exclusive.
    """
    start, end = window
    about = {"exportFromTime": _instant(start), "exportToTime": _instant(end)}
    ending = {"outputFormat": "DYNAMODB_JSON", "outputView": view, "exportType": "INCREMENTAL_EXPORT"}
    shared = "/".join(filter(None, (prefix, "AWSDynamoDB", "data")))
    place = _Place(Path(root), table_name, export_id or window_id(table_name, start, end), prefix, shared)
    return _write(place, changes, files, "2023-08-01", end, about, ending)


@dataclass(frozen=True)
class _Place:
    """Where an export of a table is written."""

    root: Path
    table_name: str
    export_id: str
    prefix: str
    data_folder: str | None

    @property
    def home(self) -> str:
        return "/".join(filter(None, (self.prefix, "AWSDynamoDB", self.export_id)))


def _write(
    place: _Place,
    lines: Iterable[Mapping[str, Any]],
    files: int,
    version: str,
    at: datetime,
    about: Mapping[str, Any],
    ending: Mapping[str, Any],
) -> Path:
    target = place.root / place.home
    if target.exists():
        return target
    aside = target.with_name(f".{place.export_id}.{os.getpid()}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    data = place.root / place.data_folder if place.data_folder else aside / "data"
    aside.mkdir(parents=True)
    data.mkdir(parents=True, exist_ok=True)

    names = [_file_name(place.export_id, number) for number in range(files)]
    counts = _write_lines(lines, [data / name for name in names])
    entries = []
    for name, count in zip(names, counts, strict=True):
        md5 = hashlib.md5((data / name).read_bytes(), usedforsecurity=False)
        entry = {
            "itemCount": count,
            "md5Checksum": base64.b64encode(md5.digest()).decode(),
            "etag": hashlib.md5(md5.digest(), usedforsecurity=False).hexdigest() + "-1",
            "dataFileS3Key": f"{place.data_folder or f'{place.home}/data'}/{name}",
        }
        entries.append(json.dumps(entry, separators=(",", ":")))
    size = sum((data / name).stat().st_size for name in names)
    summary = {
        "version": version,
        "exportArn": f"{_TABLES}/{place.table_name}/export/{place.export_id}",
        "startTime": _instant(at),
        "endTime": _instant(at + timedelta(minutes=5)),
        "tableArn": f"{_TABLES}/{place.table_name}",
        "tableId": "12345a12-abcd-123a-ab12-1234abc12345",
        **about,
        "s3Bucket": _BUCKET,
        "s3Prefix": place.prefix or None,
        "s3SseAlgorithm": "AES256",
        "s3SseKmsKeyId": None,
        "manifestFilesS3Key": f"{place.home}/manifest-files.json",
        "billedSizeBytes": size,
        "itemCount": sum(counts),
        **ending,
    }
    (aside / "_started").touch()
    write_manifest(aside / "manifest-files.json", "".join(f"{line}\n" for line in entries))
    write_manifest(aside / "manifest-summary.json", json.dumps(summary, separators=(",", ":")))
    os.replace(aside, target)
    return target


def write_manifest(path: Path, text: str) -> None:
    """Writes a manifest and, beside it, the `.md5` file with its base64 checksum."""
    content = text.encode()
    path.write_bytes(content)
    digest = hashlib.md5(content, usedforsecurity=False).digest()
    path.with_suffix(".md5").write_text(base64.b64encode(digest).decode())


def _write_lines(lines: Iterable[Mapping[str, Any]], paths: list[Path]) -> list[int]:
    counts = [0] * len(paths)
    with ExitStack() as open_files:
        writers = []
        for path in paths:
            raw = open_files.enter_context(path.open("wb"))
            # A fixed name and time keep the bytes the same whenever and wherever they are written.
            writers.append(open_files.enter_context(gzip.GzipFile("", "wb", 6, raw, mtime=0)))
        for line in lines:
            text = json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
            number = zlib.crc32(text) % len(paths)
            writers[number].write(text)
            counts[number] += 1
    return counts


def _file_name(export_id: str, number: int) -> str:
    digest = hashlib.sha256(f"{export_id}/{number}".encode()).digest()
    return base64.b32encode(digest).decode().lower()[:26] + ".json.gz"


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
