"""Looks at exports: what is known is not opened again, and what a look says is what one without memory would say."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.exports import lake as lakes
from platform_assets.data.exports.export import ExportError
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.raw.discover import LoadedSource, discover, load_source
from platform_assets.data.raw.known import KnownExports
from platform_assets.data.raw.looks import Look, look
from platform_assets.foundation.storage import StorageRefused
from tests.data.exports.breaking import (
    AT,
    FILMS,
    SHOP,
    edit_files,
    edit_json,
    edit_summary,
    export_info,
    part,
    tables_info,
    truncate,
    write_films,
    write_shop,
)
from tests.data.exports.histories import at
from tests.data.raw.test_changes import write_changes
from tests.support.bucket_of_folder import BucketOfFolder, bucket_of, refusing
from tests.tiers import Draw

ROOT = "gs://lake/exports"
SPECS: dict[str, tuple[ExportSourceSpec, Callable[..., Path]]] = {
    "shop": (SHOP, write_shop),
    "films": (FILMS, write_films),
}
DAYS = [AT + timedelta(days=day) for day in range(4)]


class Looking:
    """A source below `gs://lake/exports`; each look is one of a process that was just started."""

    def __init__(self, folder: Path, source: str, server: BucketOfFolder) -> None:
        self.lake, self.source, self.server = folder / "exports", source, server
        self.spec, self.write = SPECS[source]
        self.memory, self.raw = folder / "memory", FolderTables(folder / "raw")

    def known(self) -> KnownExports:
        return KnownExports(self.memory, self.source, self.spec, ROOT)

    def load(self) -> LoadedSource:
        return load_source(self.spec, self.source, ROOT, self.raw, known=self.known())

    def remember(self) -> None:
        """A look that is kept, as one is with each load."""
        known = self.known()
        discover(self.spec, self.source, ROOT, known)
        known.keep()

    def look(self, before: Look | None = None) -> Look:
        return look(self.spec, self.source, ROOT, self.known(), before)

    def asked(self) -> list[str]:
        """How the bucket was asked since the last time, without the names."""
        asked: list[str] = [way for way, _ in self.server.asked]
        self.server.asked.clear()
        return asked


@pytest.fixture
def server(tmp_path: Path) -> Iterator[BucketOfFolder]:
    with bucket_of(tmp_path) as server:
        yield server


@pytest.fixture(params=SPECS)
def looking(request: pytest.FixtureRequest, tmp_path: Path, server: BucketOfFolder) -> Looking:
    looking = Looking(tmp_path, request.param, server)
    for day in DAYS[:3]:
        looking.write(looking.lake, at=day)
    return looking


def said(spec: ExportSourceSpec, source: str, known: KnownExports | None) -> Any:
    """All that a look tells, in an order of its own."""
    found = discover(spec, source, ROOT, known)
    exports = [
        (
            replace(one, tables={name: one.tables[name] for name in one.tables}, hashes={}),
            {name: one.table_hash(name) for name in one.tables},
        )
        for one in found.complete
    ]
    return exports, found.in_progress, found.set_aside, found.undeclared


def test_exports_that_are_known_are_listed_once_and_not_opened(looking: Looking) -> None:
    looking.remember()
    looking.asked()
    found = discover(looking.spec, looking.source, ROOT, looking.known())
    assert [len(found.complete), looking.asked()] == [3, ["list"]]
    looking.write(looking.lake, at=DAYS[3])
    assert len(discover(looking.spec, looking.source, ROOT, looking.known()).complete) == 4
    reads = looking.asked()
    assert reads[0] == "list"
    # Of the new one alone: its manifests, and of DynamoDB's their checksums.
    assert reads[1:] == ["read"] * {"shop": 2, "films": 4}[looking.source]


def test_a_load_in_which_nothing_is_new_opens_nothing(looking: Looking) -> None:
    first = looking.load()
    looking.asked()
    again = looking.load()
    assert looking.asked() == ["list"]
    for name, table in again.tables.items():
        assert (table.new, table.data_version) == (0, first.tables[name].data_version)


def test_a_look_at_the_same_listing_reads_nothing_whatever_is_remembered(looking: Looking) -> None:
    before = looking.look()
    assert before.listing is not None
    looking.asked()
    assert looking.look(before) == before
    assert looking.asked() == ["list"]
    assert not looking.memory.exists()


def test_a_look_remembers_nothing_where_it_may_not_write(looking: Looking) -> None:
    looking.look()
    discover(looking.spec, looking.source, ROOT, looking.known())
    assert not looking.memory.exists()


def test_a_listing_takes_a_page_for_a_thousand_objects(looking: Looking) -> None:
    more = looking.lake / looking.spec.path / {"films": "AWSDynamoDB/data", "shop": "other/shop"}[looking.source]
    more.mkdir(parents=True)
    for number in range(1200):
        (more / f"{number}").touch()
    objects = sum(path.is_file() for path in (looking.lake / looking.spec.path).rglob("*"))
    looking.asked()
    looking.look()
    assert looking.asked().count("list") == -(-objects // 1000) == 2


# What may become of an export that is known; what a look says then is what one says that knows nothing.
BECOMES: dict[str, Callable[[Looking, Path], object]] = {
    "nothing": lambda looking, export: None,
    "written again": lambda looking, export: [path.write_bytes(path.read_bytes()) for path in files(export)],
    "of another time": lambda looking, export: (
        edit_summary(export, exportTime="2026-02-01T00:00:00Z")
        if looking.source == "films"
        else edit_json(export_info(export), lambda info: info.update(snapshotTime="2026-02-01T00:00:00Z"))
    ),
    "in progress": lambda looking, export: (
        (export / "manifest-summary.json").unlink()
        if looking.source == "films"
        else edit_json(export_info(export), lambda info: info.update(status="IN_PROGRESS"))
    ),
    "cut": lambda looking, export: truncate(
        export / "manifest-files.json" if looking.source == "films" else tables_info(export)
    ),
    "without a file": lambda looking, export: (
        edit_files(export, list.pop) if looking.source == "films" else part(export).unlink()
    ),
    "with more": lambda looking, export: (
        (export / "manifest-summary.md5").write_text("AAAA")
        if looking.source == "films"
        else part(export).write_bytes(part(export).read_bytes() + b" ")
    ),
    "gone": lambda looking, export: shutil.rmtree(export),
    "under another name": lambda looking, export: export.rename(export.with_name(f"{export.name}x")),
}


def files(export: Path) -> list[Path]:
    return [path for path in export.rglob("*") if path.is_file()]


def test_what_a_look_with_memory_says_is_what_one_without_says(looking: Looking, draw: Draw) -> None:
    names = list(BECOMES)
    for becomes in (names[number] for number in draw(range(len(names)), 3)):
        shutil.rmtree(looking.lake)
        for day in DAYS[:3]:
            looking.write(looking.lake, at=day)
        looking.remember()
        before = looking.look()
        export = looking.lake / discover(looking.spec, looking.source, ROOT).complete[1].folder
        BECOMES[becomes](looking, export)
        for _ in range(2):
            known = looking.known()
            assert said(looking.spec, looking.source, known) == said(looking.spec, looking.source, None), becomes
            assert looking.look(before).key == look(looking.spec, looking.source, ROOT).key, becomes
            known.keep()


def test_an_export_that_changed_under_its_id_is_refused_though_it_was_known(looking: Looking) -> None:
    looking.load()
    (first, *_) = discover(looking.spec, looking.source, ROOT).complete
    export = looking.lake / first.folder
    shutil.rmtree(export)
    if looking.source == "films":
        write_films(looking.lake, [], at=DAYS[0])
    else:
        edit_json(export_info(write_shop(looking.lake, DAYS[0])), lambda info: info.update(percentProgress=99))
    loaded = looking.load()
    assert [aside.export_id for aside in loaded.set_aside] == [first.export_id]
    assert "was loaded before" in loaded.set_aside[0].reason
    assert "An export never changes under its id" in loaded.set_aside[0].reason


def test_a_known_export_that_is_to_be_loaded_again_is_opened_for_it(looking: Looking) -> None:
    versions = {name: table.data_version for name, table in looking.load().tables.items()}
    shutil.rmtree(looking.raw.location(looking.source, next(iter(versions))))
    again = looking.load()
    assert {name: table.data_version for name, table in again.tables.items()} == versions
    assert sum(table.new for table in again.tables.values()) == 3


def test_a_known_export_that_changes_while_it_is_opened_is_not_loaded(looking: Looking) -> None:
    looking.remember()
    known = discover(looking.spec, looking.source, ROOT, looking.known()).complete[0]
    name = next(iter(known.tables))
    export = looking.lake / known.folder
    shutil.rmtree(export)
    with pytest.raises(ExportError, match=r"is not there yet, and was before\. Load again"):
        known.tables[name]
    if looking.source == "films":
        write_films(looking.lake, [], at=DAYS[0])
    else:
        edit_json(export_info(write_shop(looking.lake, DAYS[0])), lambda info: info.update(percentProgress=99))
    with pytest.raises(ExportError, match=r"manifests changed while it was loaded\. Load again"):
        known.tables[name]


def test_a_table_that_is_declared_later_is_found_in_known_exports(looking: Looking) -> None:
    whole = looking.spec
    looking.spec = whole.model_copy(update={"tables": [whole.tables[0].model_copy(update={"name": "other"})]})
    looking.remember()
    looking.spec = whole
    assert said(whole, looking.source, looking.known()) == said(whole, looking.source, None)


@pytest.mark.parametrize(
    "damaged", [b"", b"{", b"[]", b'{"format": 1}', b'{"format": 1, "of": 1, "exports": 7}', "entries", "entry"]
)
def test_memory_that_is_damaged_is_made_again(looking: Looking, damaged: bytes | str) -> None:
    looking.remember()
    (file,) = looking.memory.iterdir()
    whole = file.read_bytes()
    record = json.loads(whole)
    if damaged == "entries":
        record["exports"] = []
    for entry in record["exports"] if damaged == "entry" else ():
        record["exports"][entry] = {"state": record["exports"][entry]["state"]}
    file.write_bytes(damaged if isinstance(damaged, bytes) else json.dumps(record).encode())
    assert said(looking.spec, looking.source, looking.known()) == said(looking.spec, looking.source, None)
    looking.remember()
    assert file.read_bytes() == whole


def test_memory_holds_no_export_that_is_gone(looking: Looking) -> None:
    looking.remember()
    (file,) = looking.memory.iterdir()
    (gone, *left) = discover(looking.spec, looking.source, ROOT).complete
    shutil.rmtree(looking.lake / gone.folder)
    looking.remember()
    assert set(json.loads(file.read_bytes())["exports"]) == {export.export_id for export in left}


def test_a_refused_look_is_told_and_forgets_nothing(looking: Looking) -> None:
    looking.remember()
    looking.server.refuses = refusing(403)
    with pytest.raises(StorageRefused, match=r"roles/storage\.objectViewer"):
        looking.look()
    looking.server.refuses = lambda asked, name: None
    looking.asked()
    looking.remember()
    assert looking.asked() == ["list"]


def test_windows_are_known_as_full_exports_are(tmp_path: Path, server: BucketOfFolder) -> None:
    looking = Looking(tmp_path, "films", server)
    write_films(looking.lake, at=at(0))
    for start in range(3):
        write_changes(looking.lake, start, start + 1)
    first = looking.load().tables["films"]
    looking.asked()
    again = looking.load().tables["films"]
    assert looking.asked() == ["list"]
    assert (again.new, again.data_version, again.chain) == (0, first.data_version, first.chain)


def test_a_manifest_that_lies_elsewhere_is_read_at_each_look(tmp_path: Path, server: BucketOfFolder) -> None:
    looking = Looking(tmp_path, "films", server)
    export = write_films(looking.lake)
    apart = looking.lake / "films" / "apart.json"
    (export / "manifest-files.json").rename(apart)
    edit_summary(export, manifestFilesS3Key="films/apart.json")
    looking.remember()
    before = looking.look()
    assert before.listing is None
    apart.write_text(apart.read_text().replace("itemCount", "items"))
    assert looking.look(before).key != before.key
    (aside,) = discover(FILMS, "films", ROOT, looking.known()).set_aside
    assert "itemCount" in aside.reason


def test_a_local_file_that_was_just_written_is_not_relied_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_shop(tmp_path)
    just = KnownExports(tmp_path / "memory", "shop", SHOP, tmp_path)
    assert look(SHOP, "shop", tmp_path, just).listing is None
    just.keep()
    assert not (tmp_path / "memory").exists()
    monkeypatch.setattr(lakes, "_SETTLED", -60.0)
    settled = look(SHOP, "shop", tmp_path, just)
    assert settled.listing is not None
    just.keep()
    (exported,) = discover(SHOP, "shop", tmp_path, KnownExports(tmp_path / "memory", "shop", SHOP, tmp_path)).complete
    assert exported.hashes
    # As a copy that keeps times would do it.
    info = export_info(tmp_path / exported.folder)
    times = info.stat()
    other = info.with_name("other")
    other.write_text(info.read_text().replace("100", "101"))
    other.replace(info)
    os.utime(info, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert look(SHOP, "shop", tmp_path, just, settled).key != settled.key


def test_what_a_link_leads_to_is_found_and_not_relied_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lakes, "_SETTLED", -60.0)
    export = write_shop(tmp_path)
    before = look(SHOP, "shop", tmp_path)
    (export / "shop").rename(tmp_path / "elsewhere")
    (export / "shop").symlink_to(tmp_path / "elsewhere")
    assert look(SHOP, "shop", tmp_path) == Look(before.key)
    assert [len(one.tables) for one in discover(SHOP, "shop", tmp_path).complete] == [2]
