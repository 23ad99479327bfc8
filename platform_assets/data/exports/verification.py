"""What holds of a table of an export that may be loaded, whichever engine reads it, and the sentence when it does not.

Belongs here: comparing what was found with what is declared. Does not belong here: finding it.
"""

import zlib
from collections.abc import Callable, Sequence

from platform_assets.data.exports.export import DataFile, Export, ExportedTable, ExportError
from platform_assets.data.exports.lake import Lake


def check_files(export: Export, table: ExportedTable, lake: Lake, present: Callable[[str], bool]) -> None:
    """Every data file that the manifests name is there."""
    for file in table.files:
        if not present(file.key):
            raise ExportError(
                f"{lake.location(file.key)}: a data file of {table.export_table} in export {export.export_id} is "
                f"absent. Copy the export again."
            )


def check_size(lake: Lake, file: DataFile, size: int) -> None:
    """A data file is as long as it was when the export was listed."""
    if file.size is not None and file.size != size:
        raise ExportError(
            f"{lake.location(file.key)}: the file had {file.size} bytes when the export was listed, and has {size} now. "
            f"It is being copied: load the export again when that is over."
        )


def check_md5(lake: Lake, file: DataFile, md5: str) -> None:
    """A data file is the one that AWS wrote."""
    if file.md5 is None or file.md5 == md5:
        return
    how = "truncated" if _is_truncated(lake, file.key) else "changed"
    raise ExportError(
        f"{lake.location(file.key)}: the file is {how}: its MD5 is {md5}, but key 'md5Checksum' of its manifest "
        f"line is {file.md5}. Copy the export again."
    )


def check_rows(export: Export, table: ExportedTable, lake: Lake, rows: int) -> None:
    """The table has as many rows as the export states, where it states a number."""
    if table.rows is not None and rows != table.rows:
        raise ExportError(
            f"{lake.location(export.folder)}: the export states {table.rows} rows of {table.export_table}, but "
            f"its files hold {rows}. A file is missing or was changed: copy the export again."
        )


def check_columns(export: Export, table: ExportedTable, lake: Lake, columns: Sequence[str]) -> None:
    """The columns are those of the export's schema metadata, and the declared key is among them."""
    stated = [name for name, _ in table.columns]
    if stated and sorted(stated) != sorted(columns):
        raise ExportError(
            f"{lake.location(export.folder)}: key 'originalTypeMappings' of {table.export_table} names the columns "
            f"{', '.join(sorted(stated))}, but its files hold {', '.join(sorted(columns))}. Copy the export again."
        )
    if absent := [name for name in table.key if name not in columns]:
        raise ExportError(
            f"{lake.location(export.folder)}: {table.export_table} has no column {', '.join(absent)}, which the "
            f"source declares as key. Correct `key` in the source's defs.yaml; columns: {', '.join(columns)}."
        )


def check_items(where: str, unread: int, rows: int) -> None:
    """Every line of DynamoDB JSON is an item of a full export."""
    if unread:
        raise ExportError(
            f"{where}: {unread} of {rows} lines are not an item of a full export, {{'Item': {{…}}}}. "
            f"Export the table in full as DynamoDB JSON."
        )


def check_key(export: Export, table: ExportedTable, lake: Lake, absent: int) -> None:
    """Every row has the whole key."""
    if absent:
        raise ExportError(
            f"{lake.location(export.folder)}: in {table.export_table} the key ({', '.join(table.key)}) is absent, null "
            f"or of no key type in {absent} rows. Correct the rows at their source, or `key` in the source's defs.yaml."
        )


def check_unique(where: str, table: ExportedTable, doubled: int) -> None:
    """No two rows have the same key."""
    if doubled:
        raise ExportError(
            f"{where}: in {table.export_table} {doubled} values of the key ({', '.join(table.key)}) belong to more "
            f"than one row. Correct `key` in the source's defs.yaml if rows may share it, else the rows at their "
            f"source."
        )


def unreadable_part(where: str, reason: str) -> ExportError:
    """The error of a file that is not Parquet, or not like its table's others."""
    return ExportError(f"{where}: not readable as Parquet ({reason}). Copy the export again.")


def unreadable_items(where: str, reason: str) -> ExportError:
    """The error of a file that is not gzipped JSON."""
    return ExportError(f"{where}: not readable as gzipped DynamoDB JSON ({reason}). Copy the export again.")


def _is_truncated(lake: Lake, key: str) -> bool:
    """Whether a gzip stream ends before its end mark, so that the message can say so."""
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        decoder.decompress(lake.read(key))
    except zlib.error:
        return False
    return not decoder.eof
