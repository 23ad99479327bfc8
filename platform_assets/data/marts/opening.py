"""What a build in an environment works with.

Belongs here: putting it together. Does not belong here: the build itself (`build`), whose results do not depend on this.
"""

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.catalog.pointer import MartStore
from platform_assets.data.engines.opening import open_engine
from platform_assets.data.marts.build import Transform
from platform_assets.data.marts.graph import ProjectGraph
from platform_assets.environment import Environment
from platform_assets.foundation.artifacts import ArtifactStore


def open_transform(environment: Environment, graph: ProjectGraph, catalog: Catalog) -> Transform:
    """Everything a build in an environment works with."""
    engine = open_engine(environment)
    marts, artifacts = MartStore(environment.marts), ArtifactStore(environment.artifacts)
    return Transform(graph, catalog, engine.dbt, engine.raw, engine.versions, marts, artifacts)
