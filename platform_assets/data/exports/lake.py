"""Access to the files of the lake, by keys below the exports root: the one module that knows the file system.

Belongs here: reading, listing, checksums, and the names by which the engine opens a file, on any fsspec file system.
Does not belong here: what the files mean.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from platform_assets.data.exports.export import ExportError

if TYPE_CHECKING:
    import duckdb

_CHUNK = 1 << 20


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


def file_system(url: str) -> tuple[Any, str]:
    """The file system of a folder or URL, and the path there."""
    # A listing kept from before would hide, in a process that lives long, the exports that came since.
    options: dict[str, Any] = {"use_listings_cache": False}
    if url.startswith("gs://"):
        without_credentials = fsspec.core.url_to_fs(url, **options, token="anon")  # noqa: S106
        # Towards an emulator gcsfs would look for credentials all the same, and wait for a metadata server.
        if not without_credentials[0].on_google:
            return without_credentials
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
        return path if isinstance(self._fs, LocalFileSystem) else self._fs.unstrip_protocol(path)

    def attach(self, engine: "duckdb.DuckDBPyConnection") -> None:
        """Lets the engine open this lake's files where it cannot by itself."""
        if not isinstance(self._fs, LocalFileSystem):
            engine.register_filesystem(self._fs)

    def exists(self, key: str) -> bool:
        return bool(self._fs.exists(self._path(key)))

    def read(self, key: str) -> bytes:
        """The whole content of a small file; raises ExportError when it cannot be read."""
        try:
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
        if not self._fs.exists(top):
            return {}
        entries = self._fs.find(top, detail=True)
        return {path[len(top) :].lstrip("/"): int(info["size"]) for path, info in sorted(entries.items())}

    def stored(self, keys: Iterable[str]) -> dict[str, StoredFile]:
        """Those of the files that are there, by one listing of each folder; nothing is read."""
        wanted = {self._path(key): key for key in keys}
        objects = {}
        for folder in sorted({path.rpartition("/")[0] for path in wanted}):
            for item in self._fs.ls(folder, detail=True) if self._fs.isdir(folder) else []:
                if item["type"] == "file" and item["name"] in wanted:
                    objects[wanted[item["name"]]] = StoredFile(
                        int(item["size"]), item.get("md5Hash"), item.get("generation")
                    )
        return objects

    def tail(self, key: str, size: int, length: int) -> bytes:
        """The last `length` bytes of a file of `size` bytes, or all of a shorter one."""
        return cast(bytes, self._fs.cat_file(self._path(key), start=max(0, size - length), end=size))

    def chunks(self, key: str) -> Iterator[bytes]:
        """The file's bytes, a piece at a time."""
        with self._fs.open(self._path(key), "rb") as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk

    def md5(self, key: str) -> str:
        """The file's MD5, base64 as AWS writes it."""
        digest = hashlib.md5(usedforsecurity=False)
        for chunk in self.chunks(key):
            digest.update(chunk)
        return base64.b64encode(digest.digest()).decode()

    def _names(self, key: str, kind: str) -> list[str]:
        top = self._path(key)
        listed = self._fs.ls(top, detail=True) if self._fs.isdir(top) else []
        return sorted(item["name"].rstrip("/").rsplit("/", 1)[-1] for item in listed if item["type"] == kind)

    def _path(self, key: str) -> str:
        if key.startswith("/") or ".." in key.split("/"):
            raise ExportError(f"{key!r}: the key leads out of the exports root {self.root}. Correct the manifest.")
        return f"{self._base}/{key}" if key else self._base
