"""Who a campaign asks about as of a date, and which conditions on people hold then.

Everything here looks only at events strictly before the as-of instant (less the mart's arrival lag) and at dimension
rows as they were then.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.data.catalog.catalog import Catalog, Entity
from platform_assets.data.conditions.parsing import Predicate, parse_person_condition
from platform_assets.data.conditions.terms import Aggregate
from platform_assets.data.engines.reading import Warehouse
from platform_assets.data.features.point_in_time import population
from platform_assets.data.features.windows import SECONDS_A_DAY, Events, epoch_seconds, instant_literal

if TYPE_CHECKING:
    import ibis.expr.types as ir

_ZERO_WHEN_ABSENT = ("count", "sum")


def everyone(warehouse: Warehouse, entity: Entity, as_of: datetime) -> "ir.Table":
    """The entity's population as of an instant: one column, the entity key, each person once."""
    events = _events_before(warehouse, entity.population, as_of)
    return population(events, as_of).rename({entity.key: events.person})


def people_asked(warehouse: Warehouse, spec: CampaignSpec, as_of: datetime) -> "ir.Table":
    """Those of the population for whom the campaign's `population` condition holds, one column, the entity key."""
    entity = warehouse.catalog.entities[spec.entity]
    people = everyone(warehouse, entity, as_of)
    if spec.population is None:
        return people
    condition = parse_person_condition(spec.population, warehouse.catalog, spec.entity)
    values = with_conditions(warehouse, entity, people, as_of, {"asked": condition})
    return values.filter(values.asked).select(entity.key)


def with_conditions(
    warehouse: Warehouse, entity: Entity, people: "ir.Table", as_of: datetime, conditions: dict[str, Predicate]
) -> "ir.Table":
    """`people` with one boolean column a condition; a condition that meets a missing value does not hold."""
    import ibis

    joined = people
    for aggregate in dict.fromkeys(a for condition in conditions.values() for a in condition.aggregates):
        values = _aggregate(warehouse, entity, aggregate, as_of)
        joined = joined.left_join(values, entity.key).drop(f"{entity.key}_right")
        if aggregate.function in _ZERO_WHEN_ABSENT:
            joined = joined.mutate(**{aggregate.name: joined[aggregate.name].fill_null(0)})
    columns = sorted({column for condition in conditions.values() for column in condition.columns})
    if columns:
        own = _as_known_at(warehouse, entity, as_of, columns)
        joined = joined.left_join(own, entity.key).drop(f"{entity.key}_right")
    values = {name: joined[name] for name in joined.columns} | {column: joined[_own(column)] for column in columns}
    holds = {name: ibis.coalesce(condition.to_ibis(values), False) for name, condition in conditions.items()}
    return joined.select(*people.columns, **holds)


def exclusions(spec: CampaignSpec, catalog: Catalog) -> dict[str, Predicate]:
    """The conditions that keep people out of a campaign's audience, each under a name for its column."""
    conditions = (parse_person_condition(text, catalog, spec.entity) for text in spec.audience.exclude)
    return {f"exclusion_{number}": condition for number, condition in enumerate(conditions)}


def marts_read(catalog: Catalog, entity: Entity, conditions: Sequence[Predicate]) -> tuple[str, ...]:
    """Names of the marts that conditions on people of `entity` look at, the population's included."""
    names = {entity.population}
    for condition in conditions:
        names |= {aggregate.mart for aggregate in condition.aggregates}
        names |= {entity.mart} if condition.columns else set()
    return tuple(sorted(names))


def _events_before(warehouse: Warehouse, mart: str, as_of: datetime) -> Events:
    declared = warehouse.catalog.mart(mart)
    assert declared.entity_key is not None
    assert declared.event_time is not None
    return Events(warehouse.table(mart), declared.entity_key, declared.event_time, declared.arrival_lag).before(as_of)


def _aggregate(warehouse: Warehouse, entity: Entity, aggregate: Aggregate, as_of: datetime) -> "ir.Table":
    import ibis

    known = _events_before(warehouse, aggregate.mart, as_of)
    events = known.table
    if aggregate.days is not None:
        since = as_of - known.lag - timedelta(days=aggregate.days)
        events = events.filter(events[known.time] >= instant_literal(since))
    if aggregate.function == "count":
        value = events.count()
    elif aggregate.function == "days_since":
        value = (ibis.literal(as_of.timestamp()) - epoch_seconds(events[known.time].max())) / SECONDS_A_DAY
    else:
        value = getattr(events[aggregate.column], aggregate.function)().cast("float64")
    return events.group_by(known.person).aggregate(**{aggregate.name: value}).rename({entity.key: known.person})


def _as_known_at(warehouse: Warehouse, entity: Entity, as_of: datetime, columns: Sequence[str]) -> "ir.Table":
    """The entity mart's columns as known at `as_of`, under names that cannot meet a campaign's own."""

    mart = warehouse.catalog.marts[entity.mart]
    rows = warehouse.table(entity.mart)
    if mart.history == "scd2":
        # As features see it: a version that begins at the instant itself is not known yet.
        known = instant_literal(as_of - mart.arrival_lag)
        rows = rows.filter((rows.valid_from < known) & (rows.valid_to.isnull() | (rows.valid_to >= known)))
    return rows.select(entity.key, **{_own(column): rows[column] for column in columns})


def _own(column: str) -> str:
    return f"own__{column}"
