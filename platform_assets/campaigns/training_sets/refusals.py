"""What data, not code, can be wrong with when a campaign is to be answered: told in a sentence, and not tried again."""

from platform_assets.campaigns.registry.promoted import RegistryDamaged
from platform_assets.campaigns.training_sets.calendar import ImmatureLabel, NotCovered
from platform_assets.campaigns.training_sets.inspection import LeakFound
from platform_assets.campaigns.training_sets.teacher import TeacherError
from platform_assets.campaigns.training_sets.training_set import TooFewPositives
from platform_assets.data.catalog.pointer import MartMissing, MartRefused
from platform_assets.data.features.tables import AsOfNotCovered
from platform_assets.data.quality import AuditFailed
from platform_assets.foundation.artifacts import ArtifactUnusable

REFUSALS: tuple[type[Exception], ...] = (
    ArtifactUnusable, AsOfNotCovered, AuditFailed, ImmatureLabel, LeakFound, MartMissing, MartRefused, NotCovered,
    RegistryDamaged, TeacherError, TooFewPositives,
)  # fmt: skip
