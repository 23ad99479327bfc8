"""What a raw table shows of the exports of it that were asked for.

Belongs here: metadata, and why nothing more is asked for. Does not belong here: asking (`requests`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.requests.asking import exporters_of
from platform_assets.data.requests.record import Ledger, RequestRefused, Requests
from platform_assets.data.requests.telling import at, named

_SHOWN = 10


@dataclass(frozen=True)
class Requested:
    """What was asked for of a table.

    Attributes:
        faults: why nothing more is; empty where nothing speaks against it.
    """

    requests: Requests
    faults: tuple[str, ...]


def requested_of(spec: ExportSourceSpec, exports_root: str | Path) -> dict[str, Requested]:
    """By table; of each nothing where the platform does not ask for exports itself. AWS is not asked."""
    known = {table.name: Requested((), ()) for table in spec.tables}
    for exporter in exporters_of(spec):
        ledger = Ledger(exports_root, spec.path)
        failure = ledger.failure(exporter.record)
        try:
            requested = Requested(ledger.read(exporter.record), (failure,) if failure else ())
        except RequestRefused as refusal:
            # What lies in the lake is loaded all the same.
            requested = Requested((), (str(refusal),))
        known |= dict.fromkeys(exporter.tables, requested)
    return known


def requested_metadata(requests: Requests, faults: Sequence[str]) -> dict[str, dg.MetadataValue]:
    """The last requests, newest first, with what became of them; nothing where there are none."""
    metadata: dict[str, dg.MetadataValue] = {}
    if requests:
        metadata["requested_exports"] = dg.MetadataValue.table(
            [
                dg.TableRecord(
                    {
                        "export": named(each.wanted),
                        "asked_for": at(each.last.asked_at),
                        "status": each.last.status,
                        "attempts": len(each.attempts),
                        "why": each.last.why,
                        "at_aws": each.last.id or "",
                    }
                )
                for each in reversed(requests[-_SHOWN:])
            ]
        )
    if faults:
        metadata["not_asked_for"] = dg.MetadataValue.text("\n".join(faults))
    return metadata
