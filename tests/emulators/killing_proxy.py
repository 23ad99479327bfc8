"""A proxy in front of the BigQuery emulator that kills a process at a chosen request: what does a crash there leave behind?

Belongs here: forwarding, counting and killing. Does not belong here: what is done through it.
"""

import contextlib
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from typing import Literal
from urllib.parse import urlsplit

from tests.support.answering import Reply, Request, answering, forwarded

When = Literal["before", "after"]
Counted = Callable[[str], bool]
# More changes than anything makes: nothing is killed.
NEVER = 10_000
_PATIENCE_SECONDS = 120


class KillingProxy:
    """Forwards to `endpoint`. Counts the requests that change something: not GET, and not a query that only reads.

        with killing_proxy(endpoint) as proxy:
            proxy.run(process, 3, "before")     # it works with `proxy.url` as its BigQuery endpoint

    Attributes:
        changes: the requests counted since `run`, the one at which the process was killed last.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = urlsplit(endpoint).netloc
        self.changes: list[str] = []
        self.url = ""
        self._lock = threading.Lock()
        self._number = 0
        self._reached = 0
        self._counted: Counted = lambda change: True
        self._when: When = "before"
        self._victim: int | None = None
        self._known = threading.Event()

    def run(
        self, process: BaseProcess, number: int, when: When, group: bool = False, counted: Counted = lambda change: True
    ) -> int | None:
        """Run a process, and kill it at its `number`-th change, before that is forwarded or after it was answered (to the proxy).

        Args:
            group: kill the process group that it makes itself the leader of.
            counted: which changes count towards `number`; others are only noted.

        Returns its exit code.
        """
        self.changes, self._number, self._when, self._counted, self._reached = [], number, when, counted, 0
        self._known.clear()
        process.start()
        assert process.pid is not None
        self._victim = -process.pid if group else process.pid
        self._known.set()
        process.join()
        return process.exitcode

    def moment(self, change: str) -> When | None:
        """Count a change: when to kill at it, if it is the one."""
        with self._lock:
            if self._reached == self._number:  # What comes later, from other threads, is too late.
                return None
            self.changes.append(change)
            self._reached += self._counted(change)
            return self._when if self._reached == self._number and self._counted(change) else None

    def reply(self, request: Request) -> Reply | None:
        kill = self.moment(f"{request.command} {request.path}") if _is_change(request) else None
        answer = forwarded(request, self.endpoint) if kill != "before" else None
        if kill:
            self.kill()
            return None
        return answer

    def kill(self) -> None:
        if not self._known.wait(_PATIENCE_SECONDS) or self._victim is None:
            raise RuntimeError("the process to kill was not started in time")
        os.kill(self._victim, signal.SIGKILL)


@contextlib.contextmanager
def killing_proxy(endpoint: str) -> Iterator[KillingProxy]:
    """A proxy that serves on a free port while the context is open."""
    proxy = KillingProxy(endpoint)
    with answering(proxy.reply) as proxy.url:
        yield proxy


def _is_change(request: Request) -> bool:
    if request.command == "GET":
        return False
    document = json.loads(request.body) if request.body.startswith(b"{") else {}
    asked = document.get("query") or document.get("configuration", {}).get("query", {}).get("query", "")
    return not (isinstance(asked, str) and asked.lstrip().lower().startswith(("select", "with")))
