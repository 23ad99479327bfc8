"""The content-addressed store: what was computed, from what, and whether it must be computed again.

Belongs here: fingerprints, the code a result depends on, the store in a folder or bucket, and how a reference to
an artifact travels between steps. Does not belong here: what the artifacts mean.
"""

from platform_assets.foundation.artifacts.code import code_of
from platform_assets.foundation.artifacts.looking import LookingStore, WouldBeMade
from platform_assets.foundation.artifacts.recipe import ArtifactRef, Recipe
from platform_assets.foundation.artifacts.store import (
    Artifact,
    ArtifactCorrupt,
    ArtifactDiffers,
    ArtifactMissing,
    ArtifactStore,
    ArtifactUnusable,
)
