"""Running dbt: one process, one build, and what came of each model and test.

Belongs here: the command, its environment, and reading `run_results.json`. Does not belong here: what to build, or what
to publish. dbt runs as a process of its own, because DuckDB stays locked until the process that opened it ends.
"""

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from uuid import uuid4

from platform_assets.data.engines.dbt_project import DbtProject
from platform_assets.data.quality.unquoting import without_values

_NOT_PROJECT_CONTENT = frozenset({"target", "logs", ".user.yml", ".gitignore"})
_PACKAGES = "dbt_packages"
_FINISHED = (0, 1)
_LINES_SHOWN = 15
# How each event of dbt.log begins: "12:00:01.123456 [error] [MainThread]: …".
_EVENT = re.compile(r"^(?=\d\d:\d\d:\d\d\.\d+ \[)", re.MULTILINE)
_WRONG = re.compile(r"error|bad|invalid|could not|fail", re.IGNORECASE)


class DbtError(RuntimeError):
    """dbt could not run the build at all."""


@dataclass(frozen=True)
class NodeResult:
    """What came of one model or test.

    Attributes:
        unique_id: dbt's name for it.
        status: success | error | skipped for models; pass | warn | fail | error | skipped for tests.
        seconds: wall time.
        failures: rows that failed a data test.
        message: what dbt says, without values out of the data.
        compiled: the SQL that ran.
    """

    unique_id: str
    status: str
    seconds: float
    failures: int | None
    message: str
    compiled: str


def project_hash(project: DbtProject) -> str:
    """The sha256 over names and content of every file that dbt builds from: the project's and its packages', and what all
    projects share; dbt's own output left out."""
    digest = hashlib.sha256()
    # dbt links a package that is a folder elsewhere, and files are not looked for behind links.
    linked = [path for path in (project.folder / _PACKAGES).glob("*") if path.is_symlink()]
    for folder in (project.folder, *sorted(linked), project.shared):
        digest.update(b"\0\n")
        for path in sorted(folder.resolve().rglob("*")):
            name = path.relative_to(folder.resolve())
            if path.is_file() and not _NOT_PROJECT_CONTENT & set(name.parts):
                digest.update(f"{name.as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def dbt_program() -> Path:
    """dbt's command beside this interpreter, whether or not its environment is activated.

    Raises:
        DbtError: it is not there.
    """
    program = Path(sys.executable).with_name("dbt")
    if not program.is_file():
        raise DbtError(
            f"{program} is not there: dbt is not installed with the platform. Install it into the same environment, with its "
            "dependencies (pip install platform-assets, without --no-deps)"
        )
    return program


def run_build(project: DbtProject, models: Sequence[str]) -> dict[str, NodeResult]:
    """`dbt build` of exactly these models and every test that reads no other.

    Returns what came of each node, failures included, by dbt's name for it.

    Raises:
        DbtError: dbt stopped before it built anything (the project does not parse, the database is locked), or a model asked
            for is not in the project.
    """
    run_results = project.target / "run_results.json"
    run_results.unlink(missing_ok=True)
    status, said = _dbt(project, "build", "--indirect-selection", "cautious", "--select", " ".join(models))
    if status not in _FINISHED or not run_results.is_file():
        raise DbtError(f"dbt build stopped before it built anything {_last_words(project, said)}")
    results = _read_results(run_results)
    built = {unique_id.rpartition(".")[2] for unique_id in results if unique_id.startswith("model.")}
    unknown = [model for model in models if model not in built]
    if unknown:
        raise DbtError(
            f"dbt knows no model {', '.join(unknown)}: the manifest is older than the project. Run "
            f"`platform-assets manifest`"
        )
    return results


def parse_project(project: DbtProject) -> Path:
    """`dbt parse`, so that definitions can load: writes and returns the project's `target/manifest.json`.

    What dbt learns while parsing stays in `project.work`, so that the next build need not parse again.

    Raises:
        DbtError: the project does not parse; holds dbt's own words.
    """
    status, said = _dbt(project, "parse")
    if status != 0:
        raise DbtError(f"dbt parse failed {_last_words(project, said)}")
    manifest = project.folder / "target" / "manifest.json"
    manifest.parent.mkdir(exist_ok=True)
    aside = manifest.with_name(f".{manifest.name}.{uuid4().hex}")
    shutil.copyfile(project.target / "manifest.json", aside)
    os.replace(aside, manifest)
    return manifest


def run_command(project: DbtProject, arguments: Sequence[str]) -> int:
    """dbt with arguments of a person's; returns its exit status. What it says and leaves holds no values out of the data.

    Raises:
        DbtError: dbt is not there, or the project is not.
    """
    program = _ready(project)
    places = {"DBT_PROJECT_DIR": project.folder, "DBT_PROFILES_DIR": project.profiles}
    places |= {"DBT_TARGET_PATH": project.target, "DBT_LOG_PATH": project.target}
    variables = os.environ | project.environment | {name: str(place) for name, place in places.items()}
    said = _WithoutValues(sys.stdout)
    with _logged_without_values(project):
        # Not by `DbtCliResource`, which reads selections and -h itself.
        with subprocess.Popen(  # noqa: S603 -- no shell, and a person's own command
            [program, *arguments], env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as running:
            assert running.stdout is not None
            for line in running.stdout:
                said.write(line)
        run_results = project.target / "run_results.json"
        if run_results.is_file():
            _read_results(run_results)
    return running.returncode


def _ready(project: DbtProject) -> Path:
    """dbt's program, once the project is there and has a folder to work in."""
    if not (project.folder / "dbt_project.yml").is_file():
        raise DbtError(
            f"{project.folder}: there is no dbt_project.yml; set PLATFORM_DBT_PROJECT to the folder of the dbt project"
        )
    program = dbt_program()
    project.work.mkdir(parents=True, exist_ok=True)
    return program


@contextlib.contextmanager
def _logged_without_values(project: DbtProject) -> Iterator[None]:
    log = project.target / "dbt.log"
    logged = log.stat().st_size if log.exists() else 0
    try:
        yield
    finally:
        _unquote_log(log, logged)


def _dbt(project: DbtProject, command: str, *arguments: str) -> tuple[int, list[str]]:
    """Run dbt through `DbtCliResource`: its output streams to the step's log, and a terminated step ends it.

    Returns its exit status and the lines it said. What it leaves in its log and results is rid of values too.
    """
    from dagster_dbt import DbtCliResource

    executable = _ready(project)
    said = _WithoutValues(sys.stdout)
    resource = DbtCliResource(
        project_dir=str(project.folder),
        profiles_dir=str(project.profiles),
        dbt_executable=str(executable),
        global_config_flags=["--no-use-colors"],
    )
    with _logged_without_values(project):
        with _variables(**project.environment, DO_NOT_TRACK="1"):
            running = resource.cli([command, *arguments], raise_on_error=False, target_path=project.target)
        with contextlib.redirect_stdout(said):
            running.wait()
        status = running.process.wait()
    return status, said.lines


def _unquote_log(log: Path, before: int) -> None:
    """Rid what dbt has logged beyond so many bytes of values out of the data."""
    if not log.exists():
        return
    with log.open("r+b") as file:
        file.seek(before if before <= log.stat().st_size else 0)
        start = file.tell()
        events = _EVENT.split(file.read().decode(errors="replace"))
        clean = "".join(without_values(event) if _WRONG.search(event) else event for event in events)
        file.seek(start)
        file.write(clean.encode())
        file.truncate()


@contextlib.contextmanager
def _variables(**variables: str) -> Iterator[None]:
    """Environment variables that only the process started inside sees; the resource takes none of its own."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class _WithoutValues(io.TextIOBase):
    """Passes dbt's lines on without values out of the data, and remembers them."""

    def __init__(self, out: TextIO) -> None:
        self._out, self.lines = out, list[str]()

    def write(self, text: str) -> int:
        clean = without_values(text)
        self.lines += clean.strip().splitlines()
        self._out.write(clean)
        return len(text)


def _last_words(project: DbtProject, said: Sequence[str]) -> str:
    return f"(the whole log: {project.target / 'dbt.log'}):\n" + "\n".join(said[-_LINES_SHOWN:])


def _read_results(path: Path) -> dict[str, NodeResult]:
    kept = json.loads(path.read_text(encoding="utf-8"))
    for result in kept["results"]:
        result["message"] = without_values(result["message"] or "")
    path.write_text(json.dumps(kept), encoding="utf-8")
    return {
        result["unique_id"]: NodeResult(
            unique_id=result["unique_id"],
            status=result["status"],
            seconds=result["execution_time"],
            failures=result["failures"],
            message=result["message"],
            compiled=result.get("compiled_code") or "",
        )
        for result in kept["results"]
    }
