"""Files in this process's memory: for tests and trials, gone with the process."""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from threading import Lock

from platform_assets.foundation.storage.files import Files, Stored, checked

_written = count(1)
_lock = Lock()
_held: dict[str, tuple[Stored, datetime]] = {}


class Memory(Files):
    """All with the same root hold the same files, in all threads. A version is the number of the write."""

    def __init__(self, root: str) -> None:
        self._root = root

    def read(self, name: str) -> Stored | None:
        held = _held.get(self._url(name))
        return held[0] if held else None

    def write(self, name: str, content: bytes, *, durable: bool = True) -> None:
        with _lock:
            self._put(name, content)

    def swap(self, name: str, content: bytes, expected: str | None, *, durable: bool = True) -> str | None:
        with _lock:
            before = self.read(name)
            if expected != (before.version if before else None):
                return None
            return self._put(name, content)

    def put_files(self, sources: Mapping[str, Path]) -> None:
        for name, source in sources.items():
            self.write(name, source.read_bytes())

    def local_path(self, name: str, downloads: Path) -> Path:
        stored = self.read(name)
        if stored is None:
            raise FileNotFoundError(f"{self._url(name)} does not exist")
        path = downloads / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stored.content)
        return path

    def names(self, prefix: str = "") -> list[str]:
        begin = f"memory://{self._root}/"
        return sorted(url.removeprefix(begin) for url in list(_held) if url.startswith(begin + prefix))

    def exists(self, name: str) -> bool:
        return self.read(name) is not None

    def written_at(self, name: str) -> datetime | None:
        held = _held.get(self._url(name))
        return held[1] if held else None

    def delete(self, name: str, version: str | None = None, *, durable: bool = True) -> bool:
        with _lock:
            stored = self.read(name)
            if stored is None or version not in (None, stored.version):
                return False
            del _held[self._url(name)]
            return True

    def location(self, name: str = "") -> str:
        return self._url(name) if name else f"memory://{self._root}"

    def link(self, name: str) -> str:
        return self._url(name)

    def _url(self, name: str) -> str:
        return f"memory://{self._root}/{checked(name)}"

    def _put(self, name: str, content: bytes) -> str:
        stored = Stored(content, str(next(_written)))
        _held[self._url(name)] = (stored, datetime.now(UTC))
        return stored.version
