"""A lock that one process holds at a time, and that frees itself when its holder dies: a lease on a file's name.

The file names its holder and for how many seconds it counts. It is made by creating it once, renewed every third of
that time by swapping it for another version, and removed at the end. A process that waits takes it over, by swapping
the version it saw, when it has not changed for that many seconds.

Time is told in two ways, and either suffices. The waiting process watches the version on its own monotonic clock, which
needs no agreement between clocks (Kubernetes' leader election does so). And so that a lease found dead need not be
watched, its age by the storage's own time of the last write is believed, less `CLOCKS_DIFFER`: a clock further from the
storage's than that can make a live lease look dead.

Limits. A lease keeps work from being done twice; it cannot make a write safe. Its holder may be stopped (a garbage
collection, a frozen machine) between `require` and what it does next, and go on after another has taken over: see
M. Kleppmann, "How to do distributed locking", 2016. What is guarded must therefore refuse a late writer itself: be
created once, or swapped for the version that was read.
"""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TypeVar
from uuid import uuid4

from platform_assets.foundation.storage.files import Files, Stored, pauses

CLOCKS_DIFFER = 5.0
LONGEST_PAUSE = 2.0
T = TypeVar("T")
log = logging.getLogger(__name__)


class LeaseLost(RuntimeError):
    """Another process took the lease over, because this one did not renew it in time."""


@dataclass(frozen=True)
class _Watched:
    version: str
    holder: str
    seconds: float
    since: float


class Lease:
    """The right to be the only one who does something. Not for use by two threads at once: each takes its own.

    Args:
        name: of the lease's file.
        seconds: how long others wait for a holder that has fallen silent.
        what: what it is a lease on, as messages call it; by default its file.
    """

    def __init__(self, files: Files, name: str, seconds: float = 60.0, what: str | None = None) -> None:
        self.location = files.location(name)
        self.what = what or self.location
        self.seconds = seconds
        self._files = files
        self._name = name
        self._watched: _Watched | None = None
        self._turn = threading.Lock()
        self._released = threading.Event()
        self._version: str | None = None
        self._good_until = 0.0
        self._record: dict[str, str | float | int] = {}

    def acquire(self) -> bool:
        """One attempt without waiting: whether this process holds the lease now."""
        there = self._files.read(self._name) if self._watched else None
        if there is None:
            if self._take(None):
                return True
            there = self._files.read(self._name)
        return there is not None and self._has_lapsed(there) and self._take(there.version)

    def wait(self, instead: Callable[[], T | None] = lambda: None) -> T | None:
        """Wait until this process holds the lease (returns None) or `instead()` finds something (returns that)."""
        holder, waits = None, pauses(LONGEST_PAUSE)
        while True:
            if self.acquire():
                return None
            result = instead()
            if result is not None:
                return result
            if self._watched and self._watched.holder != holder:
                holder = self._watched.holder
                log.warning("waiting for %s: it is with %s (%s)", self.what, holder, self.location)
            time.sleep(next(waits))

    def require(self) -> None:
        """Return while this process holds the lease.

        Raises:
            LeaseLost: it does not; whoever does may have begun the same work.
        """
        with self._turn:
            if self._version is None or time.monotonic() >= self._good_until:
                self._renew()

    def release(self) -> None:
        """Let the next one have it. Nothing happens when it was lost."""
        self._released.set()
        try:
            self.require()
        except LeaseLost as lost:
            log.warning("%s", lost)
            return
        self._files.delete(self._name, self._version, durable=False)
        self._version = None

    def __enter__(self) -> Self:
        self.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _take(self, expected: str | None) -> bool:
        self._record = {
            "holder": f"process {os.getpid()} on {socket.gethostname()}",
            "seconds": self.seconds,
            "renewed": 0,
            "id": uuid4().hex,
        }
        if not self._swap(expected):
            return False
        self._watched = None
        self._released = threading.Event()
        threading.Thread(target=self._keep, args=(self._released,), name=f"renews {self.location}", daemon=True).start()
        return True

    def _keep(self, released: threading.Event) -> None:
        while not released.wait(self.seconds / 3):
            try:
                with self._turn:
                    if not released.is_set():
                        self._renew()
            except LeaseLost:
                return
            except Exception:
                # It may work next time; if not, `require` tells the holder.
                log.exception("%s: its lease %s was not renewed", self.what, self.location)

    def _renew(self) -> None:
        self._record["renewed"] = int(self._record["renewed"]) + 1
        if self._version is None or not self._swap(self._version):
            self._version = None
            raise LeaseLost(
                f"{self.what} was not renewed for {self.seconds:g} s and another process took it over, "
                f"or {self.location} was deleted; start this again if no other process finishes it"
            )

    def _swap(self, expected: str | None) -> bool:
        asked = time.monotonic()
        self._version = self._files.swap(self._name, json.dumps(self._record).encode(), expected, durable=False)
        self._good_until = asked + self.seconds
        return self._version is not None

    def _has_lapsed(self, there: Stored) -> bool:
        now = time.monotonic()
        if self._watched is None or self._watched.version != there.version:
            holder, seconds = self._terms(there)
            written = self._files.written_at(self._name)
            age = (datetime.now(UTC) - written).total_seconds() - CLOCKS_DIFFER if written else 0.0
            self._watched = _Watched(there.version, holder, seconds, now - max(0.0, age))
        return now - self._watched.since > self._watched.seconds

    def _terms(self, there: Stored) -> tuple[str, float]:
        """(who holds it, for how many seconds of silence); one that a power cut tore counts for as long as this one."""
        try:
            record = json.loads(there.content)
            return str(record["holder"]), float(record["seconds"])
        except (ValueError, TypeError, KeyError):
            return "an unknown process", self.seconds
