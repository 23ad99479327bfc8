"""A store that only looks: what is not there is told and not made, so that the functions that make results say what they would do.

Belongs here: looking. Does not belong here: what is made, or when somebody should.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from platform_assets.foundation.artifacts.recipe import Recipe
from platform_assets.foundation.artifacts.store import Artifact, ArtifactStore
from platform_assets.foundation.storage import Stored


class WouldBeMade(Exception):
    """Something is not there as it is asked for now; `key` is what, and `reason` what changed, in words."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key, self.reason = key, reason


class LookingStore(ArtifactStore):
    """An `ArtifactStore` of which nothing is changed, not even what is damaged."""

    def get_or_build(self, recipe: Recipe, build: Callable[[Path], Mapping[str, Any]]) -> Artifact:
        """The recipe's artifact.

        Raises:
            WouldBeMade: it is not there, or damaged.
        """
        artifact = self.find(recipe.fingerprint)
        if artifact is None:
            raise WouldBeMade(recipe.key, self._why_not_found(recipe))
        if self._files.lie_here and not self._is_whole(artifact):
            raise WouldBeMade(recipe.key, "what was stored is damaged")
        return artifact

    def _set_content_aside(self, path: Path, stored: str) -> None: ...

    def _set_record_aside(self, fingerprint: str, record: Stored) -> None: ...
