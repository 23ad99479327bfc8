"""Processes that bring the same exports side by side, and are killed in the midst of it."""

import os
import random
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from platform_assets.data.raw.discover import discover
from platform_assets.data.transfer.bringing import bring
from platform_assets.data.transfer.ledger import HOME
from platform_assets.environment import REPOSITORY
from tests.data.exports.breaking import FILMS, write_films
from tests.data.transfer.bringer import TERMS
from tests.data.transfer.s3 import NOBODYS_KEY, S3, bucket_at
from tests.support.answering import Request

_PATIENCE_SECONDS = 120


class Bringer:
    """A process that brings, through a proxy of its own, and that is started again when it was killed."""

    def __init__(self, s3: S3, url: str, origin: str, exports: Path) -> None:
        self.s3, self._origin, self._exports = s3, origin, exports
        self._variables = {**os.environ, **NOBODYS_KEY, "AWS_ENDPOINT_URL_S3": url, "AWS_EC2_METADATA_DISABLED": "true"}
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.data.transfer.bringer", self._origin, str(self._exports)]
        return subprocess.Popen(command, cwd=REPOSITORY, env=self._variables, stdout=subprocess.DEVNULL)

    def killed_at(self, read: int, beside: "Bringer") -> bool:
        """Kill it at its so-manieth read, and start it again; whether it came to that."""
        began = threading.Event()

        # The other one waits at the proxy, holding its leases, so that it is not done before this one has begun.
        def wait(request: Request) -> None:
            began.wait(_PATIENCE_SECONDS)

        beside.s3.interfere, self.s3.interfere = wait, lambda request: began.set()
        self.s3.kill(self.process.pid, read)
        code = self.process.wait(_PATIENCE_SECONDS)
        began.set()
        if code == 0:
            return False
        self.process = self._started()
        return True


def files(folder: Path) -> dict[Path, bytes]:
    """What lies there, but for what nobody reads."""
    paths = (
        path for path in folder.rglob("*") if path.is_file() and path.suffix != ".aside" and path.name != "_started"
    )
    return {path.relative_to(folder): path.read_bytes() for path in paths}


@pytest.mark.slow
def test_kills_cost_no_more_than_a_part_each_and_nothing_crosses_twice(
    s3_endpoint: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    deep = pytestconfig.option.deep
    objects, kills = (1_000, 20) if deep else (30, 1)
    generator = random.Random(pytestconfig.option.seed)
    items = [
        {"film_id": {"N": str(number)}, "title": {"S": generator.randbytes(2_000).hex()}}
        for number in range(2 * objects)
    ]
    write_films(tmp_path / "written", items, files=objects)
    written, exports = files(tmp_path / "written"), tmp_path / "exports"
    with ExitStack() as stack:
        first, url = stack.enter_context(bucket_at(s3_endpoint))
        second, other_url = stack.enter_context(bucket_at(s3_endpoint))
        first.fill(tmp_path / "written")
        origin = f"s3://{first.bucket}/films"
        second.bucket = first.bucket
        pair = [Bringer(first, url, origin, exports), Bringer(second, other_url, origin, exports)]
        done = 0
        for turn in range(kills):
            done += pair[turn % 2].killed_at(generator.randint(1, 30), pair[1 - turn % 2])
        assert done == kills
        first.interfere = second.interfere = lambda request: None
        for each in pair:
            assert each.process.wait(_PATIENCE_SECONDS * 5) == 0
        distinct = sum(map(len, set(written.values())))
        moved = first.bytes_read + second.bytes_read
        assert distinct <= moved <= distinct + kills * TERMS.in_flight
        lying = files(exports)
        assert {path: lying[path] for path in lying if path.parts[0] != HOME} == written
        # Of what was under way nothing is left.
        assert not [path for path in lying if path.parts[:2] in ((HOME, "parts"), (HOME, "arriving"))]
        spec = FILMS.model_copy(update={"origin": origin})
        (export,) = discover(spec, "films", exports).complete
        assert export.tables["films"].rows == 2 * objects

        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**NOBODYS_KEY, "AWS_ENDPOINT_URL_S3": url}.items():
                patch.setenv(name, value)
            again = bring(spec, exports, TERMS)
        assert again is not None
        assert (again.bytes_moved, again.bytes_moved_ever) == (0, distinct)
        assert first.bytes_read + second.bytes_read == moved
