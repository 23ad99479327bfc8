"""Pytest plugin: tests that need BigQuery and GCS get emulators of both, or a real project.

Belongs here: command-line options, markers and fixtures. A test that asks for one of the fixtures is marked `bigquery`
by that. Without `make emulators` it is skipped; `--require-emulators` makes that an error.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.emulators import namespaces
from tests.emulators.servers import Emulators, EmulatorsMissing, serving

if TYPE_CHECKING:
    from platform_assets.environment import Environment


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bigquery", "BigQuery and GCS")
    group.addoption("--require-emulators", action="store_true", help="fail instead of skip when they are not installed")
    group.addoption(
        "--google-project",
        metavar="PROJECT",
        help="use this project instead of emulators; it must be kept for tests: see tests/emulators/README.md",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "bigquery: needs BigQuery and GCS; given to tests that ask for `emulators`")
    config.addinivalue_line("markers", "emulator_only: says something about the emulators; skipped on a real project")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "emulators" in getattr(item, "fixturenames", ()):
            item.add_marker("bigquery")
        if config.getoption("--google-project") and item.get_closest_marker("emulator_only"):
            item.add_marker(pytest.mark.skip(reason="about the emulators; --google-project is given"))


@pytest.fixture(scope="session")
def emulators(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulators | None]:
    """Both emulators, running; None when tests go to a real project. Shared: a namespace keeps tests apart."""
    if pytestconfig.getoption("--google-project"):
        yield None
        return
    try:
        with serving(tmp_path_factory.mktemp("emulators")) as running:
            yield running
    except EmulatorsMissing as missing:
        if pytestconfig.getoption("--require-emulators"):
            raise
        pytest.skip(str(missing))


@pytest.fixture
def cloud_variables(pytestconfig: pytest.Config, emulators: Emulators | None) -> Iterator[dict[str, str]]:
    """Environment variables of a project and bucket of this test's own; set in this process while the test runs."""
    with namespaces.entered(pytestconfig, emulators) as variables:
        yield variables


@pytest.fixture
def cloud_environment(cloud_variables: dict[str, str], tmp_path: Path, dbt_project: Path) -> "Environment":
    """A platform in the cloud, or on emulators of it, on which nothing ever ran."""
    from platform_assets.environment import environment_from_variables

    places = {"PLATFORM_DATA": str(tmp_path / "data"), "PLATFORM_DBT_PROJECT": str(dbt_project)}
    return environment_from_variables(cloud_variables | places)
