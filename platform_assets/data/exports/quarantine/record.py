"""What is kept of rows that were left out: the rows with their places and reasons, and counts without any value.

Belongs here: the columns of a quarantine, the reasons, the counts. Does not belong here: finding such rows (`lines`, `parts`).
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from platform_assets.data.exports.export import Export

if TYPE_CHECKING:
    import pyarrow as pa

NOT_UTF8, NO_JSON, NO_ITEM = "not UTF-8", "not JSON", "not an item"
NO_CHANGE, NO_TIME, OTHER_KEY = "not a change", "no time of writing", "a key that is not that of the new image"
KEY_ABSENT, KEY_DOUBLED = "key absent, null or of no key type", "key of more than one row"
# Column → what it means; instants are in UTC.
COLUMNS = {
    "_export_id": "The export that the row is of.",
    "_exported_at": "The instant at which the export shows the table.",
    "file": "Key of the data file below the exports root.",
    "line": "The line, or of Parquet the row, in that file, from 1 on.",
    "reason": "Why it was left out.",
    "key": "The row's key as JSON, as far as it can be read.",
    "text": "The line as it stands in the file; of Parquet the row as JSON.",
    "unknown_from": "From when on it is not known what its key holds.",
}
_BATCH = 1000


@dataclass(frozen=True)
class Quarantined:
    """Counts of the rows of an export's table that were left out.

    Attributes:
        keyless: those whose key cannot be read.
        reasons: reason → rows.
        files: name of a data file → rows.
        digest: of which rows they are, and why.
    """

    rows: int
    keyless: int
    reasons: Mapping[str, int]
    files: Mapping[str, int]
    digest: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Quarantined":
        """Raises KeyError, TypeError or ValueError when it is no such record."""
        reasons, files = (
            {str(name): int(count) for name, count in dict(record[key]).items()} for key in ("reasons", "files")
        )
        return cls(int(record["rows"]), int(record["keyless"]), reasons, files, str(record["digest"]))


@dataclass(frozen=True)
class BrokenRow:
    """A row that was left out; the fields as in `COLUMNS`."""

    file: str
    line: int
    reason: str
    key: Mapping[str, Any] | None
    text: str
    unknown_from: datetime


class Rows:
    """The rows that are left out of an export, written to a Parquet file, and counted."""

    def __init__(self, export: Export, path: Path) -> None:
        import pyarrow.parquet as pq

        self._export, self._writer = export, pq.ParquetWriter(path, _schema(), compression="zstd")
        self._waiting: list[BrokenRow] = []
        self._reasons, self._files = Counter[str](), Counter[str]()
        self._keyless, self._digest = 0, hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write()
        self._writer.close()

    def add(self, row: BrokenRow) -> None:
        self._reasons[row.reason] += 1
        self._files[row.file.rsplit("/", 1)[-1]] += 1
        self._keyless += row.key is None
        self._digest.update(f"{row.file}\0{row.line}\0{row.reason}\0".encode())
        self._waiting.append(row)
        if len(self._waiting) >= _BATCH:
            self._write()

    @property
    def counts(self) -> Quarantined:
        rows = self._reasons.total()
        return Quarantined(rows, self._keyless, dict(self._reasons), dict(self._files), self._digest.hexdigest())

    def _write(self) -> None:
        if self._waiting:
            self._writer.write_table(_table(self._export, self._waiting))
            self._waiting = []


def _schema() -> "pa.Schema":
    import pyarrow as pa

    instant = pa.timestamp("us", "UTC")
    kinds = {"_exported_at": instant, "unknown_from": instant, "line": pa.int64()}
    return pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])


def _table(export: Export, rows: Sequence[BrokenRow]) -> "pa.Table":
    import pyarrow as pa

    columns: dict[str, list[Any]] = {
        "_export_id": [export.export_id] * len(rows),
        "_exported_at": [export.exported_at] * len(rows),
        "key": [None if row.key is None else json.dumps(row.key, ensure_ascii=False, default=plain) for row in rows],
    }
    columns |= {name: [getattr(row, name) for row in rows] for name in COLUMNS if name not in columns}
    return pa.table(columns, schema=_schema())


def plain(value: object) -> str:
    """A value of a Parquet row as JSON's text."""
    return value.hex() if isinstance(value, bytes) else str(value)
