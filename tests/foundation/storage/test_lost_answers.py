"""A bucket's answers can be late, be refusals, be lost or garbled: what was done is neither done twice nor called a failure."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from platform_assets.foundation.storage import StorageRefused, bucket, files_at
from tests.emulators.servers import Emulators
from tests.foundation.storage.reading import stored
from tests.support.answering import Reply, Request, answering, forwarded

LOST = -1
pytestmark = pytest.mark.emulator_only


@dataclass
class Line:
    """A line to the storage server on which uploads fail as told, with a status or with the answer lost on the way, and
    the first downloads arrive garbled.
    """

    onward: str
    faults: list[int] = field(default_factory=list)
    uploads: int = 0
    garbled_downloads: int = 0

    def reply(self, request: Request) -> Reply | None:
        upload = request.command == "POST" and request.path.startswith("/upload")
        self.uploads += upload
        fault = self.faults.pop(0) if upload and self.faults else None
        if fault is not None and fault != LOST:
            return Reply(fault)
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        answer = forwarded(replace(request, headers=headers), self.onward)
        if fault == LOST:
            return None
        if request.path.startswith("/download") and self.garbled_downloads:
            self.garbled_downloads -= 1
            return replace(answer, content=answer.content[::-1])
        return answer


@pytest.fixture
def line(bucket_root: str, emulators: Emulators, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    line = Line(urlsplit(emulators.storage).netloc)
    with answering(line.reply) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        bucket._client.cache_clear()
        yield line
        bucket._client.cache_clear()


def test_a_create_whose_answer_was_lost_was_made(line: Line, bucket_root: str) -> None:
    line.faults = [LOST]
    assert files_at(bucket_root).create("name", b"mine")
    assert line.uploads == 2
    assert not files_at(bucket_root).create("name", b"mine")


def test_a_swap_whose_answer_was_lost_tells_the_version_it_made(line: Line, bucket_root: str) -> None:
    files = files_at(bucket_root)
    first = files.swap("name", b"first", None)
    line.faults = [LOST, LOST]
    second = files.swap("name", b"second", first)
    assert second == stored(files, "name").version
    assert files.swap("name", b"third", second) is not None


def test_an_update_whose_answer_was_lost_is_applied_once(line: Line, bucket_root: str) -> None:
    files = files_at(bucket_root)
    line.faults = [LOST, 503, LOST]
    for _ in range(2):
        files.update("counter", lambda before: str(int(before or b"0") + 1).encode())
    assert stored(files, "counter").content == b"2"


def test_another_s_equal_content_is_not_taken_for_one_s_own(line: Line, bucket_root: str) -> None:
    files = files_at(bucket_root)
    first = files.swap("name", b"5", None)
    assert files.swap("name", b"6", first) is not None
    assert files.swap("name", b"6", first) is None


@pytest.mark.parametrize("status", [429, 503])
def test_who_is_told_to_come_back_later_does(line: Line, bucket_root: str, status: int) -> None:
    line.faults = [status]
    files_at(bucket_root).write("name", b"content")
    assert line.uploads == 2
    assert stored(files_at(bucket_root), "name").content == b"content"


def test_who_is_refused_does_not_ask_again(line: Line, bucket_root: str) -> None:
    line.faults = [403]
    with pytest.raises(StorageRefused, match="not allowed to write"):
        files_at(bucket_root).create("name", b"content")
    assert line.uploads == 1


def test_a_download_that_arrives_garbled_is_made_again(line: Line, bucket_root: str, tmp_path: Path) -> None:
    files = files_at(bucket_root)
    files.write("name", b"content")
    line.garbled_downloads = 2
    assert stored(files, "name").content == b"content"
    line.garbled_downloads = 2
    assert files.local_path("name", tmp_path).read_bytes() == b"content"


def test_a_download_that_stays_garbled_is_told_and_leaves_no_file(
    line: Line, bucket_root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from google.api_core.exceptions import RetryError

    monkeypatch.setattr(bucket, "GARBLED_SECONDS", 0.5)
    files_at(bucket_root).write("name", b"content")
    line.garbled_downloads = 1000
    with pytest.raises(RetryError, match="Checksum mismatch"):
        files_at(bucket_root).read("name")
    with pytest.raises(RetryError, match="Checksum mismatch"):
        files_at(bucket_root).local_path("name", tmp_path)
    assert list(tmp_path.iterdir()) == []
