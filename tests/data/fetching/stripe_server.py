"""A server that speaks Stripe's shape: lists newest first, cursors, errors, events, edits and deletions, on a clock of its own."""

import copy
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

KEY = "rk_test_of_nobody"
START = 1_790_000_000
OBJECTS = {"customers": "customer", "subscriptions": "subscription", "products": "product"}
EVENT_TYPES = {"customer": "customer", "subscription": "customer.subscription", "product": "product"}
DAY = 86_400
# How long Stripe keeps events.
EVENTS_SECONDS = 30 * DAY


class StripeServer:
    """An account, and the server that shows it.

    Attributes:
        now: seconds since 1970, as the server's clock has it; nothing but a test moves it.
        answers: (status, headers) of the next answers, instead of what was asked for.
        asked: path and query of each request, in order.
        alter: changes an answer before it is sent.
        meanwhile: called before a request is answered, with how many there were before it.
    """

    def __init__(self) -> None:
        self.url = ""
        self.empty()

    def empty(self) -> None:
        """An account of which nothing was ever asked."""
        self.now = START
        self.objects: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in OBJECTS}
        self.events: list[dict[str, Any]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.asked: list[str] = []
        self.alter: Callable[[dict[str, Any]], object] = lambda answer: None
        self.meanwhile: Callable[[int], None] = lambda number: None
        self._made = 0

    def create(self, kind: str, **values: Any) -> str:
        self._made += 1
        name = OBJECTS[kind]
        one: dict[str, Any] = {
            "id": f"{name[:3]}_{self._made:06d}",
            "object": name,
            "created": self.now,
            "livemode": False,
        } | values
        self.objects[kind][one["id"]] = one
        self._tell(kind, "created", one)
        return str(one["id"])

    def edit(self, kind: str, name: str, **values: Any) -> None:
        self.objects[kind][name] |= values
        self._tell(kind, "updated", self.objects[kind][name])

    def delete(self, kind: str, name: str) -> None:
        self._tell(kind, "deleted", self.objects[kind].pop(name))

    def state(self, kind: str) -> dict[str, dict[str, Any]]:
        """What a person would see of the kind, by id."""
        return copy.deepcopy(self.objects[kind])

    def _tell(self, kind: str, what: str, one: dict[str, Any]) -> None:
        event = {
            "id": f"evt_{len(self.events):06d}",
            "object": "event",
            # As of the version of an account that was opened long ago, whatever the request asks for.
            "api_version": "2019-02-19",
            "created": self.now,
            "type": f"{EVENT_TYPES[OBJECTS[kind]]}.{what}",
            "data": {"object": {"id": one["id"], "object": one["object"], "of": "an older version"}},
        }
        self.events.append(event)

    def answer(self, method: str, path: str, asked: dict[str, str], sent: dict[str, str]) -> tuple[int, dict[str, Any]]:
        _, _, kind, *rest = path.split("/")
        if kind == "events":
            kept = [event for event in self.events if event["created"] > self.now - EVENTS_SECONDS]
            return self._page(kind, kept, asked)
        if kind not in OBJECTS:
            return refusal(404, f"Unrecognized request URL ({path})", None)
        own = self.objects[kind]
        if not rest:
            if method == "POST":
                return 200, own[self.create(kind, **sent)]
            shown = list(own.values())
            if kind == "subscriptions" and asked.get("status") != "all":
                shown = [one for one in shown if one.get("status") != "canceled"]
            return self._page(kind, shown, asked)
        if rest[0] not in own:
            return refusal(404, f"No such {OBJECTS[kind]}: '{rest[0]}'", "id")
        if method == "POST":
            self.edit(kind, rest[0], **sent)
        if method == "DELETE":
            self.delete(kind, rest[0])
            return 200, {"id": rest[0], "object": OBJECTS[kind], "deleted": True}
        return 200, own[rest[0]]

    def _page(self, kind: str, shown: list[dict[str, Any]], asked: dict[str, str]) -> tuple[int, dict[str, Any]]:
        limit = int(asked.get("limit", 10))
        if not 1 <= limit <= 100:
            return refusal(400, "limit is between 1 and 100", "limit")
        # Newest first; of a second, the last first.
        newest = list(reversed([one for one in shown if one["created"] >= int(asked.get("created[gte]", 0))]))
        after = asked.get("starting_after")
        ids = [one["id"] for one in newest]
        if after is not None and after not in ids:
            return refusal(400, f"No such {kind}: '{after}'", "starting_after")
        rest = newest[ids.index(after) + 1 :] if after else newest
        page = {"object": "list", "url": f"/v1/{kind}", "has_more": len(rest) > limit, "data": rest[:limit]}
        return 200, page


def refusal(status: int, message: str, param: str | None) -> tuple[int, dict[str, Any]]:
    return status, {
        "error": {
            "type": "invalid_request_error",
            "code": "resource_missing" if param in ("id", "starting_after") else "parameter_invalid",
            "param": param,
            "message": message,
        }
    }


@contextmanager
def stripe_server() -> Iterator[StripeServer]:
    """An account without objects, served until the end."""
    account = StripeServer()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # An answer in one piece: in two, the second waits for the first to be acknowledged.
        wbufsize = -1

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            sent = dict(parse_qsl(self.rfile.read(length).decode()))
            with lock:
                account.meanwhile(len(account.asked))
                account.asked.append(self.path)
                headers: dict[str, str] = {}
                if account.answers:
                    status, headers = account.answers.pop(0)
                    body: dict[str, Any] = {"error": {"type": "api_error", "message": f"not now, {KEY}"}}
                elif self.headers.get("Authorization") != f"Bearer {KEY}":
                    status, body = 401, {"error": {"type": "invalid_request_error", "message": "Invalid API Key"}}
                else:
                    asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
                    status, body = account.answer(self.command, parts.path, asked, sent)
                    body = copy.deepcopy(body)
                    account.alter(body)
                content = json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = handle_any

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(account.now)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    account.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield account
    finally:
        server.shutdown()
        server.server_close()
