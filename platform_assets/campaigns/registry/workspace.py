"""Where a campaign's answer is worked out.

Belongs here: the marts, the feature groups, the store, teacher files and promoted models of one place, together. Does not belong here: what is
asked (`declaration.question`), and which engine it is (`opening`): results depend on this module.
"""

from dataclasses import dataclass, field
from datetime import date

from platform_assets.campaigns.declaration.question import Question
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.registry.promoted import PromotedModels
from platform_assets.data.engines.reading import Warehouse
from platform_assets.data.features.holdings import Groups, Holdings
from platform_assets.environment import Limits, Place
from platform_assets.foundation.artifacts import ArtifactStore


@dataclass(frozen=True)
class Workspace:
    """One piece of work's view of everything.

    Attributes:
        warehouse: the marts as published at its first use.
        groups: the feature groups over them.
        teachers: folder or gs:// URL with teacher files.
        promoted: the models that may be asked for what earlier campaigns know.
        limits: how large a teacher file may be.
    """

    warehouse: Warehouse
    groups: Groups
    store: ArtifactStore
    teachers: Place
    promoted: PromotedModels
    limits: Limits = field(default_factory=Limits)

    @property
    def holdings(self) -> Holdings:
        """What campaigns may ask of."""
        return Holdings(self.warehouse.catalog, self.groups)

    def question(self, name: str, spec: CampaignSpec, as_of: date) -> Question:
        """A campaign as of a date."""
        return Question(name, spec, self.warehouse.catalog.entities[spec.entity], as_of)
