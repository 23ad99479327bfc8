"""TensorBoard as people run it (`make tensorboard`, deploy/kubernetes/base/tensorboard.yaml) shows a fit while it runs."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from platform_assets.foundation.storage import files_at
from platform_assets.learning.event_files import EventFile
from platform_assets.learning.families.fitting import Progress
from tests.foundation.storage.roots import root

__all__ = ["root"]
FILE = "shop/models/lightgbm/fold_0/0123456789ab/events.out.tfevents.fit"
SECONDS = 180


@contextmanager
def tensorboard(root: str, folder: Path) -> Iterator[Callable[..., object]]:
    """A TensorBoard over `root`; asks it for JSON, which is None as long as it answers with an error."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("tensorboard")), "--load_fast=false", f"--logdir={root}"]
    log = folder / "tensorboard.log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            [*command, "--host=127.0.0.1", f"--port={port}", "--reload_interval=1"],
            env={**os.environ, "HOME": str(folder)},
            stdout=output,
            stderr=output,
        )

    def asked(page: str, **query: str) -> object:
        assert running.poll() is None, log.read_text()
        try:
            with urlopen(f"http://127.0.0.1:{port}/data/plugin/scalars/{page}?{urlencode(query)}", timeout=5) as answer:
                return json.load(answer)
        except (URLError, ConnectionError, TimeoutError):
            return None

    try:
        yield asked
    finally:
        running.terminate()
        running.wait(timeout=20)


def soon(ask: Callable[[], object], expected: Callable[[object], bool]) -> None:
    """Waits until what `ask` tells is as expected; fails with what it told last."""
    until = time.monotonic() + SECONDS
    while not expected(told := ask()):
        assert time.monotonic() < until, f"after {SECONDS} s: {told}"
        time.sleep(0.5)


@pytest.mark.slow
def test_tensorboard_shows_a_fit_while_it_runs(root: str, tmp_path: Path) -> None:
    files = files_at(root)

    def fit(name: str) -> EventFile:
        return EventFile(lambda content: files.write(name, content), "lightgbm", {}, flush_seconds=0)

    running = fit(FILE)
    running.report(Progress(1, 0.1, 0.7, 0.7, 1000.0))
    run = FILE.rpartition("/")[0]
    with tensorboard(root, tmp_path) as asked:
        soon(lambda: asked("tags"), lambda told: isinstance(told, dict) and "loss/validation" in told.get(run, {}))
        running.report(Progress(2, 0.1, 0.6, 0.6, 1000.0))
        soon(
            lambda: asked("scalars", run=run, tag="loss/validation"),
            lambda told: isinstance(told, list) and [step for _, step, _ in told] == [1, 2],
        )
        later = run.replace("fold_0", "fold_1")
        fit(f"{later}/{FILE.rpartition('/')[2]}").report(Progress(1, 0.1, 0.7, 0.7, 1000.0))
        soon(lambda: asked("tags"), lambda told: isinstance(told, dict) and later in told)
