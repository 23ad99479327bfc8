"""One campaign file as Dagster definitions."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from pydantic import BaseModel

from platform_assets.audiences.assets import audience_assets
from platform_assets.audiences.scoring.assets import score_assets
from platform_assets.campaigns.assets import campaign_assets
from platform_assets.campaigns.declaration.check import problems_of
from platform_assets.campaigns.declaration.resources import shared_step_tags, step_tags
from platform_assets.campaigns.declaration.spec import CampaignSpec, by_entity
from platform_assets.components.platform import Platform, platform_from_variables
from platform_assets.components.scaffolding import CampaignScaffolder


@dg.scaffold_with(CampaignScaffolder)
class Campaign(dg.Component):
    """A question about people: training set, models, ensemble, promoted model, scores, audience, report."""

    def __init__(self, name: str, spec: CampaignSpec) -> None:
        self.name, self.spec = name, spec

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        return CampaignSpec

    @classmethod
    def load(cls, attributes: Any, context: dg.ComponentLoadContext) -> "Campaign":
        return cls(context.path.name, attributes)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Definitions of this campaign alone, for tools that load one component at a time.

        Raises:
            ValueError: the campaign names something that the platform does not hold.
        """
        platform = platform_from_variables()
        problems = problems_of(self.spec, platform.holdings, platform.profiles)
        if problems:
            raise ValueError(
                "\n".join(f"{'.'.join(map(str, problem.path))}: {problem.message}" for problem in problems)
            )
        scores = scores_of({self.name: self.spec}, platform)
        return dg.Definitions.merge(self.definitions(platform), dg.Definitions(assets=scores))

    def definitions(self, platform: Platform) -> dg.Definitions:
        """Every asset of this campaign but its scores, which one pass makes for all campaigns of an entity."""
        args = (self.name, self.spec, platform.environment, platform.holdings)
        tags = step_tags(self.name, self.spec, platform.environment, platform.profiles)
        return dg.Definitions(
            assets=[
                *campaign_assets(*args, platform.profiles),
                *audience_assets(*args, platform.as_of, step_tags=tags),
            ]
        )


def scores_of(campaigns: Mapping[str, CampaignSpec], platform: Platform) -> list[dg.AssetsDefinition]:
    """The scores of campaigns: for each entity one asset of all of its campaigns."""
    scores = []
    for of_entity in by_entity(campaigns).values():
        tags = shared_step_tags(of_entity, platform.environment, platform.profiles)
        scores += score_assets(
            of_entity, platform.environment, platform.holdings, platform.as_of, step_tags=tags, shard_tags=tags
        )
    return scores
