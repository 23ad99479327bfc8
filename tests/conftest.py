"""The platform as tests get it: empty in no time, or small and real from the exports to the marts.

Belongs here: fixtures that more than one room's tests use. dbt takes seconds to start, so what needs
published marts shares one small platform and is marked `slow`. The platform is imported when a fixture is
asked for, so that a room's own tests do not stand on every other room.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platform_assets.environment import PACKAGE, REPOSITORY, Environment, local_environment

if TYPE_CHECKING:
    from tests.support.answered import Answered
    from tests.support.running import Platform
    from tests.tiers import BuiltOnce

pytest_plugins = ["tests.tiers", "tests.emulators.fixtures", "tests.cluster.fixtures"]


@pytest.fixture(scope="session")
def dbt_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the dbt project with its manifest; parsed only when the repository's is missing or old."""
    from platform_assets.data.engines.opening import open_engine
    from platform_assets.data.marts.dbt import parse_project

    source, copy = REPOSITORY / "dbt_project", tmp_path_factory.mktemp("dbt") / "dbt_project"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("target", "logs"))
    manifest = source / "target" / "manifest.json"
    read = (path for folder in (copy, PACKAGE / "dbt") for path in folder.rglob("*"))
    newest = max(path.stat().st_mtime for path in read if path.suffix in (".sql", ".yml"))
    if manifest.is_file() and manifest.stat().st_mtime >= newest:
        (copy / "target").mkdir()
        shutil.copyfile(manifest, copy / "target" / manifest.name)
    else:
        parse_project(open_engine(local_environment(copy.parent, dbt_project=copy)).dbt)
    return copy


@pytest.fixture
def environment(tmp_path: Path, dbt_project: Path) -> Environment:
    """A platform on which nothing ever ran."""
    return local_environment(tmp_path / "data", dbt_project=dbt_project)


@pytest.fixture(scope="session")
def small_environment(built_once: "BuiltOnce", dbt_project: Path) -> Environment:
    """Cut-down sample exports, loaded, built and published, for all to copy and none to change."""
    import dagster as dg

    from tests.support.running import Platform, failures_of
    from tests.support.small_exports import write_small_exports

    def refreshed(folder: Path) -> None:
        environment = local_environment(folder, dbt_project=dbt_project)
        write_small_exports(environment)
        with dg.DagsterInstance.ephemeral() as instance:
            result = Platform.of(environment, instance).run("refresh_marts")
        assert result.success, failures_of(result)

    return local_environment(built_once("small", refreshed), dbt_project=dbt_project)


@pytest.fixture(scope="session")
def answered(built_once: "BuiltOnce", small_environment: Environment) -> "Answered":
    """The small platform after the demo's runs, for all to copy or read and none to change."""
    from tests.support.answered import Answered

    project = small_environment.dbt_project
    return Answered(built_once("answered", lambda folder: Answered(folder, project).fill(small_environment)), project)


@pytest.fixture
def own_platform(small_environment: Environment, tmp_path: Path) -> Iterator["Platform"]:
    """A copy of the small platform to do anything with."""
    import dagster as dg

    from tests.support.running import Platform

    environment = local_environment(tmp_path / "data", dbt_project=small_environment.dbt_project)
    shutil.copytree(small_environment.data, environment.data)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Platform.of(environment, instance)
