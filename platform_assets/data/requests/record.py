"""What was asked for, and what became of it: one small file a table, that is replaced only by who knows what it says.

Belongs here: requests, their attempts, and the file. Does not belong here: what is due (`planning`), and AWS.

`asked` holds a file of each table, or of each cluster. Without it the next look asks for a new full export. `failed` has a file
where AWS failed at every attempt: nothing more is asked for until somebody has mended the cause and removed it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from platform_assets.foundation.storage import StorageRefused, files_at

HOME = ".requests"
# Attempts before a person is asked to look.
TRIES = 3
_FORMAT = 1
_REMEMBERED = 100

Status = Literal["INTENDED", "REFUSED", "IN_PROGRESS", "COMPLETED", "FAILED", "LOST"]


class RequestRefused(Exception):
    """An export cannot be asked for as things are. The message says what to do."""


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        at: UTC; the instant at which the export shows the table, of a window its end (exclusive).
        start: UTC; of a window, its beginning (inclusive); None where the export is full.
        snapshot: ARN of the snapshot that is exported; None for DynamoDB.
    """

    at: datetime
    start: datetime | None = None
    snapshot: str | None = None

    @property
    def earliest(self) -> datetime:
        """UTC; the earliest instant that has to be known for it."""
        return self.start or self.at


@dataclass(frozen=True)
class Attempt:
    """One request to AWS.

    Attributes:
        token: by which AWS knows the same request again: its client token, or the identifier of the task.
        call: the parameters, which stay the same however often it is made.
        asked_at: UTC; before the call was made for the first time.
        id: the export's name at AWS; None until the answer is recorded.
        status: INTENDED until then, REFUSED where AWS took no such call; LOST where it cannot be had any more.
        why: AWS's code and words where it failed.
    """

    token: str
    call: Mapping[str, Any]
    asked_at: datetime
    id: str | None = None
    status: Status = "INTENDED"
    why: str = ""
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Request:
    """An export that is wanted, and the attempts to get it, of which the last one counts."""

    wanted: Wanted
    attempts: tuple[Attempt, ...]

    @property
    def last(self) -> Attempt:
        return self.attempts[-1]

    @property
    def is_exhausted(self) -> bool:
        """Whether AWS failed as often as it is asked without somebody looking."""
        return self.last.status == "FAILED" and len(self.attempts) % TRIES == 0

    def with_last(self, **changes: Any) -> "Request":
        return replace(self, attempts=(*self.attempts[:-1], replace(self.last, **changes)))


Requests = tuple[Request, ...]
"""Those of one table, oldest first."""


class Ledger:
    """The records of one source.

    Args:
        exports_root: folder or gs:// URL of the exports.
        path: of the source, below it.

    Raises:
        StorageRefused: nothing can be recorded there.
    """

    def __init__(self, exports_root: str | Path, path: str) -> None:
        try:
            self._files = files_at(exports_root)
        except ValueError as error:
            raise StorageRefused(f"PLATFORM_EXPORTS: {error}. What is asked for of AWS is recorded there.") from error
        self._path = path

    def read(self, name: str) -> Requests:
        """What was asked for of a table or cluster.

        Raises:
            RequestRefused: the record cannot be read.
        """
        stored = self._files.read(self._asked(name))
        return self._parsed(name, stored.content if stored else None)

    def update(self, name: str, change: Callable[[Requests], Requests]) -> Requests:
        """Replace what is recorded by `change(what is recorded)`, which may run several times; what is there then."""

        def changed(content: bytes | None) -> bytes:
            before = self._parsed(name, content)
            after = change(before)
            return content if content is not None and after == before else _text(after)

        return self._parsed(name, self._files.update(self._asked(name), changed))

    def failure(self, name: str) -> str | None:
        """Why nothing more is asked for of a table or cluster; None where nothing speaks against it."""
        stored = self._files.read(self._failed(name))
        return stored.content.decode() if stored else None

    def record_failure(self, name: str, sentence: str) -> None:
        self._files.create(self._failed(name), sentence.encode())

    def failure_location(self, name: str) -> str:
        return self._files.location(self._failed(name))

    def _asked(self, name: str) -> str:
        return f"{HOME}/asked/{self._path}/{name}.json"

    def _failed(self, name: str) -> str:
        return f"{HOME}/failed/{self._path}/{name}"

    def _parsed(self, name: str, content: bytes | None) -> Requests:
        if content is None:
            return ()
        try:
            document = json.loads(content)
            if document["format"] != _FORMAT:
                raise ValueError
            return tuple(_request(each) for each in document["requests"])
        except (ValueError, KeyError, TypeError) as error:
            raise RequestRefused(
                f"{self._files.location(self._asked(name))}: the record of what was asked for cannot be read. Put back an older "
                "version of it, or remove it: then a new full export is asked for."
            ) from error


def segment(requests: Requests) -> Requests:
    """The last full export and what follows it."""
    fulls = [number for number, request in enumerate(requests) if request.wanted.start is None]
    return requests[fulls[-1] :] if fulls else requests


def kept(requests: Requests) -> Requests:
    """Without those that are long over; what is not, and the last full export, stay."""
    current = segment(requests)
    over = [each for each in requests[:-1] if each not in current or (each != current[0] and _is_over(each))]
    forgotten = over[: max(0, len(requests) - _REMEMBERED)]
    return tuple(each for each in requests if each not in forgotten)


def _is_over(request: Request) -> bool:
    return request.last.status in ("COMPLETED", "LOST")


def with_answer(requests: Requests, request: Request, **answer: Any) -> Requests:
    """With what AWS said of the last attempt of a request; the same where another attempt has followed since."""
    return tuple(
        each.with_last(**answer)
        if each.wanted == request.wanted
        and each.last.token == request.last.token
        and each.last.status in ("INTENDED", "IN_PROGRESS")
        else each
        for each in requests
    )


def with_refusal(requests: Requests, request: Request) -> Requests:
    """With the last attempt of a request as one that AWS did not take; the same where it took it from another process."""
    return tuple(
        each.with_last(status="REFUSED") if each == request and each.last.status == "INTENDED" else each
        for each in requests
    )


def _request(document: dict[str, Any]) -> Request:
    wanted = Wanted(_instant(document["at"]), _instant_or_none(document["start"]), document["snapshot"])
    attempts = tuple(
        Attempt(
            **{
                **each,
                "asked_at": _instant(each["asked_at"]),
                "ended_at": _instant_or_none(each["ended_at"]),
            }
        )
        for each in document["attempts"]
    )
    if not attempts:
        raise ValueError
    return Request(wanted, attempts)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _instant_or_none(text: str | None) -> datetime | None:
    return _instant(text) if text else None


def _text(requests: Requests) -> bytes:
    documents = [
        {**asdict(request.wanted), "attempts": [asdict(each) for each in request.attempts]} for request in requests
    ]
    return json.dumps({"format": _FORMAT, "requests": documents}, default=datetime.isoformat, indent=1).encode()
