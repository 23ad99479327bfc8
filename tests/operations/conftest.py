"""A real Dagster instance for each test, as the platform has it on Kubernetes: queued runs, pools, run monitoring.

On SQLite always, and on PostgreSQL, which the platform uses on Kubernetes, where its server's programs are installed. The
janitor writes to tables that Dagster has no call for, so both must hold.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import instance_for_test

from tests.support.processes import free_port
from tests.tiers import do_without

PASSWORD = "secret of the owner"
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
# Of a pool that was given no limit; not what a slot is by itself, so that it shows.
DEFAULT_SLOTS = 2
SETTINGS: dict[str, Any] = {
    "telemetry": {"enabled": False},
    "run_coordinator": {"module": "dagster", "class": "QueuedRunCoordinator"},
    "concurrency": {"pools": {"default_limit": DEFAULT_SLOTS}},
    "run_monitoring": {"enabled": True, "free_slots_after_run_end_seconds": 300},
}


@contextlib.contextmanager
def serving_postgres(config: pytest.Config, *settings: str, files: Sequence[Path] = ()) -> Iterator[int]:
    """The port of a PostgreSQL server of the tests' own, whose superuser `dagster` has the password PASSWORD.

    settings: of the server; {folder} in them is where it finds copies of `files`, which it alone may read.
    """
    if not POSTGRES:
        do_without(config, "PostgreSQL")
    folder, bin_folder, port = Path(tempfile.mkdtemp(prefix="postgres-")), POSTGRES[-1], free_port()
    # PostgreSQL does not run as root.
    owner: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    (folder / "password").write_text(PASSWORD)
    for file in files:
        shutil.copy(file, folder)
        (folder / file.name).chmod(0o600)
    for path in (folder, *folder.iterdir()) if owner else ():
        shutil.chown(path, owner["user"], owner["group"])
    initdb = [str(bin_folder / "initdb"), "-D", str(folder / "data"), "-U", "dagster", "-A", "trust", "--no-sync"]
    initdb.append(f"--pwfile={folder / 'password'}")
    subprocess.run(initdb, check=True, capture_output=True, cwd="/", **owner)
    told = [part for setting in settings for part in ("-c", setting.format(folder=folder))]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [bin_folder / "postgres", "-D", folder / "data", "-p", str(port), "-k", "", "-h", "127.0.0.1", "-F", *told],
            stdout=log,
            stderr=log,
            cwd="/",
            **owner,
        )
    ready = [str(bin_folder / "pg_isready"), "-h", "127.0.0.1", "-p", str(port), "-t", "1"]
    try:
        while subprocess.run(ready, capture_output=True).returncode:
            assert server.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield port
    finally:
        # Its fast shutdown, which does not wait for the tests' connections.
        server.send_signal(signal.SIGINT)
        server.wait()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """A PostgreSQL server of the tests' own."""
    with serving_postgres(pytestconfig) as port:
        yield f"postgresql+psycopg2://dagster@127.0.0.1:{port}/postgres"


@pytest.fixture(params=["sqlite", "postgres"])
def instance(request: pytest.FixtureRequest) -> dg.DagsterInstance:
    """An empty instance with a pool `gpu` of one slot."""
    opened: dg.DagsterInstance = request.getfixturevalue(f"{request.param}_instance")
    return opened


@pytest.fixture
def sqlite_instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with instance_for_test(overrides=SETTINGS, temp_dir=str(tmp_path)) as instance:
        instance.event_log_storage.set_concurrency_slots("gpu", 1)
        yield instance


@pytest.fixture
def postgres_instance(tmp_path: Path, postgres_url: str) -> Iterator[dg.DagsterInstance]:
    storage = {"storage": {"postgres": {"postgres_url": postgres_url}}}
    with instance_for_test(overrides=SETTINGS | storage, temp_dir=str(tmp_path)) as instance:
        instance.run_storage.wipe()
        instance.event_log_storage.wipe()
        instance.event_log_storage.set_concurrency_slots("gpu", 1)
        yield instance
