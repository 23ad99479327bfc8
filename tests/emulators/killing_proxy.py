"""A proxy in front of the BigQuery emulator that kills a process at a chosen request: what does a crash there leave behind?

Belongs here: forwarding, counting and killing. Does not belong here: what is done through it.
"""

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.process import BaseProcess
from typing import Literal
from urllib.parse import urlsplit

When = Literal["before", "after"]
# More changes than anything makes: nothing is killed.
NEVER = 10_000
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
_PATIENCE_SECONDS = 120


class KillingProxy:
    """Forwards to `endpoint`. Counts the requests that change something: not GET, and not a query that only reads.

        with killing_proxy(endpoint) as proxy:
            proxy.run(process, 3, "before")     # it works with `proxy.url` as its BigQuery endpoint

    Attributes:
        changes: the requests counted since `run`, the one at which the process was killed last.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = urlsplit(endpoint)
        self.changes: list[str] = []
        self.url = ""
        self._lock = threading.Lock()
        self._number = 0
        self._when: When = "before"
        self._victim: int | None = None
        self._known = threading.Event()

    def run(self, process: BaseProcess, number: int, when: When, group: bool = False) -> int | None:
        """Run a process, and kill it at its `number`-th change, before that is forwarded or after it was answered (to the proxy).

        group: kill the process group that it makes itself the leader of. Returns its exit code.
        """
        self.changes, self._number, self._when = [], number, when
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
            if len(self.changes) == self._number:  # What comes later, from other threads, is too late.
                return None
            self.changes.append(change)
            return self._when if len(self.changes) == self._number else None

    def kill(self) -> None:
        if not self._known.wait(_PATIENCE_SECONDS) or self._victim is None:
            raise RuntimeError("the process to kill was not started in time")
        os.kill(self._victim, signal.SIGKILL)


@contextlib.contextmanager
def killing_proxy(endpoint: str) -> Iterator[KillingProxy]:
    """A proxy that serves on a free port while the context is open."""
    proxy = KillingProxy(endpoint)
    server = _Server(("127.0.0.1", 0), lambda *arguments: _Handler(proxy, *arguments))
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        # A process that was killed hears no answer, and sends no more.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, proxy: KillingProxy, *arguments: object) -> None:
        self.proxy = proxy
        super().__init__(*arguments)  # type: ignore[arg-type]

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kill = self.proxy.moment(f"{self.command} {self.path}") if self._is_change(body) else None
        if kill == "before":
            self._kill()
            return
        connection = HTTPConnection(self.proxy.endpoint.netloc, timeout=_PATIENCE_SECONDS)
        with contextlib.closing(connection):
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
        if kill == "after":
            self._kill()
            return
        self._answer(answer, content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward

    def log_message(self, *_: object) -> None:
        """Nothing: the test says what matters."""

    def _answer(self, answer: HTTPResponse, content: bytes) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _is_change(self, body: bytes) -> bool:
        if self.command == "GET":
            return False
        document = json.loads(body) if body.startswith(b"{") else {}
        asked = document.get("query") or document.get("configuration", {}).get("query", {}).get("query", "")
        return not (isinstance(asked, str) and asked.lstrip().lower().startswith(("select", "with")))

    def _kill(self) -> None:
        self.proxy.kill()
        self.close_connection = True
