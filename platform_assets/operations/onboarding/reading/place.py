"""What lies where a person points: which layout, the folder of the exports, and the finished exports with all their tables.

Belongs here: from `--from` to exports that can be read. Does not belong here: reading rows (`finding`).
"""

from dataclasses import dataclass
from pathlib import Path

from platform_assets.data.exports.dynamodb import HOME
from platform_assets.data.exports.export import Export
from platform_assets.data.exports.lake import Lake
from platform_assets.data.exports.spec import ExportSourceSpec, ExportTableSpec
from platform_assets.data.raw.discover import discover
from platform_assets.environment import Environment
from platform_assets.operations.onboarding.names import column_name, unspeakable
from platform_assets.operations.onboarding.tables import OnboardingError, Place, Wishes

_NOTHING = ExportTableSpec(name="none", export_table="no.table", key=["none"])


@dataclass(frozen=True)
class Exports:
    """The finished exports of a source, oldest first, each with all of its tables.

    Attributes:
        names: raw table → the table as the export names it.
        notes: sentences on exports that are not used.
    """

    place: Place
    names: dict[str, str]
    exports: tuple[Export, ...]
    notes: tuple[str, ...]


def exports_at(environment: Environment, where: str, wishes: Wishes) -> Exports:
    """The exports that `where` names: a folder or gs:// URL at or below PLATFORM_EXPORTS, or a path below it.

    Raises:
        OnboardingError: it lies elsewhere, is no export, or nothing of it is finished and usable.
        StorageRefused: the storage does not answer.
    """
    lake = Lake(environment.exports)
    place = _place(lake, _below(environment, where), wishes.database)
    spec = _spec(place, (_NOTHING,))
    first = discover(spec, "new", environment.exports)
    names = _raw_names(tuple(table for table in first.undeclared if not unspeakable(table)))
    if chosen := set(wishes.tables):
        if unknown := chosen - names.keys() - set(names.values()):
            raise OnboardingError(
                f"--table {', '.join(sorted(unknown))}: the export holds no such table; it holds {', '.join(names)}."
            )
        names = {name: table for name, table in names.items() if chosen & {name, table}}
    if not names:
        reasons = [*(one.reason for one in first.set_aside), *first.in_progress]
        raise OnboardingError(
            f"{lake.location(place.path)}: there is no finished export with tables in it. "
            + (" ".join(reasons) or "Wait until AWS has written its last manifest, or copy the export again.")
        )
    declared = tuple(ExportTableSpec(name=name, export_table=table, key=["unknown"]) for name, table in names.items())
    whole = discover(_spec(place, declared), "new", environment.exports)
    if whole.set_aside and not whole.complete:
        raise OnboardingError("\n".join(one.reason for one in whole.set_aside))
    notes = [
        "a table whose name holds quotes, backslashes, stars, brackets of Jinja or control characters is left out."
        for table in first.undeclared
        if unspeakable(table)
    ]
    notes += [f"an export is not used: {one.reason}" for one in whole.set_aside]
    notes += [f"an export is not used yet: {note}." for note in whole.in_progress]
    return Exports(place, names, whole.complete, tuple(notes))


def _below(environment: Environment, where: str) -> str:
    root = environment.exports
    if isinstance(root, Path):
        if "://" in where:
            raise OnboardingError(f"--from {where}: lies outside the exports root {root}. Set PLATFORM_EXPORTS.")
        candidates = [Path(where).expanduser().resolve(), (root / where).resolve()]
        inside = [one.relative_to(root) for one in candidates if one.is_relative_to(root) and one.is_dir()]
        if inside:
            return inside[0].as_posix()
        if not any(one.is_dir() for one in candidates):
            raise OnboardingError(f"--from {where}: there is no such folder, neither from here nor below {root}.")
    else:
        key = where.removeprefix(f"{root}/").strip("/")
        if "://" not in key:
            return key
    raise OnboardingError(
        f"--from {where}: lies outside the exports root {root}, where a source's exports are looked for. Copy it below, or set "
        "PLATFORM_EXPORTS to a folder above it."
    )


def _place(lake: Lake, key: str, database: str | None) -> Place:
    """The layout at a folder: an export itself, or the folder that holds exports."""
    parts = [] if key in ("", ".") else key.split("/")
    if HOME in parts:
        parts = parts[: parts.index(HOME)]
    path = "/".join(parts)
    if lake.folders(f"{path}/{HOME}" if path else HOME):
        return Place(_named(lake, path), "dynamodb")
    if parts and f"export_info_{parts[-1]}.json" in lake.files(path):
        path = "/".join(parts[:-1])
    exports = [one for one in lake.folders(path) if lake.exists(_join(path, one, f"export_info_{one}.json"))]
    if not exports:
        raise OnboardingError(
            f"{lake.location(path)}: is no export and holds none. Name the folder with export_info_<id>.json of an Aurora "
            f"snapshot export, or the one with {HOME}/ of a DynamoDB full export."
        )
    databases = sorted({folder for one in exports for folder in lake.folders(_join(path, one))})
    if database is None and len(databases) != 1:
        raise OnboardingError(
            f"{lake.location(path)}: the exports hold {len(databases)} databases ({', '.join(databases)}). Say which with "
            "--database."
        )
    if database is not None and database not in databases:
        raise OnboardingError(f"--database {database}: the exports hold {', '.join(databases) or 'none'}.")
    return Place(_named(lake, path), "aurora_snapshot", database or databases[0])


def _named(lake: Lake, path: str) -> str:
    if not path:
        raise OnboardingError(
            f"{lake.location('')}: the exports lie in the exports root itself, and a source is a folder below it. Move them into "
            "one, or set PLATFORM_EXPORTS to the folder above."
        )
    return path


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def _raw_names(export_tables: tuple[str, ...]) -> dict[str, str]:
    names: dict[str, str] = {}
    shorts = [column_name([table.rpartition(".")[2]]).strip("_") for table in export_tables]
    for table, short in zip(export_tables, shorts, strict=True):
        own = short if shorts.count(short) == 1 else column_name(table.split(".")).strip("_")
        names[own if own not in names else column_name([own], names)] = table
    return names


def _spec(place: Place, tables: tuple[ExportTableSpec, ...]) -> ExportSourceSpec:
    return ExportSourceSpec(
        description="Being looked at.",
        owner="team:nobody",
        format=place.format,
        path=place.path,
        database=place.database,
        tables=list(tables),
    )
