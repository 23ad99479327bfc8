"""A folder of the lake as one listing shows it: what lies there is asked for once, whatever the number of exports.

Belongs here: answering from the listing what `Lake` would ask the storage, and whether an export's files are what they were.
Does not belong here: what the files mean.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platform_assets.data.exports.lake import Lake


class ListedLake(Lake):
    """A lake of which the folder `top` was listed; contents are read as always, and what lies elsewhere is asked for."""

    def __init__(self, root: str | Path, top: str) -> None:
        super().__init__(root)
        self._top = top
        self._files = self.listing(top)
        self._keys = list(self._files)
        self._links = [key for key, file in self._files.items() if file.link]
        self._asked: set[str] = set()

    def exists(self, key: str) -> bool:
        self._asked.add(key)
        return key in self._files if self._is_listed(key) else super().exists(key)

    def read(self, key: str) -> bytes:
        self._asked.add(key)
        return super().read(key)

    def folders(self, key: str) -> list[str]:
        if not self._is_listed(key):
            return super().folders(key)
        names = {rest.partition("/")[0] for rest in self._below(key) if "/" in rest}
        return sorted(name for name in names if not name.startswith("."))

    def files(self, key: str) -> list[str]:
        if not self._is_listed(key):
            return super().files(key)
        return [rest for rest in self._below(key) if "/" not in rest]

    def tree(self, key: str) -> dict[str, int]:
        if not self._is_listed(key):
            return super().tree(key)
        return {rest: self._files[f"{key}/{rest}"].size for rest in self._below(key) if not rest.endswith("/")}

    def state(self, folder: str, deep: bool) -> str | None:
        """Text that is another one once a file of a folder was written, came or went; None where that cannot be told.

        Args:
            deep: whether files of folders in it count.
        """
        digest = hashlib.sha256()
        for rest in self._below(folder):
            if not deep and "/" in rest:
                continue
            file = self._files[f"{folder}/{rest}"]
            if file.written is None:
                return None
            digest.update(f"{rest}\0{file.size} {file.written}\0".encode())
        return digest.hexdigest()

    @contextmanager
    def asked(self) -> Iterator[set[str]]:
        """The keys of the single files that are looked up or read while in it."""
        self._asked = set()
        yield self._asked

    def _is_listed(self, key: str) -> bool:
        if key != self._top and not key.startswith(f"{self._top}/"):
            return False
        return not any(key == link or key.startswith(f"{link}/") for link in self._links)

    def _below(self, folder: str) -> Iterator[str]:
        """The rest of each key below a folder, in order."""
        begin = f"{folder}/"
        for number in range(bisect_left(self._keys, begin), len(self._keys)):
            if not self._keys[number].startswith(begin):
                return
            if rest := self._keys[number][len(begin) :]:
                yield rest
