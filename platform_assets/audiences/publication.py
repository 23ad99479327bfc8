"""Putting audience and report where people look for them, each in one atomic step.

The artifacts stay where they are; these are copies under names that do not change from run to run:
`<audiences>/<campaign>/<as-of date>/` holds `audience.parquet`, `audience.csv`, `report.html` and `figures.json`.
"""

import os
import shutil
from pathlib import Path
from uuid import uuid4


def publish_file(source: str | Path, folder: Path, name: str) -> Path:
    """Copy `source` to `folder/name`: readers see the old file or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / name
    aside = folder / f".{name}.{uuid4().hex}"
    shutil.copyfile(source, aside)
    with aside.open("rb") as written:
        os.fsync(written.fileno())
    aside.replace(target)
    return target


def folder_of(audiences: Path, campaign: str, as_of: str) -> Path:
    """Where a campaign's files of one as-of date lie."""
    return audiences / campaign / as_of
