"""A load as exports on disk: the layout of DynamoDB's full exports, so that they are verified and loaded like any other.

Each kind is an export of its own, `<path>/AWSDynamoDB/<load>-<kind>/`; the summary manifest comes last and makes it one. Beside
AWS's keys it holds `fetched`: what the next load needs to know of this one.
Belongs here: writing such an export and reading it back. Does not belong here: what goes into it.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from platform_assets.data.exports.dynamodb import HOME, SUMMARY, read_dynamodb_export
from platform_assets.data.exports.export import ExportError, ExportInProgress
from platform_assets.data.exports.lake import Lake
from platform_assets.data.fetching.items import packed
from platform_assets.data.fetching.progress import Progress
from platform_assets.data.fetching.refused import FetchRefused
from platform_assets.data.fetching.spec import Kind, SaasSourceSpec
from platform_assets.foundation.storage import Files

# Objects in a data file.
FILE = 50_000


class Damaged(FetchRefused):
    """A data file of an earlier export is not what its manifest says."""

    def __init__(self, where: str) -> None:
        super().__init__(
            f"{where}: the file is absent or not what the manifest of its export says. Run the load again: it lists all objects.",
            passes=True,
        )


@dataclass(frozen=True)
class Earlier:
    """An export of an earlier load.

    Attributes:
        covered: the instant it stands at.
        listed_at: when all objects were listed last.
        is_as_asked: whether it was asked for as is asked now.
        where: its folder, for messages.
    """

    export_id: str
    covered: datetime
    listed_at: datetime
    is_as_asked: bool
    where: str


class Layout:
    """The exports of one source."""

    def __init__(self, files: Files, lake: Lake, spec: SaasSourceSpec) -> None:
        self._files, self._lake, self._spec, self._exports = files, lake, spec, spec.exports()
        self._home = f"{spec.path}/{HOME}"

    @property
    def unfinished(self) -> str:
        """The folder of what is no export yet."""
        return f"{self._home}/.fetching"

    @staticmethod
    def export_id(load: str, kind: Kind) -> str:
        return f"{load}-{kind}"

    def newest(self, kind: Kind) -> Earlier | None:
        """The newest finished export of a kind that can be used."""
        own = [name for name in self._lake.folders(self._home) if name.endswith(f"-{kind}")]
        for export_id in sorted(own, reverse=True):
            try:
                export = read_dynamodb_export(self._lake, self._exports, "", export_id)
                summary = json.loads(self._lake.read(f"{self._home}/{export_id}/{SUMMARY}"))
                fetched = summary["fetched"]
                listed_at = datetime.fromisoformat(fetched["listedAt"])
            except (ExportError, ExportInProgress, KeyError, TypeError, ValueError):
                continue
            as_asked = (fetched.get("url"), fetched.get("apiVersion")) == (self._spec.url, self._spec.api_version)
            where = self._lake.location(export.folder)
            return Earlier(export_id, export.exported_at, listed_at, as_asked, where)
        return None

    def contents(self, kind: Kind, export_id: str) -> Iterator[bytes]:
        """The data files of an export.

        Raises:
            Damaged: one is not what the manifest says.
        """
        try:
            export = read_dynamodb_export(self._lake, self._exports, "", export_id)
        except (ExportError, ExportInProgress) as error:
            raise Damaged(f"{self._home}/{export_id}") from error
        for file in export.tables[kind].files:
            there = self._files.read(file.key)
            if there is None or _md5(there.content) != file.md5:
                raise Damaged(self._files.location(file.key))
            yield there.content

    def write(self, kind: Kind, progress: Progress, lines: Iterable[bytes], require: Callable[[], None]) -> int:
        """Writes the export of a kind and returns how many objects it holds.

        Args:
            require: raises when another process does so by now.
        """
        export_id = self.export_id(progress.load, kind)
        folder = f"{self._home}/{export_id}"
        entries: list[dict[str, Any]] = []
        rest = iter(lines)
        while some := list(islice(rest, FILE)):
            content = packed(some)
            name = f"data/{len(entries):05d}.json.gz"
            self._files.write(f"{folder}/{name}", content)
            entries.append(
                {
                    "itemCount": len(some),
                    "md5Checksum": _md5(content),
                    "dataFileS3Key": f"{HOME}/{export_id}/{name}",
                }
            )
        count = sum(entry["itemCount"] for entry in entries)
        files = b"".join(json.dumps(entry, separators=(",", ":")).encode() + b"\n" for entry in entries)
        self._put(f"{folder}/manifest-files", files)
        require()
        summary = json.dumps(self._summary(kind, progress, export_id, count), separators=(",", ":")).encode()
        self._put(f"{folder}/{SUMMARY.removesuffix('.json')}", summary)
        return count

    def _put(self, name: str, content: bytes) -> None:
        # The checksum first: what is there with it is whole.
        self._files.write(f"{name}.md5", _md5(content).encode())
        self._files.write(f"{name}.json", content)

    def _summary(self, kind: Kind, progress: Progress, export_id: str, count: int) -> dict[str, Any]:
        assert progress.covered is not None
        covered = datetime.fromisoformat(progress.covered).astimezone(UTC).isoformat()
        return {
            "version": "2020-06-30",
            "exportArn": f"{self._spec.service}:table/{kind}/export/{export_id}",
            "startTime": progress.began,
            "endTime": covered,
            "tableArn": f"{self._spec.service}:table/{kind}",
            "exportTime": covered,
            "s3Prefix": "",
            "manifestFilesS3Key": f"{HOME}/{export_id}/manifest-files.json",
            "itemCount": count,
            "outputFormat": "DYNAMODB_JSON",
            "exportType": "FULL_EXPORT",
            "fetched": {
                "service": self._spec.service,
                "url": self._spec.url,
                "apiVersion": self._spec.api_version,
                "listedAt": progress.listed_at[kind],
                "load": progress.load,
            },
        }


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
