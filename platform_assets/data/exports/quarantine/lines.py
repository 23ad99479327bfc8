"""Lines of DynamoDB JSON, judged one by one.

Belongs here: what of a line cannot be used, and its key as far as it can be read; strictly, so that every engine takes what is
found good here. Does not belong here: files (`sifting`).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from platform_assets.data.exports.export import Export
from platform_assets.data.exports.lake import Lake
from platform_assets.data.exports.quarantine.record import (
    KEY_ABSENT,
    NO_CHANGE,
    NO_ITEM,
    NO_JSON,
    NO_TIME,
    NOT_UTF8,
    OTHER_KEY,
)
from platform_assets.data.exports.verification import decompressed, unreadable_items

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CHANGE = {"Keys", "NewImage", "OldImage", "Metadata"}
_MICROS = re.compile(r"[0-9]{1,18}")
# An item has 400 KB at most; no engine reads longer lines.
_LONGEST = 16 * 1024**2
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Judged:
    """What is to be said of a line.

    Attributes:
        reason: why it cannot be used; None when it can.
        key: attribute → typed value, such as `{"N": "5"}`; None when not all of it can be read.
        written: microseconds since 1970 at which a change was written; None when that cannot be read, and of items.
    """

    reason: str | None
    key: Document | None = None
    written: int | None = None

    def unknown_from(self, export: Export) -> datetime:
        """From when on it is not known what the key holds, when the line is left out."""
        if export.window_start is None:
            return export.exported_at
        at = _EPOCH + timedelta(microseconds=self.written or 0)
        return at if export.window_start <= at < export.exported_at else export.window_start


def judged(line: bytes, key: Sequence[str], changes: bool) -> Judged:
    """What is to be said of a line, by itself.

    Args:
        key: the attributes of the table's key.
        changes: whether it is of an incremental export.
    """
    try:
        document = json.loads(line.decode(), parse_int=str, parse_float=str, parse_constant=_refused)
        if b"\\u" in line:
            # Half of a character that takes two is no text.
            json.dumps(document, ensure_ascii=False).encode()
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        return Judged(NOT_UTF8 if isinstance(error, UnicodeDecodeError) else NO_JSON)
    except (ValueError, RecursionError):
        return Judged(NO_JSON)
    return _change(document, key) if changes else _item(document, key)


def lines_of(lake: Lake, key: str) -> Iterator[tuple[int, bytes]]:
    """The lines of a gzipped file that are not empty, with their numbers from 1 on.

    Raises:
        EOFError, zlib.error: it is truncated, or no gzip.
        BrokenRows: a line is longer than any item.
    """
    number, rest = 1, b""
    for piece in decompressed(lake, key):
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            if line.strip():
                yield number, line
            number += 1
        if len(rest) > _LONGEST:
            raise unreadable_items(
                f"{lake.location(key)}:{number}", f"the line is longer than {_LONGEST} bytes, as no item is"
            )
    if rest.strip():
        yield number, rest


def _item(document: object, key: Sequence[str]) -> Judged:
    if not isinstance(document, dict) or set(document) != {"Item"} or not isinstance(document["Item"], dict):
        return Judged(NO_ITEM)
    own = _key(document["Item"], key)
    return Judged(None if own else KEY_ABSENT, own)


def _change(document: object, key: Sequence[str]) -> Judged:
    if not isinstance(document, dict):
        return Judged(NO_CHANGE)
    keys, new, old = (document.get(name) for name in ("Keys", "NewImage", "OldImage"))
    own, of_new = _key(keys, key), _key(new, key)
    said, written = own or of_new or _key(old, key), _written(document.get("Metadata"))
    images = (image is None or isinstance(image, dict) for image in (new, old))
    if not set(document) <= _CHANGE or not isinstance(keys, dict) or not all(images):
        return Judged(NO_CHANGE, said, written)
    if written is None:
        return Judged(NO_TIME, said)
    if own is None:
        return Judged(KEY_ABSENT, said, written)
    return Judged(OTHER_KEY if new is not None and of_new != own else None, own, written)


def _key(attributes: object, key: Sequence[str]) -> Document | None:
    """The key in an item; None unless every attribute of it has a value of a key's type."""
    if not isinstance(attributes, dict):
        return None
    values = {name: _typed(attributes.get(name)) for name in key}
    return None if None in values.values() else values


def _typed(value: object) -> Document | None:
    if not isinstance(value, dict):
        return None
    return next(({kind: value[kind]} for kind in "NSB" if isinstance(value.get(kind), str)), None)


def _written(metadata: object) -> int | None:
    written = metadata.get("WriteTimestampMicros") if isinstance(metadata, dict) else None
    if isinstance(written, dict):
        written = written.get("N")
    return int(written) if isinstance(written, str) and _MICROS.fullmatch(written) else None


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
