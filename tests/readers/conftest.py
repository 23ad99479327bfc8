"""A project with published marts, in which this process stands."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platform_assets.environment import Environment, local_environment
from tests.readers.worlds import ROWS, World
from tests.support.running import variables_of

if TYPE_CHECKING:
    from tests.tiers import BuiltOnce


@pytest.fixture(scope="session")
def published(built_once: "BuiltOnce", dbt_project: Path) -> Path:
    """The data of a project with published marts, for all to copy and none to change."""
    return built_once(
        "published", lambda folder: World(local_environment(folder, dbt_project=dbt_project)).publish(ROWS)
    )


@pytest.fixture
def world(published: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch) -> World:
    for name, value in variables_of(environment).items():
        monkeypatch.setenv(name, value)
    shutil.copytree(published, environment.data)
    return World(environment)
