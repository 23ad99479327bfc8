"""The workspace of an environment. Kept apart from `workspace`, so that no result depends on how engines are opened."""

from platform_assets.campaigns.registry.promoted import PromotedModels
from platform_assets.campaigns.registry.workspace import Workspace
from platform_assets.data.engines.opening import open_warehouse
from platform_assets.data.features.holdings import Holdings
from platform_assets.environment import Environment
from platform_assets.foundation.artifacts import ArtifactStore


def open_workspace(environment: Environment, holdings: Holdings, reader: str) -> Workspace:
    """Marts, feature groups, store, teacher files and promoted models of an environment.

    Args:
        reader: what reads: on BigQuery a label of every query, for cost attribution.
    """
    return Workspace(
        open_warehouse(environment, holdings.catalog, reader),
        holdings.groups,
        ArtifactStore(environment.artifacts),
        environment.teachers,
        PromotedModels(environment.artifacts),
        environment.limits,
    )
