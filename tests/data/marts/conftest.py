"""One dbt project and one build of a small world, shared by all tests here: dbt takes seconds to start."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from platform_assets.data.catalog.catalog import Catalog, read_manifest
from platform_assets.data.engines.opening import open_engine
from platform_assets.data.exports.spec import ExportSourceSpec, ExportTableSpec
from platform_assets.data.marts.build import ModelOutcome, Transform, build
from platform_assets.data.marts.dbt import parse_project
from platform_assets.data.marts.graph import ProjectGraph
from platform_assets.data.marts.opening import open_transform
from platform_assets.environment import REPOSITORY, Environment, local_environment
from tests.data.exports.breaking import SHOP
from tests.data.marts.raw import leave_a_load_aside, write_export, write_small_world

HERE = Path(__file__).parent
# What is declared of the small world's exports.
SOURCES = {
    "shop": SHOP,
    "movies": ExportSourceSpec(
        description="The film service.",
        owner="team:films",
        format="dynamodb",
        path="movies",
        tables=[
            ExportTableSpec(name="viewers", export_table="viewers", key=["viewer_id"]),
            ExportTableSpec(name="films", export_table="films", key=["film_id"]),
            ExportTableSpec(name="ratings", export_table="ratings", key=["viewer_id", "film_id"]),
        ],
    ),
}
PROBES = {f"stg_{name}.sql": f"{name}.sql" for name in ("probe", "probe_inexact", "probe_list", "probe_set")}


def transform_of(environment: Environment) -> Transform:
    """What builds work with in this environment."""
    manifest = read_manifest(environment.dbt_manifest)
    return open_transform(environment, ProjectGraph.from_manifest(manifest), Catalog.from_nodes(manifest))


@dataclass(frozen=True)
class World:
    """A built small world: where it is, what builds it, and what the first build came to."""

    environment: Environment
    transform: Transform
    first: dict[str, ModelOutcome]


@pytest.fixture(scope="session")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The small world's exports, and a parsed copy of the project with probes of its macros added."""
    data = tmp_path_factory.mktemp("world")
    project = data / "dbt_project"
    shutil.copytree(REPOSITORY / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs"))
    for name, source in PROBES.items():
        shutil.copyfile(HERE / source, project / "models" / "staging" / name)
    environment = local_environment(data, dbt_project=project)
    write_small_world(environment.raw)
    leave_a_load_aside(environment.raw)
    parse_project(open_engine(environment).dbt)
    return environment


@pytest.fixture(scope="session")
def world(parsed: Environment) -> World:
    """The small world, built and published. Tests leave it as they found it."""
    transform = transform_of(parsed)
    return World(parsed, transform, build(transform, transform.graph.models))


@pytest.fixture
def no_dbt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any start of dbt fails the test."""

    def started(*_: object) -> None:
        pytest.fail("dbt was started")

    monkeypatch.setattr("platform_assets.data.marts.build.run_build", started)


@pytest.fixture
def extra_exports(world: World) -> Iterator[Callable[..., Path]]:
    """Adds exports to the small world's raw tables, for this test alone; returns each one's folder."""
    folders: list[Path] = []

    def add(source: str, table: str, rows: Sequence[Mapping[str, Any]], exported_at: datetime) -> Path:
        folders.append(write_export(world.environment.raw, source, table, rows, exported_at))
        return folders[-1]

    yield add
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)
