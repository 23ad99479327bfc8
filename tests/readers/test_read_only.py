"""Readers read, and nothing else: whatever is done with what they hand out, no file changes and nobody waits."""

import fcntl
import gc
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from platform_assets import readers
from platform_assets.data.catalog.pointer import MartStore
from platform_assets.readers import view
from tests.readers.worlds import ROWS, World
from tests.support.processes import run_python
from tests.support.unprivileged import open_folder, unprivileged


def state_of(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Every file and folder, with what a write would leave other than it was."""
    status = {path: path.stat() for path in sorted(folder.rglob("*"))}
    return {str(path): (one.st_ino, one.st_size, one.st_mtime_ns, one.st_mode) for path, one in status.items()}


def test_reading_leaves_data_and_project_as_they_were(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "notebooks"
    here.mkdir()
    monkeypatch.chdir(here)
    before = state_of(tmp_path), state_of(world.environment.dbt_project)
    for name in ROWS:
        readers.open_marts()[name].arrow()
    readers.arrow(readers.orders().order_by("amount"))
    assert (state_of(tmp_path), state_of(world.environment.dbt_project)) == before


@pytest.mark.parametrize(
    "write",
    [
        lambda table, file: table.to_parquet(file),
        lambda table, file: table.to_csv(file),
        lambda table, file: table.get_backend().raw_sql(f"copy (select 1) to '{file}' (format parquet)"),
        lambda table, file: table.get_backend().raw_sql(
            f"copy (select 1) to '{file}' (format parquet, use_tmp_file false)"
        ),
        lambda table, _: table.get_backend().raw_sql(
            f"copy (select 1) to 'marts://orders__{readers.orders.published.version}' (format parquet, use_tmp_file false)"
        ),
        lambda table, _: table.get_backend().raw_sql("copy (select 1) to 'marts://mine' (format parquet)"),
        lambda table, file: table.get_backend().raw_sql(f"attach '{file}' as it"),
        lambda table, file: table.get_backend().raw_sql("set enable_external_access = true"),
        lambda table, file: table.get_backend().raw_sql(f"set allowed_paths = ['{file}']"),
    ],
    ids=[
        "to_parquet",
        "to_csv",
        "copy",
        "copy in place",
        "by its name here",
        "by a new name",
        "attach",
        "open up",
        "allow a path",
    ],
)
def test_nothing_that_a_table_leads_to_can_write_a_mart(write: Callable[[Any, Path], object], world: World) -> None:
    table, file = readers.orders(), world.file_of("orders")
    before = state_of(world.environment.data)
    with pytest.raises(duckdb.Error):
        write(table, file)
    assert state_of(world.environment.data) == before


def test_what_does_not_fit_into_memory_is_spilled_for_this_user_alone_and_removed(world: World, tmp_path: Path) -> None:
    program = """
from platform_assets import readers
from pathlib import Path
table = readers.orders()
[folder] = Path({place!r}).iterdir()
backend = table.get_backend()
backend.raw_sql("set memory_limit = '60MB'")
backend.raw_sql("set threads = 1")
backend.raw_sql("create temp table it as select range as n, md5(range::varchar) as text from range(2000000)")
print(oct(folder.stat().st_mode & 0o777), any(folder.iterdir()))
"""
    spilled = tmp_path / "spilled"
    spilled.mkdir()
    done = run_python("-c", program.format(place=str(spilled)), variables={"TMPDIR": str(spilled)})
    assert (done.stdout, done.stderr) == ("0o700 True\n", "")
    assert not list(spilled.iterdir())


def test_whoever_would_write_a_mart_is_told_so(world: World) -> None:
    name = f"marts://orders__{readers.orders.published.version}"
    backend = readers.orders().get_backend()
    with pytest.raises(duckdb.Error, match="published marts are read, not written; write to a place of your own"):
        backend.raw_sql(f"copy (select 1) to '{name}' (format parquet, use_tmp_file false)")
    with pytest.raises(duckdb.Error):
        backend.raw_sql("select * from read_parquet('marts:///etc/passwd')")


def test_changes_to_a_table_of_the_connection_do_not_reach_the_mart(world: World) -> None:
    table = readers.orders()
    name = f"orders__{readers.orders.published.version}"
    with pytest.raises(duckdb.Error):
        table.get_backend().raw_sql(f'delete from "{name}"')
    assert readers.orders.arrow().num_rows == 3


def test_somebody_who_may_only_read_can_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_folder() as shared:
        for name in ("PLATFORM_DATA", "PLATFORM_DBT_PROJECT"):
            copy = shutil.copytree(os.environ[name], shared / name)
            monkeypatch.setenv(name, str(copy))
        for path in [shared, *shared.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        # What earlier tests read is put away by who read it.
        view._engine.cache_clear()
        gc.collect()
        with unprivileged():
            with pytest.raises(PermissionError):
                (shared / "PLATFORM_DATA" / "mine").touch()
            # Not even into the folder for temporary files.
            monkeypatch.setattr(tempfile, "tempdir", str(shared))
            assert readers.orders.arrow().num_rows == 3
        shared.chmod(0o755)


def test_a_reader_does_not_wait_for_a_build_and_a_build_not_for_a_reader(world: World) -> None:
    database = world.environment.dbt_database
    database.parent.mkdir(parents=True)
    # What a build holds: dbt's database, and the locks of who builds and who writes versions.
    building = subprocess.Popen(
        [sys.executable, "-c", f"import duckdb, sys; duckdb.connect({str(database)!r}); print(1, flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert building.stdout is not None
    building.stdout.readline()
    locks = [database.with_suffix(".lock"), Path(world.store.root) / ".lock", Path(world.store.root)]
    locks[0].touch()
    held = [os.open(lock, os.O_RDONLY) for lock in locks]
    try:
        for descriptor in held:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        table = readers.orders()
        assert table.count().to_pyarrow().as_py() == 3
    finally:
        for descriptor in held:
            os.close(descriptor)
        building.communicate()
    world.publish({"orders": ROWS["orders"][:1]})
    assert table.count().to_pyarrow().as_py() == 3


def test_what_is_read_while_marts_are_published_is_one_version_or_the_other(world: World) -> None:
    program = """
from platform_assets import readers
counts = set()
for _ in range(20):
    marts = readers.open_marts()
    counts.add((marts.orders.arrow().num_rows, marts.customers.arrow().num_rows))
print(sorted(counts))
"""
    reading = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    versions = [{"orders": ROWS["orders"][:1], "customers": ROWS["customers"][:1]}, {name: ROWS[name] for name in ("orders", "customers")}]  # fmt: skip
    number = 0
    while reading.poll() is None:
        world.publish(versions[number % 2])
        number += 1
    said, _ = reading.communicate()
    assert reading.returncode == 0
    assert set(eval(said)) <= {(1, 1), (3, 2)}
    assert set(MartStore(world.environment.marts).read()) == set(ROWS)
