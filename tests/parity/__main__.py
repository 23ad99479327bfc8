"""The whole demo on DuckDB and on the emulators, compared: `python -m tests.parity`; exits 1 when a row differs."""

import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg

from platform_assets.data.engines.bigquery.connection import BigQuery
from platform_assets.data.engines.bigquery.preparing import prepare
from platform_assets.environment import Environment, environment_from_variables, local_environment
from samples.datasets import user_cache
from samples.demo import QUESTIONS, run_everything
from samples.exports import write_sample_exports
from tests.emulators.namespaces import emulated
from tests.emulators.servers import serving
from tests.parity.comparing import compare


def main() -> None:
    with (
        TemporaryDirectory() as folder,
        serving(Path(folder) / "emulators") as emulators,
        emulated(emulators) as variables,
    ):
        os.environ.update(variables)
        local = local_environment(Path(folder) / "local")
        cloud = environment_from_variables(variables | {"PLATFORM_DATA": str(Path(folder) / "cloud")})
        assert cloud.cloud is not None
        for prepared in prepare(BigQuery(cloud.cloud)):
            assert prepared.good, prepared.found
        seconds = {environment.name: run(environment) for environment in (local, cloud)}
        dates = sorted({(question.entity, question.as_of) for question in QUESTIONS})
        audiences = [(question.campaign, question.as_of) for question in QUESTIONS]
        found = list(compare(local, cloud, dates, audiences))
    for table in found:
        told = f"{table.differing} differ in {', '.join(table.columns)}" if table.differing else "equal"
        print(f"{table.table:<60}{table.rows:>9,} rows  {told}{', bit by bit' if table.identical else ''}")
    differing = sum(table.differing for table in found)
    print(f"\n{differing} differing rows of {sum(table.rows for table in found):,} in {len(found)} tables")
    print("  ".join(f"{name} {taken:.0f} s" for name, taken in seconds.items()))
    sys.exit(1 if differing else 0)


def run(environment: Environment) -> float:
    """The demo's exports and runs; wall seconds."""
    started = time.perf_counter()
    write_sample_exports(environment.exports, user_cache(), environment.teachers)
    with dg.DagsterInstance.ephemeral() as instance:
        run_everything(environment, instance)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
