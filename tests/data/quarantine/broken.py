"""Exports with broken rows, and what is to become of them.

Belongs here: the cases, a row each, and writing their exports. Does not belong here: an engine under test.
"""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from platform_assets.data.exports.lake import Lake
from platform_assets.data.exports.quarantine import record
from platform_assets.data.exports.spec import Expectations, ExportSourceSpec, ExportTableSpec
from samples.dynamodb_export import change, export_id, window_id, write_dynamodb_export, write_incremental_export
from tests.data.exports.breaking import SHOP, edit_files, edit_summary, part, shop_tables, write_shop

AT = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
# Stands in broken rows where a person's address would, and may stand in no sentence.
MARK = "bob.marked@example.com"


def allowing(share: float, spec: ExportSourceSpec) -> ExportSourceSpec:
    """The source, where so many of an export's rows may be broken."""
    return spec.model_copy(update={"expectations": Expectations(quarantine_at_most=share)})


THINGS = ExportSourceSpec(
    description="Things.",
    owner="team:tests",
    format="dynamodb",
    path="things",
    tables=[ExportTableSpec(name="things", export_table="Things", key=["id"])],
)
ORDERS = SHOP.model_copy(update={"tables": SHOP.tables[1:]})


def item(number: int | str, **more: Any) -> dict[str, Any]:
    return {"id": {"S": str(number)}, "value": {"S": f"v{number}"}, **more}


def changed(number: int | str, hour: float = 1) -> dict[str, Any]:
    """A line of the window that begins at `AT`."""
    return change({"id": {"S": str(number)}}, AT + timedelta(hours=hour), new=item(number, changed={"BOOL": True}))


def text(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def write_full(lake: Path, files: Sequence[Sequence[bytes]], at: datetime = AT) -> Path:
    """A full export of lines as they are; its folder."""
    name = export_id("Things", at)
    return with_lines(write_dynamodb_export(lake, "Things", name, [], at, prefix="things", files=len(files)), files)


def write_window(lake: Path, files: Sequence[Sequence[bytes]], start: datetime = AT) -> Path:
    """An export of the day from `start` on."""
    window = (start, start + DAY)
    folder = write_incremental_export(
        lake, "Things", [], window, export_id=window_id("Things", *window), prefix="things", files=len(files)
    )
    return with_lines(folder, files)


def with_lines(folder: Path, files: Sequence[Sequence[bytes]]) -> Path:
    """An export, its data files these lines, and its manifests right."""
    root = root_of(folder)
    counts: list[int] = []

    def correct(lines: list[dict[str, Any]]) -> None:
        for line, content in zip(lines, files, strict=True):
            path = root / line["dataFileS3Key"]
            path.write_bytes(gzip.compress(b"".join(row + b"\n" for row in content), mtime=0))
            counts.append(sum(bool(row.strip()) for row in content))
            line.update(itemCount=counts[-1], md5Checksum=Lake(path.parent).md5(path.name))

    edit_files(folder, correct)
    edit_summary(folder, itemCount=sum(counts))
    return folder


def root_of(folder: Path) -> Path:
    """What the keys of an export's data files are relative to."""
    prefix = json.loads((folder / "manifest-summary.json").read_text()).get("s3Prefix") or ""
    return folder.parents[1 + len(prefix.split("/")) * bool(prefix)]


def data_files(folder: Path) -> list[str]:
    """Keys of the data files, in the manifest's order."""
    lines = (folder / "manifest-files.json").read_text().splitlines()
    return [json.loads(line)["dataFileS3Key"] for line in lines]


@dataclass(frozen=True)
class Case:
    """Broken lines of DynamoDB JSON.

    Attributes:
        lines: beside good ones, in one file.
        reasons: of each of them, or None where it is good.
        keyless: how many of them do not tell their key.
    """

    lines: tuple[bytes, ...]
    reasons: tuple[str | None, ...]
    keyless: int = 0


def case(reason: str, *lines: bytes, keyless: bool = False) -> Case:
    return Case(lines, (reason,) * len(lines), len(lines) * keyless)


def _with(document: Mapping[str, Any], **changes: Any) -> bytes:
    return text({name: value for name, value in {**document, **changes}.items() if value is not ...})


_WRITTEN = {"WriteTimestampMicros": {"N": "soon"}}
# Each is refused by default, and quarantined where the source allows it.
ITEMS: Mapping[str, Case] = {
    "words": case(record.NO_JSON, MARK.encode(), keyless=True),
    "an object cut short": case(record.NO_JSON, b'{"Item":{"id":{"S":"' + MARK.encode(), keyless=True),
    "two items in one line": case(record.NO_JSON, text({"Item": item(91)}) * 2, keyless=True),
    "NaN and an item that is none": Case(
        (b'{"Item":{"id":{"S":"91"},"value":{"N":NaN}}}', b"5"), (record.NO_JSON, record.NO_ITEM), 2
    ),
    "half of a character": case(record.NO_JSON, b'{"Item":{"id":{"S":"\\ud800"}}}', keyless=True),
    "a byte that is no text": case(
        record.NOT_UTF8, b'{"Item":{"id":{"S":"\xff' + MARK.encode() + b'"}}}', keyless=True
    ),
    "brackets without end": case(record.NO_JSON, b'{"Item":' + b"[" * 20_000, keyless=True),
    "a number, a list, null": case(record.NO_ITEM, b"5", b"[1]", b"null", keyless=True),
    "an item that is text": case(record.NO_ITEM, text({"Item": MARK}), keyless=True),
    "an item without braces": case(record.NO_ITEM, text(item(91)), keyless=True),
    "a change among items": case(record.NO_ITEM, text(changed(91)), keyless=True),
    "no key": case(record.KEY_ABSENT, text({"Item": {"mail": {"S": MARK}}}), keyless=True),
    "a key that is null": case(record.KEY_ABSENT, text({"Item": {"id": {"NULL": True}}}), keyless=True),
    "a key that is a list": case(record.KEY_ABSENT, text({"Item": {"id": {"L": []}}}), keyless=True),
    "a key without type": case(record.KEY_ABSENT, text({"Item": {"id": "91"}}), keyless=True),
    "a key twice": case(
        record.KEY_DOUBLED, text({"Item": item(91)}), text({"Item": item(91, mail={"S": MARK})})
    ),
    "a line twice": case(record.KEY_DOUBLED, text({"Item": item(91)}), text({"Item": item(91)})),
    "a key three times": case(record.KEY_DOUBLED, *[text({"Item": item(91)})] * 3),
    "empty lines between": Case(
        (b"", b"  ", MARK.encode(), b"\r", text({"Item": item(92)})), (None, None, record.NO_JSON, None, None), 1
    ),
}  # fmt: skip
CHANGES: Mapping[str, Case] = {
    "words": case(record.NO_JSON, MARK.encode(), keyless=True),
    "an item among changes": case(record.NO_CHANGE, text({"Item": item(91)}), keyless=True),
    "no keys but an image": case(record.NO_CHANGE, _with(changed(91), Keys=...)),
    "an image that is text": case(record.NO_CHANGE, _with(changed(91), NewImage=MARK)),
    "keys that are a list": case(record.NO_CHANGE, _with(changed(91), Keys=[1], NewImage=...), keyless=True),
    "no time": case(record.NO_TIME, _with(changed(91), Metadata=...)),
    "a time that is a word": case(record.NO_TIME, _with(changed(91), Metadata=_WRITTEN)),
    "no key in keys": case(record.KEY_ABSENT, _with(changed(91), Keys={"mail": {"S": MARK}}, NewImage=...), keyless=True),
    "keys of another item": case(record.OTHER_KEY, _with(changed(91), Keys={"id": {"S": "92"}})),
    "an image without its key": case(record.OTHER_KEY, _with(changed(91), NewImage={"mail": {"S": MARK}})),
    "a key twice": case(record.KEY_DOUBLED, text(changed(91)), text(changed(91, 2))),
    "a key twice, once broken": Case(
        (text(changed(91)), _with(changed(91), Metadata=...)), (record.KEY_DOUBLED, record.NO_TIME)
    ),
}  # fmt: skip


def write_orders(lake: Path, change_rows: Any, at: datetime = AT) -> tuple[Path, Path]:
    """A shop export in which a part of the orders is changed; the export, and the part."""
    folder = write_shop(lake, at, shop_tables(40), parts=2)
    path = part(folder)
    rows = pq.ParquetFile(path).read()
    pq.write_table(change_rows(rows), path)
    return folder, path


def without_keys(rows: pa.Table, *numbers: int) -> pa.Table:
    """The orders, those rows (from 1 on) without a key."""
    keys = [None if at in numbers else key for at, key in enumerate(rows["order_id"].to_pylist(), 1)]
    return rows.set_column(0, "order_id", pa.array(keys, pa.int64()))
