"""The check of a raw table that no row of what it stands on was left out, and counts of those that were.

Belongs here: the check's specification and result, and metadata: counts by reason and file, and no value of any row. Does not
belong here: what is broken (`exports.quarantine`).
"""

from collections import Counter
from collections.abc import Sequence

import dagster as dg

from platform_assets.data.engines.raw_tables import RawTable
from platform_assets.data.raw.discover import LoadedTable

NAME = "no_row_is_quarantined"
_SHOWN = 10


def quarantined_spec(key: dg.AssetKey) -> dg.AssetCheckSpec:
    """The check of a raw table. It blocks nothing: the source says how many rows may be left out."""
    return dg.AssetCheckSpec(
        NAME, asset=key, description="No row of the exports that tell what the table holds now is left out"
    )


def quarantined_result(key: dg.AssetKey, source: str, table: LoadedTable) -> dg.AssetCheckResult:
    """What came of it, by the newest full export and the windows after it."""
    broken = _broken(table.standing)
    rows, keyless = (sum(getattr(raw.quarantined, name) for raw in broken) for name in ("rows", "keyless"))
    unknown = (
        f" {keyless} of them do not tell their key, so that their items show as they were before." if keyless else ""
    )
    description = (
        f"{rows} rows of {', '.join(raw.export_id for raw in broken)} are broken and left out; what their items hold is not known "
        f"until a later row tells.{unknown} Mend the files, or what the source declares, and load them in place of what is loaded: "
        f"platform-assets source replay {source} {key.path[-1]}"
    )
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=NAME,
        passed=not broken,
        severity=dg.AssetCheckSeverity.WARN,
        description=description if broken else None,
        metadata=_counts(broken),
    )


def quarantined_metadata(table: LoadedTable) -> dict[str, dg.MetadataValue]:
    """Rows that were left out of all exports of a table; nothing where there are none."""
    broken = _broken((*table.exports, *table.changes))
    return {"quarantined_rows": dg.MetadataValue.int(_counts(broken)["rows"])} if broken else {}


def _broken(exports: Sequence[RawTable]) -> list[RawTable]:
    return [raw for raw in exports if raw.quarantined]


def _counts(broken: Sequence[RawTable]) -> dict[str, int]:
    """Rows, rows by reason, and rows by data file, of those with most."""
    reasons, files = Counter[str](), Counter[str]()
    for raw in broken:
        assert raw.quarantined is not None
        reasons.update(raw.quarantined.reasons)
        files.update({f"{raw.export_id}/{name}": count for name, count in raw.quarantined.files.items()})
    return {"rows": reasons.total(), **dict(reasons.most_common()), **dict(files.most_common(_SHOWN))}
