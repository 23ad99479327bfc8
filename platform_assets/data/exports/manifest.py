"""Manifests: JSON that is checked key by key, so that an error names the file and the key.

Belongs here: parsing and checking single values. Does not belong here: what a layout's manifests are called or mean.
"""

import json
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from platform_assets.data.exports.export import ExportError

T = TypeVar("T")


def parse_json(text: bytes, where: str) -> dict[str, Any]:
    """`text` as a JSON object; raises ExportError naming `where` when it is not one."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ExportError(f"{where}: the manifest is not readable JSON ({error}). Copy the export again.") from error
    if not isinstance(document, dict):
        raise ExportError(f"{where}: the manifest is not a JSON object. Copy the export again.")
    return document


def entry(document: dict[str, Any], key: str, kind: type[T], where: str) -> T:
    """The value of a manifest's key, of the kind asked for; else an ExportError naming file and key."""
    value = document.get(key)
    if not isinstance(value, kind) or (kind is int and (isinstance(value, bool) or not 0 <= cast(int, value) < 2**63)):
        raise ExportError(
            f"{where}: key {key!r} is {json.dumps(value)[:80]}, not a valid {kind.__name__}. "
            f"The manifest is damaged, or of a version this platform does not know: copy the export again."
        )
    return value


def optional(document: dict[str, Any], key: str, kind: type[T], where: str) -> T | None:
    """As `entry`; None where the key is absent or null."""
    return None if document.get(key) is None else entry(document, key, kind, where)


def instant(document: dict[str, Any], key: str, where: str) -> datetime:
    """An ISO 8601 time of a manifest, in UTC (AWS writes UTC; a time without a zone is read as UTC)."""
    text = entry(document, key, str, where)
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ExportError(f"{where}: key {key!r} is {text[:80]!r}, not an ISO 8601 time.") from error
