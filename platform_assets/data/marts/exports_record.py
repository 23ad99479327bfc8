"""What was loaded into the raw tables: from the record each export carries in a folder, or the record's table in BigQuery.

Belongs here: the list of a raw table's exports, its hash and its watermark. Does not belong here: the
exports' rows, and how they are loaded (`exports`).
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from platform_assets.data.engines.bigquery.connection import BigQuery

RECORD = "_export.json"
RECORD_TABLE = "_exports"
# Export id, export instant (UTC) and content hash of an export.
_Export = tuple[str, datetime, str]


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


def raw_tables_in_folder(raw: Path, sources: Iterable[tuple[str, str]]) -> dict[tuple[str, str], RawTable]:
    """Read the records of raw tables, given by (source, table), below a folder.

    Raises:
        RawTableEmpty: one of them has none; says what to materialise.
    """
    return {(source, table): _in_folder(raw / source / table, source, table) for source, table in sources}


def raw_tables_in_bigquery(bigquery: "BigQuery", sources: Iterable[tuple[str, str]]) -> dict[tuple[str, str], RawTable]:
    """Read the records of raw tables, given by (source, table), from BigQuery: one query for all of them.

    Raises:
        RawTableEmpty: as `raw_tables_in_folder`.
    """
    from platform_assets.data.engines.bigquery.connection import quoted

    name = bigquery.name("raw", RECORD_TABLE)
    loaded: dict[tuple[str, str], list[_Export]] = {source: [] for source in sources}
    if bigquery.find(name) is not None:
        columns = "source_name, table_name, export_id, exported_at, content_hash"
        for source, table, *export in bigquery.values(f"select {columns} from {quoted(name)}", "transform"):  # noqa: S608
            if (source, table) in loaded:
                loaded[source, table].append(tuple(export))
    return {(source, table): _raw_table(source, table, exports, name) for (source, table), exports in loaded.items()}


def _in_folder(folder: Path, source: str, table: str) -> RawTable:
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(f"*/{RECORD}"))]
    exports = [
        (record["export_id"], datetime.fromisoformat(record["exported_at"]), record["content_hash"])
        for record in records
    ]
    return _raw_table(source, table, exports, str(folder))


def _raw_table(source: str, table: str, exports: list[_Export], place: str) -> RawTable:
    if not exports:
        raise RawTableEmpty(f"raw table {source}.{table}: no export in {place}; materialise raw/{source}/{table} first")
    in_utc = [(export_id, at.astimezone(UTC), content_hash) for export_id, at, content_hash in exports]
    listed = sorted([export_id, at.isoformat(), content_hash] for export_id, at, content_hash in in_utc)
    content_hash = hashlib.sha256(json.dumps(listed).encode()).hexdigest()
    return RawTable(source, table, len(exports), content_hash, max(at for _, at, _ in in_utc))
