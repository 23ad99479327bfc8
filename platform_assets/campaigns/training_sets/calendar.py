"""The time axis of a campaign: the as-of dates it trains on and scores at, and when a label is known.

An as-of date stands for an instant (`data.catalog.business_day`); only what happened strictly before it is known. "Latest"
is the sources' watermark, never the wall clock.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from platform_assets.campaigns.declaration.spec import AbsoluteTraining, CampaignSpec, RelativeTraining, TeacherLabel
from platform_assets.data.catalog.business_day import instant_of, latest_as_of


class ImmatureLabel(ValueError):
    """A label is asked for before its horizon has passed."""


class NotCovered(ValueError):
    """A date is asked for that the exports do not cover yet."""


def newest_with_label(known_before: datetime, timezone: str, horizon: timedelta, lag: timedelta) -> date:
    """The newest as-of date whose whole horizon, and the lag of its events, lies before an instant."""
    return latest_as_of(known_before - lag, timezone) - horizon


@dataclass(frozen=True)
class TrainingDates:
    """When a campaign trains and up to when.

    Attributes:
        score_at: the as-of date the model is made for; it may know nothing later.
        as_of: training as-of dates, oldest first; empty for a teacher file, which brings its own.
    """

    score_at: date
    as_of: tuple[date, ...]


def training_dates(
    spec: CampaignSpec, timezone: str, watermark: datetime, lag: timedelta = timedelta(), score_at: date | None = None
) -> TrainingDates:
    """The dates that a campaign file asks for, given what the exports cover.

    Args:
        lag: how long after it happened an event of the label may still arrive.
        score_at: replaces the file's, to replay the campaign as of a past date.

    Raises:
        NotCovered: the scoring date lies after the watermark.
        ImmatureLabel: a training date's label is not known at the scoring date.
    """
    latest = latest_as_of(watermark, timezone)
    at = score_at or (latest if spec.score_at == "latest" else spec.score_at)
    assert isinstance(at, date)
    if at > latest:
        raise NotCovered(
            f"score_at {at}: the exports cover everything before {watermark.isoformat()} only, so {latest} is the latest date"
        )
    train = spec.train or RelativeTraining(snapshots=2, every=None)
    if isinstance(spec.label, TeacherLabel):
        return TrainingDates(at, ())
    newest = newest_with_label(instant_of(at, timezone), timezone, spec.horizon, lag)
    if isinstance(train, AbsoluteTraining):
        for day in train.as_of:
            if day > newest:
                raise ImmatureLabel(
                    f"train.as_of {day}: its label (horizon {spec.horizon.days} days, arrival lag {lag}) is not known yet "
                    f"at score_at {at}; use {newest} or earlier"
                )
        return TrainingDates(at, tuple(sorted(train.as_of)))
    every = train.every or spec.horizon
    return TrainingDates(at, tuple(sorted(newest - every * index for index in range(train.snapshots))))
