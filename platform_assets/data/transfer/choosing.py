"""What of a prefix is wanted: of finished exports, the files of declared tables, and then the manifests.

Belongs here: the layouts as they lie in S3, before anything crossed but manifests. Does not belong here: what holds of an
export (`exports` judges it once it is here), and bringing.

An export in progress is left until it is finished, and so are tables that nobody declares: what is not wanted costs nothing.
"""

import base64
import binascii
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from platform_assets.data.exports.dynamodb import HOME, SUMMARY
from platform_assets.data.exports.export import ExportError
from platform_assets.data.exports.manifest import entry, optional, parse_json
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.transfer.ledger import Crossing
from platform_assets.data.transfer.origin import S3Object
from platform_assets.foundation.storage.files import checked

UNFINISHED = {"STARTING", "IN_PROGRESS"}

TextOf = Callable[[Crossing], bytes]


@dataclass(frozen=True)
class Plan:
    """An export that is to be brought.

    Attributes:
        tables: the declared tables that it is of.
        data: its data files; manifests: what is placed after all of them, in this order, the last of which says that it is finished.
    """

    export_id: str
    tables: frozenset[str]
    data: tuple[Crossing, ...]
    manifests: tuple[Crossing, ...]


@dataclass(frozen=True)
class Held:
    """An export of which something cannot be brought, so that its manifests are not: to whoever loads it is not there."""

    export_id: str
    tables: frozenset[str]
    reason: str


@dataclass(frozen=True)
class Prefix:
    """A prefix as it was listed.

    Attributes:
        objects: by their keys below it.
        placed: names of those records that say what is here already.
    """

    spec: ExportSourceSpec
    url: str
    objects: Mapping[str, S3Object]
    placed: Collection[str] = field(default=frozenset())

    def crossing(self, key: str, md5: str | None = None) -> Crossing:
        """The object of a key below the prefix.

        Raises:
            ExportError: no file can have its name, or there is no such object.
        """
        if key not in self.objects:
            raise ExportError(f"{self.url}/{key}: a file that the manifest names is absent. Export again.")
        name = f"{self.spec.path}/{key}"
        try:
            checked(name)
        except ValueError as error:
            raise ExportError(f"{self.url}/{key}: no file can have this name ({error}). Export again.") from error
        there = self.objects[key]
        return Crossing(there, name, md5 or there.md5, by_manifest=md5 is not None)

    @cached_property
    def exports(self) -> dict[str, list[str]]:
        """Export → the keys in its folder. The folder of data that incremental exports share is none's."""
        home = "" if self._of_snapshots else f"{HOME}/"
        ids: dict[str, list[str]] = {}
        for key in self.objects:
            export_id, separator, _ = key.removeprefix(home).partition("/")
            if key.startswith(home) and separator and (self._of_snapshots or export_id != "data"):
                ids.setdefault(export_id, []).append(key)
        return ids

    def manifests(self, export_id: str) -> list[str]:
        """The keys that lie directly in an export's folder, in the order in which they are to be placed."""
        final = self.final(export_id)
        depth = final.count("/")
        direct = (key for key in self.exports[export_id] if key.count("/") == depth and not key.endswith("/_started"))
        return sorted(direct, key=lambda key: (key == final, key))

    def parts(self, export_id: str) -> list[str]:
        """The keys of the declared tables' files in a snapshot; of others the manifests alone tell."""
        folders = tuple(f"{export_id}/{self.spec.database}/{table.export_table}/" for table in self.spec.tables)
        return [key for key in self.exports[export_id] if self._of_snapshots and key.startswith(folders)]

    @property
    def _of_snapshots(self) -> bool:
        return self.spec.format == "aurora_snapshot"

    def final(self, export_id: str) -> str:
        """The key of the manifest that says of an export that it is finished."""
        if self._of_snapshots:
            return f"{export_id}/export_info_{export_id}.json"
        return f"{HOME}/{export_id}/{SUMMARY}"


def plan_of(prefix: Prefix, export_id: str, text_of: TextOf) -> Plan | str | None:
    """What is to be brought of an export; a note where it is in progress, None where nobody declares its table.

    Args:
        text_of: the content of a manifest.

    Raises:
        ExportError: a manifest is damaged, or names what is not there.
    """
    final = prefix.final(export_id)
    if final not in prefix.objects:
        return f"{prefix.url}/{final} is not there yet"
    ordered = tuple(prefix.crossing(key) for key in prefix.manifests(export_id))
    if prefix.spec.format == "aurora_snapshot":
        return _of_snapshot(prefix, export_id, ordered, text_of)
    return _of_table(prefix, export_id, ordered, text_of)


def tables_of(spec: ExportSourceSpec) -> frozenset[str]:
    """All tables that an export may be of, where its manifests do not tell."""
    return frozenset(table.name for table in spec.tables)


def _of_snapshot(prefix: Prefix, export_id: str, manifests: tuple[Crossing, ...], text_of: TextOf) -> Plan | str:
    spec, where = prefix.spec, manifests[-1].object.location
    status = entry(parse_json(text_of(manifests[-1]), where), "status", str, where)
    if status in UNFINISHED:
        return f"{where}: key 'status' is {status}"
    data = [prefix.crossing(key) for key in prefix.parts(export_id)] if status == "COMPLETE" else []
    return Plan(export_id, tables_of(spec), tuple(data), manifests)


def _of_table(prefix: Prefix, export_id: str, manifests: tuple[Crossing, ...], text_of: TextOf) -> Plan | None:
    where = manifests[-1].object.location
    summary = parse_json(text_of(manifests[-1]), where)
    exported = entry(summary, "tableArn", str, where).rsplit("table/", 1)[-1]
    tables = frozenset(table.name for table in prefix.spec.tables if table.export_table == exported)
    if not tables:
        return None
    # Its keys are those of where AWS wrote it; it may have been copied to another prefix since.
    written = (optional(summary, "s3Prefix", str, where) or "").strip("/")
    files = prefix.crossing(_below(written, entry(summary, "manifestFilesS3Key", str, where), where))
    data = []
    for number, line in enumerate(text_of(files).splitlines(), 1):
        if line.strip():
            at = f"{files.object.location}:{number}"
            document = parse_json(line, at)
            md5 = _hex(entry(document, "md5Checksum", str, at), at)
            data.append(prefix.crossing(_below(written, entry(document, "dataFileS3Key", str, at), at), md5))
    return Plan(export_id, tables, tuple(data), manifests)


def _below(written: str, key: str, where: str) -> str:
    begin = f"{written}/" if written else ""
    if not key.startswith(begin):
        raise ExportError(f"{where}: key {key!r} lies outside the export prefix {written!r}. Export again.")
    return key.removeprefix(begin)


def _hex(text: str, where: str) -> str:
    try:
        return base64.b64decode(text, validate=True).hex()
    except binascii.Error as error:
        raise ExportError(f"{where}: key 'md5Checksum' is {text[:40]!r}, not base64. Export again.") from error
