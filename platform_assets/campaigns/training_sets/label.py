"""Labels: what happened to a person from the as-of date on, within the horizon.

Belongs here: labels made from events. Labels that somebody else made come from `teacher.py`.
"""

from typing import TYPE_CHECKING

from platform_assets.campaigns.declaration.question import Question
from platform_assets.campaigns.declaration.spec import AbsenceLabel, CampaignSpec, EventLabel
from platform_assets.campaigns.training_sets.calendar import ImmatureLabel, newest_with_label
from platform_assets.data.catalog.catalog import Mart
from platform_assets.data.conditions.parsing import parse_event_condition
from platform_assets.data.engines.reading import Warehouse
from platform_assets.data.features.windows import instant_literal

if TYPE_CHECKING:
    import ibis.expr.types as ir


def label_mart(spec: CampaignSpec) -> str | None:
    """The event mart a campaign's label looks at; None for a teacher file."""
    if isinstance(spec.label, EventLabel):
        return spec.label.event
    return spec.label.no_event if isinstance(spec.label, AbsenceLabel) else None


def is_known(question: Question, warehouse: Warehouse) -> bool:
    """Whether the exports cover the whole horizon, arrival lag included."""
    mart = _mart(question, warehouse)
    return question.horizon_end + mart.arrival_lag <= warehouse.watermark(mart.name)


def event_labels(question: Question, warehouse: Warehouse, people: "ir.Table") -> "ir.Table":
    """`people` (one column, the entity key) with an integer column `label`, 0 or 1.

    Raises:
        ImmatureLabel: the exports do not cover the whole horizon.
    """
    spec, entity, mart = question.spec, question.entity, _mart(question, warehouse)
    if not is_known(question, warehouse):
        watermark = warehouse.watermark(mart.name)
        latest = newest_with_label(watermark, entity.timezone, spec.horizon, mart.arrival_lag)
        raise ImmatureLabel(
            f"label.within {spec.horizon.days}d: the label as of {question.as_of} is not known yet; the exports of {mart.name} cover everything "
            f"before {watermark.isoformat()}, so {latest} is the latest as-of date with a label"
        )
    events = _counting(warehouse, spec, mart)
    when = events[mart.event_time]
    within = events.filter((when >= instant_literal(question.instant)) & (when < instant_literal(question.horizon_end)))
    active = within.select(**{entity.key: within[mart.entity_key]}).distinct().mutate(active=True)
    joined = people.left_join(active, entity.key)
    happened = joined.active.fill_null(False)
    positive = ~happened if isinstance(spec.label, AbsenceLabel) else happened
    return joined.select(entity.key, label=positive.cast("int64"))


def version_of_labels(question: Question, warehouse: Warehouse) -> str:
    """The content version of everything the labels look at."""
    return warehouse.version_before(_mart(question, warehouse).name, question.horizon_end)


def _mart(question: Question, warehouse: Warehouse) -> Mart:
    name = label_mart(question.spec)
    assert name is not None
    return warehouse.catalog.marts[name]


def _counting(warehouse: Warehouse, spec: CampaignSpec, mart: Mart) -> "ir.Table":
    events = warehouse.table(mart.name)
    assert isinstance(spec.label, EventLabel | AbsenceLabel)
    if spec.label.where is None:
        return events
    timezone = warehouse.catalog.entities[spec.entity].timezone
    condition = parse_event_condition(spec.label.where, mart, timezone)
    return events.filter(condition.to_ibis({column: events[column] for column in mart.columns}))
