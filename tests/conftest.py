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

from platform_assets.environment import REPOSITORY, Environment, local_environment

if TYPE_CHECKING:
    from tests.support.running import Platform

pytest_plugins = ["tests.emulators.fixtures", "tests.cluster.fixtures"]


@pytest.fixture(scope="session")
def dbt_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the dbt project with its manifest; parsed only when the repository's is missing or old."""
    from platform_assets.data.engines.opening import open_engine
    from platform_assets.data.marts.dbt import parse_project

    source, copy = REPOSITORY / "dbt_project", tmp_path_factory.mktemp("dbt") / "dbt_project"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("target", "logs"))
    manifest = source / "target" / "manifest.json"
    newest = max(path.stat().st_mtime for path in copy.rglob("*") if path.suffix in (".sql", ".yml"))
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
def small_platform(tmp_path_factory: pytest.TempPathFactory, dbt_project: Path) -> Iterator["Platform"]:
    """Cut-down sample exports, loaded, built and published. Tests leave it as they found it."""
    import dagster as dg

    from tests.support.running import Platform, failures_of
    from tests.support.small_exports import write_small_exports

    environment = local_environment(tmp_path_factory.mktemp("small") / "data", dbt_project=dbt_project)
    write_small_exports(environment)
    with dg.DagsterInstance.ephemeral() as instance:
        platform = Platform.of(environment, instance)
        refreshed = platform.run("refresh_marts")
        assert refreshed.success, failures_of(refreshed)
        yield platform


@pytest.fixture
def own_platform(small_platform: "Platform", tmp_path: Path) -> Iterator["Platform"]:
    """A copy of the small platform to do anything with."""
    import dagster as dg

    from tests.support.running import Platform

    environment = local_environment(tmp_path / "data", dbt_project=small_platform.environment.dbt_project)
    shutil.copytree(small_platform.environment.data, environment.data)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Platform.of(environment, instance)
