"""The emulators start where nobody else is, and end with whoever started them."""

import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path

import pytest

from platform_assets.environment import REPOSITORY
from tests.emulators.servers import Emulators

pytestmark = pytest.mark.emulator_only

SERVE_AND_SLEEP = """
import sys, time
from pathlib import Path
from tests.emulators.servers import serving
with serving(Path(sys.argv[1])) as emulators:
    print(emulators.bigquery, emulators.storage, flush=True)
    time.sleep(600)
"""


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=60):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_servers_end_when_the_process_that_started_them_is_interrupted_or_killed(
    end: signal.Signals, emulators: Emulators, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", SERVE_AND_SLEEP, str(tmp_path)]
    # A shell starts what it leaves in the background deaf to SIGINT, and so would this be.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    starter = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, preexec_fn=heard)
    assert starter.stdout is not None
    urls = starter.stdout.readline().split()
    assert len(urls) == 2
    assert all(map(answers, urls))
    starter.send_signal(end)
    starter.wait()
    patience = time.monotonic() + 60
    while any(map(answers, urls)) and time.monotonic() < patience:
        time.sleep(0.05)
    assert not any(map(answers, urls))


def test_servers_listen_on_this_machine_only(emulators: Emulators) -> None:
    for endpoint in (emulators.bigquery, emulators.bigquery_storage, emulators.storage):
        assert endpoint.removeprefix("http://").startswith("127.0.0.1:")
