"""What a raw table shows of exports that were brought from another cloud before it was loaded.

Belongs here: metadata, and what could not be brought as exports that are set aside. Does not belong here: bringing
(`transfer`).
"""

from dataclasses import replace

import dagster as dg

from platform_assets.data.raw.discover import LoadedSource, SetAside
from platform_assets.data.transfer.bringing import Brought


def with_brought(loaded: LoadedSource, brought: Brought | None) -> LoadedSource:
    """`loaded`, and with it what was held back before it could be loaded."""
    if brought is None:
        return loaded
    held = tuple(SetAside(each.export_id, each.tables, each.reason) for each in brought.held)
    in_progress = (*loaded.in_progress, *brought.in_progress)
    return replace(loaded, set_aside=(*loaded.set_aside, *held), in_progress=in_progress)


def transfer_metadata(brought: Brought | None) -> dict[str, dg.MetadataValue]:
    """Bytes that crossed, bytes that did not have to, and what that saved; the same at each table of a source."""
    if brought is None:
        return {}
    return {
        "bytes_moved": dg.MetadataValue.int(brought.bytes_moved),
        "bytes_moved_ever": dg.MetadataValue.int(brought.bytes_moved_ever),
        "bytes_avoided": dg.MetadataValue.int(brought.bytes_avoided),
        "bytes_avoided_ever": dg.MetadataValue.int(brought.bytes_avoided_ever),
        "egress_saved_usd": dg.MetadataValue.float(round(brought.egress_saved, 4)),
        "egress_saved_usd_ever": dg.MetadataValue.float(round(brought.egress_saved_ever, 4)),
    }
