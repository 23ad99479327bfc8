"""What a lease promises: one holder at a time, freed by its holder or by its holder's death, and a holder who knows."""

import logging
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from platform_assets.foundation.storage import Lease, LeaseLost, files_at
from platform_assets.foundation.storage.lease import CLOCKS_DIFFER
from tests.foundation.storage.actors import go_on, said, started
from tests.foundation.storage.reading import stored

NAME = "lease.json"
# Long enough that no holder loses it by being slow, and short enough to wait out.
NEVER, SOON = 600.0, 1.0


def holding(root: str | Path, seconds: float) -> subprocess.Popen[str]:
    """A process that holds the lease."""
    holder = started("hold", root, seconds)
    assert said(holder) == "held"
    return holder


def killed(holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()


def end_of(holder: subprocess.Popen[str]) -> str:
    """What it says of its lease when it is told to go on."""
    go_on(holder)
    word = said(holder)
    assert holder.wait() == 0
    return word


def test_one_holds_it_at_a_time_and_then_the_next(root: str) -> None:
    files = files_at(root)
    first, second = Lease(files, NAME, NEVER), Lease(files, NAME, NEVER)
    assert first.acquire()
    assert not second.acquire()
    assert not second.acquire()
    first.require()
    first.release()
    assert second.acquire()
    second.release()
    assert files.names() == []


def test_it_is_released_when_the_work_fails(root: str) -> None:
    with pytest.raises(ZeroDivisionError), Lease(files_at(root), NAME, NEVER):
        raise ZeroDivisionError
    assert Lease(files_at(root), NAME, NEVER).acquire()


def test_a_lease_can_be_taken_again_after_it_was_released(root: str) -> None:
    lease = Lease(files_at(root), NAME, NEVER)
    for _ in range(3):
        with lease:
            lease.require()
    with pytest.raises(LeaseLost):
        lease.require()


def test_a_holder_renews_it_without_being_asked(root: str) -> None:
    files = files_at(root)
    with Lease(files, NAME, 0.3):
        versions: set[str] = set()
        patience = time.monotonic() + 60
        while len(versions) < 4 and time.monotonic() < patience:
            versions.add(stored(files, NAME).version)
            time.sleep(0.01)
    assert len(versions) == 4


def test_a_holder_whose_lease_was_removed_learns_it(root: str) -> None:
    lease = Lease(files_at(root), NAME, 0.3)
    assert lease.acquire()
    files_at(root).delete(NAME)

    def require_for_ever() -> None:
        while True:
            lease.require()
            time.sleep(0.01)

    with pytest.raises(
        LeaseLost, match=f"not renewed for 0.3 s and another process took it over, or .*{NAME} was deleted"
    ):
        require_for_ever()


def test_one_found_long_dead_is_taken_at_once(tmp_path: Path) -> None:
    killed(holding(tmp_path, 30.0))
    before = time.time() - 31 - CLOCKS_DIFFER
    os.utime(tmp_path / NAME, (before, before))
    assert Lease(files_at(tmp_path), NAME, NEVER).acquire()


def test_who_waits_says_for_whom(root: str, caplog: pytest.LogCaptureFixture) -> None:
    with Lease(files_at(root), NAME, NEVER), caplog.at_level(logging.WARNING):
        found = iter([None, None, "found"])
        assert Lease(files_at(root), NAME, NEVER, what="the thing").wait(instead=lambda: next(found)) == "found"
    said = [record.message for record in caplog.records]
    assert len(said) == 1
    assert re.match(rf"waiting for the thing: it is with process {os.getpid()} on .* \(.*{NAME}\)", said[0])


def test_one_that_a_power_cut_left_unreadable_frees_itself_too(root: str) -> None:
    files_at(root).write(NAME, b"")
    assert not Lease(files_at(root), NAME, NEVER).acquire()
    with Lease(files_at(root), NAME, SOON) as lease:
        lease.require()


@pytest.mark.slow
def test_what_twenty_processes_do_under_it_happens_one_at_a_time(root: str) -> None:
    counting = [started("increment_under_lease", root, 2) for _ in range(20)]
    assert [actor.wait() for actor in counting] == [0] * 20
    assert stored(files_at(root), "counter").content == b"40"
    assert files_at(root).names() == ["counter"]


def test_a_killed_holder_s_lease_goes_to_who_waits(root: str) -> None:
    killed(holding(root, SOON))
    with Lease(files_at(root), NAME, NEVER) as lease:
        lease.require()


def test_a_holder_stopped_until_another_took_over_learns_it_and_leaves_the_other_s_lease_alone(
    root: str,
) -> None:
    holder = holding(root, SOON)
    holder.send_signal(signal.SIGSTOP)
    with Lease(files_at(root), NAME, NEVER) as lease:
        before = files_at(root).read(NAME)
        holder.send_signal(signal.SIGCONT)
        assert end_of(holder) == "lost"
        assert files_at(root).read(NAME) == before
        lease.require()


def test_a_holder_stopped_for_too_long_goes_on_when_nobody_took_over(root: str) -> None:
    holder = holding(root, SOON)
    holder.send_signal(signal.SIGSTOP)
    time.sleep(SOON * 1.5)
    holder.send_signal(signal.SIGCONT)
    assert end_of(holder) == "still held"
    assert files_at(root).names() == []


def test_a_holder_who_ends_well_kept_it(root: str) -> None:
    holder = holding(root, NEVER)
    assert end_of(holder) == "still held"
    assert files_at(root).names() == []
