"""From what an entity's marts declare, and what its file says, to a plan a mart.

Belongs here: defaults, and which columns stay out, told by name. Does not belong here: computing, words for features.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from platform_assets.data.catalog.catalog import Catalog, Entity, Mart
from platform_assets.data.catalog.column import Column
from platform_assets.data.features.derived.declaration import (
    ALL,
    FeatureDeclaration,
    MartFeatures,
    keys_of,
    marts_of,
    use_of,
    why_out,
)
from platform_assets.data.features.derived.plan import CategoryPlan, MartPlan

_FORMS = {"boolean": "boolean", "list": "list"}


@dataclass(frozen=True)
class Planned:
    """A plan, and why columns of the mart are in none of its features."""

    plan: MartPlan
    stay_out: tuple[str, ...]


def plans_of(catalog: Catalog, entity: Entity, declaration: FeatureDeclaration) -> dict[str, Planned]:
    """Mart → plan, people first, then events in the order of their names."""
    return {name: _planned(mart, declaration.of(name), entity) for name, mart in marts_of(catalog, entity).items()}


def _planned(mart: Mart, said: MartFeatures, entity: Entity) -> Planned:
    used: dict[str, list[str]] = {"measure": [], "category": [], "identifier": [], "time": []}
    stay_out = []
    for column in _free(mart):
        at = f"{mart.name}.{column.name}"
        why = None if column.name in said.admit else why_out(mart, column)
        if column.name in said.leave_out:
            continue
        use = "identifier" if column.name in (said.identifiers or ()) else use_of(column)
        if use == "measure" and column.name not in (said.measures or (column.name,)):
            continue
        if use == "identifier" and column.name not in (said.identifiers or (column.name,)):
            continue
        if why is not None:
            stay_out.append(f"{at} stays out: it {why}; name it under admit to use it")
            continue
        used[use].append(column.name)
        if use == "category" and column.kind != "boolean" and column.name not in said.categories:
            command = f"platform-assets features suggest {entity.name} --before DATE"
            stay_out.append(f"{at} has no leading values yet; write them by `{command}`")
    plan = MartPlan(
        mart=mart.name,
        windows=tuple(None if window == ALL else int(window) for window in said.windows),
        measures=tuple(used["measure"]),
        identifiers=tuple(used["identifier"]),
        categories=tuple(_category(mart.columns[name], said, entity) for name in used["category"]),
        times=tuple(used["time"]),
        where=said.where if mart.event_time is not None else None,
        offset=standard_offset(entity.timezone),
    )
    return Planned(plan, tuple(stay_out))


def standard_offset(timezone: str) -> int:
    """Seconds that a time zone is ahead of UTC without summer time: one number that both engines add alike."""
    zone = ZoneInfo(timezone)
    offsets = [datetime(2024, month, 1, tzinfo=zone) for month in (1, 7)]
    return min(int(offset.total_seconds()) for moment in offsets if (offset := moment.utcoffset()) is not None)


def _free(mart: Mart) -> Iterator[Column]:
    return (column for name, column in mart.columns.items() if name not in keys_of(mart))


def _category(column: Column, said: MartFeatures, entity: Entity) -> CategoryPlan:
    leading = said.categories.get(column.name)
    before = leading.counted_before if leading else None
    return CategoryPlan(
        column.name,
        _FORMS.get(column.kind, "text"),  # type: ignore[arg-type]
        leading.values if leading else (),
        entity.instant_of(before).isoformat() if before else None,
    )
