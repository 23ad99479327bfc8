"""The web UI as people see it: a campaign's graph, and what an audit found."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from platform_assets.environment import REPOSITORY
from tests.support.processes import free_port
from tests.support.running import Platform, failures_of, variables_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
LOCATION = "platform_assets.definitions"
STEPS = ("training_set", "lightgbm", "network", "ensemble", "promoted_model", "scores", "audience", "report")
PATIENCE_SECONDS = 90

pytestmark = [
    pytest.mark.slow,
    pytest.mark.programs("chromium"),
]


@pytest.fixture
def web_ui(own_platform: Platform, tmp_path: Path) -> Iterator[str]:
    """The address of a web server on a platform in which one feature group was made for one date."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copyfile(REPOSITORY / "deploy" / "local" / "dagster.yaml", home / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        shown = Platform.of(own_platform.environment, instance)
        made = shown.materialize("features/customer/order_value", partition_key="1998-07-01")
        assert made.success, failures_of(made)
    port = free_port()
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "dagster_webserver", "-m", LOCATION, "-h", "127.0.0.1", "-p", str(port)],
            env=os.environ | variables_of(own_platform.environment) | {"DAGSTER_HOME": str(home)},
            cwd=REPOSITORY,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/server_info", server, tmp_path / "server.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        # Its code server is another process of the same group.
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _wait_for(address: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.3)
    pytest.fail(f"the web server did not answer within {PATIENCE_SECONDS} s:\n{log.read_text()}")


@pytest.fixture
def page(tmp_path: Path) -> Iterator["Page"]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        shown = browser.new_page(viewport={"width": 1600, "height": 1000})
        shown.set_default_timeout(PATIENCE_SECONDS * 1000)
        yield shown
        browser.close()


def shot(page: "Page", folder: Path, name: str) -> None:
    """A screenshot for people; SCREENSHOTS names a folder that keeps a copy."""
    place = folder / f"{name}.png"
    page.screenshot(path=str(place))
    print(f"screenshot: {place}")
    if kept := os.environ.get("SCREENSHOTS"):
        shutil.copyfile(place, Path(kept) / place.name)


def test_the_web_ui_shows_a_campaign_s_graph_and_what_an_audit_found(web_ui: str, page: "Page", tmp_path: Path) -> None:
    page.goto(f"{web_ui}/locations/{LOCATION}/asset-groups/repeat_buyers")
    skip = page.get_by_text("Skip", exact=True)
    skip.wait_for()
    skip.click()
    for step in STEPS:
        page.get_by_text(step, exact=True).first.wait_for()
    shot(page, tmp_path, "campaign")
    assert page.get_by_text("community").count() == 0

    page.goto(f"{web_ui}/assets/features/customer/order_value")
    page.get_by_role("tab", name="Checks").first.click()
    page.get_by_text("audit", exact=True).first.wait_for()
    shot(page, tmp_path, "audit")
    told = page.locator("body").inner_text()
    assert "Great Expectations judges the table before it is published" in told
    assert "Passed" in told
