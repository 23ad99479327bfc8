"""Rows of Aurora's Parquet parts: those without their key, and those that share one.

Belongs here: finding them, and a part without them. Does not belong here: parts that cannot be read, which are refused as a whole.
"""
# ruff: noqa: S608 - statements are composed of columns and paths, each quoted.

import glob
import json
from collections.abc import Mapping
from pathlib import Path

from platform_assets.data.exports.empty_tables import quoted
from platform_assets.data.exports.export import DataFile, Export, ExportedTable
from platform_assets.data.exports.lake import Lake
from platform_assets.data.exports.quarantine.record import KEY_ABSENT, KEY_DOUBLED, BrokenRow, Rows, plain


def broken_rows(export: Export, table: ExportedTable, lake: Lake, most: int) -> tuple[int, dict[int, dict[int, str]]]:
    """How many rows the table has, and number of a file → row, from 1 on → why it cannot be used; no more than `most` rows."""
    import duckdb

    paths = [lake.location(file.key) for file in table.files]
    listed = ", ".join(_text(glob.escape(path)) for path in paths)
    names = [f"key_{number}" for number in range(len(table.key))]
    key = ", ".join(f"{quoted(column)} as {name}" for column, name in zip(table.key, names, strict=True))
    absent = " or ".join(f"{name} is null" for name in names)
    with duckdb.connect() as engine:
        lake.attach(engine)
        engine.execute(
            f"create temp view parts as select filename, file_row_number + 1 as line, {key} from "
            f"read_parquet([{listed}], hive_partitioning = false, filename = true, file_row_number = true)"
        )
        rows = engine.execute("select count(*) from parts").fetchall()[0][0]
        found = engine.execute(
            f"select filename, line, {_text(KEY_ABSENT)} from parts where {absent} union all "
            f"select filename, line, {_text(KEY_DOUBLED)} from parts semi join "
            f"(select {', '.join(names)} from parts where not ({absent}) group by all having count(*) > 1) "
            f"using ({', '.join(names)}) order by all limit {most}"
        ).fetchall()
    broken: dict[int, dict[int, str]] = {}
    for path, line, reason in found:
        broken.setdefault(paths.index(path), {})[line] = reason
    return rows, broken


def sifted_part(
    export: Export,
    table: ExportedTable,
    lake: Lake,
    file: DataFile,
    broken: Mapping[int, str],
    rows: Rows,
    target: Path,
) -> None:
    """Writes to `target` the part without these rows, which go to `rows`; its columns and their types stay as they are."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    whole = target.with_suffix(".whole")
    with whole.open("wb") as copy:
        for chunk in lake.chunks(file.key):
            copy.write(chunk)
    part, first = pq.ParquetFile(whole), 1
    with pq.ParquetWriter(target, part.schema_arrow, compression="zstd") as writer:
        for batch in part.iter_batches():
            numbers = range(first, first + batch.num_rows)
            writer.write_batch(batch.filter(pa.array([number not in broken for number in numbers])))
            for number in broken.keys() & set(numbers):
                row = batch.slice(number - first, 1).to_pylist()[0]
                key = {name: row[name] for name in table.key}
                text = json.dumps(row, ensure_ascii=False, default=plain)
                readable = None if None in key.values() else key
                rows.add(BrokenRow(file.key, number, broken[number], readable, text, export.exported_at))
            first += batch.num_rows
    whole.unlink()


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
