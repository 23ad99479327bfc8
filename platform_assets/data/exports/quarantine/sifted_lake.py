"""A lake some files of which are without their broken rows.

Belongs here: reading those in place of what lies in the lake. Does not belong here: making them (`sifting`).
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from platform_assets.data.exports.lake import Lake, StoredFile


class SiftedLake(Lake):
    """A lake, but for some files, which are local.

    Attributes:
        sifted: key of a file → the local file in its place; all of them in one folder.
    """

    def __init__(self, lake: Lake, sifted: Mapping[str, Path]) -> None:
        self.root, self._fs, self._base = lake.root, lake._fs, lake._base
        self.sifted = dict(sifted)
        self._local = Lake(next(iter(sifted.values())).parent)

    def location(self, key: str) -> str:
        return str(self.sifted[key]) if key in self.sifted else super().location(key)

    def exists(self, key: str) -> bool:
        return key in self.sifted or super().exists(key)

    def stored(self, keys: Iterable[str]) -> dict[str, StoredFile]:
        wanted = list(keys)
        names = {self.sifted[key].name: key for key in wanted if key in self.sifted}
        local = {names[name]: file for name, file in self._local.stored(names).items()}
        return super().stored(key for key in wanted if key not in self.sifted) | local

    def require_readable(self, keys: Iterable[str], said: str) -> None:
        super().require_readable([key for key in keys if key not in self.sifted], said)

    def tail(self, key: str, size: int, length: int) -> bytes:
        if key in self.sifted:
            return self._local.tail(self.sifted[key].name, size, length)
        return super().tail(key, size, length)

    def chunks(self, key: str) -> Iterator[bytes]:
        if key in self.sifted:
            return self._local.chunks(self.sifted[key].name)
        return super().chunks(key)
