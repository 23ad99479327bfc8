"""What a fold's step pod costs before the first line of its step: in a repository of 200 campaigns, scoped or not, and of one.

A process is started as the pod's container starts it (`dagster api execute_step`, its arguments in the environment), on the
instance configuration of `deploy/kubernetes/base`, with PostgreSQL, an emulated bucket and no credentials for Kubernetes.
The fold is in the bucket already, so that nothing but start and look-up is left. CPU-seconds are user + system.
Needs `make manifest emulators cluster`, of which the last installs PostgreSQL 15. Run with `make benchmark-pods`.
"""

import argparse
import contextlib
import functools
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

# Nothing heavier up here: a measured process reads this module first, and is to import no more than a pod does.
if TYPE_CHECKING:
    import dagster as dg

REPOSITORY = Path(__file__).resolve().parents[1]
KUBERNETES = REPOSITORY / "deploy" / "kubernetes" / "base"
TEMPLATE = REPOSITORY / "defs" / "campaigns" / "repeat_buyers" / "defs.yaml"
POSTGRES_IMAGE = REPOSITORY / "tests" / "cluster" / "images" / "docker-entrypoint.sh"
POSTGRES_PROGRAMS = Path("/usr/lib/postgresql/15/bin")
CAMPAIGN = "repeat_buyers_000"
FOLD = f"{CAMPAIGN}__models__lightgbm.{CAMPAIGN}__lightgbm__fold_0"
MANY = 200
TURNS = 3
# Of a database that listens to this machine alone, for minutes.
PASSWORD = "benchmark"
POD = "whole process, as the pod has it"
STEP, END, EXIT = "the step, its fold found", "its events", "exit of the interpreter, children"
# What is measured: title → (campaigns in the repository, PLATFORM_SCOPE of the pod).
KINDS = {
    "1 campaign": (1, "all"),
    f"{MANY}, scoped": (MANY, f"campaign:{CAMPAIGN}"),
    f"{MANY}, all": (MANY, "all"),
}
Variables = dict[str, str]
Seconds = dict[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pods", description=__doc__)
    parser.add_argument("--phases", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.phases:
        execute_step_in_phases(given.phases)
        return
    with tempfile.TemporaryDirectory() as folder, _deployed(Path(folder)) as variables:
        measured = {kind: _measured(Path(folder), variables, *KINDS[kind]) for kind in KINDS}
        _tell(measured)


def execute_step_in_phases(output: Path) -> None:
    """`dagster api execute_step` in this process; writes how many CPU-seconds it had taken when each phase ended."""
    reached = {"interpreter": time.process_time()}
    from dagster._cli import api
    from dagster._cli import main as dagster_command
    from dagster._core import code_pointer
    from dagster._core.definitions.definitions_class import Definitions
    from dagster._core.execution.plan import compute_generator
    from dagster._core.system_config.objects import ResolvedRunConfig

    def noting(owner: Any, name: str, entered: str | None, left: str | None = None) -> None:
        function = getattr(owner, name)

        @functools.wraps(function)
        def noted(*args: Any, **kwargs: Any) -> Any:
            ends(entered)
            result = function(*args, **kwargs)
            ends(left)
            return result

        setattr(owner, name, noted)

    def ends(phase: str | None) -> None:
        if phase is not None:
            reached.setdefault(phase, time.process_time())

    ends("import of Dagster")
    noting(api, "create_context_free_log_manager", "instance, run")
    noting(api, "create_execution_plan", "step announced", "plan")
    noting(code_pointer, "load_python_module", None, "import of platform_assets")
    noting(Definitions, "get_repository_def", "definitions")
    noting(ResolvedRunConfig, "build", "repository, job")
    noting(compute_generator, "invoke_compute_fn", "resources, log capture, inputs", STEP)
    sys.argv = ["dagster", "api", "execute_step"]
    try:
        dagster_command()
    finally:
        ends(END)
        output.write_text(json.dumps(reached))


@contextlib.contextmanager
def _deployed(folder: Path) -> Iterator[Variables]:
    """The variables of a step pod, with a fold in the emulated bucket, while a database and the emulators are up."""
    from tests.emulators.clients import storage_client
    from tests.emulators.namespaces import buckets_of
    from tests.emulators.servers import serving

    # The database runs as a user of its own.
    folder.chmod(0o755)
    with _postgres(folder / "postgres") as port, serving(folder / "emulators") as emulators:
        common = (KUBERNETES / "platform.env").read_text(encoding="utf-8").splitlines()
        variables = {
            **dict(line.split("=", 1) for line in common if line and not line.startswith("#")),
            **emulators.variables("benchmark-pods"),
            "DAGSTER_LOGS_BUCKET": buckets_of(emulators.variables("benchmark-pods"))[1],
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "DAGSTER_HOME": str(_home(folder / "home", port)),
            "DAGSTER_POSTGRES_HOST": "127.0.0.1",
            "DAGSTER_POSTGRES_USER": "dagster",
            "DAGSTER_POSTGRES_PASSWORD": PASSWORD,
            "PLATFORM_DATA": str(folder / "pod"),
        }
        for bucket in buckets_of(emulators.variables("benchmark-pods")):
            storage_client(variables).create_bucket(bucket)
        _store_fold(folder, variables)
        yield variables


@contextlib.contextmanager
def _postgres(data: Path) -> Iterator[int]:
    """A PostgreSQL server on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    settings = {
        "PATH": f"{POSTGRES_PROGRAMS}:{os.environ['PATH']}",
        "PGDATA": str(data),
        "PGPORT": str(port),
        "POSTGRES_USER": "dagster",
        "POSTGRES_PASSWORD": PASSWORD,
    }
    with data.with_suffix(".log").open("wb") as log:
        server = subprocess.Popen(["bash", POSTGRES_IMAGE, "postgres"], env=settings, stdout=log, stderr=log)
    try:
        while subprocess.run([POSTGRES_PROGRAMS / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]).returncode:
            if server.poll() is not None:
                raise RuntimeError(f"PostgreSQL ended: {data.with_suffix('.log').read_text(errors='replace')}")
            time.sleep(0.2)
        yield port
    finally:
        server.terminate()
        server.wait()


def _home(folder: Path, port: int) -> Path:
    """A home of Dagster's with the configuration of the base, on this port of the database."""
    import yaml

    instance = yaml.safe_load((KUBERNETES / "dagster.yaml").read_text(encoding="utf-8"))
    instance["storage"]["postgres"]["postgres_db"]["port"] = port
    folder.mkdir()
    (folder / "dagster.yaml").write_text(yaml.safe_dump(instance), encoding="utf-8")
    return folder


def _store_fold(folder: Path, variables: Variables) -> None:
    """Train one campaign's models in this process, on DuckDB, and put what was stored into the bucket."""
    import dagster as dg

    from platform_assets.environment import environment_from_variables, local_environment
    from platform_assets.foundation.storage import files_at
    from tests.support.running import Platform
    from tests.support.small_exports import write_small_exports

    here = local_environment(folder / "data", campaigns=_repository(folder, 1))
    write_small_exports(here)
    with dg.DagsterInstance.ephemeral() as instance:
        trained = Platform.of(here, instance)
        for result in (
            trained.run("refresh_marts"),
            trained.materialize(f"{CAMPAIGN}/training_set", f"{CAMPAIGN}/models/lightgbm"),
        ):
            if not result.success:
                raise RuntimeError(f"not stored: {[str(event) for event in result.get_step_failure_events()]}")
    there = environment_from_variables(variables)
    os.environ["STORAGE_EMULATOR_HOST"] = variables["STORAGE_EMULATOR_HOST"]
    for source, target in ((here.artifacts, there.artifacts), (here.refs, there.refs), (here.verdicts, there.verdicts)):
        found = [path for path in Path(source).rglob("*") if path.is_file()]
        files_at(target).put_files({path.relative_to(source).as_posix(): path for path in found})


def _repository(folder: Path, campaigns: int) -> Path:
    """A folder of so many campaigns that differ in their names."""
    made = folder / f"campaigns_{campaigns}"
    for number in range(campaigns):
        (made / f"repeat_buyers_{number:03}").mkdir(parents=True, exist_ok=True)
        shutil.copy(TEMPLATE, made / f"repeat_buyers_{number:03}")
    return made


def _measured(folder: Path, deployed: Variables, campaigns: int, scope: str) -> Seconds:
    """CPU-seconds of fold pods, a value a turn: of the process as a pod has it under `POD`, and of each phase of another."""
    import dagster as dg

    variables = deployed | {"PLATFORM_CAMPAIGNS_DIR": str(_repository(folder, campaigns))}
    command = str(Path(sys.executable).parent / "dagster")
    launch = [command, "job", "launch", "-m", "platform_assets.definitions", "-j", f"train_{CAMPAIGN}"]
    subprocess.run(launch, cwd=REPOSITORY, env=variables, check=True, capture_output=True)
    variables["PLATFORM_SCOPE"] = scope
    os.environ.update({name: deployed[name] for name in deployed if name.startswith("DAGSTER_")})
    noted = folder / "phases.json"
    measured: Seconds = {}
    with dg.DagsterInstance.from_config(deployed["DAGSTER_HOME"]) as instance:
        (launched,) = instance.get_runs(limit=1)
        # The first turn finds the machine's caches empty and is not counted.
        for turn in range(TURNS + 1):
            seconds = {POD: _cpu_seconds(instance, launched, variables, [command, "api", "execute_step"])}
            whole = _cpu_seconds(
                instance, launched, variables, [sys.executable, "-m", "benchmarks.pods", "--phases", str(noted)]
            )
            reached = json.loads(noted.read_text(encoding="utf-8")) | {EXIT: whole}
            seconds |= {
                phase: until - since
                for (phase, until), since in zip(reached.items(), (0, *reached.values()), strict=False)
            }
            for name, value in seconds.items() if turn else ():
                measured.setdefault(name, []).append(value)
    return measured


def _cpu_seconds(
    instance: "dg.DagsterInstance", launched: "dg.DagsterRun", variables: Variables, command: list[str]
) -> float:
    """User and system seconds of a fold's step in a run like `launched`, executed by a process of this command."""
    import dagster as dg
    from dagster._core.execution.plan.state import KnownExecutionState
    from dagster._core.execution.retries import RetryMode
    from dagster._core.utils import make_new_run_id
    from dagster._grpc.types import ExecuteStepArgs

    run = instance.add_run(launched._replace(run_id=make_new_run_id()))
    if run.job_code_origin is None:
        raise RuntimeError(f"run {launched.run_id} does not say where its code is")
    arguments = ExecuteStepArgs(
        job_origin=run.job_code_origin,
        run_id=run.run_id,
        step_keys_to_execute=[FOLD],
        instance_ref=instance.get_ref(),
        retry_mode=RetryMode.ENABLED.for_inner_plan(),
        known_state=KnownExecutionState(),
        should_verify_step=True,
    )
    given = {item["name"]: item["value"] for item in arguments.get_command_env()}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=REPOSITORY, env=variables | given, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        log.seek(0)
        said = log.read().decode(errors="replace")
    outputs = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_OUTPUT)
    found = [entry.dagster_event.step_output_data.metadata["cache"].value for entry in outputs if entry.dagster_event]
    if found != ["hit"]:
        raise RuntimeError(f"{FOLD} was to be found in the store; its output: {found}; its process said:\n{said}")
    return usage.ru_utime + usage.ru_stime


def _tell(measured: dict[str, Seconds]) -> None:
    middle = {kind: {name: median(values) for name, values in of.items()} for kind, of in measured.items()}
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; CPU-seconds, median of {TURNS}"
    )
    print(" " * 36 + "".join(f"{kind:>14}" for kind in KINDS))
    phases = [name for name in middle[next(iter(KINDS))] if name != POD]
    for phase in phases:
        if phase == STEP:
            before = {kind: sum(of[name] for name in phases[: phases.index(STEP)]) for kind, of in middle.items()}
            print(_row("before the step's first line", before))
        print(_row(f"  {phase}", {kind: of[phase] for kind, of in middle.items()}))
    print(_row(POD, {kind: of[POD] for kind, of in middle.items()}))
    print(json.dumps({kind: {name: round(value, 3) for name, value in of.items()} for kind, of in middle.items()}))


def _row(name: str, seconds: dict[str, float]) -> str:
    return f"{name:<36}" + "".join(f"{seconds[kind]:14.2f}" for kind in KINDS)


if __name__ == "__main__":
    main()
