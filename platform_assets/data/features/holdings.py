"""What a platform holds for campaigns to ask of: the catalog of its marts, and the feature groups over them.

Belongs here: the one object in which both travel. Does not belong here: finding groups (registry.py), since results
depend on this module.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.features.group import FeatureGroup

Groups = Mapping[str, Mapping[str, FeatureGroup]]


@dataclass(frozen=True)
class Holdings:
    """Marts and feature groups, loaded once with definitions.

    Attributes:
        groups: entity → name → group, each sorted by name; an entity without one is absent.
        broken: feature files that cannot be honoured, each with what is wrong; their entities have no groups.
    """

    catalog: Catalog
    groups: Groups
    broken: Mapping[Path, Exception] = field(default_factory=dict)

    def why_no_groups(self, entity: str) -> str | None:
        """What is wrong with the entity's feature file; None when nothing is."""
        wrong = [str(error) for path, error in self.broken.items() if path.stem == entity]
        return "; ".join(wrong[0].splitlines()) if wrong else None
