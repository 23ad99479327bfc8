"""The pages over HTTP: GET and HEAD of the index and of what a shelf holds, to those who ask for a host that it is.

Belongs here: requests and answers. Does not belong here: which files are served (`shelves.py`), sockets (`serving.py`).
A page of somebody else's whose name leads to this machine (DNS rebinding) asks for a host of its own, and is refused.
Paths are compared as they were sent: no name that is served needs an escape, so none is undone.
"""

import logging
import re
from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlsplit

import jinja2
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from platform_assets.environment import Environment
from platform_assets.foundation.storage import StorageRefused
from platform_assets.operations.pages.overview import campaigns_of, tables_of
from platform_assets.operations.pages.shelves import Kind, shelves_of

HEALTH = "/healthz"
# Names that no public name server can give to another machine.
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
METHODS = ("GET", "HEAD")

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]+)?")
_HERE = Path(__file__).parent
_TYPES: dict[Kind, str] = {"page": "text/html", "audit": "text/html", "picture": "image/svg+xml"}
_NOTHING_FETCHED = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _NOTHING_FETCHED,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# An asset page of the UI names a picture, under whatever name its own host was opened.
_PICTURE_HEADERS = {
    "Content-Security-Policy": f"{_NOTHING_FETCHED}; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


class Pages:
    """The pages of one environment, as an ASGI application.

    With a path in `pages_url`, as behind a proxy that leads `/pages/` of another host here, all lies below that path.
    """

    def __init__(self, environment: Environment, hosts: Collection[str] = ()) -> None:
        """`hosts`: names it is asked for by, beside those of loopback and of `pages_url`; lower case, without port."""
        url = urlsplit(environment.pages_url or "")
        self._base = url.path.rstrip("/")
        self._hosts = LOOPBACK | {*hosts} | ({_host_of(url.netloc)} if url.netloc else set())
        self._place = str(environment.reports)
        self._shelves = shelves_of(environment)
        self._index = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
            (_HERE / "index.html").read_text(encoding="utf-8")
        )
        self._audit_style = b"<style>" + (_HERE / "audit.css").read_bytes() + b"</style></head>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"{scope['type']}: pages are HTTP alone")
        response = await run_in_threadpool(
            self._answer, scope["method"], scope["raw_path"].decode("latin-1"), Headers(scope=scope).get("host", "")
        )
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        await response(scope, receive, send)

    def _answer(self, method: str, path: str, host: str) -> Response:
        if method not in METHODS:
            return PlainTextResponse("Pages are read: GET or HEAD.\n", 405, {"Allow": ", ".join(METHODS)})
        if path == HEALTH:
            return PlainTextResponse("ok\n")
        if _host_of(host) not in self._hosts:
            return PlainTextResponse(
                "This server is not reached by that name. PLATFORM_PAGES_URL names the address at which people reach it.\n",
                421,
            )
        if path in ("/", self._base) and self._base:
            return RedirectResponse(f"{self._base}/")
        try:
            page = self._page(path.removeprefix(f"{self._base}/")) if path.startswith(f"{self._base}/") else None
            return page or PlainTextResponse(f"There is no such page; {self._base}/ lists all that there are.\n", 404)
        except (StorageRefused, FileNotFoundError) as error:  # the second: there is no such bucket
            logging.getLogger(__name__).error("%s", error)
            return PlainTextResponse(f"{error}\n", 503)

    def _page(self, name: str) -> Response | None:
        if not name:
            return self._overview()
        first, _, rest = name.partition("/")
        served = self._shelves[first].served(rest) if first in self._shelves else None
        if served is None:
            return None
        content = served.content
        if served.kind == "audit":
            content = content.replace(b"</head>", self._audit_style, 1)
        headers = _PICTURE_HEADERS if served.kind == "picture" else {}
        return Response(content, headers=headers, media_type=_TYPES[served.kind])

    def _overview(self) -> Response:
        page = self._index.render(
            base=self._base,
            place=self._place,
            campaigns=campaigns_of(self._shelves["reports"]),
            tables=tables_of(self._shelves["audits"]),
        )
        return Response(page, media_type="text/html")


def _host_of(header: str) -> str | None:
    """The name in a Host header, without its port; None where it is none."""
    match = _HOST.fullmatch(header.lower())
    return match[1] if match else None
