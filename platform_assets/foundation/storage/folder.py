"""Files in a local folder.

A write goes to a file aside, is flushed to disk and renamed over the old one. Whoever replaces or removes a file holds
a kernel lock on the folder it lies in for the moment of the check and the rename; the kernel releases it when a process
ends, however it ends. Readers take no lock. A killed process may leave a file ending in `.aside`, which nobody reads.
For one machine's file systems: not every network file system locks folders.
"""

import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

from platform_assets.foundation.storage.files import ASIDE, Digests, Files, Stored, checked
from platform_assets.foundation.storage.refusal import permitted

_PIECE = 1 << 20


class Folder(Files):
    """A version is the hash of the content: a file that came back to what it was is the same version again."""

    lie_here = True

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> Stored | None:
        content = _content(self._path(name))
        return None if content is None else Stored(content, _version(content))

    def write(self, name: str, content: bytes, *, durable: bool = True) -> None:
        target = self._path(name)
        _replace(target, lambda aside: aside.write_bytes(content), durable)
        flush(target.parent, durable)

    def swap(self, name: str, content: bytes, expected: str | None, *, durable: bool = True) -> str | None:
        target = self._path(name)
        if not _replace(
            target, lambda aside: aside.write_bytes(content), durable, lambda: _is_version(target, expected)
        ):
            return None
        flush(target.parent, durable)
        return _version(content)

    def put_files(self, sources: Mapping[str, Path]) -> None:
        targets = {self._path(name): source for name, source in sources.items()}
        for target, source in targets.items():
            _replace(target, partial(shutil.copyfile, source))
        for folder in {target.parent for target in targets}:
            flush(folder)

    def local_path(self, name: str, downloads: Path) -> Path:
        path = self._path(name)
        if not self.exists(name):
            raise FileNotFoundError(f"{path} does not exist")
        return path

    def names(self, prefix: str = "") -> list[str]:
        start = self._root / prefix.rpartition("/")[0]
        with permitted(start, "list"):
            files = [path for path in _below(start) if path.is_file() and path.suffix != ASIDE]
        return sorted(
            name for name in (path.relative_to(self._root).as_posix() for path in files) if name.startswith(prefix)
        )

    def copy(self, name: str, to: str) -> bool:
        source, target = self._path(name), self._path(to)
        try:
            # Files are never written in place, so two names may share what lies on the disk.
            _replace(target, lambda aside: os.link(source, aside))
        except FileNotFoundError:
            return False
        flush(target.parent)
        return True

    def join(self, names: Sequence[str], to: str) -> None:
        sources, target = [self._path(name) for name in names], self._path(to)

        def fill(aside: Path) -> None:
            with aside.open("wb") as joined:
                for source in sources:
                    with source.open("rb") as stream:
                        shutil.copyfileobj(stream, joined, _PIECE)

        _replace(target, fill)
        flush(target.parent)

    def digests(self, name: str) -> Digests | None:
        import google_crc32c

        size, crc32c, md5 = 0, 0, hashlib.md5(usedforsecurity=False)
        try:
            with permitted(self._path(name), "read"), self._path(name).open("rb") as stream:
                while piece := stream.read(_PIECE):
                    size += len(piece)
                    crc32c = google_crc32c.extend(crc32c, piece)
                    md5.update(piece)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        return Digests(size, crc32c, md5.hexdigest())

    def exists(self, name: str) -> bool:
        with permitted(self._path(name), "read"):
            return self._path(name).is_file()

    def written_at(self, name: str) -> datetime | None:
        try:
            with permitted(self._path(name), "read"):
                status = self._path(name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return datetime.fromtimestamp(status.st_mtime, UTC) if stat.S_ISREG(status.st_mode) else None

    def delete(self, name: str, version: str | None = None, *, durable: bool = True) -> bool:
        target = self._path(name)
        if not self.exists(name):
            return False
        with permitted(target, "write"), _locked(target.parent):
            if not target.is_file() or (version is not None and not _is_version(target, version)):
                return False
            target.unlink()
        flush(target.parent, durable)
        return True

    def location(self, name: str = "") -> str:
        return str(self._path(name) if name else self._root)

    def link(self, name: str) -> str:
        return self._path(name).absolute().as_uri()

    def _path(self, name: str) -> Path:
        return self._root / checked(name)


def _content(path: Path) -> bytes | None:
    try:
        with permitted(path, "read"):
            return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def _below(start: Path) -> Iterator[Path]:
    """Every file below a folder, at any depth; unlike `Path.rglob` it passes over nothing that it may not list."""

    def failed(error: OSError) -> None:
        # Not there, or removed since it was listed.
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise error

    for folder, _, names in os.walk(start, onerror=failed):
        yield from (Path(folder) / name for name in names)


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _is_version(path: Path, expected: str | None) -> bool:
    content = _content(path)
    return expected == (None if content is None else _version(content))


def _replace(
    target: Path, fill: Callable[[Path], object], durable: bool = True, allowed: Callable[[], bool] = lambda: True
) -> bool:
    """Put what `fill` writes to a path aside in the target's place, if that is `allowed` once the folder is locked."""
    with permitted(target, "write"):
        _make_folder(target.parent)
        aside = target.with_name(f".{uuid4().hex}{ASIDE}")
        try:
            fill(aside)
            flush(aside, durable)
            with _locked(target.parent):
                if not allowed():
                    return False
                os.replace(aside, target)
                return True
        finally:
            aside.unlink(missing_ok=True)


def only_one(file: Path) -> AbstractContextManager[None]:
    """Held by one process at a time, others wait; the kernel releases it when a process ends, however it ends."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    return _locked(file)


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Hold the lock of a folder or file."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            # Closing is not enough: a child forked meanwhile holds a copy of the descriptor.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    flush(folder.parent)


def flush(path: Path, durable: bool = True) -> None:
    """Make a file's content, or what was renamed and removed in a folder, survive a power cut."""
    if not durable:
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
