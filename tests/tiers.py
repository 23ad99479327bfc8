"""Pytest plugin: how much a run of tests does, what it needs, and which of its processes does what.

Belongs here: how many crash points and examples are tried, programs beside Python, and what xdist's workers share. Does not belong here:
BigQuery (emulators/fixtures.py) and Kubernetes (cluster/fixtures.py).
"""

import fcntl
import os
import random
import secrets
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

Draw = Callable[[Sequence[int], int], list[int]]
Examples = Callable[..., Callable[[Callable[..., None]], Callable[..., None]]]
BuiltOnce = Callable[[str, Callable[[Path], Any]], Path]

KUBERNETES_TOOLS = Path(__file__).parents[1] / ".kubernetes-tools" / "programs"

# One worker takes all of such a package: its tests share what takes minutes to build.
TOGETHER = ("/dbt_on_bigquery/", "/data/marts/")
# What takes minutes comes first: a worker that met it last would keep the other waiting. Two that share what the first of
# them builds stand apart, so that the second need not wait for it.
LONG = (
    *TOGETHER,
    "/parity/",
    "/test_bigquery_tables.py",
    "/test_bigquery_crash.py",
    "/changes/test_on_bigquery.py",
    "/test_empty.py",
    "/test_demo.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tiers", "how much is done")
    group.addoption(
        "--deep", action="store_true", help="every crash point and many examples, instead of a few that are drawn"
    )
    group.addoption("--seed", type=int, help="what is drawn without --deep (default: another one each time, printed)")
    group.addoption("--require-programs", action="store_true", help="fail instead of skip when a program is missing")


def pytest_configure(config: pytest.Config) -> None:
    # Before the system's own: kubectl is one of a version of ours.
    os.environ["PATH"] = f"{KUBERNETES_TOOLS}{os.pathsep}{os.environ['PATH']}"
    config.addinivalue_line("markers", "programs(*names): drives these programs, which `make programs` installs")
    if config.option.seed is None:
        config.option.seed = secrets.randbelow(1_000_000)


def pytest_report_header(config: pytest.Config) -> str:
    return f"crash points: {'all of them' if config.option.deep else f'a few, drawn with --seed={config.option.seed}'}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((at for at, part in enumerate(LONG) if part in item.nodeid), len(LONG)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A worker takes a file at a time, or a package that stays together."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return next((part for part in TOGETHER if part in file), file)

    config.option.loadscopereorder = False
    return ByFile(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    wanted = [name for marker in item.iter_markers("programs") for name in marker.args]
    if missing := [name for name in wanted if not shutil.which(name)]:
        do_without(item.config, ", ".join(missing))


def do_without(config: pytest.Config, program: str) -> NoReturn:
    """Skip the test because a program is missing, or fail it when programs are required."""
    leave = pytest.fail if config.option.require_programs else pytest.skip
    leave(f"no {program} here: `make programs` installs what tests drive")


@pytest.fixture
def draw(request: pytest.FixtureRequest) -> Draw:
    """Of these points, so many, in their order; all of them with --deep. The seed and the test's name decide which."""
    option = request.config.option
    generator = random.Random(f"{option.seed} {request.node.nodeid}")

    def drawn(points: Sequence[int], few: int) -> list[int]:
        return list(points) if option.deep else sorted(generator.sample(points, min(few, len(points))))

    return drawn


@pytest.fixture(scope="session")
def examples(pytestconfig: pytest.Config) -> Examples:
    """Hypothesis' settings of a test within a test: so many examples, and so many with --deep; the seed decides which."""
    import hypothesis

    option = pytestconfig.option

    def of(few: int, deep: int, **more: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
        stated = {"max_examples": deep if option.deep else few, "deadline": None, "database": None} | more
        return lambda test: hypothesis.seed(option.seed)(hypothesis.settings(**stated)(test))

    return of


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> BuiltOnce:
    """A folder by its name, filled by the first worker that asks; for all to read, and for none to change."""
    own = tmp_path_factory.getbasetemp()
    place = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def build(name: str, fill: Callable[[Path], Any]) -> Path:
        folder, filled = place / name, place / f"{name}.filled"
        with (place / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not filled.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                filled.touch()
        return folder

    return build
