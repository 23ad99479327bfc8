"""Access to the files of the lake, by keys below the exports root: the one module that knows the file system.

Belongs here: reading, listing, checksums, and the names by which the engine opens a file, on any fsspec file system.
Does not belong here: what the files mean.
"""

import base64
import hashlib
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from platform_assets.data.exports.export import ExportError
from platform_assets.foundation.storage.refusal import (
    Doing,
    StorageRefused,
    identity_of,
    is_refusal,
    permitted,
    refusal,
)

if TYPE_CHECKING:
    import duckdb

_CHUNK = 1 << 20
# A local file's times may not tell a second write that follows so soon (seconds).
_SETTLED = 2.0
_RAISED = "Traceback (most recent call last)"


@dataclass(frozen=True)
class StoredFile:
    """What the file system itself knows of a file.

    Attributes:
        md5: base64; None where it keeps none, as for a local file, or an object of GCS composed of others.
        generation: the number GCS gives to each write of an object; None elsewhere.
    """

    size: int
    md5: str | None
    generation: str | None


@dataclass(frozen=True)
class ListedFile:
    """A file as a listing shows it.

    Attributes:
        written: text that is another one once the file was written again; None where that cannot be told.
        link: whether it leads elsewhere, so that what lies there was not listed.
    """

    size: int
    written: str | None
    link: bool = False


def file_system(url: str) -> tuple[Any, str]:
    """The file system of a folder or URL, and the path there.

    Raises:
        StorageRefused: it is Google's, and this process has no credentials.
    """
    # A listing kept from before would hide, in a process that lives long, the exports that came since.
    options: dict[str, Any] = {"use_listings_cache": False}
    if url.startswith("gs://"):
        without_credentials = fsspec.core.url_to_fs(url, **options, token="anon")  # noqa: S106
        # Towards an emulator gcsfs would look for credentials all the same, and wait for a metadata server.
        if not without_credentials[0].on_google:
            return without_credentials
        from google.auth.exceptions import GoogleAuthError

        try:
            # Left to itself it would go on as nobody where it finds none, for as long as the process lives.
            return fsspec.core.url_to_fs(url, **options, token="google_default")  # noqa: S106
        except GoogleAuthError as error:
            raise refusal(url, "list", 401, error, identity_of(None)) from error
    return fsspec.core.url_to_fs(url, **options)


class Lake:
    """The exports root: a local folder or a URL that fsspec understands (`gs://bucket/prefix`)."""

    def __init__(self, root: str | Path) -> None:
        self.root = str(root)
        self._fs, base = file_system(self.root)
        self._base = base.rstrip("/")

    def location(self, key: str) -> str:
        """The name by which the engine opens the file, and by which messages show it."""
        path = self._path(key)
        return path if self._is_local else self._fs.unstrip_protocol(path)

    def attach(self, engine: "duckdb.DuckDBPyConnection") -> None:
        """Lets the engine open this lake's files where it cannot by itself; it may be so already."""
        names = self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,)
        if not self._is_local and not any(engine.filesystem_is_registered(name) for name in names):
            engine.register_filesystem(self._fs)

    def exists(self, key: str) -> bool:
        return self._info(self._path(key)) is not None

    def read(self, key: str) -> bytes:
        """The whole content of a small file; raises ExportError when it cannot be read."""
        try:
            with self._asking("read", key):
                return cast(bytes, self._fs.cat_file(self._path(key)))
        except OSError as error:
            raise ExportError(
                f"{self.location(key)}: the file cannot be read ({type(error).__name__}). "
                f"Copy the export again, or remove its folder."
            ) from error

    def folders(self, key: str) -> list[str]:
        """Names of the folders directly below `key`, sorted, but those that begin with a dot (unfinished)."""
        return [name for name in self._names(key, "directory") if not name.startswith(".")]

    def files(self, key: str) -> list[str]:
        """Names of the files directly below `key`, sorted."""
        return self._names(key, "file")

    def tree(self, key: str) -> dict[str, int]:
        """All files below `key`, at any depth: path relative to `key` -> size in bytes."""
        top = self._path(key)
        if self._info(top) is None:
            return {}
        with self._asking("list", key):
            # Without it, what may not be listed counts as empty.
            strict = {"on_error": "raise"} if self._is_local else {}
            entries = self._fs.find(top, detail=True, **strict)
        return {path[len(top) :].lstrip("/"): int(info["size"]) for path, info in sorted(entries.items())}

    def listing(self, key: str) -> dict[str, ListedFile]:
        """All files below `key`, at any depth, by their keys, in order: one listing. Of an empty folder stands its key and `/`."""
        top = self._path(key)
        with self._asking("list", key):
            try:
                listed = _local_files(top) if self._is_local else self._found_files(top)
            except (FileNotFoundError, NotADirectoryError):
                listed = {}
        if not listed:
            self._require_bucket()
        start = len(self._base) + 1 if self._base else 0
        return {path[start:]: listed[path] for path in sorted(listed) if path.rstrip("/") != top}

    def stored(self, keys: Iterable[str]) -> dict[str, StoredFile]:
        """Those of the files that are there, by one listing of each folder; nothing is read."""
        wanted = {self._path(key): key for key in keys}
        objects = {}
        for folder in sorted({path.rpartition("/")[0] for path in wanted}):
            for item in self._listed(folder):
                if item["type"] == "file" and item["name"] in wanted:
                    objects[wanted[item["name"]]] = StoredFile(
                        int(item["size"]), item.get("md5Hash"), item.get("generation")
                    )
        return objects

    def require_readable(self, keys: Iterable[str], said: str) -> None:
        """Returns when it may lie in the files that an engine failed on them.

        Args:
            said: the engine's words.

        Raises:
            StorageRefused: it was the storage that failed.
        """
        for key in keys:
            with self._asking("read", key), self._fs.open(self._path(key), "rb") as stream:
                stream.read(1)
        # So DuckDB passes on what the file system raised in the midst of it.
        if said.startswith(_RAISED):
            raise StorageRefused(f"{self.location('')}: the storage failed while files of it were read. Try again.")

    def tail(self, key: str, size: int, length: int) -> bytes:
        """The last `length` bytes of a file of `size` bytes, or all of a shorter one."""
        with self._asking("read", key):
            return cast(bytes, self._fs.cat_file(self._path(key), start=max(0, size - length), end=size))

    def chunks(self, key: str) -> Iterator[bytes]:
        """The file's bytes, a piece at a time."""
        with self._asking("read", key), self._fs.open(self._path(key), "rb") as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk

    def md5(self, key: str) -> str:
        """The file's MD5, base64 as AWS writes it."""
        digest = hashlib.md5(usedforsecurity=False)
        for chunk in self.chunks(key):
            digest.update(chunk)
        return base64.b64encode(digest.digest()).decode()

    def _found_files(self, top: str) -> dict[str, ListedFile]:
        """Files below a folder, as a file system that is not local finds them."""
        return {
            path: ListedFile(int(info["size"] or 0), info.get("generation"))
            for path, info in self._fs.find(top, detail=True).items()
        }

    def _names(self, key: str, kind: str) -> list[str]:
        listed = self._listed(self._path(key))
        return sorted(item["name"].rstrip("/").rsplit("/", 1)[-1] for item in listed if item["type"] == kind)

    def _listed(self, folder: str) -> list[dict[str, Any]]:
        """What lies directly in a folder; nothing when there is none.

        The file systems' own `isdir` is not asked: it answers a refusal and a broken line with no.
        """
        with self._asking("list", folder.removeprefix(self._base).lstrip("/")):
            try:
                items = self._fs.ls(folder, detail=True)
            except (FileNotFoundError, NotADirectoryError):
                self._require_bucket()
                return []
        return [item for item in items if item["name"].rstrip("/") != folder]

    def _info(self, path: str) -> dict[str, Any] | None:
        """What the file system knows of a file or folder; None when there is none."""
        with self._asking("read", path.removeprefix(self._base).lstrip("/")):
            try:
                return cast(dict[str, Any], self._fs.info(path))
            except (FileNotFoundError, NotADirectoryError):
                return None

    def _require_bucket(self) -> None:
        """A folder that is not there has nothing in it; a bucket that is not there is a mistake."""
        if not self._in_bucket:
            return
        bucket = self._base.partition("/")[0]
        try:
            self._fs.ls(bucket, max_results=1)
        except FileNotFoundError as error:
            raise StorageRefused(
                f"gs://{bucket} does not exist. Create it with `platform-assets prepare`, or name another bucket in "
                "PLATFORM_EXPORTS."
            ) from error

    @property
    def _is_local(self) -> bool:
        return isinstance(self._fs, LocalFileSystem)

    @property
    def _in_bucket(self) -> bool:
        return self.root.startswith("gs://")

    @contextmanager
    def _asking(self, doing: Doing, key: str) -> Iterator[None]:
        """While in it, a refusal, and no answer after the client's retries, are a StorageRefused that names the place."""
        with permitted(self.location(key), doing):
            try:
                yield
            except Exception as error:
                if not self._in_bucket:
                    raise
                status, refused = _refused(error)
                if not refused:
                    raise
                credentials = getattr(getattr(self._fs, "credentials", None), "credentials", None)
                raise refusal(self.location(key), doing, status, error, identity_of(credentials)) from error

    def _path(self, key: str) -> str:
        if key.startswith("/") or ".." in key.split("/"):
            raise ExportError(f"{key!r}: the key leads out of the exports root {self.root}. Correct the manifest.")
        return f"{self._base}/{key}" if key else self._base


def _local_files(top: str) -> dict[str, ListedFile]:
    """Files below a local folder, and the empty folders, with a `/` behind them."""
    settled = time.time() - _SETTLED
    files: dict[str, ListedFile] = {}
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        with os.scandir(folder) as entries:
            empty = True
            for entry in entries:
                empty = False
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                link = stat.S_ISLNK(status.st_mode)
                times = (status.st_mtime_ns, status.st_ctime_ns)
                known = not link and max(times) < settled * 1e9
                written = f"{times[0]} {times[1]} {status.st_ino}" if known else None
                files[entry.path] = ListedFile(status.st_size, written, link)
        if empty:
            files[f"{folder}/"] = ListedFile(0, "")
    return files


def _refused(error: Exception) -> tuple[int | None, bool]:
    """What gcsfs raises: the HTTP status where there was one, and whether it is a refusal or no answer."""
    from aiohttp import ClientError
    from fsspec.exceptions import FSTimeoutError
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import RequestException

    if isinstance(error, GoogleAuthError):
        return 401, True
    # gcsfs tells a 403 by these words alone, and by these others whatever has "invalid" in its message, as a 401 has.
    if isinstance(error, OSError) and str(error).startswith("Forbidden"):
        return 403, True
    if isinstance(error, ValueError) and str(error).startswith("Bad Request"):
        return 401, True
    code = str(getattr(error, "code", ""))
    if code.isdecimal() and is_refusal(int(code)):
        return int(code), True
    return None, isinstance(error, ClientError | RequestException | FSTimeoutError)
