"""What is asked, and as of when.

Belongs here: a campaign with its name, its entity and one as-of date. Does not belong here: which dates a campaign trains on
(`training_sets.calendar`), and where its answer is worked out (`registry.workspace`).
"""

from dataclasses import dataclass, replace
from datetime import date, datetime

from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.data.catalog.catalog import Entity


@dataclass(frozen=True)
class Question:
    """One campaign as of one date.

    Attributes:
        name: the campaign.
        entity: whom it is about.
        as_of: the date that the answer is for; nothing from then on may be known to it.
    """

    name: str
    spec: CampaignSpec
    entity: Entity
    as_of: date

    @property
    def instant(self) -> datetime:
        """UTC; what `as_of` stands for."""
        return self.entity.instant_of(self.as_of)

    @property
    def horizon_end(self) -> datetime:
        """UTC; when what the label looks at is over."""
        return self.entity.instant_of(self.as_of + self.spec.horizon)

    def at(self, day: date) -> "Question":
        """The same as of another date."""
        return replace(self, as_of=day)
