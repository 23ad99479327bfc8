"""A server of a test's own, which answers each request as a function says.

Belongs here: HTTP on a free port of this machine, and passing a request on. Does not belong here: what is answered.
"""

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_OF_ONE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length"}
_PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Request:
    command: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    status: int
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def json_reply(status: int, document: object) -> Reply:
    return Reply(status, json.dumps(document).encode(), {"Content-Type": "application/json"})


def forwarded(request: Request, place: str) -> Reply:
    """What the server at this `host:port` answers."""
    with contextlib.closing(HTTPConnection(place, timeout=_PATIENCE_SECONDS)) as connection:
        connection.request(request.command, request.path, request.body, dict(request.headers))
        answer = connection.getresponse()
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in _OF_ONE_CONNECTION}
        return Reply(answer.status, answer.read(), headers)


@contextlib.contextmanager
def answering(reply: Callable[[Request], Reply | None]) -> Iterator[str]:
    """The URL of a server that answers so while the context is open; for None it closes the connection instead."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body leave apart; Nagle's algorithm would hold the body back for 40 ms.
        disable_nagle_algorithm = True

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = reply(Request(self.command, self.path, dict(self.headers), body))
            if answer is None:
                self.close_connection = True
                return
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            """Nothing: the test says what matters."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            # A process that was killed hears no answer, and sends no more.
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)  # type: ignore[arg-type]

    with Server(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()
