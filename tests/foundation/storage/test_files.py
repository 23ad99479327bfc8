"""What files promise, the same in a folder and in a bucket."""

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from platform_assets.foundation.storage import Contended, Digests, files_at
from tests.foundation.storage.reading import stored

NAME = "some/where/file.json"


def test_a_file_is_read_back_as_it_was_written_last(root: str) -> None:
    files = files_at(root)
    for content in (b"one", b"", b"\x00\xff" * 1000):
        files.write(NAME, content)
        assert stored(files_at(root), NAME).content == content


def test_a_file_that_is_not_there_is_none_and_never_an_error(root: str) -> None:
    files = files_at(root)
    files.write("some/where/else.json", b"")
    for name in (NAME, "some/where", "some", "some/where/else.json/below"):
        assert files.read(name) is None
        assert not files.exists(name)
        assert not files.delete(name)
        assert files.written_at(name) is None


def test_a_file_is_created_once(root: str) -> None:
    files = files_at(root)
    assert files.create(NAME, b"first")
    assert not files.create(NAME, b"second")
    assert not files.create(NAME, b"first")
    assert stored(files, NAME).content == b"first"


def test_a_swap_holds_only_over_the_version_that_was_read(root: str) -> None:
    files = files_at(root)
    assert files.swap(NAME, b"never", "1") is None
    first = files.swap(NAME, b"first", None)
    assert first == stored(files, NAME).version
    second = files.swap(NAME, b"second", first)
    assert second == stored(files, NAME).version != first
    assert files.swap(NAME, b"late", first) is None
    assert files.swap(NAME, b"late", None) is None
    assert stored(files, NAME).content == b"second"


def test_a_write_makes_another_version(root: str) -> None:
    files = files_at(root)
    files.write(NAME, b"first")
    first = stored(files, NAME).version
    files.write(NAME, b"second")
    assert files.swap(NAME, b"late", first) is None


def test_a_file_is_deleted_only_as_the_version_that_was_read(root: str, request: pytest.FixtureRequest) -> None:
    if root.startswith("gs://") and "STORAGE_EMULATOR_HOST" in os.environ:
        request.applymarker(pytest.mark.xfail(strict=True, reason="fake-gcs-server deletes whatever the generation"))
    files = files_at(root)
    files.write(NAME, b"first")
    first = stored(files, NAME).version
    files.write(NAME, b"second")
    assert not files.delete(NAME, first)
    assert files.delete(NAME, stored(files, NAME).version)
    assert files.read(NAME) is None


def test_a_deleted_file_can_be_created_again(root: str) -> None:
    files = files_at(root)
    files.write(NAME, b"first")
    assert files.delete(NAME)
    assert not files.delete(NAME)
    assert files.create(NAME, b"second")


def test_names_are_those_that_begin_alike(root: str) -> None:
    files = files_at(root)
    for name in ("a/b.json", "a/bc/d.json", "a/x.json", "ab.json"):
        files.write(name, b"")
    assert files.names() == ["a/b.json", "a/bc/d.json", "a/x.json", "ab.json"]
    assert files.names("a/") == ["a/b.json", "a/bc/d.json", "a/x.json"]
    assert files.names("a/b") == ["a/b.json", "a/bc/d.json"]
    assert files.names("nothing/here") == []


def test_an_update_sees_what_is_there_and_returns_what_is_there_then(root: str) -> None:
    files = files_at(root)
    assert files.update(NAME, lambda before: b"new" if before is None else b"old") == b"new"
    assert files.update(NAME, lambda before: (before or b"") + b"er") == b"newer"
    assert stored(files, NAME).content == b"newer"


def test_an_update_that_changes_nothing_writes_nothing(root: str) -> None:
    files = files_at(root)
    files.write(NAME, b"same")
    before = stored(files, NAME).version, files.written_at(NAME)
    files.update(NAME, lambda _: b"same")
    assert (stored(files, NAME).version, files.written_at(NAME)) == before


def test_an_update_overtaken_begins_again_from_what_the_other_wrote(root: str) -> None:
    files = files_at(root)
    seen = []

    def change(before: bytes | None) -> bytes:
        seen.append(before)
        if len(seen) < 4:
            files.write(NAME, b"other" * len(seen))
        return (before or b"") + b" and mine"

    assert files.update(NAME, change) == b"otherotherother and mine"
    assert seen == [None, b"other", b"otherother", b"otherotherother"]


def test_an_update_overtaken_for_ever_ends_with_a_sentence(root: str) -> None:
    files = files_at(root)
    count = iter(range(1_000_000))

    def overtaken(before: bytes | None) -> bytes:
        files.write(NAME, str(next(count)).encode())
        return b"mine"

    with pytest.raises(Contended, match=re.escape(f"{files.location(NAME)} was changed by others at every attempt")):
        files.update(NAME, overtaken, patience=0.2)


def test_files_are_put_together_each_under_its_name(root: str, tmp_path: Path) -> None:
    sources = {f"some/{name}": tmp_path / name for name in ("a", "b")}
    for name, source in sources.items():
        source.write_text(name)
    files_at(root).put_files(sources)
    assert {name: stored(files_at(root), name).content.decode() for name in files_at(root).names()} == dict(
        zip(sources, sources, strict=True)
    )


@pytest.mark.parametrize("size", [0, 3, 9_000_000])
def test_a_local_file_of_any_size_is_put_and_read_back_at_a_local_path(root: str, size: int, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for letter in (b"x", b"y"):
        source.write_bytes(letter * size)
        files_at(root).put_file(source, NAME)
        path = files_at(root).local_path(NAME, tmp_path / "downloads")
        assert path.read_bytes() == source.read_bytes()
    assert files_at(root).names() == [NAME]


def test_a_local_path_to_nothing_names_what_is_missing(root: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape(f"{files_at(root).location(NAME)} does not exist")):
        files_at(root).local_path(NAME, tmp_path / "downloads")


def test_the_time_of_writing_is_the_last_one_s(root: str) -> None:
    files = files_at(root)
    files.write(NAME, b"first")
    first = files.written_at(NAME)
    files.write(NAME, b"second")
    assert first is not None
    assert first <= (files.written_at(NAME) or datetime.min.replace(tzinfo=UTC))
    assert abs((datetime.now(UTC) - first).total_seconds()) < 3600


def test_a_location_is_below_the_root(root: str) -> None:
    assert files_at(root + "/").location() == root
    assert files_at(root).location(NAME) == f"{root}/{NAME}"


def test_a_link_opens_in_a_browser(tmp_path: Path) -> None:
    assert files_at(tmp_path).link("ä b.html") == f"{tmp_path.as_uri()}/%C3%A4%20b.html"
    assert files_at("gs://some/where").link("ä b.html") == "https://storage.cloud.google.com/some/where/%C3%A4%20b.html"


@pytest.mark.parametrize("name", ["", "/absolute", "a//b", "../outside", "a/../b", "a/.", "a/", "line\n", "x.aside"])
def test_a_name_that_leads_elsewhere_is_refused(root: str, name: str, tmp_path: Path) -> None:
    files = files_at(root)
    for use in (
        lambda: files.read(name),
        lambda: files.write(name, b""),
        lambda: files.create(name, b""),
        lambda: files.delete(name),
        lambda: files.exists(name),
        lambda: files.local_path(name, tmp_path),
    ):
        with pytest.raises(ValueError, match="cannot name a stored file"):
            use()


@pytest.mark.parametrize("place", ["s3://bucket/prefix", "gs://", "http://host/x"])
def test_a_place_of_another_kind_is_refused(place: str) -> None:
    with pytest.raises(ValueError, match=f"{re.escape(place)} is not a place for files; give a local folder or gs://"):
        files_at(place)


def test_a_bucket_s_root_needs_no_prefix(bucket_root: str) -> None:
    bucket = files_at(bucket_root.rpartition("/")[0])
    files_at(bucket_root).write(NAME, b"here")
    assert stored(bucket, f"stored/{NAME}").content == b"here"
    assert bucket.names("stored/") == [f"stored/{NAME}"]
    assert bucket.location() == bucket_root.rpartition("/")[0]


def test_a_bucket_that_does_not_exist_is_told_in_a_sentence(bucket_root: str, tmp_path: Path) -> None:
    files = files_at("gs://no-such-bucket-of-ours/stored")
    (tmp_path / "source").write_text("")
    for use in (
        lambda: files.write(NAME, b""),
        lambda: files.create(NAME, b""),
        lambda: files.put_file(tmp_path / "source", NAME),
        lambda: files.names(),
    ):
        with pytest.raises(FileNotFoundError, match="gs://no-such-bucket-of-ours does not exist; create the bucket"):
            use()


def test_an_object_has_the_type_its_name_says(bucket_root: str, tmp_path: Path) -> None:
    from google.cloud import storage

    (tmp_path / "report.html").write_text("<p>")
    files_at(bucket_root).put_file(tmp_path / "report.html", "report.html")
    files_at(bucket_root).write("pointer.json", b"{}")
    bucket, _, prefix = bucket_root.removeprefix("gs://").partition("/")
    blobs = storage.Client(project=None).list_blobs(bucket, prefix=prefix)
    assert {blob.name.rpartition("/")[2]: blob.content_type for blob in blobs} == {
        "report.html": "text/html",
        "pointer.json": "application/json",
    }


def test_a_copy_is_the_storage_s_own_and_none_where_nothing_is(root: str) -> None:
    files = files_at(root)
    assert not files.copy(NAME, "elsewhere/file")
    for content in (b"first", b"second"):
        files.write(NAME, content)
        assert files.copy(NAME, "elsewhere/file")
        assert stored(files, "elsewhere/file").content == content
    files.write(NAME, b"third")
    assert stored(files, "elsewhere/file").content == b"second"
    files.delete(NAME)
    assert stored(files, "elsewhere/file").content == b"second"


@pytest.mark.parametrize("parts", [1, 32, 33, 70])
def test_parts_are_joined_in_their_order(root: str, parts: int) -> None:
    files = files_at(root)
    contents = [b"%03d" % number * 5 for number in range(parts)]
    names = [f"parts/{number:03d}" for number in range(parts)]
    for name, content in zip(names, contents, strict=True):
        files.write(name, content, durable=False)
    files.join(names, "whole")
    assert stored(files, "whole").content == b"".join(contents)
    assert files.names() == sorted([*names, "whole"])


def test_what_lacks_a_part_is_not_joined(tmp_path: Path) -> None:
    files = files_at(tmp_path)
    files.write("parts/0", b"first")
    with pytest.raises(FileNotFoundError):
        files.join(["parts/0", "parts/1"], "whole")
    assert files.names() == ["parts/0"]


def test_digests_are_of_what_the_storage_holds(root: str) -> None:
    files = files_at(root)
    assert files.digests(NAME) is None
    # The check value of CRC-32C: https://www.rfc-editor.org/rfc/rfc3720#appendix-B.4 has others.
    files.write(NAME, b"123456789")
    assert files.digests(NAME) == Digests(9, 0xE3069283, "25f9e794323b453885f5181f1b624d0b")
    files.write(NAME, b"")
    assert files.digests(NAME) == Digests(0, 0, "d41d8cd98f00b204e9800998ecf8427e")
