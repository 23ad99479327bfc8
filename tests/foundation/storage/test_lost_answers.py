"""A bucket's answers can be late, be refusals, be lost or garbled: what was done is neither done twice nor called a failure."""

import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from platform_assets.foundation.storage import bucket, files_at
from tests.emulators.servers import Emulators
from tests.foundation.storage.reading import stored

LOST = -1
pytestmark = pytest.mark.emulator_only


class Line(ThreadingHTTPServer):
    """A line to the storage server on which uploads fail as told, with a status or with the answer lost on the way, and
    the first downloads arrive garbled.
    """

    daemon_threads = True

    def __init__(self, server: str) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.onward = urlsplit(server).netloc
        self.faults: list[int] = []
        self.uploads = 0
        self.garbled_downloads = 0


class _Forward(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Line

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        upload = self.command == "POST" and self.path.startswith("/upload")
        self.server.uploads += upload
        fault = self.server.faults.pop(0) if upload and self.server.faults else None
        if fault is not None and fault != LOST:
            self.send_response(fault)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        onward = http.client.HTTPConnection(self.server.onward)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        onward.request(self.command, self.path, body, headers)
        answer = onward.getresponse()
        content = answer.read()
        if fault == LOST:
            self.close_connection = True
            return
        if self.path.startswith("/download") and self.server.garbled_downloads:
            self.server.garbled_downloads -= 1
            content = content[::-1]
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _forward

    def log_message(self, *_: object) -> None:
        """The line says nothing."""


@pytest.fixture
def line(bucket_root: str, emulators: Emulators, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    with Line(emulators.storage) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{serving.server_port}")
        bucket._client.cache_clear()
        yield serving
        bucket._client.cache_clear()
        serving.shutdown()


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
    from google.api_core.exceptions import Forbidden

    line.faults = [403]
    with pytest.raises(Forbidden):
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
