"""A table of an export without its broken rows, made after an engine refused it with them.

Belongs here: going through the files, how many rows may be left out, and copies of broken files without them. Does not belong
here: judging a row (`lines`, `parts`), and loading what is left (`engines`).

It is slow beside an engine's own pass: each file of the table is read once more, here, and each broken one is copied. That loaded
and quarantined rows together are those of the manifest is held twice: by the lines that are read here, and by what the engine
counts in what is left.
"""

import gzip
import hashlib
import json
import zlib
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from platform_assets.data.exports import verification
from platform_assets.data.exports.export import BrokenRows, DataFile, Export, ExportedTable, ExportError
from platform_assets.data.exports.lake import Lake
from platform_assets.data.exports.quarantine.lines import Document, judged, lines_of
from platform_assets.data.exports.quarantine.parts import broken_rows, sifted_part
from platform_assets.data.exports.quarantine.record import KEY_DOUBLED, BrokenRow, Quarantined, Rows
from platform_assets.data.exports.quarantine.sifted_lake import SiftedLake

# Broken rows that a refusal names.
_SHOWN = 3
_LINE_BITS = 40
# Number of a file → line → why it cannot be used.
_Broken = dict[int, dict[int, str]]


@dataclass(frozen=True)
class Sifted:
    """A table of an export without its broken rows.

    Attributes:
        table: its files with the rows that are left; no checksum is known of those that were broken.
        lake: where its files are read.
        rows: Parquet of the rows that were left out, with the columns of `record.COLUMNS`.
    """

    table: ExportedTable
    lake: SiftedLake
    rows: Path
    quarantined: Quarantined


def sift(export: Export, table: ExportedTable, lake: Lake, folder: Path, refused: BrokenRows) -> Sifted:
    """The table without its broken rows, copies of its broken files and those rows written below `folder`.

    Args:
        refused: what an engine said of the table.

    Raises:
        ExportError: more rows are broken than the source allows; the first of them are named by file and line. Or a file is
            not what the manifest says, so that nobody knows which rows are in it.
        BrokenRows: what an engine refused is no single row.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stated = table.rows if table.rows is not None else sum(file.rows or 0 for file in table.files)
    most = int(table.quarantine_at_most * stated) + _SHOWN
    try:
        find = _broken_lines if export.format == "dynamodb" else broken_rows
        count, broken = find(export, table, lake, most)
    except ExportError as error:
        raise ExportError(f"{refused} {error}") from error
    except (EOFError, zlib.error):
        raise refused from None
    if not broken:
        raise refused
    _require_share(table, lake, count, broken, refused)
    files, copies = list(table.files), dict[str, Path]()
    with Rows(export, folder / "quarantine.parquet") as rows:
        for number in sorted(broken):
            file, lines = files[number], broken[number]
            copy = copies[file.key] = folder / f"{number:05d}-{file.key.rsplit('/', 1)[-1]}"
            if export.format == "aurora_snapshot":
                sifted_part(export, table, lake, file, lines, rows, copy)
            else:
                _sifted_lines(export, table, lake, file, lines, rows, copy)
            files[number] = DataFile(file.key, rows=None if file.rows is None else file.rows - len(lines))
    left = None if table.rows is None else table.rows - rows.counts.rows
    return Sifted(
        replace(table, files=tuple(files), rows=left),
        SiftedLake(lake, copies),
        folder / "quarantine.parquet",
        rows.counts,
    )


def _require_share(table: ExportedTable, lake: Lake, count: int, broken: _Broken, refused: BrokenRows) -> None:
    rows = sum(map(len, broken.values()))
    if rows <= table.quarantine_at_most * count:
        return
    places = [
        f"{lake.location(table.files[number].key)}:{line} ({reason})"
        for number, lines in sorted(broken.items())
        for line, reason in sorted(lines.items())
    ]
    more = " and more" if rows > _SHOWN else ""
    allowed = (
        f"More than `quarantine_at_most`, {table.quarantine_at_most:g} of {count} rows, are broken"
        if table.quarantine_at_most
        else "`quarantine_at_most` in the source's defs.yaml says how many such rows may be kept apart so that the others are loaded"
    )
    raise ExportError(f"{refused} Broken: {', '.join(places[:_SHOWN])}{more}. {allowed}.")


def _broken_lines(export: Export, table: ExportedTable, lake: Lake, most: int) -> tuple[int, _Broken]:
    """As `broken_rows`, of DynamoDB JSON."""
    broken, keys, rows, found = _Broken(), _Keys(), 0, 0
    stored = lake.stored(file.key for file in table.files)
    for number, file in enumerate(table.files):
        if file.md5 is not None:
            verification.check_md5(lake, file, stored[file.key].md5 or lake.md5(file.key))
        before = rows
        for line, text in lines_of(lake, file.key):
            rows += 1
            one = judged(text, table.key, export.window_start is not None)
            if one.key is not None:
                keys.add(number, line, one.key)
            if one.reason is not None:
                broken.setdefault(number, {})[line] = one.reason
                found += 1
                if found >= most:
                    return table.rows or rows, broken
        verification.check_rows_in_file(lake, file, rows - before)
    for number, line in keys.doubled():
        if line not in broken.setdefault(number, {}):
            broken[number][line] = KEY_DOUBLED
            found += 1
        if found >= most:
            break
    return rows, {number: lines for number, lines in broken.items() if lines}


def _sifted_lines(
    export: Export,
    table: ExportedTable,
    lake: Lake,
    file: DataFile,
    broken: Mapping[int, str],
    rows: Rows,
    target: Path,
) -> None:
    with gzip.open(target, "wb", compresslevel=1) as copy:
        for line, text in lines_of(lake, file.key):
            if line not in broken:
                copy.write(text + b"\n")
                continue
            one = judged(text, table.key, export.window_start is not None)
            # A byte that is no text stands as \xff.
            readable = text.decode("utf-8", "backslashreplace")
            rows.add(BrokenRow(file.key, line, broken[line], one.key, readable, one.unknown_from(export)))


class _Keys:
    """Which rows share a key. A digest a row: a table may have more rows than memory has room for keys."""

    def __init__(self) -> None:
        self._digests, self._places = bytearray(), array("Q")

    def add(self, number: int, line: int, key: Document) -> None:
        self._digests += hashlib.blake2b(json.dumps(key).encode(), digest_size=16).digest()
        self._places.append(number << _LINE_BITS | line)

    def doubled(self) -> Iterator[tuple[int, int]]:
        """Number of the file and line of each row that another one shares its key with, in their order."""
        import numpy as np

        digests = np.frombuffer(bytes(self._digests), dtype="S16")
        _, which, counts = np.unique(digests, return_inverse=True, return_counts=True)
        for at in np.flatnonzero(counts[which] > 1):
            yield self._places[at] >> _LINE_BITS, self._places[at] & ((1 << _LINE_BITS) - 1)
