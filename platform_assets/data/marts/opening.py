"""What a build in an environment works with, and what it has to pass.

Belongs here: putting it together. Does not belong here: the build itself (`build`), whose results do not depend on this.
"""

from collections.abc import Mapping

from platform_assets.data.catalog.catalog import Catalog, read_manifest
from platform_assets.data.catalog.pointer import MartStore
from platform_assets.data.engines.opening import open_engine
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.marts.build import Transform
from platform_assets.data.marts.gate import Gate
from platform_assets.data.marts.graph import ProjectGraph
from platform_assets.data.raw.comparison.history import open_histories
from platform_assets.environment import Environment
from platform_assets.foundation.artifacts import ArtifactStore


def open_transform(environment: Environment, graph: ProjectGraph, catalog: Catalog) -> Transform:
    """Everything a build in an environment works with."""
    engine = open_engine(environment)
    marts, artifacts = MartStore(environment.marts), ArtifactStore(environment.artifacts)
    return Transform(graph, catalog, engine.dbt, engine.raw, engine.versions, marts, artifacts)


def open_gate(environment: Environment, graph: ProjectGraph, sources: Mapping[str, ExportSourceSpec]) -> Gate:
    """What keeps a build from exports that differ too much from those before, by what their sources declare."""
    histories = open_histories(environment, open_engine(environment), sources)
    return Gate(graph, read_manifest(environment.dbt_manifest), histories)
