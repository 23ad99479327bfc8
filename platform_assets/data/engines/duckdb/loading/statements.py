"""What every statement of a load is composed of: paths, literals, the platform's own columns, and copying to Parquet.

Belongs here: SQL that knows no format. Does not belong here: what is asked.
"""

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from platform_assets.data.engines.profiles import ITEM, RowKey
from platform_assets.data.exports.dynamodb import typed_key
from platform_assets.data.exports.empty_tables import quoted
from platform_assets.data.exports.export import Export

if TYPE_CHECKING:
    import duckdb

PROVENANCE = ("_export_id", "_exported_at")
# The part of a table whose files are joined.
JOINED = "part-00000.parquet"


def text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def texts(values: Sequence[str]) -> str:
    """A list of texts."""
    return f"[{', '.join(text(value) for value in values)}]"


def parquet(paths: Sequence[str], filename: bool = False) -> str:
    listed = texts([glob.escape(path) for path in paths])
    return f"read_parquet({listed}, hive_partitioning = false, filename = {str(filename).lower()})"


def parts(folder: Path) -> list[str]:
    """The Parquet files of a folder in order."""
    return [str(path) for path in sorted(folder.glob("part-*.parquet"))]


def staged(folder: Path) -> str:
    """The rows of a folder."""
    return parquet(parts(folder))


def provenance(export: Export) -> str:
    at = f"{text(export.exported_at.isoformat())}::timestamptz"
    return f"{text(export.export_id)}::varchar as _export_id, {at} as _exported_at"


def copy(engine: "duckdb.DuckDBPyConnection", rows: str, target: Path, options: str = "compression zstd") -> int:
    """Writes rows to a Parquet file, and returns how many."""
    copied = engine.execute(f"copy ({rows}) to {text(str(target))} (format parquet, {options})")
    return int(copied.fetchall()[0][0])


def key_columns(key: RowKey, holding: str = ITEM) -> list[str]:
    """SQL of the columns of a key.

    Args:
        holding: of DynamoDB, the column that holds the key's attributes.
    """
    if key.format == "aurora_snapshot":
        return [quoted(name) for name in key.columns]
    return [typed_key(name, lambda path: f'json_extract_string("{holding}", {text(path)})') for name in key.columns]
