"""Which as-of dates Dagster offers: the platform's one partition, from the first date to today, or to where an archive of exports ends.

Belongs here: where the dates end. Does not belong here: whether a date can be asked for, which each step says by what its marts cover.

Definitions stay loaded while exports come in, and a date that they do not know cannot be run. So dates end before today only where
no export is expected any more: on a machine whose exports of every entity are older than `ARCHIVE_AFTER`. In a bucket nothing is
looked up when definitions load.
"""

from datetime import UTC, date, datetime, timedelta

import dagster as dg

from platform_assets.data.catalog.business_day import latest_as_of
from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.catalog.pointer import MartDamaged, MartStore
from platform_assets.environment import Environment
from platform_assets.foundation.storage import StorageRefused

ARCHIVE_AFTER = timedelta(days=31)


def as_of_dates(environment: Environment, catalog: Catalog) -> dg.DailyPartitionsDefinition:
    """The dates, each named by its day in the platform's time zone. Where they end is no part of what they are."""
    last = None if environment.cloud else _end_of_archive(environment, catalog)
    return dg.DailyPartitionsDefinition(
        start_date=environment.first_date.isoformat(),
        end_date=None if last is None else (last + timedelta(days=1)).isoformat(),
        timezone=environment.timezone,
        # Midnight of D is already known when D begins, so today's partition exists today.
        end_offset=1,
    )


def _end_of_archive(environment: Environment, catalog: Catalog) -> date | None:
    """The latest date that the exports of any entity cover; None where more are to come, or nobody knows."""
    try:
        published = MartStore(environment.marts).read()
    except (MartDamaged, StorageRefused, OSError, ValueError):
        # Whoever reads a mart is told; that a date is offered claims nothing.
        return None
    populations = {entity.population: entity.timezone for entity in catalog.entities.values()}
    if not populations or not populations.keys() <= published.keys():
        return None
    newest = max(published[mart].watermark for mart in populations)
    if datetime.now(UTC) - newest < ARCHIVE_AFTER:
        return None
    last = max(latest_as_of(published[mart].watermark, zone) for mart, zone in populations.items())
    return max(last, environment.first_date)
