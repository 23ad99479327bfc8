"""What a platform holds for campaigns to ask of: the catalog of its marts, and the feature groups over them.

Belongs here: the one object in which both travel. Does not belong here: finding groups (registry.py), since results
depend on this module.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.features.group import FeatureGroup

Groups = Mapping[str, Mapping[str, FeatureGroup]]


@dataclass(frozen=True)
class Holdings:
    """Marts and feature groups, loaded once with definitions.

    Attributes:
        groups: entity → name → group, each sorted by name; an entity without one is absent.
    """

    catalog: Catalog
    groups: Groups
