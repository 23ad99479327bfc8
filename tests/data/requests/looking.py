"""Looks of the schedule and the sensor, and what AWS was made to make by them.

Belongs here: what tests of asking do. Does not belong here: what they expect of it.
"""

from datetime import timedelta
from pathlib import Path

from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.requests.asking import Look, ask, await_exports
from tests.data.exports.histories import EPOCH
from tests.data.requests.aws_server import ACCOUNT, REGION, Aws
from tests.data.requests.conftest import SPEC
from tests.data.requests.protocols import Refused

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
REQUESTED = "ExportTableToPointInTime"
RECORD = f"films/{REGION}/{ACCOUNT}/Films.json"


def tick(aws: Aws, exports: Path, spec: ExportSourceSpec = SPEC) -> Look:
    """What the schedule does."""
    (look,) = ask(spec, exports, aws.now)
    return look


def glance(aws: Aws, exports: Path) -> Look:
    """What the sensor does."""
    (look,) = await_exports(SPEC, exports, aws.now)
    return look


def windows(aws: Aws) -> list[tuple[float | None, float]]:
    """(from, to) of all exports that AWS was made to make, in hours; from None where they are full."""

    def hours(seconds: float | None) -> float | None:
        return None if seconds is None else (seconds - EPOCH.timestamp()) / 3600

    pairs = []
    for export in aws.exports:
        window = export.call.get("IncrementalExportSpecification", {})
        end = hours(window.get("ExportToTime", export.call.get("ExportTime")))
        assert end is not None
        pairs.append((hours(window.get("ExportFromTime")), end))
    return pairs


def refusing(aws: Aws, action: str, code: str, status: int = 400) -> None:
    def refuse(asked: str, before: bool) -> None:
        if before and asked == action:
            raise Refused(code, f"{code} it says", status)

    aws.interfere = refuse
