"""Takes the README's pictures from what the demo did: `python -m samples.pictures`, after `make demo`.

Belongs here: starting the web UI on the demo's data, a browser without a screen, and which parts of which pages are shown.
Does not belong here: making anything that is shown. It takes Debian's `chromium`.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from platform_assets.audiences.audience.publication import folder_of
from platform_assets.environment import REPOSITORY, Environment, environment_from_variables

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
LOCATION = "platform_assets.definitions"
CAMPAIGN, AS_OF = "repeat_buyers", "1998-01-01"
PATIENCE_SECONDS = 120
MOST_BYTES = 200_000


class PictureError(RuntimeError):
    """A picture cannot be taken; says what is missing."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m samples.pictures", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--to", type=Path, default=REPOSITORY / "docs" / "pictures", help="folder (default: docs/pictures)"
    )
    folder = parser.parse_args(arguments).to
    environment = environment_from_variables()
    report = Path(folder_of(environment.reports, CAMPAIGN, AS_OF)) / "report.html"
    try:
        if not CHROMIUM.exists():
            raise PictureError(f"{CHROMIUM} is not there: run `make programs`")
        if not report.is_file():
            raise PictureError(f"{report} is not there: run `make demo` first")
        folder.mkdir(parents=True, exist_ok=True)
        with _web_ui(environment) as address, _page() as page:
            graph = _picture_of_graph(page, address)
            _write(graph, folder / "graph.png")
            _write(_picture_of_report(page, report), folder / "report.png")
    except PictureError as error:
        raise SystemExit(str(error)) from error


def _picture_of_graph(page: "Page", address: str) -> bytes:
    page.set_viewport_size({"width": 1400, "height": 880})
    page.goto(f"{address}/locations/{LOCATION}/asset-groups/{CAMPAIGN}")
    page.get_by_text("promoted_model", exact=True).first.wait_for()
    # The layout is computed aside and then comes into view.
    page.wait_for_timeout(6000)
    # An instance greets whoever comes first.
    greeting = page.get_by_text("Skip", exact=True)
    if greeting.count():
        greeting.click()
        page.wait_for_timeout(1000)
    return page.screenshot()


def _picture_of_report(page: "Page", report: Path) -> bytes:
    page.set_viewport_size({"width": 1100, "height": 985})
    page.goto(report.resolve().as_uri())
    return page.screenshot()


def _write(picture: bytes, place: Path) -> None:
    """With as few colours as a page needs, so that the repository stays small."""
    from PIL import Image

    drawn = Image.open(BytesIO(picture)).convert("RGB").quantize(96, dither=Image.Dither.NONE)
    drawn.save(place, optimize=True)
    if place.stat().st_size > MOST_BYTES:
        raise PictureError(
            f"{place} has {place.stat().st_size:,} bytes, more than the {MOST_BYTES:,} that a picture may have"
        )
    print(f"{place} ({place.stat().st_size:,} bytes)")


@contextmanager
def _page() -> Iterator["Page"]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        yield page
        browser.close()


@contextmanager
def _web_ui(environment: Environment) -> Iterator[str]:
    """The address of a web server on the instance of DAGSTER_HOME."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    log = environment.data / "pictures.log"
    with log.open("w", encoding="utf-8") as written:
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "dagster_webserver",
                "-m",
                LOCATION,
                "-h",
                "127.0.0.1",
                "-p",
                address.rpartition(":")[2],
            ],
            cwd=REPOSITORY,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for(f"{address}/server_info", server, log)
        yield address
    finally:
        # Its code server is another process of the same group.
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def _wait_for(address: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.3)
    raise PictureError(f"the web server did not answer:\n{log.read_text(encoding='utf-8')}")


if __name__ == "__main__":
    main()
