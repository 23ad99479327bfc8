"""What was loaded into the raw tables, from the record each export carries (`_export.json`).

Belongs here: the list of a raw table's exports, its hash and its watermark. Does not belong here: the
exports' rows.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

RECORD = "_export.json"


class RawTableEmpty(LookupError):
    """A raw table that a model reads was never loaded."""


@dataclass(frozen=True)
class RawTable:
    """The exports of one raw table.

    Attributes:
        source, table: its name.
        exports: number of exports loaded.
        content_hash: changes when an export comes, goes or differs.
        watermark: UTC; the latest export covers everything before this instant.
    """

    source: str
    table: str
    exports: int
    content_hash: str
    watermark: datetime


def raw_table(raw: Path, source: str, table: str) -> RawTable:
    """Read the records of a raw table's exports.

    Raises:
        RawTableEmpty: there are none; says what to materialise.
    """
    paths = sorted((raw / source / table).glob(f"*/{RECORD}"))
    records = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    if not records:
        raise RawTableEmpty(
            f"raw table {source}.{table}: no export in {raw / source / table}; materialise raw/{source}/{table} first"
        )
    listed = sorted([record["export_id"], record["exported_at"], record["content_hash"]] for record in records)
    times = [datetime.fromisoformat(record["exported_at"]).astimezone(UTC) for record in records]
    content_hash = hashlib.sha256(json.dumps(listed).encode()).hexdigest()
    return RawTable(source, table, len(records), content_hash, max(times))
