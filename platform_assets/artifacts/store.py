"""The store itself, on any fsspec file system: content under its hash, and one small record that makes it visible.

Layout below the root:
    content/<content hash>/<file>   the bytes, shared by recipes that make the same ones
    recipes/<fingerprint>.json      written last, in one atomic step: recipe, files, content hash, metadata, seconds
    latest/<key>.json               the newest record of a key, only to say in words why something was made again

A process killed at any point leaves content that no record names; the same recipe overwrites it. Readers go by records.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import fsspec
from fsspec.implementations.local import LocalFileSystem

from platform_assets.artifacts.recipe import ArtifactRef, Recipe, sha256_of


class ArtifactMissing(LookupError):
    """A reference names an artifact that the store does not hold."""


class ArtifactCorrupt(ValueError):
    """A stored file is not what its record says."""


@dataclass(frozen=True)
class Artifact:
    """A stored result and how it came about.

    Attributes:
        ref: its name.
        metadata: what the build returned.
        seconds: wall seconds the build took, when it ran.
        hit: whether this call found it rather than built it.
        reason: why it was found or built, in words.
    """

    ref: ArtifactRef
    metadata: dict[str, Any]
    seconds: float
    hit: bool
    reason: str
    files: Mapping[str, str]
    store: "ArtifactStore"

    def path(self, name: str) -> str:
        """A local path to one of its files, its checksum verified once per process."""
        return self.store.local_path(self.ref, name, self.files)

    def folder(self) -> Path:
        """A local folder with all of its files, every checksum verified once per process."""
        paths = {name: Path(self.path(name)) for name in sorted(self.files)}
        first = next(iter(paths))
        return paths[first].parents[first.count("/")]

    def dagster_metadata(self) -> dict[str, Any]:
        """What a person should see of any artifact: hit or miss and why, seconds spent or saved, its identity."""
        cost = "seconds_saved" if self.hit else "seconds_spent"
        return {
            "cache": "hit" if self.hit else "miss",
            "cache_reason": self.reason,
            cost: round(self.seconds, 3),
            "fingerprint": self.ref.fingerprint,
            "content_hash": self.ref.content_hash,
        }


class ArtifactStore:
    """Artifacts below `root`, a folder or any fsspec URL."""

    def __init__(self, root: str | Path) -> None:
        self._fs, path = fsspec.core.url_to_fs(str(root))
        self._root = path.rstrip("/")
        self._local = isinstance(self._fs, LocalFileSystem)
        self._verified: dict[str, str] = {}
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    def find(self, fingerprint: str) -> Artifact | None:
        """The artifact of a fingerprint, or None."""
        record = self._read_json(f"recipes/{fingerprint}.json")
        if record is None:
            return None
        return self._artifact(record, hit=True, reason="same code, settings and inputs")

    def open(self, ref: ArtifactRef) -> Artifact:
        """The artifact that `ref` names.

        Raises:
            ArtifactMissing: it is not here, or holds other content than the reference says.
        """
        artifact = self.find(ref.fingerprint)
        if artifact is None or artifact.ref.content_hash != ref.content_hash:
            raise ArtifactMissing(
                f"{ref.key}: artifact {ref.fingerprint[:12]} is not in {self._root}; materialise {ref.key} again"
            )
        return artifact

    def get_or_build(self, recipe: Recipe, build: Callable[[Path], Mapping[str, Any]]) -> Artifact:
        """The recipe's artifact: found, or made by `build(folder)` and published.

        `build` writes its files into the empty local folder it is given and returns JSON metadata. When it raises,
        nothing is published.
        """
        found = self.find(recipe.fingerprint)
        if found is not None:
            return found
        reason = self._why_not_found(recipe)
        with tempfile.TemporaryDirectory(prefix="artifact-") as folder:
            started = time.perf_counter()
            metadata = dict(build(Path(folder)))
            seconds = time.perf_counter() - started
            record = self._publish(recipe, Path(folder), metadata, seconds)
        return self._artifact(record, hit=False, reason=reason)

    def local_path(self, ref: ArtifactRef, name: str, files: Mapping[str, str]) -> str:
        """See `Artifact.path`."""
        if name not in files:
            raise ArtifactMissing(f"{ref.key} holds no file {name}; it holds {', '.join(sorted(files))}")
        stored = self._at(f"content/{ref.content_hash}/{name}")
        if stored in self._verified:
            return self._verified[stored]
        path = stored if self._local else os.path.join(self._downloads(ref), name)
        if not self._local:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self._fs.get_file(stored, path)
        if not os.path.exists(path) or _sha256_file(Path(path)) != files[name]:
            raise ArtifactCorrupt(
                f"{ref.key}: {stored} is missing or not what was stored; delete recipes/{ref.fingerprint}.json "
                f"below {self._root} and materialise {ref.key} again"
            )
        self._verified[stored] = path
        return path

    def _downloads(self, ref: ArtifactRef) -> str:
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="artifacts-")
        return os.path.join(self._temporary.name, ref.content_hash)

    def _artifact(self, record: Mapping[str, Any], hit: bool, reason: str) -> Artifact:
        ref = ArtifactRef(record["recipe"]["key"], record["fingerprint"], record["content_hash"])
        return Artifact(ref, record["metadata"], record["seconds"], hit, reason, record["files"], self)

    def _publish(self, recipe: Recipe, folder: Path, metadata: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        files = {path.relative_to(folder).as_posix(): _sha256_file(path) for path in paths}
        content_hash = sha256_of(files)
        for name in files:
            self._put(folder / name, f"content/{content_hash}/{name}")
        record = {
            "fingerprint": recipe.fingerprint,
            "content_hash": content_hash,
            "recipe": recipe.to_json(),
            "files": files,
            "metadata": metadata,
            "seconds": seconds,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self._write_json(f"recipes/{recipe.fingerprint}.json", record)
        self._write_json(f"latest/{recipe.key}.json", {"recipe": recipe.to_json()})
        return record

    def _why_not_found(self, recipe: Recipe) -> str:
        latest = self._read_json(f"latest/{recipe.key}.json")
        if latest is None:
            return "first time"
        return recipe.difference(latest["recipe"]) or "the stored record was removed"

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _read_json(self, name: str) -> dict[str, Any] | None:
        try:
            text = self._fs.cat_file(self._at(name))
        except FileNotFoundError:
            return None
        try:
            return cast(dict[str, Any], json.loads(text))
        except ValueError as error:
            raise ArtifactCorrupt(
                f"{self._at(name)} is not readable JSON; delete it, its content will be made again"
            ) from error

    def _write_json(self, name: str, value: Mapping[str, Any]) -> None:
        with tempfile.TemporaryDirectory(prefix="artifact-") as folder:
            path = Path(folder, "record.json")
            path.write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False))
            self._put(path, name)

    def _put(self, source: Path, name: str) -> None:
        target = self._at(name)
        if not self._local:
            # One object upload is atomic on object stores: readers see the old object or the new one.
            self._fs.put_file(str(source), target)
            return
        os.makedirs(os.path.dirname(target), exist_ok=True)
        aside = f"{target}.{uuid4().hex}.aside"
        shutil.copyfile(source, aside)
        with open(aside, "rb") as written:
            os.fsync(written.fileno())
        os.replace(aside, target)


def _sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
