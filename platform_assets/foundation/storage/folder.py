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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from platform_assets.foundation.storage.files import ASIDE, Files, Stored, checked


class Folder(Files):
    """A version is the hash of the content: a file that came back to what it was is the same version again."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> Stored | None:
        content = _content(self._path(name))
        return None if content is None else Stored(content, _version(content))

    def write(self, name: str, content: bytes, *, durable: bool = True) -> None:
        target = self._path(name)
        with _aside(target) as aside:
            aside.write_bytes(content)
            _flush(aside, durable)
            with _locked(target.parent):
                os.replace(aside, target)
        _flush(target.parent, durable)

    def swap(self, name: str, content: bytes, expected: str | None, *, durable: bool = True) -> str | None:
        target = self._path(name)
        with _aside(target) as aside:
            aside.write_bytes(content)
            _flush(aside, durable)
            with _locked(target.parent):
                if not _is_version(target, expected):
                    return None
                os.replace(aside, target)
        _flush(target.parent, durable)
        return _version(content)

    def put_files(self, sources: Mapping[str, Path]) -> None:
        targets = {self._path(name): source for name, source in sources.items()}
        for target, source in targets.items():
            with _aside(target) as aside:
                shutil.copyfile(source, aside)
                _flush(aside)
                with _locked(target.parent):
                    os.replace(aside, target)
        for folder in {target.parent for target in targets}:
            _flush(folder)

    def local_path(self, name: str, downloads: Path) -> Path:
        path = self._path(name)
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist")
        return path

    def names(self, prefix: str = "") -> list[str]:
        start = self._root / prefix.rpartition("/")[0]
        files = (path for path in start.rglob("*") if path.is_file() and path.suffix != ASIDE)
        return sorted(
            name for name in (path.relative_to(self._root).as_posix() for path in files) if name.startswith(prefix)
        )

    def exists(self, name: str) -> bool:
        return self._path(name).is_file()

    def written_at(self, name: str) -> datetime | None:
        try:
            status = self._path(name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return datetime.fromtimestamp(status.st_mtime, UTC) if stat.S_ISREG(status.st_mode) else None

    def delete(self, name: str, version: str | None = None, *, durable: bool = True) -> bool:
        target = self._path(name)
        if not target.is_file():
            return False
        with _locked(target.parent):
            if not target.is_file() or (version is not None and not _is_version(target, version)):
                return False
            target.unlink()
        _flush(target.parent, durable)
        return True

    def location(self, name: str = "") -> str:
        return str(self._path(name) if name else self._root)

    def link(self, name: str) -> str:
        return self._path(name).absolute().as_uri()

    def _path(self, name: str) -> Path:
        return self._root / checked(name)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _is_version(path: Path, expected: str | None) -> bool:
    content = _content(path)
    return expected == (None if content is None else _version(content))


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """A path in the target's folder to write to; what is left there at the end is removed."""
    _make_folder(target.parent)
    aside = target.with_name(f".{uuid4().hex}{ASIDE}")
    try:
        yield aside
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
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
    _flush(folder.parent)


def _flush(path: Path, durable: bool = True) -> None:
    """Make a file's content, or what was renamed and removed in a folder, survive a power cut."""
    if not durable:
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
