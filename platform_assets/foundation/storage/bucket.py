"""Files in a Google Cloud Storage bucket.

One upload of an object is atomic, and a write can be made to depend on the object's generation, a number that is new
with every write. The client repeats an operation, at random growing intervals, only when it was told to come back later
(408, 429, 5xx) or got no answer. A conditional write whose first answer was lost then finds its own object and is told
412: so every write carries a word of its own in the object's metadata, by which it recognises itself.
A download whose checksum is not the one that was announced is made again from the start; the client would only refuse it.
Credentials are Application Default Credentials; with STORAGE_EMULATOR_HOST set the client asks an emulator, with none.
"""

import mimetypes
import os
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from urllib.parse import quote
from uuid import uuid4

from platform_assets.foundation.storage.files import ASIDE, Digests, Files, Stored, checked
from platform_assets.foundation.storage.refusal import Doing, asking_google

if TYPE_CHECKING:
    from google.cloud import storage

P = ParamSpec("P")
T = TypeVar("T")
WRITE = "write"
GARBLED_SECONDS = 30.0
# https://cloud.google.com/storage/docs/composite-objects
_JOINED_AT_ONCE = 32


class Bucket(Files):
    """A version is the object's generation. Google allows about one write a second to one object name.

    A bucket that does not exist reads as an empty one; whoever writes or lists is told. A refusal, and no answer after the
    client's retries, are StorageRefused whatever is asked.
    """

    lie_here = False

    def __init__(self, root: str) -> None:
        self._bucket, _, prefix = root.partition("/")
        self._prefix = f"{prefix}/" if prefix else ""

    def read(self, name: str) -> Stored | None:
        from google.api_core.exceptions import NotFound

        blob = self._blob(name)
        try:
            with self._asking("read", name):
                content: bytes = _repeated_while_garbled(blob.download_as_bytes)()
        except NotFound:
            return None
        return Stored(content, str(blob.generation))

    def write(self, name: str, content: bytes, *, durable: bool = True) -> None:
        self._upload(name, content, None)

    def swap(self, name: str, content: bytes, expected: str | None, *, durable: bool = True) -> str | None:
        # Generation 0 stands for an object that is not there.
        return self._upload(name, content, int(expected or 0))

    def put_files(self, sources: Mapping[str, Path]) -> None:
        for name, source in sources.items():
            with self._asking("write", name), self._in_bucket():
                self._blob(name).upload_from_filename(str(source))

    def local_path(self, name: str, downloads: Path) -> Path:
        from google.api_core.exceptions import NotFound

        path = downloads / checked(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{uuid4().hex}{ASIDE}")
        try:
            with self._asking("read", name):
                _repeated_while_garbled(self._blob(name).download_to_filename)(str(aside))
            os.replace(aside, path)
        except NotFound as error:
            raise FileNotFoundError(f"{self.location(name)} does not exist") from error
        finally:
            aside.unlink(missing_ok=True)
        return path

    def names(self, prefix: str = "") -> list[str]:
        begin, fields = self._prefix + prefix, "items(name),nextPageToken"
        with self._asking("list"), self._in_bucket():
            listed = list(_client().list_blobs(self._bucket, prefix=begin, fields=fields))
        return sorted(blob.name.removeprefix(self._prefix) for blob in listed)

    def copy(self, name: str, to: str) -> bool:
        from google.api_core.exceptions import NotFound

        source, target = self._blob(name), self._blob(to)
        try:
            with self._asking("write", to):
                token, _, _ = target.rewrite(source)
                while token is not None:
                    token, _, _ = target.rewrite(source, token=token)
        except NotFound:
            return False
        return True

    def join(self, names: Sequence[str], to: str) -> None:
        from google.api_core.exceptions import NotFound

        first, *rest = (self._blob(name) for name in names)
        # It grows aside: whoever looks at `to` sees all or nothing.
        grown = self._blob(f"{to}.{uuid4().hex}") if len(rest) >= _JOINED_AT_ONCE else self._blob(to)
        try:
            with self._asking("write", to):
                grown.compose([first, *rest[: _JOINED_AT_ONCE - 1]])
                for start in range(_JOINED_AT_ONCE - 1, len(rest), _JOINED_AT_ONCE - 1):
                    grown.compose([grown, *rest[start : start + _JOINED_AT_ONCE - 1]])
                if grown.name != self._key(to):
                    self._blob(to).compose([grown])
                    grown.delete()
        except NotFound as error:
            raise FileNotFoundError(f"{self.location(to)}: a part of it does not exist") from error

    def digests(self, name: str) -> Digests | None:
        blob = self._there(name)
        if blob is None:
            return None
        md5 = b64decode(blob.md5_hash).hex() if blob.md5_hash else None
        return Digests(blob.size, int.from_bytes(b64decode(blob.crc32c), "big"), md5)

    def exists(self, name: str) -> bool:
        with self._asking("read", name):
            return bool(self._blob(name).exists())

    def written_at(self, name: str) -> datetime | None:
        blob = self._there(name)
        return blob.updated if blob else None

    def delete(self, name: str, version: str | None = None, *, durable: bool = True) -> bool:
        from google.api_core.exceptions import NotFound, PreconditionFailed

        try:
            with self._asking("write", name):
                self._blob(name).delete(if_generation_match=None if version is None else int(version))
        except (NotFound, PreconditionFailed):
            return False
        return True

    def location(self, name: str = "") -> str:
        return f"gs://{self._bucket}/{self._key(name)}" if name else f"gs://{self._bucket}/{self._prefix}".rstrip("/")

    def link(self, name: str) -> str:
        return f"https://storage.cloud.google.com/{self._bucket}/{quote(self._key(name))}"

    def _upload(self, name: str, content: bytes, generation: int | None) -> str | None:
        from google.api_core.exceptions import PreconditionFailed

        blob, word = self._blob(name), uuid4().hex
        blob.metadata = {WRITE: word}
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        try:
            with self._asking("write", name), self._in_bucket():
                blob.upload_from_string(content, content_type=kind, if_generation_match=generation)
        except PreconditionFailed:
            return self._generation_of(name, word)
        return str(blob.generation)

    def _generation_of(self, name: str, word: str) -> str | None:
        """The generation of the object there now, if the write of `word` made it."""
        blob = self._there(name)
        return str(blob.generation) if blob and (blob.metadata or {}).get(WRITE) == word else None

    @contextmanager
    def _in_bucket(self) -> Iterator[None]:
        from google.api_core.exceptions import NotFound

        try:
            yield
        except NotFound as error:
            raise FileNotFoundError(
                f"gs://{self._bucket} does not exist; create the bucket, or name another one"
            ) from error

    def _asking(self, doing: Doing, name: str = "") -> AbstractContextManager[None]:
        return asking_google(self.location(name), doing, lambda: getattr(_client(), "_credentials", None))

    def _key(self, name: str) -> str:
        return self._prefix + checked(name)

    def _there(self, name: str) -> "storage.Blob | None":
        """The object with all that is known of it."""
        with self._asking("read", name):
            return _client().bucket(self._bucket).get_blob(self._key(name))

    def _blob(self, name: str) -> "storage.Blob":
        with self._asking("read", name):
            return _client().bucket(self._bucket).blob(self._key(name))


def _repeated_while_garbled(download: Callable[P, T]) -> Callable[P, T]:
    """`download`, made again while its checksum is wrong; google.api_core's RetryError after GARBLED_SECONDS."""
    from google.api_core.retry import Retry, if_exception_type
    from google.cloud.storage.exceptions import DataCorruption

    retry = Retry(predicate=if_exception_type(DataCorruption), initial=0.1, maximum=5, timeout=GARBLED_SECONDS)
    return retry(download)


@cache
def _client() -> "storage.Client":
    from google.cloud import storage

    # Objects belong to buckets; only who makes a bucket must name a project.
    return storage.Client(project=None)
