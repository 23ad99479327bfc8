"""Which feature groups there are: one for each file in groups/.

Belongs here: finding and checking declarations. Does not belong here: computing. Loads with definitions, so
the group files import nothing heavy.
"""

import importlib
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.features import groups as group_files
from platform_assets.data.features.group import FeatureGroup
from platform_assets.data.features.holdings import Holdings

if TYPE_CHECKING:
    from platform_assets.environment import Environment


class GroupRefused(ValueError):
    """A file in groups/ declares something that cannot be worked with; the message names the file."""


def find_groups(project: Path, catalog: Catalog) -> dict[str, dict[str, FeatureGroup]]:
    """Entity → group name → group, each sorted by name.

    Raises:
        GroupRefused: a file has no `GROUP`, or two files declare one group or one feature of an entity.
    """
    groups: dict[str, dict[str, FeatureGroup]] = {}
    declared: dict[tuple[str, str], str] = {}
    for info in pkgutil.iter_modules(group_files.__path__):
        module = importlib.import_module(f"{group_files.__name__}.{info.name}")
        group = getattr(module, "GROUP", None)
        if not isinstance(group, FeatureGroup) or group.module != module.__name__:
            raise GroupRefused(f"{module.__file__}: declare GROUP = FeatureGroup(…, module=__name__)")
        for what in (f"group {group.name}", *(f"feature {name}" for name in group.features)):
            first = declared.setdefault((group.entity, what), module.__name__)
            if first != module.__name__:
                raise GroupRefused(
                    f"{module.__file__}: {what} of {group.entity} is declared in {first} already; rename one"
                )
        groups.setdefault(group.entity, {})[group.name] = group
    return {entity: dict(sorted(groups[entity].items())) for entity in sorted(groups)}


def read_holdings(environment: "Environment") -> Holdings:
    """The marts and feature groups of an environment.

    Raises:
        ManifestMissing, CatalogError: the dbt project is not parsed yet, or declares something unusable.
        GroupRefused: as `find_groups`.
    """
    catalog = Catalog.from_manifest(environment.dbt_manifest)
    return Holdings(catalog, find_groups(environment.project, catalog))
