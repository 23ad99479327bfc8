"""Processes that ask side by side and are killed in the midst of it: each window is exported once."""

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from platform_assets.data.requests import record
from platform_assets.data.requests.asking import ask, await_exports
from platform_assets.environment import REPOSITORY
from platform_assets.foundation.storage.folder import Folder
from tests.data.exports.histories import EPOCH
from tests.data.requests.aws_server import Aws, InFolder, Table, variables
from tests.data.requests.conftest import SPEC, WRITES
from tests.data.requests.looking import windows
from tests.support.answering import Reply, Request, answering
from tests.support.dying_folder import Ended, dying
from tests.tiers import Draw

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CALLS = ("DescribeContinuousBackups", "ListExports", "DescribeExport", "ExportTableToPointInTime")


@pytest.mark.parametrize("later", [timedelta(0), 9 * HOUR])
def test_whatever_was_changed_last_each_window_is_exported_once(
    aws: Aws, tmp_path: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch, later: timedelta
) -> None:
    def days(exports: Path, at: int | None = None) -> tuple[list[str], Counter[Any]]:
        """Three days of looks, of which one may end the process; what was exported then, and how often."""
        kind, changes = dying(at) if at is not None else (Folder, [])
        monkeypatch.setattr(record, "files_at", lambda root: kind(Path(root)))
        aws.now, aws.exports, aws.failures = EPOCH + 2 * DAY + 3 * HOUR, [], [("code", "words")]
        for _ in range(9):
            try:
                ask(SPEC, exports, aws.now)
                aws.now += 8 * HOUR
                await_exports(SPEC, exports, aws.now)
            except Ended:
                monkeypatch.setattr(record, "files_at", lambda root: Folder(Path(root)))
                aws.now += later
        return changes, Counter(windows(aws))

    changes, whole = days(tmp_path / "whole", 10**6)
    # One failed, and was asked for again.
    assert whole == {(None, 48): 2, (48, 72): 1, (72, 96): 1}
    for at in draw(range(2 * len(changes)), 3):
        _, after = days(tmp_path / f"exports-{at}", at)
        assert after[None, 48] == 2
        assert set(after) - {(None, 48)} <= {(24.0 * day, 24.0 * day + 24) for day in range(2, 9)}
        assert max(count for window, count in after.items() if window != (None, 48)) == 1
        assert {(48, 72), (72, 96)} <= set(after)


class Daemon:
    """A process that looks when it is told to, and reaches AWS by an address of its own, which may kill it."""

    def __init__(self, aws: Aws, exports: Path, stack: ExitStack) -> None:
        self._aws, self._exports, self._kill_at = aws, exports, -1
        self._url = stack.enter_context(answering(self._reply))
        self.process = self._started()
        stack.callback(self._end)

    def _started(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.data.requests.daemon", str(self._exports)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, **variables(self._url)}, **pipes)

    def _end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    def _reply(self, request: Request) -> Reply:
        """An odd number kills after AWS has done what it was asked, and before the process hears of it."""
        answer = None if self._dies() else self._aws.reply(request)
        return Reply(500) if answer is None or self._dies() else answer

    def _dies(self) -> bool:
        self._kill_at -= 1
        if self._kill_at == -1:
            os.kill(self.process.pid, signal.SIGKILL)
            return True
        return False

    def begin(self, now: datetime, kill_at: int | None) -> None:
        self._kill_at = -1 if kill_at is None else kill_at
        assert self.process.stdin is not None
        self.process.stdin.write(f"{now.isoformat()}\n")
        self.process.stdin.flush()

    def ended(self) -> bool:
        """Wait for the look; whether it was killed, and then started again."""
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        if said:
            assert said == "looked\n"
            return False
        self._end()
        self.process = self._started()
        return True


@pytest.mark.slow
def test_two_daemons_of_which_one_is_killed_at_any_call_make_one_export_a_window(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    option = pytestconfig.option
    generator = random.Random(option.seed)
    aws = Aws(InFolder(tmp_path / "bucket"), EPOCH + 2 * DAY + 3 * HOUR)
    aws.tables["Films"] = Table("Films", WRITES)
    days, kills = (30, 0) if option.deep else (4, 0)
    with ExitStack() as stack:
        pair = [Daemon(aws, tmp_path / "exports", stack) for _ in range(2)]
        for day in range(days):
            # A day's look has four calls of who asks, and one of who looks at what is under way.
            points = [generator.randrange(8), None]
            generator.shuffle(points)
            for daemon, point in zip(pair, points, strict=True):
                daemon.begin(aws.now, point)
            kills += sum(daemon.ended() for daemon in pair)
            aws.now += generator.choice([HOUR, 10 * HOUR])
            for daemon in pair:
                daemon.begin(aws.now, None)
            kills += sum(daemon.ended() for daemon in pair)
            aws.now = EPOCH + (day + 3) * DAY + 3 * HOUR
    assert kills > 0
    assert windows(aws) == [(None, 48), *((24.0 * day, 24.0 * day + 24) for day in range(2, days + 1))]
