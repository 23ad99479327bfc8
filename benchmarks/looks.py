"""What a look at known exports costs: calls of the storage and CPU-seconds, of a sensor and of a load that finds nothing new.

Incremental exports of one item lie in a folder, and, with --bucket, in a bucket of the emulator, whose calls a proxy counts. Each
figure is of a process of its own, which knows what the one before it remembered. A look of the sensor is one of `look`, with
and without the listing of the look before; a load looks by `discover`, which remembers.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from samples.dynamodb_export import change, write_incremental_export

FROM = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
LOOK = """
import json, sys, time
from platform_assets.data.exports.lake import Lake
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.raw.discover import discover
from platform_assets.data.raw.known import KnownExports
from platform_assets.data.raw.looks import Look, look

how, root, memory, before = sys.argv[1:]
spec = ExportSourceSpec(
    description="Orders.", owner="team:shop", format="dynamodb", path="shop",
    tables=[{"name": "orders", "export_table": "Orders", "key": ["order_id"]}],
)
known = KnownExports(memory, "shop", spec, root)
Lake(root)
started = time.process_time()
if how == "look":
    seen = look(spec, "shop", root, known, Look(*json.loads(before)) if before else None)
    exports, said = None, [seen.key, seen.listing]
else:
    exports, said = len(discover(spec, "shop", root, known).complete), None
    known.keep()
print(json.dumps({"cpu": time.process_time() - started, "exports": exports, "seen": said}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.looks", description=__doc__.splitlines()[0])
    parser.add_argument("--exports", type=int, default=3000)
    parser.add_argument("--bucket", action="store_true", help="in a bucket of the emulator too (`make emulators`)")
    stated = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {stated.exports:,} exports"
    )
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder, "lake")
        for number in range(stated.exports):
            start = FROM + number * HOUR
            item = {"order_id": {"N": str(number)}}
            line = change(item, start, new=item)
            write_incremental_export(lake, "Orders", [line], (start, start + HOUR), prefix="shop", files=1)
        print(f"{sum(path.is_file() for path in lake.rglob('*')):,} files")
        # What was written just now is not relied on.
        time.sleep(3)
        _tell("folder", str(lake), Path(folder, "memory"), os.environ, Counter())
        if stated.bucket:
            with _bucket(Path(folder, "emulators"), lake) as (root, variables, calls):
                _tell("bucket", root, Path(folder, "memory of the bucket"), variables, calls)


def _tell(
    where: str, root: str, memory: Path, variables: "os._Environ[str] | dict[str, str]", calls: Counter[str]
) -> None:
    before = ""
    for what, how in (
        ("a load's look, nothing known", "discover"),
        ("a load's look, all known", "discover"),
        ("a sensor's look, all known", "look"),
        ("a sensor's look at the same listing", "look"),
    ):
        calls.clear()
        command = [sys.executable, "-c", LOOK, how, root, str(memory), before]
        done = subprocess.run(command, env=dict(variables), check=True, capture_output=True, text=True)
        said = json.loads(done.stdout)
        before = json.dumps(said["seen"]) if said["seen"] else ""
        asked = ", ".join(f"{count:,} {kind}" for kind, count in sorted(calls.items()))
        print(f"{where}: {what}: {said['cpu']:.3f} CPU-s{f'; {asked}' if asked else ''}", flush=True)


@contextmanager
def _bucket(folder: Path, lake: Path) -> Iterator[tuple[str, dict[str, str], Counter[str]]]:
    """The exports in a bucket: its URL, variables that lead there, and what it is asked."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    from tests.emulators.servers import serving
    from tests.support.answering import Reply, Request, answering, forwarded

    calls: Counter[str] = Counter()
    with serving(folder) as emulators:
        client = storage.Client("looks", AnonymousCredentials(), client_options={"api_endpoint": emulators.storage})
        bucket = client.create_bucket("looks")

        def put(path: Path) -> None:
            bucket.blob(f"lake/{path.relative_to(lake)}").upload_from_filename(str(path))

        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(put, [path for path in lake.rglob("*") if path.is_file()]))

        def counted(request: Request) -> Reply:
            calls["pages" if urlsplit(request.path).path.endswith("/o") else "looked up or read"] += 1
            return forwarded(request, urlsplit(emulators.storage).netloc)

        with answering(counted) as url:
            yield "gs://looks/lake", os.environ | {"STORAGE_EMULATOR_HOST": url}, calls


if __name__ == "__main__":
    main()
