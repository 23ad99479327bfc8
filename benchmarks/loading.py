"""Loading DynamoDB exports into raw tables, against what reading their bytes takes at least, in one run.

    python -m benchmarks.loading
    python -m benchmarks.loading --memory-of 10000000

Prints CPU-seconds and wall seconds of `gzip -dc`, of DuckDB's bare `read_json` into a table in memory and of the load, the
CPU-milliseconds of each of many exports of one item, and the peak memory of a load; fails above a bound. Each is measured in a process
of its own, without what it imports, best of the rounds. Does not belong here: whether what is loaded is right (tests/data).
"""

import argparse
import base64
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from platform_assets.data.exports.export import DataFile, Export, ExportedTable
from platform_assets.data.exports.spec import ExportSourceSpec, ExportTableSpec
from samples.dynamodb_export import export_id, write_dynamodb_export

AT = datetime(2026, 1, 1, tzinfo=UTC)
FILES = 8
OF_GZIP, OF_READ_JSON, MILLISECONDS, GIGABYTES = 3.2, 1.3, 8.0, 1.5
TINY = ExportSourceSpec(
    description="Tiny exports.",
    owner="team:benchmarks",
    format="dynamodb",
    path="tiny",
    tables=[ExportTableSpec(name="things", export_table="Things", key=["id"])],
)
ITEM = """'{"Item":{"customer_id":{"S":"c' || lpad(i::varchar, 9, '0') || '"},"email_hash":{"S":"' || md5(i::varchar)[:16]
    || '"},"plan":{"S":"' || ['basic', 'plus', 'pro'][1 + i % 3] || '"},"country":{"S":"' || ['DE', 'FR', 'IT', 'ES', 'PL'][1 + i % 5]
    || '"},"spend":{"N":"' || (hash(i) % 997)::varchar || '.' || (10 + hash(i) % 89)::varchar || '"},"orders":{"N":"'
    || (hash(i) % 50)::varchar || '"},"active":{"BOOL":' || (hash(i) % 2 = 0)::varchar || '},"updated_at":{"S":"'
    || strftime(timestamp '2026-01-01' + to_seconds((hash(i) % 31000000)::bigint), '%Y-%m-%dT%H:%M:%SZ') || '"}}}'"""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=2_000_000)
    parser.add_argument("--exports", type=int, default=500)
    parser.add_argument("--memory-of", type=int, default=0, help="items of a load whose peak memory alone is measured")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return _child(*arguments.child)
    with TemporaryDirectory() as folder:
        work = Path(folder)
        if arguments.memory_of:
            return _memory(work, arguments.memory_of)
        return max(_large(work, arguments.items, arguments.rounds), _tiny(work, arguments.exports, arguments.rounds))


def _large(work: Path, items: int, rounds: int) -> int:
    lake = _write(work / "large", items)
    best: dict[str, list[float]] = {}
    for _ in range(rounds):
        for what in ("gzip", "read_json", "load"):
            cpu, wall, _ = _measured(what, lake, work / "raw")
            best[what] = [min(pair) for pair in zip(best.get(what, [cpu, wall]), [cpu, wall], strict=True)]
            print(f"{what}: {cpu:.2f} CPU-s, {wall:.2f} s", flush=True)
    of_gzip, of_read_json = best["load"][0] / best["gzip"][0], best["load"][1] / best["read_json"][1]
    print(
        f"{items} items, {os.cpu_count()} cores: gzip -dc {best['gzip'][0]:.2f} CPU-s; read_json {best['read_json'][0]:.2f}, "
        f"{best['read_json'][1]:.2f} s; load {best['load'][0]:.2f}, {best['load'][1]:.2f} s; load ÷ gzip in CPU {of_gzip:.2f} (at most "
        f"{OF_GZIP}), load ÷ read_json by wall {of_read_json:.2f} (at most {OF_READ_JSON})"
    )
    return int(of_gzip > OF_GZIP or of_read_json > OF_READ_JSON)


def _tiny(work: Path, exports: int, rounds: int) -> int:
    for number in range(exports):
        at, item = AT + timedelta(minutes=number), {"id": {"S": "a"}, "name": {"S": "b"}}
        write_dynamodb_export(work / "lake", "Things", export_id("Things", at), [item], at, prefix="tiny", files=1)
    measured = [_measured("tiny", work / "lake", work / "raw") for _ in range(rounds)]
    each, again = min(cpu for cpu, *_ in measured) * 1000 / exports, min(again for _, again, _ in measured)
    print(
        f"{exports} exports of one item: {each:.1f} CPU-ms each (at most {MILLISECONDS:g}); again, all known: {again:.2f} CPU-s"
    )
    return int(each > MILLISECONDS)


def _memory(work: Path, items: int) -> int:
    lake = _write(work / "large", items)
    cpu, wall, peak = _measured("load", lake, work / "raw")
    print(f"{items} items: peak {peak:.2f} GB (at most {GIGABYTES}), {cpu:.2f} CPU-s, {wall:.2f} s")
    return int(peak > GIGABYTES)


def _write(folder: Path, items: int) -> Path:
    """The data files of a table of so many items, and nothing else."""
    import duckdb

    folder.mkdir()
    each = items // FILES
    with duckdb.connect() as engine:
        for number in range(FILES):
            lines = f"select {ITEM} as line from range({number * each}, {(number + 1) * each}) as rows(i)"
            options = "format csv, header false, quote '', escape '', delimiter '\x01', compression gzip"
            engine.execute(f"copy ({lines}) to '{folder}/{number}.json.gz' ({options})")
    (folder / "items").write_text(str(each * FILES))
    return folder


def _measured(what: str, lake: Path, raw: Path) -> tuple[float, float, float]:
    """CPU and wall seconds of the work, of `tiny` the CPU seconds of the first and of a second load; and peak GB of its process."""
    subprocess.run(["rm", "-rf", str(raw)], check=True)
    command = [sys.executable, "-m", "benchmarks.loading", "--child", what, str(lake), str(raw)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(process.returncode)
    first, second = json.loads(said)
    return first, second, usage.ru_maxrss * 1024 / 1e9


def _child(what: str, lake: str, raw: str) -> int:
    import duckdb

    from platform_assets.data.engines.duckdb.raw_tables import FolderTables
    from platform_assets.data.raw.discover import load_source

    files = sorted(Path(lake).glob("*.json.gz"))
    if what == "gzip":
        print(
            json.dumps(_timed(lambda: subprocess.run(["gzip", "-dc", *files], stdout=subprocess.DEVNULL, check=True)))
        )
    elif what == "read_json":
        listed = ", ".join(f"'{path}'" for path in files)
        statement = f"create temp table bare as from read_json([{listed}], format = 'newline_delimited')"
        print(json.dumps(_timed(lambda: duckdb.connect().execute(statement))))
    elif what == "load":
        pair = (_export(Path(lake), files), "customers")
        print(json.dumps(_timed(lambda: FolderTables(Path(raw)).load([pair]))))
    else:
        load = [_timed(lambda: load_source(TINY, "tiny", lake, FolderTables(Path(raw))))[0] for _ in range(2)]
        print(json.dumps(load))
    return 0


def _export(lake: Path, files: list[Path]) -> Export:
    items = int((lake / "items").read_text())

    def md5(path: Path) -> str:
        with path.open("rb") as file:
            return base64.b64encode(hashlib.file_digest(file, "md5").digest()).decode()

    listed = tuple(DataFile(path.name, rows=items // len(files), md5=md5(path)) for path in files)
    table = ExportedTable("customers", "Customers", ("customer_id",), listed, rows=items)
    return Export("crm", "dynamodb", "one", AT, "", str(lake), "", {"customers": table})


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    before, begin = os.times(), time.perf_counter()
    work()
    after, wall = os.times(), time.perf_counter() - begin
    return sum(after[:4]) - sum(before[:4]), wall


if __name__ == "__main__":
    sys.exit(main())
