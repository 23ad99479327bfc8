"""A lake that does not say what is there: no permission and no answer are told, and never taken for an absence."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.exports import aurora, dynamodb
from platform_assets.data.exports.export import ExportError
from platform_assets.data.exports.lake import Lake
from platform_assets.data.raw.discover import content_key, discover, load_source
from platform_assets.foundation.storage import StorageRefused
from tests.data.exports.breaking import FILMS, SHOP, write_films, write_shop
from tests.support.answering import Reply
from tests.support.bucket_of_folder import BucketOfFolder, bucket_of, refusing
from tests.support.unprivileged import closed, open_folder, unprivileged

GCSFS_TRIES = 6
ROOT = "gs://lake/exports"
FILE = "shop/snapshot-20260105/export_info_snapshot-20260105.json"

# Everything that lists or looks something up in a lake.
ASKS: dict[str, Callable[[str], object]] = {
    "folders": lambda root: Lake(root).folders("shop"),
    "files": lambda root: Lake(root).files("shop"),
    "tree": lambda root: Lake(root).tree("shop"),
    "exists": lambda root: Lake(root).exists(FILE),
    "stored": lambda root: Lake(root).stored([FILE]),
    "read": lambda root: Lake(root).read(FILE),
    "md5": lambda root: Lake(root).md5(FILE),
    "tail": lambda root: Lake(root).tail(FILE, 100, 10),
    "require_readable": lambda root: Lake(root).require_readable([FILE], ""),
    "aurora.export_ids": lambda root: aurora.export_ids(Lake(root), SHOP),
    "aurora.read": lambda root: aurora.read_aurora_export(Lake(root), SHOP, "shop", "snapshot-20260105"),
    "dynamodb.export_ids": lambda root: dynamodb.export_ids(Lake(root), FILMS),
    "dynamodb.read": lambda root: dynamodb.read_dynamodb_export(Lake(root), FILMS, "films", "1"),
    "dynamodb.tables_of": lambda root: dynamodb.tables_of(Lake(root), FILMS, "1"),
    "discover": lambda root: discover(SHOP, "shop", root),
    "content_key": lambda root: content_key(FILMS, "films", root),
    "load_source": lambda root: load_source(SHOP, "shop", root, FolderTables(Path("nowhere"))),
}
ANSWERS: dict[str, tuple[int | None, str, str]] = {
    "forbidden": (403, "nobody@example.iam does not have storage access", "roles/storage.objectViewer"),
    "unauthorized": (401, "Anonymous caller does not have access", "Workload Identity"),
    "expired": (401, "Invalid Credentials", "gcloud auth application-default login"),
    "invalid": (401, "Request had invalid authentication credentials", "gcloud auth application-default login"),
    "too many": (429, "Slow down", "no answer after the client's tries"),
    "broken": (500, "Internal error", "no answer after the client's tries"),
    "bad gateway": (502, "Bad gateway", "no answer after the client's tries"),
    "away": (503, "Come back later", "no answer after the client's tries"),
    "hung up": (None, "", "no answer after the client's tries"),
}
RETRIED = {"expired", "too many", "broken", "bad gateway", "away"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[BucketOfFolder]:
    with bucket_of(tmp_path) as server:
        yield server


@pytest.mark.parametrize("answer", ANSWERS)
def test_whatever_asks_a_bucket_tells_a_refusal_with_place_identity_and_remedy(
    server: BucketOfFolder, answer: str
) -> None:
    status, message, words = ANSWERS[answer]
    server.refuses = refusing(status, message=message)
    for name, ask in ASKS.items():
        server.asked.clear()
        with pytest.raises(StorageRefused) as told:
            ask(ROOT)
        sentence = str(told.value)
        assert sentence.startswith(ROOT), name
        assert words in sentence, name
        assert "What is there is not known" in sentence, name
        assert "nobody (no credentials)" in sentence, name
        if answer in RETRIED:
            assert len(server.asked) == GCSFS_TRIES, name


def test_what_is_not_there_is_still_nothing(server: BucketOfFolder) -> None:
    lake = Lake(ROOT)
    assert (lake.folders("shop"), lake.files("shop"), lake.tree("shop"), lake.stored([FILE])) == ([], [], {}, {})
    assert not lake.exists(FILE)
    assert discover(SHOP, "shop", ROOT).complete == ()
    with pytest.raises(ExportError, match="cannot be read"):
        lake.read(FILE)


def test_a_bucket_that_is_not_there_is_told_and_not_taken_for_an_empty_one(server: BucketOfFolder) -> None:
    server.refuses = lambda asked, name: Reply(404)
    with pytest.raises(StorageRefused, match="gs://lake does not exist"):
        discover(SHOP, "shop", ROOT)


def test_a_folder_made_in_the_console_is_no_export(server: BucketOfFolder, tmp_path: Path) -> None:
    write_shop(tmp_path / "exports")
    marker = {"bucket": "lake", "name": "exports/shop/", "size": "0"}
    server.extra = [marker]
    assert Lake(ROOT).folders("shop") == ["snapshot-20260105"]


@pytest.mark.parametrize(("suffix", "write", "spec"), [(".parquet", write_shop, SHOP), (".gz", write_films, FILMS)])
def test_a_right_lost_while_data_are_read_is_not_told_as_a_damaged_export(
    server: BucketOfFolder, tmp_path: Path, suffix: str, write: Callable[..., Path], spec: object
) -> None:
    write(tmp_path / "exports")
    forbidden = refusing(403, "read")
    server.refuses = lambda asked, name: forbidden(asked, name) if name.endswith(suffix) else None
    with pytest.raises(StorageRefused, match=r"roles/storage\.objectViewer"):
        load_source(spec, "a", ROOT, FolderTables(tmp_path / "raw"))  # type: ignore[arg-type]
    assert not list((tmp_path / "raw" / "a").glob("**/*.parquet"))


def test_a_storage_that_fails_once_while_an_engine_reads_is_not_told_as_a_damaged_export(
    server: BucketOfFolder, tmp_path: Path
) -> None:
    write_shop(tmp_path / "exports")
    forbidden, times = refusing(403, "read"), iter([True])
    server.refuses = lambda asked, name: (
        forbidden(asked, name) if asked == "read" and name.endswith(".parquet") and next(times, False) else None
    )
    with pytest.raises(StorageRefused, match="the storage failed while files of it were read"):
        load_source(SHOP, "shop", ROOT, FolderTables(tmp_path / "raw"))


@pytest.mark.parametrize("ask", ASKS)
def test_a_local_folder_that_may_not_be_read_is_told_with_who_may_not(ask: str) -> None:
    with open_folder() as folder:
        write_shop(folder)
        write_films(folder)
        with (
            closed(folder / "shop", folder / "films"),
            pytest.raises(StorageRefused, match=r"not allowed to (list|read) .* \(uid \d+\) .*chmod"),
        ):
            ASKS[ask](str(folder))


def test_a_local_part_that_may_not_be_read_is_not_told_as_a_damaged_export(tmp_path: Path) -> None:
    with open_folder() as folder:
        export = write_shop(folder)
        raw = folder / "raw"
        raw.mkdir()
        raw.chmod(0o777)
        for part in export.glob("shop/shop.orders/1/*.parquet"):
            part.chmod(0)
        with unprivileged(), pytest.raises(StorageRefused, match="not allowed to read"):
            load_source(SHOP, "shop", str(folder), FolderTables(raw))
