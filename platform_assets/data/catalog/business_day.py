"""Business days: the dates people name, and the instants they stand for.

Belongs here: the way from a date in a time zone to an instant and back. Does not belong here: which dates are asked for.
"""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo


def instant_of(day: date, timezone: str) -> datetime:
    """The UTC instant of the midnight that begins `day` in `timezone`: what an as-of date stands for."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone)).astimezone(UTC)


def latest_as_of(watermark: datetime, timezone: str) -> date:
    """The last business date whose beginning the sources cover."""
    return watermark.astimezone(ZoneInfo(timezone)).date()
