"""Fetched objects as the items of an export: DynamoDB's typed JSON, which both engines, the drift checks and the macros read.

Nothing is lost on the way: numbers keep their digits, null is not absence, lists keep their order.
Belongs here: from an object to its line and from lines to objects' ids. Does not belong here: which lines make up an export.
"""

import gzip
import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any


def line_of(one: dict[str, Any]) -> bytes:
    """An object as a line of an export's data file."""
    item = {name: typed(value) for name, value in one.items()}
    return json.dumps({"Item": item}, separators=(",", ":")).encode() + b"\n"


def typed(value: Any) -> dict[str, Any]:
    """A value of JSON with its type, as DynamoDB writes it."""
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int() | Decimal():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case list():
            return {"L": [typed(element) for element in value]}
        case dict():
            return {"M": {name: typed(element) for name, element in value.items()}}
    raise TypeError(type(value).__name__)


def packed(lines: Iterable[bytes]) -> bytes:
    """Lines as a data file; the same bytes for the same lines."""
    return gzip.compress(b"".join(lines), compresslevel=6, mtime=0)


def unpacked(content: bytes) -> Iterator[tuple[str, bytes]]:
    """(id of the object, its line) of a data file that `packed` made."""
    for line in gzip.decompress(content).splitlines(keepends=True):
        yield json.loads(line)["Item"]["id"]["S"], line
