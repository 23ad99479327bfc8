"""Labels: what happened to a person from the as-of date on, within the horizon.

Belongs here: labels made from events. Labels that somebody else made come from `teacher.py`.
"""

from datetime import date
from typing import TYPE_CHECKING

from platform_assets.campaigns.declaration.conditions import parse_event_condition
from platform_assets.campaigns.declaration.spec import AbsenceLabel, CampaignSpec, EventLabel
from platform_assets.campaigns.training_sets.calendar import ImmatureLabel, newest_with_label
from platform_assets.data.catalog.catalog import Mart
from platform_assets.data.engines.reading import Warehouse
from platform_assets.data.features.spine import instant_of
from platform_assets.data.features.windows import instant_literal

if TYPE_CHECKING:
    import ibis.expr.types as ir


def label_mart(spec: CampaignSpec) -> str | None:
    """The event mart a campaign's label looks at; None for a teacher file."""
    if isinstance(spec.label, EventLabel):
        return spec.label.event
    return spec.label.no_event if isinstance(spec.label, AbsenceLabel) else None


def is_known(warehouse: Warehouse, spec: CampaignSpec, as_of: date) -> bool:
    """Whether the exports cover the whole horizon of `as_of`, arrival lag included."""
    name = label_mart(spec)
    assert name is not None
    mart = warehouse.catalog.marts[name]
    end = instant_of(as_of + spec.horizon, warehouse.catalog.entities[spec.entity].timezone)
    return end + mart.arrival_lag <= warehouse.watermark(name)


def event_labels(warehouse: Warehouse, spec: CampaignSpec, people: "ir.Table", as_of: date) -> "ir.Table":
    """`people` (one column, the entity key) with an integer column `label`, 0 or 1.

    Raises:
        ImmatureLabel: the exports do not cover the whole horizon.
    """
    name = label_mart(spec)
    assert name is not None
    mart = warehouse.catalog.marts[name]
    entity = warehouse.catalog.entities[spec.entity]
    if not is_known(warehouse, spec, as_of):
        watermark = warehouse.watermark(name)
        latest = newest_with_label(watermark, entity.timezone, spec.horizon, mart.arrival_lag)
        raise ImmatureLabel(
            f"label.within {spec.horizon.days}d: the label as of {as_of} is not known yet; the exports of {name} cover everything "
            f"before {watermark.isoformat()}, so {latest} is the latest as-of date with a label"
        )
    start, end = instant_of(as_of, entity.timezone), instant_of(as_of + spec.horizon, entity.timezone)
    events = _counting(warehouse, spec, mart)
    when = events[mart.event_time]
    within = events.filter((when >= instant_literal(start)) & (when < instant_literal(end)))
    active = within.select(**{entity.key: within[mart.entity_key]}).distinct().mutate(active=True)
    joined = people.left_join(active, entity.key)
    happened = joined.active.fill_null(False)
    positive = ~happened if isinstance(spec.label, AbsenceLabel) else happened
    return joined.select(entity.key, label=positive.cast("int64"))


def version_of_labels(warehouse: Warehouse, spec: CampaignSpec, as_of: date) -> str:
    """The content version of everything the labels as of a date look at."""
    name = label_mart(spec)
    assert name is not None
    end = instant_of(as_of + spec.horizon, warehouse.catalog.entities[spec.entity].timezone)
    return warehouse.version_before(name, end)


def _counting(warehouse: Warehouse, spec: CampaignSpec, mart: Mart) -> "ir.Table":
    events = warehouse.table(mart.name)
    assert isinstance(spec.label, EventLabel | AbsenceLabel)
    if spec.label.where is None:
        return events
    condition = parse_event_condition(spec.label.where, mart)
    return events.filter(condition.to_ibis({column: events[column] for column in mart.columns}))
