"""A bucket's server that shows a local folder as Cloud Storage's JSON API does, and refuses what it is told to refuse.

Belongs here: listing, looking up and downloading, as far as exports are read. Does not belong here: writing (the emulator
does), and what is refused.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.support.answering import Reply, Request, answering, json_reply

Asked = Literal["list", "look up", "read"]
Refuses = Callable[[Asked, str], Reply | None]
CUT = -1
BUCKET, WRITTEN = "lake", "2026-01-05T00:00:00.000Z"


def refusing(status: int | None, *asked: Asked, message: str = "nobody@example.iam does not have access") -> Refuses:
    """Refuses what is asked in these ways, all of them when none is named; for None the line is cut."""

    def refuse(way: Asked, name: str) -> Reply | None:
        if asked and way not in asked:
            return None
        return Reply(CUT) if status is None else json_reply(status, {"error": {"code": status, "message": message}})

    return refuse


@dataclass
class BucketOfFolder:
    """`gs://lake` holds what is in `folder`.

    Attributes:
        refuses: answers in the server's place, or does not (None).
        extra: objects that the folder does not hold.
        asked: what was asked, in order.
    """

    folder: Path
    refuses: Refuses = lambda asked, name: None
    extra: list[dict[str, str]] = field(default_factory=list)
    asked: list[tuple[Asked, str]] = field(default_factory=list)

    def reply(self, request: Request) -> Reply | None:
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        place = parts.path.partition(f"/b/{BUCKET}")[2]
        name = unquote(place.removeprefix("/o").lstrip("/"))
        asked: Asked = "list" if not name else "read" if query.get("alt") == "media" else "look up"
        of = query.get("prefix", "") if asked == "list" else name
        self.asked.append((asked, of))
        if (refusal := self.refuses(asked, of)) is not None:
            return None if refusal.status == CUT else refusal
        if asked == "list":
            return self._list(of, query.get("delimiter", ""), query)
        file = self.folder / name
        if not file.is_file():
            return json_reply(404, {"error": {"code": 404, "message": "No such object"}})
        return self._read(file, request) if asked == "read" else json_reply(200, self._object(file))

    def _object(self, file: Path) -> dict[str, str]:
        name = file.relative_to(self.folder).as_posix()
        return {
            "bucket": BUCKET,
            "name": name,
            "size": str(file.stat().st_size),
            "generation": f"{file.stat().st_mtime_ns}{file.stat().st_ino}",
            **dict.fromkeys(("updated", "timeCreated"), WRITTEN),
        }

    def _list(self, prefix: str, delimiter: str, page: Mapping[str, str]) -> Reply:
        files = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
        names = {path.relative_to(self.folder).as_posix(): path for path in files}
        below = {name: name.removeprefix(prefix) for name in names if name.startswith(prefix)}
        deeper = {name for name, rest in below.items() if delimiter and delimiter in rest}
        items = [self._object(names[name]) for name in below if name not in deeper]
        items += [item for item in self.extra if item["name"] == prefix]
        prefixes = sorted({prefix + below[name].partition(delimiter)[0] + delimiter for name in deeper})
        first, most = int(page.get("pageToken", 0)), int(page.get("maxResults", 1000))
        answer: dict[str, Any] = {"kind": "storage#objects", "items": items[first : first + most], "prefixes": prefixes}
        if len(items) > first + most:
            answer["nextPageToken"] = str(first + most)
        return json_reply(200, answer)

    def _read(self, file: Path, request: Request) -> Reply:
        content = file.read_bytes()
        headers = {name.lower(): value for name, value in request.headers.items()}
        if "range" not in headers:
            return Reply(200, content)
        first, _, last = headers["range"].removeprefix("bytes=").partition("-")
        part = content[int(first) : int(last) + 1 if last else None]
        return Reply(206, part, {"Content-Range": f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"})


@contextlib.contextmanager
def bucket_of(folder: Path) -> Iterator[BucketOfFolder]:
    """Clients of Cloud Storage in this process talk to such a server while the context is open, and do not wait between tries."""
    from google.cloud.storage.retry import DEFAULT_RETRY

    from platform_assets.foundation.storage import bucket

    server = BucketOfFolder(folder)
    with answering(server.reply) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", url)
        patch.setattr("gcsfs.retry.asyncio", _Hurried())
        for name, seconds in (("_initial", 0.001), ("_maximum", 0.001), ("_timeout", 0.02)):
            patch.setattr(DEFAULT_RETRY, name, seconds)
        bucket._client.cache_clear()
        yield server
        bucket._client.cache_clear()


class _Hurried:
    """What gcsfs takes from asyncio to wait between its tries."""

    async def sleep(self, _: float) -> None:
        """No wait."""
