"""Derived groups beside those that people wrote.

Belongs here: which entities get derived ones, and that no two groups are confused. Does not belong here: finding either.
"""

from collections.abc import Mapping

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.features.derived.declaration import FeatureDeclaration, declared
from platform_assets.data.features.derived.groups import derived_groups
from platform_assets.data.features.group import FeatureGroup


class GroupsClash(ValueError):
    """A derived group or column is called like one that somebody wrote; the message names both."""


def with_derived(
    catalog: Catalog,
    written: Mapping[str, Mapping[str, FeatureGroup]],
    declarations: Mapping[str, FeatureDeclaration],
) -> dict[str, dict[str, FeatureGroup]]:
    """Entity → name → group: an entity gets derived groups when its file says so, or when nobody wrote one for it.

    Raises:
        GroupsClash: see the class.
    """
    groups = {entity: dict(own) for entity, own in written.items()}
    for entity in catalog.entities:
        own = groups.get(entity, {})
        if own and entity not in declarations:
            continue
        columns = {name: group.name for group in own.values() for name in group.features}
        for group in derived_groups(catalog, entity, declarations.get(entity) or declared(entity)):
            clash = [name for name in group.features if name in columns]
            if group.name in own or clash:
                what = f"group {group.name}" if group.name in own else f"feature {clash[0]} of {columns[clash[0]]}"
                raise GroupsClash(
                    f"{what} of {entity} is derived from mart {group.marts[0]} too; rename the one that is written in Python"
                )
            own[group.name] = group
        groups[entity] = dict(sorted(own.items()))
    return groups
