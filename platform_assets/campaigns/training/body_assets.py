"""The Dagster face of pre-trained bodies: one asset an entity."""

import dagster as dg

from platform_assets.campaigns.training.model_assets import not_retried, output_of, shown
from platform_assets.data.features.holdings import Groups
from platform_assets.environment import Environment
from platform_assets.foundation.artifacts import ArtifactRef, ArtifactStore


def body_key(entity: str) -> dg.AssetKey:
    """The key of an entity's pre-trained body."""
    return dg.AssetKey(["bodies", entity])


def body_assets(environment: Environment, groups: Groups) -> list[dg.AssetsDefinition]:
    """The pre-trained body of every entity that has features."""
    return [_body(entity, environment, groups) for entity in groups]


def _body(entity: str, environment: Environment, groups: Groups) -> dg.AssetsDefinition:
    @dg.asset(
        key=body_key(entity),
        group_name="bodies",
        kinds={"pytorch"},
        description=f"What networks learned about {entity} from the labels of every promoted campaign; the `transfer` family "
        "starts from it. Trained on a cadence of its own.",
    )
    def body(context: dg.AssetExecutionContext) -> dg.Output[ArtifactRef]:
        from platform_assets.campaigns.registry.promoted import PromotedModels, RegistryDamaged
        from platform_assets.campaigns.training.pretraining import NothingToLearnFrom, pretrain

        with not_retried(NothingToLearnFrom, RegistryDamaged):
            promoted, store = PromotedModels(environment.artifacts), ArtifactStore(environment.artifacts)
            pretrained = pretrain(entity, groups, promoted, store)
        return output_of(pretrained, shown(pretrained, "campaigns", "rows", "columns"))

    return body
