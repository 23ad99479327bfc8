"""What holds of a table of an export that may be loaded, whichever engine reads it, and the sentence when it does not.

Belongs here: comparing what was found with what is declared. Does not belong here: finding it.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence

from platform_assets.data.exports.export import BrokenRows, DataFile, Export, ExportedTable, ExportError
from platform_assets.data.exports.lake import Lake
from platform_assets.environment import Limits

# Deflate makes no more of a byte than this (zlib.net/zlib_tech.html).
_LARGEST_RATIO = 1032
# To tell a truncated file from a changed one, no more than this is decompressed.
_LOOKED_AT = 4 * 1024**3
_PIECE = 1024**2


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


def check_decompressed(lake: Lake, file: DataFile, size: int, limits: Limits) -> None:
    """A gzipped data file of `size` bytes, of so many rows by its manifest, is within the limits; decompressed only if need be."""
    check_rows_of_file(lake, file, file.rows or 0, limits)
    if size * _LARGEST_RATIO <= limits.file_bytes:
        return
    seen = 0
    try:
        for piece in decompressed(lake, file.key):
            seen += len(piece)
            if seen > limits.file_bytes:
                raise ExportError(
                    f"{lake.location(file.key)}: the file of {size} bytes holds more than {limits.file_bytes} bytes when it is "
                    f"decompressed. If that is right, raise PLATFORM_MAX_FILE_BYTES; else copy the export again."
                )
    except (EOFError, zlib.error) as error:
        raise unreadable_items(lake.location(file.key), "it is truncated or no gzip") from error


def check_rows_of_file(lake: Lake, file: DataFile, rows: int, limits: Limits) -> None:
    """A data file has no more rows than one may have."""
    if rows > limits.file_rows:
        raise ExportError(
            f"{lake.location(file.key)}: the file says that it holds {rows} rows; {limits.file_rows} may be in one. If that is "
            f"right, raise PLATFORM_MAX_FILE_ROWS; else copy the export again."
        )


def check_bytes_of_part(lake: Lake, file: DataFile, size: int, limits: Limits) -> None:
    """A Parquet part holds no more bytes, decompressed, than one may hold."""
    if size > limits.file_bytes:
        raise ExportError(
            f"{lake.location(file.key)}: the file says that it holds {size} bytes when it is decompressed; {limits.file_bytes} may "
            f"be in one. If that is right, raise PLATFORM_MAX_FILE_BYTES; else copy the export again."
        )


def check_width(export: Export, table: ExportedTable, lake: Lake, columns: int, limits: Limits) -> None:
    """A table has no more columns than one may have."""
    if columns > limits.columns:
        raise ExportError(
            f"{lake.location(export.folder)}: {table.export_table} has {columns} columns; {limits.columns} are allowed. If that is "
            f"right, raise PLATFORM_MAX_COLUMNS; else copy the export again."
        )


def check_rows(export: Export, table: ExportedTable, lake: Lake, rows: int) -> None:
    """The table has as many rows as the export states, where it states a number."""
    if table.rows is not None and rows != table.rows:
        raise ExportError(
            f"{lake.location(export.folder)}: the export states {table.rows} rows of {table.export_table}, but "
            f"its files hold {rows}. A file is missing or was changed: copy the export again."
        )


def check_rows_in_file(lake: Lake, file: DataFile, rows: int) -> None:
    """A data file has as many rows as its line of the manifest states."""
    if file.rows is not None and rows != file.rows:
        raise ExportError(
            f"{lake.location(file.key)}: key 'itemCount' of its manifest line is {file.rows}, but the file holds "
            f"{rows if rows < file.rows else 'more'} items. Copy the export again."
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
        raise BrokenRows(
            f"{where}: {unread} of {rows} lines are not an item of a full export, {{'Item': {{…}}}}. "
            f"Export the table in full as DynamoDB JSON."
        )


def check_changes(where: str, unread: int, rows: int) -> None:
    """Every line of DynamoDB JSON is a change of an incremental export."""
    if unread:
        raise BrokenRows(
            f"{where}: {unread} of {rows} lines are not a change of an incremental export, {{'Metadata': {{'WriteTimestampMicros': "
            f"…}}, 'Keys': {{…}}, 'NewImage': {{…}}}}, or their key is not that of the new image. Copy the export again."
        )


def check_key(export: Export, table: ExportedTable, lake: Lake, absent: int) -> None:
    """Every row has the whole key."""
    if absent:
        raise BrokenRows(
            f"{lake.location(export.folder)}: in {table.export_table} the key ({', '.join(table.key)}) is absent, null "
            f"or of no key type in {absent} rows. Correct the rows at their source, or `key` in the source's defs.yaml."
        )


def check_unique(where: str, table: ExportedTable, doubled: int) -> None:
    """No two rows have the same key."""
    if doubled:
        raise BrokenRows(
            f"{where}: in {table.export_table} {doubled} values of the key ({', '.join(table.key)}) belong to more "
            f"than one row. Correct `key` in the source's defs.yaml if rows may share it, else the rows at their "
            f"source."
        )


def unreadable_part(where: str, reason: str) -> ExportError:
    """The error of a file that is not Parquet, or not like its table's others."""
    return ExportError(f"{where}: not readable as Parquet ({reason}). Copy the export again.")


def unreadable_items(where: str, reason: str) -> BrokenRows:
    """The error of a file that is not gzipped JSON, or of lines in it that are none."""
    return BrokenRows(f"{where}: not readable as gzipped DynamoDB JSON ({reason}). Copy the export again.")


def _is_truncated(lake: Lake, key: str) -> bool:
    """Whether a gzip stream ends before its end mark, so that the message can say so; of a huge one that is not found out."""
    seen = 0
    try:
        for piece in decompressed(lake, key):
            seen += len(piece)
            if seen > _LOOKED_AT:
                return False
    except EOFError:
        return True
    except zlib.error:
        return False
    return False


def decompressed(lake: Lake, key: str) -> Iterator[bytes]:
    """The content of a gzipped file, in pieces of 1 MiB and less however small what they come from.

    Raises:
        EOFError: it ends before its end mark.
    """
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)
    for chunk in lake.chunks(key):
        rest = chunk
        while rest:
            if decoder.eof:
                # A gzip file may be several streams, one after the other.
                decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)
            yield decoder.decompress(rest, _PIECE)
            rest = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
    if not decoder.eof:
        raise EOFError(key)
