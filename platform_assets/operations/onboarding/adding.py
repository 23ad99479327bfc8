"""From a person's words to everything that is proposed of a source.

Belongs here: the order of the steps. Does not belong here: any step.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from platform_assets.components.loading import SAAS_TYPE
from platform_assets.environment import Environment
from platform_assets.operations.onboarding.existing import Existing, existing_in
from platform_assets.operations.onboarding.marts import Plan
from platform_assets.operations.onboarding.proposing import Proposing
from platform_assets.operations.onboarding.reading.finding import found
from platform_assets.operations.onboarding.reading.place import exports_at
from platform_assets.operations.onboarding.tables import Ask, OnboardingError, Place, Wishes


@dataclass(frozen=True)
class Proposed:
    """A source as proposed.

    Attributes:
        only: the tables to write where a person chose some; empty for all.
        exports: ids of the exports that were read.
    """

    plan: Plan
    place: Place
    existing: Existing
    only: tuple[str, ...]
    exports: tuple[str, ...]


def propose(environment: Environment, source: str, where: str, wishes: Wishes, ask: Ask) -> Proposed:
    """Read the exports at `where`, whole, and propose a source of them.

    Raises:
        OnboardingError: it cannot be done so; says what to do.
        ExportError: a file of the export is not what its manifests say.
        StorageRefused: the storage does not answer.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", source):
        raise OnboardingError(
            f"{source!r} is no name for a source; write lower-case letters, digits and _ that begin with a letter."
        )
    if re.match(r"https?://", where):
        raise OnboardingError(
            f"--from {where}: is the address of a service, whose objects are fetched first. Begin its file with `dg scaffold defs "
            f"{SAAS_TYPE} sources/{source} …`, make the asset exports/{source} once, and then say --from <its path>."
        )
    existing = existing_in(environment, source)
    file = environment.sources / source / "defs.yaml"
    declared = _declared(file)
    names = tuple(table["export_table"] for table in declared.get("tables", ()))
    fetched = declared.get("fetched", False)
    if fetched and (others := sorted({*wishes.tables} - {*names})):
        raise OnboardingError(
            f"--table {', '.join(others)}: {file} does not have it fetched. Add it to `tables` there first."
        )
    tables = (*wishes.tables, *names) if wishes.tables or fetched else ()
    exports = exports_at(environment, where, replace(wishes, tables=tables))
    place = replace(exports.place, fetched=fetched)
    for key, value in (("format", place.format), ("path", place.path), ("database", place.database)):
        if declared and declared.get(key) != value and (key, declared.get(key)) != ("format", f"{value}_full"):
            raise OnboardingError(
                f"{file}: the source {source} is there with {key} {declared.get(key)}, and this export has {value}. Give the new "
                "source another name."
            )
    with found(environment, exports) as rows:
        plan = Proposing(source, rows, wishes, existing, ask).plan()
    only = tuple(name for name, table in exports.names.items() if {name, table} & {*wishes.tables})
    return Proposed(plan, place, existing, only, tuple(export.export_id for export in exports.exports))


def _declared(path: Path) -> dict[str, Any]:
    """What the source's file says, as far as it is there; of a service that is fetched, as the source of its loads."""
    if not path.is_file():
        return {}
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise OnboardingError(f"{path}: is not readable YAML ({type(error).__name__}). Mend it first.") from error
    if not isinstance(value, dict):
        return {}
    attributes = value.get("attributes") or {}
    if value.get("type") != SAAS_TYPE:
        return attributes
    tables = [{"name": table["name"], "export_table": table["name"]} for table in attributes.get("tables") or ()]
    return {"format": "dynamodb", "path": attributes.get("path"), "tables": tables, "fetched": True}
