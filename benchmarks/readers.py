"""What a reader costs a notebook: CPU-seconds of a process up to the import, a mart's name, its first table and its first rows.

Each turn is a process of its own, on the demo's marts, beside one that reads the same file by Ibis on DuckDB and nothing else.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.orchestration import build_marts
from platform_assets.data.catalog.pointer import MartStore
from platform_assets.environment import PROJECT_VARIABLE, REPOSITORY, local_environment
from samples.exports import write_sample_exports

READER = """
import json, time
spent = {"interpreter": time.process_time()}
import platform_assets.readers
spent["import"] = time.process_time()
from platform_assets.readers import orders
spent["a mart's name"] = time.process_time()
table = orders()
spent["first table"] = time.process_time()
rows = orders.arrow()
spent["first rows"] = time.process_time()
print(json.dumps(spent))
"""
BARE = """
import json, sys, time
spent = {"interpreter": time.process_time()}
import ibis
spent["import"] = time.process_time()
backend = ibis.duckdb.connect()
table = backend.read_parquet(sys.argv[1])
spent["first table"] = time.process_time()
rows = table.to_pyarrow()
spent["first rows"] = time.process_time()
print(json.dumps(spent))
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readers", description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5)
    turns = parser.parse_args().turns
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; best of {turns}")
    with tempfile.TemporaryDirectory() as folder:
        environment = local_environment(Path(folder, "data"))
        write_sample_exports(environment.exports, Path(folder, "samples"), environment.teachers)
        build_marts(environment)
        orders = MartStore(environment.marts).read()["orders"]
        file = Path(environment.marts, orders.location, "part-0.parquet")
        print(f"orders: {orders.rows:,} rows, {file.stat().st_size:,} bytes")
        for name, program in (("reader", READER), ("Ibis alone", BARE)):
            runs = [_spent(program, file, environment.data) for _ in range(turns)]
            best = {step: min(run[step] for run in runs) for step in runs[0]}
            print(f"{name:<10} " + "   ".join(f"{step} {seconds:.3f}" for step, seconds in best.items()))


def _spent(program: str, file: Path, data: Path) -> dict[str, float]:
    """CPU-seconds since the process began, by the step that ends then."""
    variables = os.environ | {PROJECT_VARIABLE: str(REPOSITORY), "PLATFORM_DATA": str(data)}
    command = [sys.executable, "-c", program, str(file)]
    done = subprocess.run(command, env=variables, check=True, capture_output=True, text=True)
    spent: dict[str, float] = json.loads(done.stdout)
    return spent


if __name__ == "__main__":
    main()
