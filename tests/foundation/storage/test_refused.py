"""A folder or bucket that does not say what is there: told with place, identity and remedy, whatever was asked of it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from platform_assets.foundation.storage import Files, Lease, StorageRefused, files_at
from tests.support.bucket_of_folder import BucketOfFolder, bucket_of, refusing
from tests.support.unprivileged import closed, open_folder

ROOT = "gs://lake/stored"
ASKS: dict[str, Callable[[Files], object]] = {
    "read": lambda files: files.read("a/b.json"),
    "local_path": lambda files: files.local_path("a/b.json", Path("/tmp/downloads")),
    "names": lambda files: files.names("a/"),
    "names of all": lambda files: files.names(),
    "exists": lambda files: files.exists("a/b.json"),
    "written_at": lambda files: files.written_at("a/b.json"),
    "write": lambda files: files.write("a/b.json", b"new"),
    "swap": lambda files: files.swap("a/b.json", b"new", None),
    "create": lambda files: files.create("a/b.json", b"new"),
    "update": lambda files: files.update("a/b.json", lambda before: b"new"),
    "put_files": lambda files: files.put_file(Path(__file__), "a/b.json"),
    "delete": lambda files: files.delete("a/b.json"),
    "lease": lambda files: Lease(files, "a/b.json").acquire(),
}
WRITES = {"write", "swap", "create", "put_files", "delete", "lease"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[BucketOfFolder]:
    with bucket_of(tmp_path) as server:
        yield server


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "the storage does not know who asks"),
        (403, "not allowed to"),
        (429, "no answer after the client's tries"),
        (500, "no answer after the client's tries"),
        (502, "no answer after the client's tries"),
        (503, "no answer after the client's tries"),
        (None, "no answer after the client's tries"),
    ],
)
def test_whatever_is_asked_of_a_bucket_that_refuses_is_told(
    server: BucketOfFolder, status: int | None, words: str
) -> None:
    server.refuses = refusing(status)
    for name, ask in ASKS.items():
        with pytest.raises(StorageRefused) as told:
            ask(files_at(ROOT))
        sentence = str(told.value)
        assert sentence.startswith(ROOT), name
        assert words in sentence, name
        assert "nobody (no credentials)" in sentence, name
        if status == 403:
            role = "roles/storage.objectUser" if name in WRITES else "roles/storage.objectViewer"
            assert role in sentence, name


@pytest.mark.parametrize("status", [503, None])
def test_what_passes_by_itself_is_tried_again_before_it_is_told(
    server: BucketOfFolder, status: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from google.cloud.storage.retry import DEFAULT_RETRY

    # On a busy machine the first try alone outlasts the time that other tests give.
    monkeypatch.setattr(DEFAULT_RETRY, "_timeout", 1.0)
    server.refuses = refusing(status)
    with pytest.raises(StorageRefused):
        files_at(ROOT).names()
    assert len(server.asked) > 1


def test_a_bucket_answers_as_before_where_nothing_is(server: BucketOfFolder) -> None:
    files = files_at(ROOT)
    assert (files.read("a"), files.names(), files.exists("a"), files.written_at("a")) == (None, [], False, None)


@pytest.mark.parametrize("ask", ASKS)
def test_whatever_is_asked_of_a_folder_that_may_not_be_entered_is_told(ask: str) -> None:
    with open_folder() as folder:
        (folder / "stored" / "a").mkdir(parents=True)
        (folder / "stored" / "a" / "b.json").write_bytes(b"{}")
        with (
            closed(folder / "stored" / "a"),
            pytest.raises(StorageRefused, match=r"/a\S*: not allowed to (list|read|write) .*\(uid \d+\)"),
        ):
            ASKS[ask](files_at(folder / "stored"))
        assert (folder / "stored" / "a" / "b.json").read_bytes() == b"{}"
