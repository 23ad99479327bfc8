"""Folders as a platform leaves them, with people's keys beside what is served, and a real server over them."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest
import uvicorn

from platform_assets.environment import Environment, local_environment
from platform_assets.foundation.storage import files_at
from platform_assets.operations.pages import serving

KEY = "person-4711"
DAYS = ("1998-01-01", "1998-04-01")
HEADLINE = "2,357 of 23,570 people. The top tenth held 3.7 times as many positives as all."
FIGURES = {
    "campaign": {"name": "winback", "description": "Who comes <b>back</b>", "owner": "crm@example.com"},
    "audience": {"people": 23570, "selected": 2357},
    "headline": HEADLINE,
    "training": {"more": "than the index shows"},
}
DECISION = {"outcome": "kept", "reason": "The challenger is worse: AUC -0.020.", "score_at": "1998-04-01"}
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg"/>'
# What a browser is to get, by its URL.
SERVED = {
    "/reports/winback/1998-04-01/report.html": "text/html; charset=utf-8",
    "/reports/winback/1998-04-01/lift.svg": "image/svg+xml",
    "/reports/winback/model_cards/1998-04-01.html": "text/html; charset=utf-8",
    "/audits/features/customer/order_value/1998-04-01.html": "text/html; charset=utf-8",
    "/audits/winback/training_set/current.html": "text/html; charset=utf-8",
}
# What lies in the same folders, and is no page.
HIDDEN = {
    "reports": (
        "winback/1998-04-01/audience.csv",
        "winback/1998-04-01/audience.parquet",
        "winback/1998-04-01/figures.json",
        "winback/1998-04-01/.report.html",
        "winback/1998-04-01/report.html.bak",
        "winback/model_cards/1998-04-01.json",
        "winback/decision.json",
        "winback/report.html",
        ".env",
        "report.html",
    ),
    "audits": (
        "winback/training_set/current.json",
        "features/customer/order_value/1998-04-01.json",
        "features/customer/order_value/.1998-04-01.html",
    ),
}


def fill(environment: Environment) -> None:
    """A campaign with two reports and a card, two audited tables, and everything beside them that names a person."""
    reports, audits = files_at(environment.reports), files_at(environment.data_docs)
    for day in DAYS:
        reports.write(f"winback/{day}/report.html", f"<html><head></head><h1>Report of {day}</h1></html>".encode())
        reports.write(f"winback/{day}/lift.svg", PICTURE.encode())
    reports.write(f"winback/model_cards/{DAYS[1]}.html", b"<html><head></head><h1>Model card</h1></html>")
    audits.write(
        "features/customer/order_value/1998-04-01.html", b"<html><head></head><h1>Audit of features</h1></html>"
    )
    audits.write("winback/training_set/current.html", b"<html><head></head><h1>Audit of rows</h1></html>")
    for shelf, names in HIDDEN.items():
        for name in names:
            (reports if shelf == "reports" else audits).write(name, KEY.encode())
    reports.write(f"winback/{DAYS[1]}/figures.json", json.dumps({**FIGURES, "key": KEY}).encode())
    reports.write("winback/decision.json", json.dumps({**DECISION, "key": KEY}).encode())


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str


@dataclass(frozen=True)
class Asked:
    """A server and the environment it serves."""

    environment: Environment
    port: int

    def __call__(self, path: str, method: str = "GET", host: str | None = None) -> Answer:
        """The answer to a path, sent as it is written here."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, path, skip_host=True)
            connection.putheader("Host", host or f"127.0.0.1:{self.port}")
            connection.endheaders()
            answer: HTTPResponse = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, headers, answer.read().decode())
        finally:
            connection.close()


Serve = Callable[[Environment], Asked]


@pytest.fixture(scope="session")
def serve_pages() -> Iterator[Serve]:
    """Serves an environment from a thread of this process until the tests have ended."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def served(environment: Environment) -> Asked:
        listener = serving.listening("127.0.0.1", 0)
        server = uvicorn.Server(serving.settings_of(environment, "127.0.0.1"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        running.append((server, thread))
        return Asked(environment, listener.getsockname()[1])

    yield served
    for server, _ in running:
        server.should_exit = True
    for _, thread in running:
        thread.join()


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = replace(local_environment(tmp_path_factory.mktemp("pages")), pages_url=None)
    fill(environment)
    return environment


@pytest.fixture(scope="session")
def asked(serve_pages: Serve, filled: Environment) -> Asked:
    return serve_pages(filled)


@pytest.fixture
def own(tmp_path: Path) -> Environment:
    """A filled environment to change."""
    environment = local_environment(tmp_path / "data")
    fill(environment)
    return environment
