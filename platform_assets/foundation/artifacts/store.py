"""The store itself, in a folder or bucket: content under its hash, and one small record that makes it visible.

Layout below the root:
    content/<content hash>/<file>   the bytes, shared by recipes that make the same ones
    recipes/<fingerprint>.json      created after it, once: recipe, files, content hash, metadata, seconds
    latest/<key>.json               the newest record of a key, only to say in words why something was made again
    leases/<fingerprint>.json       there while a process builds it
    damaged/…                       records and content that were not what they should be, under the same names

A process killed at any point leaves content that no record names; the same recipe overwrites it. Readers go by records.

One process at a time builds a fingerprint, and the others wait for its record: a lease saves them the work. What keeps
the store right is that a record is created once and never replaced. Should two processes build after all (one was
stopped so long that its lease lapsed), the first record stands, and whoever comes later takes that artifact for its
own: both were made by the same code from the same inputs.

An artifact whose record or content is damaged is set aside: what is left of it is copied to `damaged`, and then its record is
removed, so that whoever asks for the recipe makes it again. In a folder that is found out by whoever asks for the recipe, in a
bucket, whose service answers for what it keeps, by whoever reads the file. What `HELD_BY` names (models that were promoted)
is made again only to the same bytes: another model under the name of one that was approved is refused.
"""

import hashlib
import json
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from platform_assets.foundation.artifacts.checkpoint import Checkpoint
from platform_assets.foundation.artifacts.recipe import ArtifactRef, Recipe, sha256_of
from platform_assets.foundation.storage import Lease, Stored, files_at

log = logging.getLogger(__name__)
# Folders beside `recipes` whose files name artifacts for good; `campaigns.registry` keeps them.
HELD_BY = ("promoted/", "bodies/")
DAMAGED = "damaged"
# What the calling thread is building, by the location of its record.
_building: ContextVar[frozenset[str]] = ContextVar("building", default=frozenset())


class ArtifactUnusable(Exception):
    """What is stored cannot be used; the message names it and what to do. Trying again changes nothing."""


class ArtifactMissing(ArtifactUnusable, LookupError):
    """A reference names an artifact that the store does not hold."""


class ArtifactCorrupt(ArtifactUnusable, ValueError):
    """A stored file is not what its record says; the artifact was set aside."""


class ArtifactDiffers(ArtifactUnusable, ValueError):
    """A damaged artifact that must stay what it is came out as another one when it was made again; nothing was published."""


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
    """Artifacts below `root`, a folder or gs:// URL.

    Args:
        lease_seconds: how long others wait for a builder that has fallen silent before one of them takes over.
    """

    def __init__(self, root: str | Path, lease_seconds: float = 30.0) -> None:
        self._files = files_at(root)
        self._lease_seconds = lease_seconds
        self._verified: dict[str, str] = {}

    def find(self, fingerprint: str) -> Artifact | None:
        """The artifact of a fingerprint, or None; its content is not looked at. A damaged record is set aside."""
        stored = self._files.read(_record_of(fingerprint))
        if stored is None:
            return None
        record = _checked_record(stored.content, fingerprint)
        if record is None:
            self._set_record_aside(fingerprint, stored)
            return None
        return self._artifact(record, hit=True, reason="same code, settings and inputs")

    def open(self, ref: ArtifactRef) -> Artifact:
        """The artifact that `ref` names.

        Raises:
            ArtifactMissing: it is not here, or holds other content than the reference says.
        """
        artifact = self.find(ref.fingerprint)
        if artifact is None or artifact.ref.content_hash != ref.content_hash:
            aside = _aside(_record_of(ref.fingerprint))
            damaged = artifact is None and self._files.exists(aside)
            why = f"was damaged and is set aside in {self._files.location(aside)}" if damaged else "is not there"
            raise ArtifactMissing(
                f"{ref.key}: artifact {ref.fingerprint[:12]} of {self._files.location()} {why}; materialise {ref.key} again"
            )
        return artifact

    def get_or_build(self, recipe: Recipe, build: Callable[[Path], Mapping[str, Any]]) -> Artifact:
        """The recipe's artifact: found, or made by `build(folder)` and published.

        `build` writes its files into the empty local folder it is given and returns JSON metadata. When it raises,
        nothing is published. A damaged artifact is set aside and made again. While another process or thread builds the
        same recipe this call waits: for its artifact, or until it has fallen silent. `build` may ask for other recipes.

        Raises:
            RecursionError: `build` asks for the recipe it is building.
            ArtifactDiffers: a damaged artifact that is held was made again, and came out as another one.
        """
        artifact = self.find(recipe.fingerprint)
        if artifact is not None and (not self._files.lie_here or self._is_whole(artifact)):
            return artifact
        with self._turn(recipe) as artifact:
            return artifact or self._build(recipe, build)

    def checkpoint(self, recipe: Recipe) -> Checkpoint:
        """Where the build of a recipe leaves its state, to be taken up when it is interrupted."""
        return Checkpoint(self._files, recipe.fingerprint)

    def local_path(self, ref: ArtifactRef, name: str, files: Mapping[str, str]) -> str:
        """See `Artifact.path`."""
        if name not in files:
            raise ArtifactMissing(f"{ref.key} holds no file {name}; it holds {', '.join(sorted(files))}")
        stored = f"content/{ref.content_hash}/{name}"
        if stored in self._verified:
            return self._verified[stored]
        downloads = Path(_downloads().name, sha256_of(self._files.location()))
        path, record = downloads / stored, None
        if not _holds(path, files[name]):
            path = self._fetched(stored, downloads)
        if not _holds(path, files[name]):
            # Looked at once more after its record was read: a record that another process made since stays.
            record = self._files.read(_record_of(ref.fingerprint))
            path = self._fetched(stored, downloads)
        if not _holds(path, files[name]):
            if record is not None:
                self._set_content_aside(path, stored)
                self._set_record_aside(ref.fingerprint, record)
            raise ArtifactCorrupt(
                f"{ref.key}: {self._files.location(stored)} is missing or not what was stored. What is left of it is set aside in "
                f"{self._files.location(DAMAGED)}; materialise {ref.key} to make it again"
            )
        self._verified[stored] = str(path)
        return self._verified[stored]

    def _fetched(self, stored: str, downloads: Path) -> Path:
        """Where a stored file can be read; nothing is there when it is not stored."""
        try:
            return self._files.local_path(stored, downloads)
        except FileNotFoundError:
            return downloads / stored

    def _is_whole(self, artifact: Artifact) -> bool:
        """Whether all files of an artifact are what was stored; if not, it is set aside."""
        try:
            for name in artifact.files:
                self.local_path(artifact.ref, name, artifact.files)
        except ArtifactCorrupt as error:
            log.warning("%s", error)
            return False
        return True

    def _set_content_aside(self, path: Path, stored: str) -> None:
        """Keep a copy of what is left of a damaged file."""
        if path.is_file():
            self._files.put_file(path, _aside(stored))

    def _set_record_aside(self, fingerprint: str, record: Stored) -> None:
        """Keep a copy of a damaged artifact's record, then remove it; not if another process replaced it meanwhile."""
        name = _record_of(fingerprint)
        self._files.write(_aside(name), record.content)
        self._files.delete(name, record.version)
        log.warning(
            "%s or what it names is damaged; it is set aside in %s",
            self._files.location(name),
            self._files.location(_aside(name)),
        )

    def _require_same_if_held(self, recipe: Recipe, content_hash: str) -> None:
        """Return unless this recipe's artifact was damaged, is named for good, and came out as another one."""
        aside = _aside(_record_of(recipe.fingerprint))
        if not self._files.exists(aside):
            return
        for name in (name for folder in HELD_BY for name in self._files.names(folder)):
            holder = self._files.read(name)
            text = holder.content.decode("utf-8", "replace") if holder else ""
            if recipe.fingerprint in text and content_hash not in text:
                raise ArtifactDiffers(
                    f"{recipe.key}: its artifact was damaged, and made again it is another one ({content_hash[:12]}), while "
                    f"{self._files.location(name)} names the one before; nothing was published. Put back copies of its record "
                    f"({self._files.location(_record_of(recipe.fingerprint))}) and its content, or remove its entry there and "
                    f"materialise {recipe.key} and what follows, which promotes another one"
                )

    def _artifact(self, record: Mapping[str, Any], hit: bool, reason: str) -> Artifact:
        ref = ArtifactRef(record["recipe"]["key"], record["fingerprint"], record["content_hash"])
        return Artifact(ref, record["metadata"], record["seconds"], hit, reason, record["files"], self)

    @contextmanager
    def _turn(self, recipe: Recipe) -> Iterator[Artifact | None]:
        """Be the one who builds the recipe; or get the artifact, when another made it meanwhile."""
        record = self._files.location(_record_of(recipe.fingerprint))
        if record in _building.get():
            raise RecursionError(f"{recipe.key}: its build asks for {recipe.key} itself, with the same code and inputs")
        lease = Lease(self._files, f"leases/{recipe.fingerprint}.json", self._lease_seconds, what=recipe.key)
        artifact = lease.wait(instead=lambda: self._made_meanwhile(recipe))
        if artifact is not None:
            yield artifact
            return
        building = _building.set(_building.get() | {record})
        try:
            # The one before may have published and let go since this one looked.
            yield self._made_meanwhile(recipe)
        finally:
            _building.reset(building)
            lease.release()

    def _made_meanwhile(self, recipe: Recipe) -> Artifact | None:
        artifact = self.find(recipe.fingerprint)
        return replace(artifact, reason="another process made it meanwhile") if artifact else None

    def _build(self, recipe: Recipe, build: Callable[[Path], Mapping[str, Any]]) -> Artifact:
        reason = self._why_not_found(recipe)
        with tempfile.TemporaryDirectory(prefix="artifact-") as folder:
            started = time.perf_counter()
            metadata = dict(build(Path(folder)))
            seconds = time.perf_counter() - started
            return self._publish(recipe, Path(folder), metadata, seconds, reason)

    def _publish(
        self, recipe: Recipe, folder: Path, metadata: Mapping[str, Any], seconds: float, reason: str
    ) -> Artifact:
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        files = {path.relative_to(folder).as_posix(): _sha256_file(path) for path in paths}
        content_hash = sha256_of(files)
        self._require_same_if_held(recipe, content_hash)
        self._files.put_files({f"content/{content_hash}/{name}": folder / name for name in files})
        record = {
            "fingerprint": recipe.fingerprint,
            "content_hash": content_hash,
            "recipe": recipe.to_json(),
            "files": files,
            "metadata": metadata,
            "seconds": seconds,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        record["checksum"] = _checksum_of(record)
        while not self._files.create(_record_of(recipe.fingerprint), _json(record)):
            first = self.find(recipe.fingerprint)
            if first is not None:
                return replace(first, hit=False, reason="another process published the same first; its artifact stands")
        self._files.write(f"latest/{recipe.key}.json", _json({"recipe": recipe.to_json()}), durable=False)
        return self._artifact(record, hit=False, reason=reason)

    def _why_not_found(self, recipe: Recipe) -> str:
        latest = self._files.read(f"latest/{recipe.key}.json")
        if latest is None:
            return "first time"
        try:
            changed = recipe.difference(json.loads(latest.content)["recipe"])
        except (ValueError, KeyError, TypeError, AttributeError):
            # A power cut may tear it; only these words depend on it.
            return "what it was made from last is not known"
        if not changed and self._files.exists(_aside(_record_of(recipe.fingerprint))):
            return "what was stored is damaged and set aside"
        return changed or "the stored record was removed"


def _record_of(fingerprint: str) -> str:
    return f"recipes/{fingerprint}.json"


def _aside(name: str) -> str:
    return f"{DAMAGED}/{name}"


def _checked_record(content: bytes, fingerprint: str) -> dict[str, Any] | None:
    """A record, or None when it is not what was written; those of earlier code have no checksum."""
    try:
        record: dict[str, Any] = json.loads(content)
        whole = (
            record["fingerprint"] == fingerprint
            and record["content_hash"] == sha256_of(record["files"])
            and record.get("checksum", _checksum_of(record)) == _checksum_of(record)
            and record.keys() >= {"recipe", "metadata", "seconds"}
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return record if whole else None


def _checksum_of(record: Mapping[str, Any]) -> str:
    """Of a record as it reads back, without its checksum."""
    rest = {name: value for name, value in record.items() if name != "checksum"}
    return hashlib.sha256(_json(json.loads(_json(rest)))).hexdigest()


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False).encode()


@cache
def _downloads() -> tempfile.TemporaryDirectory[str]:
    """Copies from buckets, kept as long as the process: a path that was handed out outlives its store."""
    return tempfile.TemporaryDirectory(prefix="artifacts-")


def _holds(path: Path, sha256: str) -> bool:
    return path.is_file() and _sha256_file(path) == sha256


def _sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
