"""The web UI as people see it: a campaign's graph, what an audit found, and pages that open when their links are clicked."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from platform_assets.environment import REPOSITORY, Environment
from tests.support.answered import Answered
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
# What is found again, so that the instance of the web UI knows of it; asset → partition.
ASKED = {
    "features/customer/order_value": "1998-04-01",
    "repeat_buyers/promoted_model": None,
    "repeat_buyers/report": "1998-04-01",
}
# Asset → what follows its address where its links are.
ASSET_PAGES = {
    "repeat_buyers/report": "?view=partitions&partition=1998-04-01",
    "repeat_buyers/promoted_model": "",
    "features/customer/order_value": "?view=checks&checkDetail=audit",
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.programs("chromium"),
]


@dataclass(frozen=True)
class Shown:
    """The addresses of a web server and of the pages that its assets link to."""

    ui: str
    pages: str


@pytest.fixture(scope="module")
def answers_shown(answered: Answered, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """A platform that answered its questions, the web UI on it, and its pages."""
    folder = tmp_path_factory.mktemp("shown")
    shutil.copytree(answered.folder / "data", folder / "data")
    pages = f"http://127.0.0.1:{free_port()}"
    environment = replace(answered.environment, data=folder / "data", pages_url=pages)
    home = _home(folder)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        platform = Platform.of(environment, instance)
        for key, partition in ASKED.items():
            made = platform.materialize(key, partition_key=partition)
            assert made.success, failures_of(made)
    command = ["-c", "from platform_assets.cli import main; main()", "pages", "--port", pages.rpartition(":")[2]]
    with _served(command, f"{pages}/healthz", environment, home), _web_ui_of(environment, home) as ui:
        with _browser() as visitor:
            # An instance greets whoever comes first.
            visitor.goto(ui)
            with visitor.expect_response(lambda answer: "setNuxSeen" in (answer.request.post_data or "")):
                visitor.get_by_text("Skip", exact=True).click()
        yield Shown(ui, pages)


def _home(folder: Path) -> Path:
    home = folder / "home"
    home.mkdir()
    shutil.copyfile(REPOSITORY / "deploy" / "local" / "dagster.yaml", home / "dagster.yaml")
    return home


@contextmanager
def _web_ui_of(environment: Environment, home: Path) -> Iterator[str]:
    address = f"http://127.0.0.1:{free_port()}"
    command = ["-m", "dagster_webserver", "-m", LOCATION, "-h", "127.0.0.1", "-p", address.rpartition(":")[2]]
    with _served(command, f"{address}/server_info", environment, home):
        yield address


@contextmanager
def _served(command: Sequence[str], answers: str, environment: Environment, home: Path) -> Iterator[None]:
    """While in it, a process of Python serves, and has answered at an address."""
    log = home.with_name(f"{answers.rpartition('/')[2]}.log")
    with log.open("w") as written:
        server = subprocess.Popen(
            [sys.executable, *command],
            env=os.environ | variables_of(environment) | {"DAGSTER_HOME": str(home)},
            cwd=REPOSITORY,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for(answers, server, log)
        yield
    finally:
        # A web server's code server is another process of the same group.
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
def page() -> Iterator["Page"]:
    with _browser() as shown:
        yield shown


@contextmanager
def _browser() -> Iterator["Page"]:
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


def test_the_web_ui_shows_a_campaign_s_graph_and_what_an_audit_found(
    answers_shown: Shown, page: "Page", tmp_path: Path
) -> None:
    page.goto(f"{answers_shown.ui}/locations/{LOCATION}/asset-groups/repeat_buyers")
    for step in STEPS:
        page.get_by_text(step, exact=True).first.wait_for()
    shot(page, tmp_path, "campaign")
    assert page.get_by_text("community").count() == 0

    page.goto(f"{answers_shown.ui}/assets/features/customer/order_value")
    page.get_by_role("tab", name="Checks").first.click()
    page.get_by_text("audit", exact=True).first.wait_for()
    shot(page, tmp_path, "audit")
    told = page.locator("body").inner_text()
    assert "Great Expectations judges the table before it is published" in told
    assert "Passed" in told


def _opened(page: "Page", href: str) -> str:
    """What a person reads who clicks on a link, in whatever window it opens."""
    link = page.locator(f"a[href='{href}']").first
    if link.get_attribute("target") == "_blank":
        with page.expect_popup() as opening:
            link.click()
        opened = opening.value
        opened.wait_for_load_state()
        text = opened.locator("body").inner_text()
        assert opened.url == href
        opened.close()
        return text
    link.click()
    page.wait_for_url(f"**{href}")
    text = page.locator("body").inner_text()
    page.go_back()
    return text


def test_every_link_to_a_page_on_an_asset_page_and_on_the_index_opens_when_it_is_clicked(
    answers_shown: Shown, page: "Page", tmp_path: Path
) -> None:
    page.goto(answers_shown.pages)
    page.get_by_text("crm@example.com").first.wait_for()
    shot(page, tmp_path, "index")
    # What is folded cannot be clicked.
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    led_to = [str(link.get_attribute("href")) for link in page.locator("a").all()]
    assert {href.split("/")[1] for href in led_to} == {"reports", "audits"}
    for href in led_to:
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert _opened(page, href).strip(), href

    read = []
    for key, view in ASSET_PAGES.items():
        page.goto(f"{answers_shown.ui}/assets/{key}{view}")
        page.locator(f"a[href^='{answers_shown.pages}/']").first.wait_for()
        if key.endswith("report"):
            picture = page.get_by_alt_text("Lift by tenth of people").first
            picture.wait_for()
            page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=picture.element_handle())
            assert "In the top tenth " in page.locator("body").inner_text()
        shot(page, tmp_path, key.rpartition("/")[2])
        assert page.locator("a[href^='file:']").count() == 0
        links = page.locator(f"a[href^='{answers_shown.pages}/']").all()
        for href in sorted({str(link.get_attribute("href")) for link in links}):
            read.append(_opened(page, href))
    told = "\n".join(read)
    for part in ("The audience", "Model card of campaign repeat_buyers", "Expectation Validation Result"):
        assert part in told
