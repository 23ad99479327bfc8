"""What the published marts say against the dates that a campaign asks for, before anything is computed.

Belongs here: dates against what the marts' pointer records. Does not belong here: what needs rows (`preview`).
"""

from collections.abc import Mapping

from platform_assets.campaigns.declaration.spec import CampaignSpec, TeacherLabel
from platform_assets.campaigns.training_sets.calendar import (
    ImmatureLabel,
    NotCovered,
    newest_with_label,
    training_dates,
)
from platform_assets.campaigns.training_sets.label import label_mart
from platform_assets.campaigns.training_sets.training_set import marts_of
from platform_assets.data.catalog.pointer import PublishedTable
from platform_assets.data.features.holdings import Holdings


def doubts_of(spec: CampaignSpec, holdings: Holdings, published: Mapping[str, PublishedTable]) -> list[str]:
    """A sentence for each thing that could not be answered today; none while a mart that it reads was never published."""
    catalog, names = holdings.catalog, marts_of(spec, holdings)
    if not published.keys() >= set(names):
        return []
    entity = catalog.entities[spec.entity]
    watermark = min(published[name].watermark for name in names)
    lag = catalog.marts[label_mart(spec) or entity.population].arrival_lag
    try:
        dates = training_dates(spec, entity.timezone, watermark, lag)
    except (NotCovered, ImmatureLabel) as error:
        return [str(error)]
    days = dates.as_of
    if isinstance(spec.label, TeacherLabel):
        days = (newest_with_label(entity.instant_of(dates.score_at), entity.timezone, spec.horizon, lag),)
    begins = published[entity.population].first_event
    early = [day.isoformat() for day in days if begins is not None and entity.instant_of(day) <= begins]
    if not early or begins is None:
        return []
    return [
        f"label.within {spec.horizon.days}d: as of {', '.join(early)} nobody is known, since the events of {entity.population} "
        f"reach from {begins.date()} to {watermark.date()}; shorten the horizon, or train on fewer or later dates"
    ]
