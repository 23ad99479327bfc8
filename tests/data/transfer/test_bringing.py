"""Exports in S3, brought below the exports root: what crosses, and what does not."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.raw.discover import content_key, discover
from platform_assets.data.transfer.bringing import Brought, awaiting, bring
from platform_assets.data.transfer.crossing import Terms
from platform_assets.data.transfer.ledger import HOME
from samples.dynamodb_export import change, write_incremental_export
from tests.data.exports.breaking import (
    AT,
    FILMS,
    LATER,
    SHOP,
    data_file,
    edit_json,
    edit_summary,
    export_info,
    film,
    write_films,
    write_shop,
)
from tests.data.transfer.s3 import S3

SMALL = Terms(in_flight=1_600, at_once=4, lease_seconds=2)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Where tests write what is then put into S3."""
    return tmp_path / "written"


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    return tmp_path / "exports"


def source(spec: ExportSourceSpec, s3: S3, prefix: str) -> ExportSourceSpec:
    return spec.model_copy(update={"origin": f"s3://{s3.bucket}/{prefix}"})


def passed(spec: ExportSourceSpec, exports: Path, terms: Terms = SMALL) -> Brought:
    brought = bring(spec, exports, terms)
    assert brought is not None
    return brought


def files(folder: Path) -> dict[str, bytes]:
    """What lies there beside the ledger."""
    return {
        name: path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not (name := path.relative_to(folder).as_posix()).startswith(HOME)
        and "_started" not in name
    }


def test_a_table_export_crosses_once_and_lies_as_aws_wrote_it(s3: S3, written: Path, exports: Path) -> None:
    write_films(written, map(film, range(300)))
    s3.fill(written / "films", "films")
    spec = source(FILMS, s3, "films")
    first = passed(spec, exports)
    assert files(exports) == files(written)
    (export,) = discover(spec, "films", exports).complete
    assert export.tables["films"].rows == 300
    size = sum(map(len, files(written).values()))
    assert s3.bytes_read == first.bytes_moved == first.bytes_moved_ever == size
    assert (first.bytes_avoided, first.held, first.in_progress) == (0, (), ())
    assert not (exports / HOME / "arriving").exists() or not any((exports / HOME / "arriving").iterdir())

    listings = s3.listings
    again = passed(spec, exports)
    assert s3.bytes_read == size
    assert s3.listings == listings + 1
    assert (again.bytes_moved, again.bytes_moved_ever) == (0, size)
    assert again.bytes_avoided == again.bytes_avoided_ever == size
    assert again.egress_saved == pytest.approx(size / 1e9 * 0.09)
    assert passed(spec, exports).bytes_avoided_ever == 2 * size


def test_a_snapshot_crosses_when_it_is_finished_and_only_declared_tables_do(
    s3: S3, written: Path, exports: Path
) -> None:
    folder = write_shop(written)
    edit_json(export_info(folder), lambda info: info.update(status="IN_PROGRESS"))
    s3.fill(written / "shop", "aws/shop")
    spec = source(SHOP, s3, "aws/shop").model_copy(update={"tables": SHOP.tables[1:]})
    first = passed(spec, exports)
    assert files(exports) == {}
    assert [note.rpartition(": ")[2] for note in first.in_progress] == ["key 'status' is IN_PROGRESS"]
    assert {key for key, _ in s3.reads} == {f"aws/shop/{folder.name}/export_info_{folder.name}.json"}

    edit_json(export_info(folder), lambda info: info.update(status="COMPLETE"))
    s3.fill(written / "shop", "aws/shop")
    passed(spec, exports)
    assert {name for name in files(written) if "shop.customers" not in name} == set(files(exports))
    (export,) = discover(spec, "shop", exports).complete
    assert set(export.tables) == {"orders"}

    s3.reads.clear()
    passed(source(SHOP, s3, "aws/shop"), exports)
    assert files(exports) == files(written)
    assert s3.reads
    assert all("shop.customers" in key for key, _ in s3.reads)


def test_manifests_come_after_all_data_and_the_last_of_them_says_it_is_finished(
    s3: S3, written: Path, exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from platform_assets.data.transfer.crossing import Bridge

    order: list[str] = []
    place = Bridge.place

    def noted(self: Bridge, each, content) -> bool:  # type: ignore[no-untyped-def]
        order.append(each.name)
        return place(self, each, content)

    monkeypatch.setattr(Bridge, "place", noted)
    folder = write_films(written, map(film, range(50)))
    s3.fill(written / "films", "films")
    passed(source(FILMS, s3, "films"), exports)
    names = [name.rpartition("/")[2] for name in order]
    assert names[-1] == "manifest-summary.json"
    assert all(name.endswith(".json.gz") for name in names[:4])
    assert set(names[4:]) == {path.name for path in folder.glob("manifest-*")}


def test_the_same_bytes_under_another_name_do_not_cross_again(s3: S3, written: Path, exports: Path) -> None:
    write_films(written, map(film, range(300)))
    s3.fill(written / "films", "films")
    passed(source(FILMS, s3, "films"), exports)
    # A bucket that is copied has other keys, and may have other ETags.
    s3.fill(written / "films", "moved/films")
    before = len(s3.reads)
    other = source(FILMS, s3, "moved/films").model_copy(update={"path": "moved/films"})
    brought = passed(other, exports)
    assert s3.reads[before:] == []
    assert brought.bytes_moved == 0
    assert brought.bytes_avoided == s3.bytes_read
    assert files(exports / "moved" / "films") == files(exports / "films")
    (export,) = discover(other, "films", exports).complete
    assert export.tables["films"].rows == 300


def test_what_was_copied_by_hand_before_does_not_cross(s3: S3, written: Path, exports: Path) -> None:
    write_films(written, map(film, range(300)))
    write_films(exports, map(film, range(300)))
    s3.fill(written / "films", "films")
    brought = passed(source(FILMS, s3, "films"), exports)
    assert s3.reads == []
    assert brought.bytes_avoided == sum(map(len, files(written).values()))
    assert passed(source(FILMS, s3, "films"), exports).held == ()


def test_two_objects_of_the_same_bytes_cross_as_one(s3: S3, written: Path, exports: Path) -> None:
    write_films(written, [], files=8)
    s3.fill(written / "films", "films")
    passed(source(FILMS, s3, "films"), exports)
    assert len({data for name, data in files(written).items() if name.endswith(".gz")}) == 1
    assert len([key for key, _ in s3.reads if key.endswith(".gz")]) == 1
    assert files(exports) == files(written)


def test_an_object_that_aws_did_not_write_holds_its_export_and_no_other_and_is_not_read_again(
    s3: S3, written: Path, exports: Path
) -> None:
    write_films(written, map(film, range(300)))
    later = write_films(written, map(film, range(400)), at=LATER)
    s3.fill(written / "films", "films")
    spoilt = data_file(later)
    key = spoilt.relative_to(written).as_posix()
    s3.put(key, spoilt.read_bytes()[:-1] + b"\1")
    spec = source(FILMS, s3, "films")
    first = passed(spec, exports)
    (held,) = first.held
    assert (held.export_id, held.tables) == (later.name, frozenset({"films"}))
    assert held.reason.startswith(f"s3://{s3.bucket}/{key}: its MD5 is ")
    assert "but key 'md5Checksum' of its manifest line is " in held.reason
    assert not (exports / key).exists()
    assert [export.exported_at for export in discover(spec, "films", exports).complete] == [AT]

    s3.reads.clear()
    assert passed(spec, exports).held == first.held
    assert awaiting(spec, exports) == []
    assert s3.reads == []

    s3.put(key, spoilt.read_bytes())
    assert passed(spec, exports).held == ()
    assert [export.exported_at for export in discover(spec, "films", exports).complete] == [AT, LATER]


def test_incremental_exports_that_share_a_folder_cross_one_by_one(s3: S3, written: Path, exports: Path) -> None:
    def window(hour: int) -> Path:
        lines = [change({"film_id": {"N": "1"}}, AT + timedelta(hours=hour), new=film(1), old=film(1))]
        bounds = (AT + timedelta(hours=hour), AT + timedelta(hours=hour + 1))
        return write_incremental_export(written, "Films", lines, bounds, prefix="films", files=2)

    write_films(written, map(film, range(20)))
    first, second = window(0), window(1)
    s3.fill(written / "films", "films")
    # AWS is still at the second one, whose files lie among those of the first.
    (spec, summary) = source(FILMS, s3, "films"), second / "manifest-summary.json"
    s3.client.delete_object(Bucket=s3.bucket, Key=summary.relative_to(written).as_posix())
    passed(spec, exports)
    of_second = {name for name in files(written) if second.name in name} | set(data_of(second))
    assert set(files(exports)) == set(files(written)) - of_second
    assert {export.export_id for export in discover(spec, "films", exports).complete} >= {first.name}

    s3.reads.clear()
    third = window(2)
    s3.fill(written / "films", "films")
    spoilt = data_of(third)[0]
    s3.put(spoilt, b"spoilt")
    (held,) = passed(spec, exports).held
    assert held.export_id == third.name
    assert not {key for key, _ in s3.reads} & {
        *data_of(first),
        *(name for name in files(written) if first.name in name),
    }
    s3.put(spoilt, (written / spoilt).read_bytes())
    assert passed(spec, exports).held == ()
    assert files(exports) == files(written)
    assert len(discover(spec, "films", exports).complete) == 4
    s3.reads.clear()
    assert (passed(spec, exports).bytes_moved, s3.reads) == (0, [])


def data_of(export: Path) -> list[str]:
    """Keys of an export's data files."""
    lines = (export / "manifest-files.json").read_text().splitlines()
    return [json.loads(line)["dataFileS3Key"] for line in lines]


def test_an_object_that_is_replaced_while_it_is_read_is_not_half_of_each(s3: S3, written: Path, exports: Path) -> None:
    folder = write_films(written, map(film, range(300)))
    s3.fill(written / "films", "films")
    key = data_file(folder).relative_to(written).as_posix()
    done: list[str] = []

    def replace(request) -> None:  # type: ignore[no-untyped-def]
        if key in request.path and "bytes=400-" in request.headers.get("Range", "") and not done:
            done.append(key)
            s3.put(key, data_file(folder).read_bytes()[:-1] + b"\1")

    s3.interfere = replace
    (held,) = passed(source(FILMS, s3, "films"), exports).held
    assert done
    assert held.reason == f"s3://{s3.bucket}/{key} is not what it was when it was listed: replaced, or gone. Try again."
    s3.put(key, data_file(folder).read_bytes())
    assert passed(source(FILMS, s3, "films"), exports).held == ()
    assert files(exports) == files(written)


def test_an_export_of_a_table_that_nobody_declares_stays_where_it_is(s3: S3, written: Path, exports: Path) -> None:
    folder = write_films(written, map(film, range(300)))
    s3.fill(written / "films", "films")
    other = FILMS.tables[0].model_copy(update={"export_table": "Others"})
    spec = source(FILMS, s3, "films").model_copy(update={"tables": [other]})
    brought = passed(spec, exports)
    assert brought.undeclared == (folder.name,)
    assert files(exports) == {}
    assert {key.rpartition("/")[2] for key, _ in s3.reads} == {"manifest-summary.json"}
    assert awaiting(spec, exports) == []
    passed(source(FILMS, s3, "films"), exports)
    assert files(exports) == files(written)


def test_a_manifest_that_names_what_is_not_in_s3_holds_its_export(s3: S3, written: Path, exports: Path) -> None:
    folder = write_films(written, map(film, range(30)))
    absent = data_file(folder)
    key = absent.relative_to(written).as_posix()
    absent.unlink()
    s3.fill(written / "films", "films")
    (held,) = passed(source(FILMS, s3, "films"), exports).held
    assert held.reason == f"s3://{s3.bucket}/{key}: a file that the manifest names is absent. Export again."
    assert files(exports) == {}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"manifestFilesS3Key": "else/where.json"}, "key 'else/where.json' lies outside the export prefix 'films'"),
        ({"manifestFilesS3Key": 5}, "key 'manifestFilesS3Key' is 5, not a valid str"),
        ({"tableArn": None}, "key 'tableArn' is null"),
    ],
)
def test_a_damaged_manifest_holds_its_export(
    s3: S3, written: Path, exports: Path, change: dict[str, object], words: str
) -> None:
    edit_summary(write_films(written, map(film, range(30))), **change)
    s3.fill(written / "films", "films")
    (held,) = passed(source(FILMS, s3, "films"), exports).held
    assert words in held.reason


def test_a_look_lists_once_reads_nothing_and_sees_an_export_that_finishes(s3: S3, written: Path, exports: Path) -> None:
    spec = source(FILMS, s3, "films")
    nothing = content_key(spec, "films", exports)
    assert nothing == content_key(FILMS, "films", exports)
    summary = write_films(written, map(film, range(30))) / "manifest-summary.json"
    content = summary.read_bytes()
    summary.unlink()
    s3.fill(written / "films", "films")
    assert content_key(spec, "films", exports) == nothing
    s3.put(summary.relative_to(written).as_posix(), content)
    listings = s3.listings
    first = content_key(spec, "films", exports)
    assert first != nothing
    assert awaiting(spec, exports)
    passed(spec, exports)
    assert awaiting(spec, exports) == []
    s3.reads.clear()
    assert content_key(spec, "films", exports) == first
    assert s3.reads == []
    assert s3.listings > listings


def test_a_look_at_snapshots_does_not_count_progress(s3: S3, written: Path, exports: Path) -> None:
    spec = source(SHOP, s3, "shop")
    folder = write_shop(written)
    keys = []
    for update in ({"status": "IN_PROGRESS"}, {"status": "IN_PROGRESS", "percentProgress": 50}, {"status": "COMPLETE"}):
        edit_json(export_info(folder), lambda info: info.update(update))  # noqa: B023 - called at once
        s3.fill(written / "shop", "shop")
        keys.append(content_key(spec, "shop", exports))
    assert keys[0] == keys[1] == content_key(FILMS, "films", exports)
    assert keys[2] != keys[1]
    passed(spec, exports)
    s3.reads.clear()
    assert content_key(spec, "shop", exports) == keys[2]
    assert passed(spec, exports).bytes_moved == 0
    assert s3.reads == []


def test_the_ledger_tells_of_each_object_what_crossed(s3: S3, written: Path, exports: Path) -> None:
    s3.client.put_bucket_versioning(Bucket=s3.bucket, VersioningConfiguration={"Status": "Enabled"})
    folder = write_films(written, map(film, range(300)))
    s3.fill(written / "films", "films")
    passed(source(FILMS, s3, "films"), exports)
    key = data_file(folder).relative_to(written).as_posix()
    (record,) = (exports / HOME / "arrived" / s3.bucket / Path(key).parent).glob(f"{Path(key).name}@*")
    there = s3.client.head_object(Bucket=s3.bucket, Key=key)
    entry = json.loads(record.read_bytes())
    assert (entry["etag"], entry["size"]) == (there["ETag"].strip('"'), there["ContentLength"])
    assert entry["version"] == there["VersionId"]
