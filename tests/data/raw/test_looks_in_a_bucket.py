"""Looks at exports in Cloud Storage, whose calls are counted."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from platform_assets.data.exports.lake import file_system
from platform_assets.data.raw.discover import discover
from platform_assets.data.raw.known import KnownExports
from platform_assets.data.raw.looks import look
from samples.exports import copy_exports
from tests.data.exports.breaking import FILMS, SHOP, edit_summary, write_films, write_shop
from tests.data.exports.histories import at
from tests.data.raw.test_changes import write_changes
from tests.support.answering import Reply, Request, answering, forwarded

SPECS = {"films": FILMS, "shop": SHOP}


def test_a_look_at_known_exports_in_a_bucket_lists_pages_and_reads_nothing(
    cloud_variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports = tmp_path / "exports"
    write_shop(exports)
    first = write_films(exports, at=at(0))
    for hour in range(6):
        write_changes(exports, hour, hour + 1, files=1)
    root, memory = (f"gs://{cloud_variables['PLATFORM_BUCKET']}/{folder}" for folder in ("lake", "looks"))
    copy_exports(exports, root)
    asked: list[tuple[str, dict[str, Any]]] = []

    def counted(request: Request) -> Reply:
        parts = urlsplit(request.path)
        asked.append((parts.path, parse_qs(parts.query)))
        return forwarded(request, urlsplit(cloud_variables["STORAGE_EMULATOR_HOST"]).netloc)

    def known(source: str) -> KnownExports:
        return KnownExports(memory, source, SPECS[source], root)

    with answering(counted) as url:
        looks = {}
        for source, spec in SPECS.items():
            remembering = known(source)
            opened = discover(spec, source, root, remembering)
            remembering.keep()
            looks[source] = look(spec, source, root, known(source))
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
            assert look(spec, source, root, known(source), looks[source]) == looks[source]
            assert [path.endswith("/o") and "pageToken" not in query for path, query in asked] == [True]
            asked.clear()
            again = discover(spec, source, root, known(source))
            assert [path.endswith("/o") for path, _ in asked if "/o/looks" not in path] == [True]
            assert again == opened
            asked.clear()
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud_variables["STORAGE_EMULATOR_HOST"])
    edit_summary(first, billedSizeBytes=1)
    bucket, place = file_system(root)
    for name in ("manifest-summary.json", "manifest-summary.md5"):
        bucket.put_file(str(first / name), f"{place}/{first.relative_to(exports)}/{name}")
    assert look(FILMS, "films", root, known("films"), looks["films"]).key != looks["films"].key
