"""What is served is what has a form, and nothing else, however it is asked for and whatever lies beside it."""

import os
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from platform_assets.environment import Environment
from platform_assets.operations.pages import shelves
from tests.operations.pages.conftest import HIDDEN, KEY, SERVED, Asked, Serve

CSP = "default-src 'none'"


@pytest.mark.parametrize("path", SERVED)
def test_a_page_is_served_by_its_name_and_may_fetch_nothing(asked: Asked, path: str) -> None:
    answer = asked(path)
    assert (answer.status, answer.headers["content-type"]) == (200, SERVED[path])
    assert answer.headers["content-security-policy"].startswith(CSP)
    assert "script-src" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "server" not in answer.headers


@pytest.mark.parametrize(("shelf", "name"), [(shelf, name) for shelf, names in HIDDEN.items() for name in names])
def test_what_lies_beside_pages_is_not_there(asked: Asked, shelf: str, name: str) -> None:
    answer = asked(f"/{shelf}/{name}")
    assert answer.status == 404
    assert KEY not in answer.text


def test_the_keys_of_people_are_not_there_under_any_spelling_of_their_files_name(asked: Asked) -> None:
    secret = "winback/1998-04-01/audience.csv"
    for path in (
        f"/reports/{secret}",
        f"/reports/{secret}?",
        f"/reports/{secret}#report.html",
        f"/reports/{secret}%00report.html",
        f"/reports/{secret}/report.html",
        f"/reports/{secret};report.html",
        f"/reports//{secret}",
        f"/reports/./{secret}",
        "/reports/winback/1998-04-01/report.html/../audience.csv",
        f"/audits/../reports/{secret}",
        f"/audits/..%2freports%2f{secret}",
        f"/reports/{quote(secret, safe='')}",
        f"/reports/{secret.upper()}",
        f"http://127.0.0.1/reports/{secret}",
        f"/{secret}",
    ):
        answer = asked(path)
        assert answer.status == 404, path
        assert KEY not in answer.text


# Pieces of paths that have broken servers, mixed with those of names that are served.
PIECES = st.sampled_from(
    [
        *(
            "/",
            "//",
            ".",
            "..",
            "/../",
            "%2e",
            "%2E%2e",
            "%2f",
            "%5c",
            "\\",
            "%00",
            "%0a",
            "~",
            ";",
            "?",
            "*",
            "%c0%af",
        ),
        *("reports", "audits", "winback", "1998-04-01", "report.html", "lift.svg", "model_cards", "1998-04-01.html"),
        *("audience.csv", "audience.parquet", "figures.json", ".env", "current.json", "current.html", "training_set"),
        *("features", "customer", "order_value", "etc", "passwd", "decision.json", "html", "csv"),
    ]
)
PATHS = st.one_of(
    st.lists(PIECES, min_size=1, max_size=9).map("".join),
    st.lists(PIECES, min_size=1, max_size=7).map("/".join),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40),
).map(lambda path: f"/{path}")


@settings(max_examples=300, deadline=None)
@example("/reports/winback/1998-04-01/..%2f1998-04-01/audience.csv")
@example("/reports/%2e%2e/audiences/winback/1998-04-01/audience.csv")
@given(path=PATHS)
def test_no_path_leads_to_anything_but_a_page_that_is_there(asked: Asked, path: str) -> None:
    answer = asked(path)
    assert KEY not in answer.text
    plain = path.partition("?")[0]
    there = plain in SERVED or plain in ("/", "/healthz") or plain.replace("04-01", "01-01") in SERVED
    allowed = {200} if there else {404, 400}
    others = {f"/reports/winback/1998-01-01/{name}" for name in ("report.html", "lift.svg")}
    assert answer.status in ({200} if plain in others else allowed), path


NEAR = st.builds(
    lambda name, at, drop, piece: name[:at] + piece + name[at + drop :],
    st.sampled_from([name for names in HIDDEN.values() for name in names] + [path[9:] for path in SERVED]),
    st.integers(0, 40),
    st.integers(0, 3),
    st.one_of(PIECES, st.text(max_size=3)),
)


@settings(max_examples=300, deadline=None)
@given(name=NEAR)
def test_a_name_a_stroke_away_from_a_file_gives_a_page_or_nothing(filled: Environment, name: str) -> None:
    for shelf in shelves.shelves_of(filled).values():
        served = shelf.served(name)
        assert served is None or KEY.encode() not in served.content


def test_a_link_in_a_folder_leads_nowhere(own: Environment, serve_pages: Serve, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "report.html").write_text(KEY)
    reports = Path(own.reports)
    (reports / "winback" / "1998-05-01").mkdir()
    os.symlink(outside / "report.html", reports / "winback" / "1998-05-01" / "report.html")
    os.symlink("../1998-04-01/audience.csv", reports / "winback" / "1998-05-01" / "lift.svg")
    os.symlink(outside, reports / "winback" / "1998-06-01")
    os.symlink(reports / "winback", reports / "other")
    os.mkfifo(reports / "winback" / "1998-01-01" / "pipe")
    os.replace(reports / "winback" / "1998-01-01" / "pipe", reports / "winback" / "1998-01-01" / "report.html")
    asked = serve_pages(own)
    for name in ("winback/1998-05-01/report.html", "winback/1998-05-01/lift.svg", "winback/1998-06-01/report.html",
                 "other/1998-04-01/report.html", "winback/1998-01-01/report.html"):  # fmt: skip
        assert asked(f"/reports/{name}").status == 404, name
    assert "1998-05-01" not in asked("/").text
    assert asked("/reports/winback/1998-04-01/report.html").status == 200


def test_a_data_folder_that_is_itself_a_link_is_served(own: Environment, serve_pages: Serve, tmp_path: Path) -> None:
    os.symlink(own.data, tmp_path / "link")
    asked = serve_pages(replace(own, data=tmp_path / "link"))
    assert asked("/reports/winback/1998-04-01/report.html").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
def test_pages_are_only_read(asked: Asked, method: str) -> None:
    for path in ("/", next(iter(SERVED)), "/nowhere"):
        answer = asked(path, method)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
        assert answer.headers["content-security-policy"].startswith(CSP)


def test_head_says_what_get_would_and_sends_no_page(asked: Asked) -> None:
    for path in ("/", *SERVED):
        page, head = asked(path), asked(path, "HEAD")
        assert (head.status, head.text) == (200, "")
        assert head.headers["content-length"] == page.headers["content-length"]
        assert head.headers["content-type"] == page.headers["content-type"]


@pytest.mark.parametrize("host", ["evil.example.com", "evil.example.com:3001", "127.0.0.1.evil.example.com", "10.0.0.1", "[::2]", "", " ", "127.0.0.1@evil.example.com"])  # fmt: skip
def test_a_name_of_somebody_elses_that_leads_here_is_refused(asked: Asked, host: str) -> None:
    for path in ("/", next(iter(SERVED)), "/nowhere"):
        answer = asked(path, host=host or " ")
        assert answer.status in (400, 421)
        assert "winback" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:3001", "LOCALHOST", "[::1]:80"])
def test_names_of_this_machine_alone_are_answered_at_any_port(asked: Asked, host: str) -> None:
    assert asked("/", host=host).status == 200


def test_behind_a_proxy_pages_lie_below_its_path_and_answer_to_its_name(
    filled: Environment, serve_pages: Serve
) -> None:
    asked = serve_pages(replace(filled, pages_url="https://UI.example.com/pages/"))
    name = next(iter(SERVED))
    assert asked(f"/pages{name}", host="ui.example.com").status == 200
    assert asked(name, host="ui.example.com").status == 404
    assert 'href="/pages/reports/winback/1998-04-01/report.html"' in asked("/pages/", host="ui.example.com").text
    for path in ("/", "/pages"):
        assert (asked(path).status, asked(path).headers["location"]) == (307, "/pages/")
    assert asked("/pagesreports/winback/1998-04-01/report.html").status == 404
    assert asked(f"/pages{name}", host="dagster.example.com").status == 421


def test_whether_it_lives_is_told_to_whoever_asks_and_looks_at_nothing(own: Environment, serve_pages: Serve) -> None:
    asked = serve_pages(replace(own, data=own.data / "nowhere", pages_url="https://ui.example.com/pages"))
    assert (asked("/healthz", host="10.0.0.7:3001").status, asked("/healthz").text) == (200, "ok\n")
