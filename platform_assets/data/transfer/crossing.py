"""One object over: its bytes in parts that outlive a kill, checked, and put in their place.

Belongs here: what happens to a single object, and in which order it is recorded. Does not belong here: which objects, and
how many at once (`bringing`).

Who holds an object's lease works on it. A lease can be lost without notice, so two may do the same at once; each step
writes what anybody else would write there: parts are named by object, place and length, whole bytes by their MD5.
"""

import hashlib
from dataclasses import dataclass

from platform_assets.data.transfer.ledger import Content, Crossing, Ledger, arriving_name, lease_name, parts_name
from platform_assets.data.transfer.origin import Origin, Piece
from platform_assets.foundation.storage import Digests, Lease


class Unlike(Exception):
    """What crossed is not what S3 or the manifest says of it."""


@dataclass(frozen=True)
class Terms:
    """How objects are brought.

    Attributes:
        in_flight: bytes that a process holds in memory at once, and so the most that a kill loses.
        at_once: objects that are brought side by side.
        lease_seconds: how long others wait for a process that has fallen silent.
    """

    in_flight: int = 64 * 1024**2
    at_once: int = 8
    lease_seconds: float = 60.0

    @property
    def piece(self) -> int:
        """Bytes asked for at once, of one object."""
        return max(1, self.in_flight // self.at_once)


TERMS = Terms()


class Bridge:
    """From a prefix of S3 to the files that a ledger is about."""

    def __init__(self, origin: Origin, ledger: Ledger, terms: Terms) -> None:
        self._origin, self._ledger, self._files, self._terms = origin, ledger, ledger.files, terms

    def lease(self, each: Crossing) -> Lease:
        return Lease(self._files, lease_name(each), self._terms.lease_seconds, each.object.location)

    def content(self, each: Crossing) -> Content | None:
        """The object's bytes, if they are below the exports root already."""
        md5, size = self._ledger.md5_of(each), each.object.size
        if md5 is None:
            return None
        known = self._ledger.content(md5, size)
        if known is not None:
            return known
        # Somebody may have copied it before the source said where it is from.
        there = self._files.digests(each.name)
        if there is None or (there.size, there.md5) != (size, md5):
            return None
        self._ledger.record_content(Content(each.name, there))
        return Content(each.name, there)

    def bring(self, each: Crossing) -> tuple[Content, int]:
        """The object's bytes, from S3 if they are not here, and how many had to be read there.

        Raises:
            Changed, Unlike: it cannot be had as it was listed.
        """
        while True:
            content = self.content(each)
            if content is not None:
                return content, 0
            reading = _Reading(each)
            try:
                content = self._whole(reading) if each.object.size <= self._terms.piece else self._in_parts(reading)
            except (FileNotFoundError, _PartsUnlike):
                # Another process took over and is done; or parts did not outlive a power cut, and are read again.
                self._drop(each)
                continue
            self._ledger.record_arrived(each, content.digests, reading.version)
            self._ledger.record_content(content)
            return content, reading.moved

    def _whole(self, reading: "_Reading") -> Content:
        data = reading.add(self._origin.read(reading.crossing.object, 0, reading.size))
        content = self._checked(reading)
        self._files.write(content.name, data)
        self._require_arrived(reading, content)
        return content

    def _in_parts(self, reading: "_Reading") -> Content:
        """As `_whole`, each part put away as soon as it is here; what others put away is read from there."""
        for number, name in enumerate(self._parts(reading)):
            start = number * self._terms.piece
            length = min(self._terms.piece, reading.size - start)
            stored = self._files.read(name)
            if stored is not None and len(stored.content) == length:
                reading.add_part(stored.content)
            else:
                data = reading.add(self._origin.read(reading.crossing.object, start, length))
                self._files.write(name, data, durable=False)
        content = self._checked(reading)
        self._files.join(self._parts(reading), content.name)
        self._require_arrived(reading, content)
        return content

    def _checked(self, reading: "_Reading") -> Content:
        unlike = reading.unlike()
        if unlike is None:
            digests = reading.digests
            assert digests.md5 is not None
            return Content(arriving_name(digests.md5, digests.size), digests)
        if reading.resumed:
            raise _PartsUnlike
        self._drop(reading.crossing)
        self._ledger.record_refused(reading.crossing, unlike)
        raise Unlike(unlike)

    def _require_arrived(self, reading: "_Reading", content: Content) -> None:
        """What was written is what was read."""
        there, expected = self._files.digests(content.name), content.digests
        if there is None:
            raise FileNotFoundError(content.name)
        if (there.size, there.crc32c) != (expected.size, expected.crc32c):
            self._files.delete(content.name)
            self._drop(reading.crossing)
            raise Unlike(
                f"{reading.crossing.object.location}: what was written to {self._files.location(content.name)} is not what "
                "was read (CRC32C). Try again; if it happens again, look at the storage."
            )

    def _parts(self, reading: "_Reading") -> list[str]:
        count = -(-reading.size // self._terms.piece)
        return [f"{parts_name(reading.crossing)}{self._terms.piece}/{number:06d}" for number in range(count)]

    def _drop(self, each: Crossing) -> None:
        """Remove the parts of an object, whoever put them away."""
        if each.object.size > self._terms.piece:
            for name in self._files.names(parts_name(each)):
                self._files.delete(name, durable=False)

    def place(self, each: Crossing, content: Content) -> bool:
        """Give the bytes their name; False when they are not there any more, as another process has just placed them."""
        assert content.digests.md5 is not None
        arriving = arriving_name(content.digests.md5, content.digests.size)
        if content.name != each.name and not self._files.copy(content.name, each.name):
            return False
        if content.name == arriving:
            self._ledger.record_content(Content(each.name, content.digests))
        if content.name in (arriving, each.name):
            # In the second case a process may have ended just before this.
            self._files.delete(arriving)
        self._drop(each)
        self._ledger.record_placed(each)
        return True


class _PartsUnlike(Exception):
    """Bytes are not what they should be, and some of them were put away by another process."""


class _Reading:
    """The checksums of an object while its bytes come in, in their order."""

    def __init__(self, crossing: Crossing) -> None:
        from google_crc32c import Checksum

        self.crossing, self.size = crossing, crossing.object.size
        self.moved = 0
        self.resumed = False
        self.version: str | None = None
        self._etag_is_md5 = False
        self._md5, self._crc32c = hashlib.md5(usedforsecurity=False), Checksum()

    def add(self, piece: Piece) -> bytes:
        """Takes in what was read from S3; returns it."""
        self.moved += len(piece.content)
        self.version, self._etag_is_md5 = piece.version, piece.etag_is_md5
        self._take(piece.content)
        return piece.content

    def add_part(self, data: bytes) -> None:
        """Takes in what had been put away."""
        self.resumed = True
        self._take(data)

    def _take(self, data: bytes) -> None:
        self._md5.update(data)
        self._crc32c.update(data)

    @property
    def digests(self) -> Digests:
        return Digests(self.size, int.from_bytes(self._crc32c.digest(), "big"), self._md5.hexdigest())

    def unlike(self) -> str | None:
        """In which way the bytes are not what S3 or the manifest says of them."""
        md5, expected = self._md5.hexdigest(), self.crossing.md5
        if expected in (None, md5) or not (self.crossing.by_manifest or self._etag_is_md5):
            return None
        says = "key 'md5Checksum' of its manifest line" if self.crossing.by_manifest else "its ETag"
        return (
            f"{self.crossing.object.location}: its MD5 is {md5}, but {says} is {expected}. The object is not the one that "
            "AWS wrote: export again."
        )
