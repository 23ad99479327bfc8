"""Dates and instants as people state them to a reader.

Belongs here: reading one, and what is wrong with it. Does not belong here: what is then covered by a mart (`selection`).
"""

from datetime import UTC, date, datetime

from platform_assets.data.catalog.business_day import instant_of
from platform_assets.readers.refusal import ReadRefused

Moment = date | datetime | str
TAKES = "a date such as 1998-01-31, whose midnight in {timezone} it is, or an instant with its time zone such as 1998-01-31T12:00:00+00:00"


def instant(stated: object, where: str, timezone: str) -> datetime:
    """The UTC instant that is meant.

    Args:
        where: begins a sentence about it, such as `orders(since=…)`.
        timezone: of business dates, an IANA name.

    Raises:
        ReadRefused: it is no date, no instant, or one without time zone.
    """
    value = _of_text(stated, where, timezone) if isinstance(stated, str) else stated
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ReadRefused(f"{where}: {stated} has no time zone; it takes {TAKES.format(timezone=timezone)}")
    if not isinstance(value, date):
        raise ReadRefused(f"{where}: takes {TAKES.format(timezone=timezone)}, not {type(stated).__name__}")
    if not 1 < value.year < 9999:
        # Next to the calendar's ends neither a time zone nor a lag can be taken off.
        raise ReadRefused(f"{where}: {stated} is no date of this platform; it takes one from year 2 to 9998")
    return value.astimezone(UTC) if isinstance(value, datetime) else instant_of(value, timezone)


def _of_text(text: str, where: str, timezone: str) -> date | datetime:
    for form in (date.fromisoformat, datetime.fromisoformat):
        try:
            return form(text)
        except ValueError:
            continue
    raise ReadRefused(f"{where}: {text!r} is no date; it takes {TAKES.format(timezone=timezone)}")
