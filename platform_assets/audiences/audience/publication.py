"""Putting audience and report where people look for them, each in one atomic step.

The artifacts stay where they are; these are copies under names that do not change from run to run:
`<audiences>/<campaign>/<as-of date>/` holds `audience.parquet`, `audience.csv`, `report.html`, `lift.svg`
and `figures.json`.
"""

from dataclasses import dataclass
from pathlib import Path

from platform_assets.foundation.storage import files_at


@dataclass(frozen=True)
class Published:
    """Where a published file lies: its path or gs:// URL, and the URL at which a browser opens it."""

    location: str
    link: str


def publish_file(source: str | Path, folder: str | Path, name: str) -> Published:
    """Copy `source` to `folder/name`, a local folder or gs:// URL: readers see the old file or the new one."""
    files = files_at(folder)
    files.put_file(Path(source), name)
    return Published(files.location(name), files.link(name))


def folder_of(audiences: str | Path, campaign: str, as_of: str) -> str:
    """Where a campaign's files of one as-of date lie: a path or gs:// URL, as `audiences` is."""
    return f"{audiences}/{campaign}/{as_of}"
