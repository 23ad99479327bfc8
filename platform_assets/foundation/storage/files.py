"""What every kind of storage promises.

Belongs here: the operations and their meaning, and what follows from them for all kinds alike. Does not belong here:
how a folder or a bucket keeps the promises.
"""

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar

ASIDE = ".aside"


class Contended(TimeoutError):
    """A file was another one at every attempt to replace it."""


@dataclass(frozen=True)
class Stored:
    """A file as it was read.

    Attributes:
        version: differs when the content does; means nothing beyond being equal or not.
    """

    content: bytes
    version: str


@dataclass(frozen=True)
class Digests:
    """What a file's bytes come to.

    Attributes:
        md5: hex; None where the storage keeps none, as Google does of an object that was joined from others.
    """

    size: int
    crc32c: int
    md5: str | None


class Files(ABC):
    """Files below one root, each read and written whole, by `/`-separated relative names.

    A reader sees a file as it was before a write or after it, never between. What was written is still there after a
    power cut, unless the writer waived that by `durable=False`: on a disk it is most of what a small write costs.

    Attributes:
        lie_here: whether files are read where they lie, so that looking at one again costs no transfer.
    """

    lie_here: ClassVar[bool]

    @abstractmethod
    def read(self, name: str) -> Stored | None:
        """The file and its version, or None when there is none."""

    @abstractmethod
    def write(self, name: str, content: bytes, *, durable: bool = True) -> None:
        """Put `content` there, whatever was there before."""

    @abstractmethod
    def swap(self, name: str, content: bytes, expected: str | None, *, durable: bool = True) -> str | None:
        """Put `content` there if the file is still the version `expected` (None: is not there). One of many wins.

        Returns:
            The new version, or None when the file is another one and was left alone.
        """

    @abstractmethod
    def put_files(self, sources: Mapping[str, Path]) -> None:
        """Put copies of local files of any size there, by name, whatever was there before. Each appears by itself."""

    @abstractmethod
    def local_path(self, name: str, downloads: Path) -> Path:
        """A local path to read the file at: the file itself, or a copy made below `downloads`. Nothing is verified.

        Raises:
            FileNotFoundError: there is no such file.
        """

    @abstractmethod
    def names(self, prefix: str = "") -> list[str]:
        """The names that begin with `prefix`, sorted."""

    @abstractmethod
    def copy(self, name: str, to: str) -> bool:
        """Put a copy at `to`, whatever was there before, made by the storage itself; whether there was something to copy."""

    @abstractmethod
    def join(self, names: Sequence[str], to: str) -> None:
        """Put these files (one at least), one after the other, at `to`; made by the storage itself. It appears whole.

        Raises:
            FileNotFoundError: one of them is not there.
        """

    @abstractmethod
    def digests(self, name: str) -> Digests | None:
        """Size and checksums of a file of any size, as the storage holds it; None when there is none."""

    @abstractmethod
    def exists(self, name: str) -> bool: ...

    @abstractmethod
    def written_at(self, name: str) -> datetime | None:
        """When the file was last written, by the storage's own clock; None when there is none."""

    @abstractmethod
    def delete(self, name: str, version: str | None = None, *, durable: bool = True) -> bool:
        """Remove the file, if it is still `version` when one is given; whether it was there and was removed."""

    @abstractmethod
    def location(self, name: str = "") -> str:
        """The path or URL of a file, or of the root: for messages, and for engines that read it themselves."""

    @abstractmethod
    def link(self, name: str) -> str:
        """The URL at which a person's browser opens the file."""

    def put_file(self, source: Path, name: str) -> None:
        """Put a copy of one local file there."""
        self.put_files({name: source})

    def create(self, name: str, content: bytes) -> bool:
        """Put `content` there if nothing is; whether it was put."""
        return self.swap(name, content, None) is not None

    def update(self, name: str, change: Callable[[bytes | None], bytes], patience: float = 300.0) -> bytes:
        """Replace what is there by `change(what is there)`, losing nobody else's change; returns what is there now.

        Args:
            change: gets None when there is no file. It may run several times. When a bucket's answer is lost on the way
                and another writer follows at once it is applied twice, so twice must be as good as once.
            patience: seconds to go on while others are faster.

        Raises:
            Contended: `patience` ran out.
        """
        give_up, waits = time.monotonic() + patience, pauses(longest=1.0)
        while True:
            before = self.read(name)
            after = change(before.content if before else None)
            if before is not None and after == before.content:
                return after
            if self.swap(name, after, before.version if before else None) is not None:
                return after
            pause = next(waits)
            if time.monotonic() + pause > give_up:
                raise Contended(
                    f"{self.location(name)} was changed by others at every attempt of {patience:g} s; "
                    f"see what writes it so often"
                )
            time.sleep(pause)


def pauses(longest: float) -> Iterator[float]:
    """Seconds to wait before each next attempt, without end: growing to `longest`, random so that many spread out."""
    ceiling = 0.01
    while True:
        yield random.uniform(ceiling / 4, ceiling)  # noqa: S311 - nothing secret
        ceiling = min(ceiling * 2, longest)


def checked(name: str) -> str:
    """`name`, if every kind of storage can hold it.

    Raises:
        ValueError: it is empty or absolute, leads elsewhere, or is kept for unfinished files.
    """
    if any(part in ("", ".", "..") for part in name.split("/")) or set(name) & set("\0\r\n") or name.endswith(ASIDE):
        raise ValueError(f"{name!r} cannot name a stored file; a name is relative, its parts joined by /")
    return name
