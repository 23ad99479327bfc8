"""`platform-assets pages` as a process: where it listens, what it says when it cannot, and that it ends with `make ui`."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from platform_assets.environment import REPOSITORY, local_environment
from platform_assets.operations.pages.serving import PagesError, listening, require_data
from tests.learning.test_imports import loaded_after
from tests.operations.pages.conftest import fill
from tests.support.processes import free_port, run_python

COMMAND = (sys.executable, "-c", "from platform_assets.cli import main; main()", "pages")
PATIENCE_SECONDS = 60


@contextmanager
def started(command: Sequence[str], data: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command,
        env=os.environ | {"PLATFORM_DATA": str(data)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def soon(happened: object, what: str) -> None:
    assert callable(happened)
    until = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < until, f"not {what} within {PATIENCE_SECONDS} s"
        time.sleep(0.05)


def answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, ConnectionError, TimeoutError):
        return False


@pytest.mark.slow
def test_it_listens_on_loopback_alone_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    fill(local_environment(tmp_path))
    port = free_port()
    with started([*COMMAND, "--port", str(port)], tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"Pages on http://127.0.0.1:{port}/\n"
        soon(lambda: answers(port), "answered")
        elsewhere = {entry[4][0] for entry in socket.getaddrinfo(socket.gethostname(), port)} - {"127.0.0.1", "::1"}
        for address in (*(one for one in elsewhere if not str(one).startswith("127.")), "127.0.0.2"):
            with pytest.raises(OSError):  # noqa: PT011 - refused, unreachable or timed out
                socket.create_connection((str(address), port), 5)
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_SECONDS)
    assert not answers(port)


@pytest.mark.slow
@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGKILL])
def test_pages_started_beside_a_process_end_with_it_however_it_ends(ended_by: signal.Signals, tmp_path: Path) -> None:
    port = free_port()
    # As the recipe of `make ui` does it: the shell becomes what it was started for.
    script = '"$@" --beside $$ & exec sleep 600'
    with started(["bash", "-c", script, "bash", *COMMAND, "--port", str(port)], tmp_path) as shell:
        soon(lambda: answers(port), "answered")
        shell.send_signal(ended_by)
        shell.wait(PATIENCE_SECONDS)
        soon(lambda: not answers(port), "ended")


@pytest.mark.slow
def test_pages_beside_a_process_that_ended_before_they_began_end_too(tmp_path: Path) -> None:
    with started([*COMMAND, "--beside", "4194304", "--port", str(free_port())], tmp_path) as pages:
        pages.wait(PATIENCE_SECONDS)


def test_a_port_in_use_is_told_in_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = run_python(*COMMAND[1:], "--port", str(port), variables={"PLATFORM_DATA": str(tmp_path)})
    assert said.returncode == 1
    assert said.stderr == (
        f"Error: port {port} of 127.0.0.1 is in use, perhaps by pages that are served already; end that process, or choose another "
        "port with --port and set PLATFORM_PAGES_URL to it, so that links lead there\n"
    )


@pytest.mark.parametrize("bind", ["203.0.113.7", "no.such.name.invalid"])
def test_an_address_that_is_not_this_machines_is_told_in_a_sentence(bind: str) -> None:
    with pytest.raises(
        PagesError, match=f"--bind {bind}: no address of this machine; 127.0.0.1 is reached from here alone"
    ):
        listening(bind, 0)


def test_a_data_folder_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "dta"
    with pytest.raises(
        PagesError, match=f"{missing} is not there, and nothing was ever written to it; PLATFORM_DATA names"
    ):
        require_data(local_environment(missing))
    assert not missing.exists()


def test_serving_loads_neither_dagster_nor_an_engine() -> None:
    (loaded,) = loaded_after("import platform_assets.operations.pages.serving, platform_assets.cli")
    assert not loaded & {"dagster", "duckdb", "ibis", "numpy", "pandas", "pyarrow", "matplotlib", "great_expectations"}


def test_the_recipe_of_the_ui_starts_pages_beside_it_and_becomes_dagster() -> None:
    recipe = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "--always-make", "ui"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    pages, dagster = recipe.splitlines()[-2:]
    assert pages.rstrip("\\ ").endswith("platform-assets pages --beside $$ &")
    assert dagster.strip().startswith("exec env --default-signal=INT ")
    assert "dagster dev" in dagster
