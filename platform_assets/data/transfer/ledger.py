"""What has crossed, and where it lies: small files beside the exports, below a folder that no source can be.

Belongs here: the records and their names. Does not belong here: moving anything (`crossing`).

`arrived` has a record of each S3 object whose bytes crossed, `placed` of each that lies at its place; both are named by
the object's key, so that to bring an export again is to delete its folder there. `contents` tells by MD5 and size where such
bytes lie, whatever they were called in S3. No record is needed twice, and none is written before what it says is so.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

from platform_assets.data.transfer.origin import S3Object
from platform_assets.foundation.storage import Digests, Files

HOME = ".transfer"
_REMEMBERED = 50


@dataclass(frozen=True)
class Crossing:
    """An object and the name below the exports root that it is to have.

    Attributes:
        md5: hex, as a manifest or the ETag says; None where neither does.
        by_manifest: whether a manifest says it, so that it must be so.
    """

    object: S3Object
    name: str
    md5: str | None
    by_manifest: bool = False


@dataclass(frozen=True)
class Content:
    """Bytes that are below the exports root, and the name they have there."""

    name: str
    digests: Digests


class Ledger:
    """The records of one source's objects.

    Args:
        path: of the source, below the exports root.
    """

    def __init__(self, files: Files, path: str) -> None:
        self.files = files
        self._path = path

    def placed(self) -> frozenset[str]:
        """The names of the records of what lies at its place: one listing, nothing read."""
        return frozenset(self.files.names(f"{HOME}/placed/{self._path}/"))

    def placed_name(self, each: Crossing) -> str:
        return f"{HOME}/placed/{each.name}@{each.object.identity}"

    def record_placed(self, each: Crossing) -> None:
        self.files.create(self.placed_name(each), _json({"from": each.object.location, "etag": each.object.etag}))

    def refused_names(self) -> frozenset[str]:
        """The names of the records of what was refused: one listing."""
        return frozenset(self.files.names(f"{HOME}/refused/{self._path}/"))

    def refused(self, each: Crossing) -> str | None:
        """Why an object is not asked for again; None where nothing speaks against it."""
        record = self.files.read(self.refused_name(each))
        return record.content.decode() if record else None

    def record_refused(self, each: Crossing, reason: str) -> None:
        self.files.create(self.refused_name(each), reason.encode())

    def record_arrived(self, each: Crossing, digests: Digests, version: str | None) -> None:
        record = {**asdict(digests), "etag": each.object.etag, "version": version}
        self.files.create(self._arrived_name(each), _json(record))

    def md5_of(self, each: Crossing) -> str | None:
        """The MD5 of an object's bytes, as far as it is known without reading them."""
        if each.by_manifest:
            return each.md5
        record = self.files.read(self._arrived_name(each))
        return json.loads(record.content)["md5"] if record else each.md5

    def content(self, md5: str, size: int) -> Content | None:
        """Where such bytes lie; None where they are not known, or are not there any more as they were."""
        record = self.files.read(_content_record(md5, size))
        if record is None:
            return None
        entry = json.loads(record.content)
        digests = self.files.digests(entry["name"])
        if digests is None or (digests.size, digests.crc32c) != (size, entry["crc32c"]):
            return None
        return Content(entry["name"], Digests(size, digests.crc32c, md5))

    def record_content(self, content: Content) -> None:
        md5, size = content.digests.md5, content.digests.size
        assert md5 is not None
        record = {"name": content.name, "crc32c": content.digests.crc32c}
        self.files.write(_content_record(md5, size), _json(record))

    def bytes_arrived(self, bucket: str, prefix: str) -> int:
        """All bytes that ever crossed from there, by the names of the records."""
        names = self.files.names(f"{HOME}/arrived/{bucket}/{prefix}")
        return sum(int(name.rpartition("-")[2]) for name in names)

    def count_avoided(self, size: int, pass_id: str) -> int:
        """Add what a pass avoided to the source's total; returns the total."""

        def add(before: bytes | None) -> bytes:
            total = json.loads(before) if before else {"bytes_avoided": 0, "passes": []}
            if pass_id in total["passes"]:
                return _json(total)
            passes = [*total["passes"], pass_id][-_REMEMBERED:]
            return _json({"bytes_avoided": total["bytes_avoided"] + size, "passes": passes})

        after = self.files.update(f"{HOME}/totals/{self._path}.json", add)
        total: int = json.loads(after)["bytes_avoided"]
        return total

    def refused_name(self, each: Crossing) -> str:
        return f"{HOME}/refused/{each.name}@{each.object.identity}"

    def _arrived_name(self, each: Crossing) -> str:
        return f"{HOME}/arrived/{each.object.bucket}/{each.object.key}@{each.object.identity}"


def arriving_name(md5: str, size: int) -> str:
    """Where bytes are put that have no place yet: named by what they are, so that who puts them there again changes nothing."""
    return f"{HOME}/arriving/{md5}-{size}"


def parts_name(each: Crossing) -> str:
    """With what the names of the parts of an object begin, which wait there for each other."""
    return f"{HOME}/parts/{each.object.identity}/"


def lease_name(each: Crossing) -> str:
    """Held by who brings these bytes, under whatever key: by what they are, where that is known."""
    return f"{HOME}/leases/{f'{each.md5}-{each.object.size}' if each.md5 else each.object.identity}"


def _content_record(md5: str, size: int) -> str:
    return f"{HOME}/contents/{md5}-{size}.json"


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode()
