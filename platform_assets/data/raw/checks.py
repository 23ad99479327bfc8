"""The Dagster face of comparing exports: checks on each raw table, and its columns as metadata.

Belongs here: names, severities and metadata. Does not belong here: what is compared, and what is a difference
(`comparison`). The checks block nothing: marts of other tables go on, and those of this one ask for themselves (`marts.gate`).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

import dagster as dg

from platform_assets.data.engines.profiles import ITEM, Column, Profile
from platform_assets.data.exports.export import ExportFormat
from platform_assets.data.raw.comparison.exports import Finding, Subject
from platform_assets.data.raw.comparison.history import Judged, TableHistory

_OWN = {
    ITEM: "The item in DynamoDB's typed JSON, which holds the attributes above.",
    "_export_id": "The export that the row was read from.",
    "_exported_at": "The instant at which the export shows the table.",
}
# Differences that a check shows.
_SHOWN = 20
_NO_WINDOWS = TableHistory((), None)
CHECKS: Mapping[str, tuple[Subject, str]] = {
    "no_column_is_lost": ("columns", "What had values in the export before has values in the newest"),
    "types_stay": ("types", "Columns and attributes have the types of the export before"),
    "rows_and_keys_stay": ("rows", "The newest export holds the keys of the export before, and about as many rows"),
    "nulls_stay": ("nulls", "No column is null much more often than in the export before"),
}


def check_specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """The checks of a raw table."""
    return [dg.AssetCheckSpec(name, asset=key, description=description) for name, (_, description) in CHECKS.items()]


def check_results(
    key: dg.AssetKey,
    history: TableHistory,
    wanted: Collection[dg.AssetCheckKey],
    windows: TableHistory = _NO_WINDOWS,
) -> Iterator[dg.AssetCheckResult]:
    """What those of a raw table's checks that are wanted say of its newest export, and of the windows of changes since."""
    judged = [*history.current, *windows.current]
    for name, (subject, _) in CHECKS.items():
        if dg.AssetCheckKey(key, name) not in wanted:
            continue
        if not judged:
            yield dg.AssetCheckResult(
                asset_key=key, check_name=name, passed=True, description="There is no earlier export to compare with."
            )
        else:
            yield _result(key, name, judged, subject)


def column_schema(profile: Profile, own: Mapping[str, str], export_format: ExportFormat) -> dg.TableSchema:
    """A raw table's columns: what an export brought, in how many rows, and the platform's own.

    Of DynamoDB these are the attributes of items, by its own names of types, beside the column that holds the items.

    Args:
        own: the platform's columns and their types.
    """
    columns: dict[str, list[Column]] = {}
    for column in profile.columns:
        columns.setdefault(column.name, []).append(column)
    told = [_column(name, of_name, profile.rows, export_format) for name, of_name in columns.items()]
    words = {name: said for name, said in _OWN.items() if name != ITEM or export_format == "dynamodb"}
    return dg.TableSchema([*told, *(dg.TableColumn(name, own[name], said) for name, said in words.items())])


def _column(name: str, of_name: Sequence[Column], rows: int, export_format: ExportFormat) -> dg.TableColumn:
    filled = sum(column.filled for column in of_name if column.type != "NULL")
    kinds = ", ".join(column.type for column in of_name)
    source_type = of_name[0].source_type
    origin = f"; {source_type} at its source" if source_type else ""
    return dg.TableColumn(
        name,
        kinds if export_format == "dynamodb" else kinds.lower(),
        f"A value in {filled:,} of {rows:,} rows{origin}.",
    )


def _result(key: dg.AssetKey, name: str, judged: Sequence[Judged], subject: Subject) -> dg.AssetCheckResult:
    newest = judged[-1]
    metadata: dict[str, str] = {"export": newest.export.export_id, "compared_with": newest.before.export_id}
    new_columns = sorted({column for each in judged for column in each.new_columns})
    if name == "no_column_is_lost" and new_columns:
        metadata["new_columns"] = ", ".join(new_columns)
    told = {each.export.export_id: [one for one in each.findings if one.subject == subject] for each in judged}
    differing = [each for each in judged if told[each.export.export_id] and each.accepted is None]
    meant = [each for each in judged if told[each.export.export_id] and each.accepted is not None]
    if meant:
        metadata["accepted"] = "; ".join(dict.fromkeys(str(each.accepted) for each in meant))
        metadata["accepted_differences"] = _said([one for each in meant for one in told[each.export.export_id]])
    findings = [one for each in differing for one in told[each.export.export_id]]
    stopping = [each for each in differing if any(one.stops for one in told[each.export.export_id])]
    description = f"{_said(findings)}. {stopping[-1].remedy if stopping else ''}".strip() if findings else None
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=name,
        passed=not findings,
        severity=dg.AssetCheckSeverity.ERROR if stopping else dg.AssetCheckSeverity.WARN,
        description=description,
        metadata=metadata,
    )


def _said(findings: Sequence[Finding]) -> str:
    """What was found, the newest last; of many windows the newest alone."""
    shown = [finding.sentence for finding in findings[-_SHOWN:]]
    more = [f"{len(findings) - _SHOWN} more of windows before"] if len(findings) > _SHOWN else []
    return "; ".join([*more, *shown])
