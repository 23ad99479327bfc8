"""From a person's words to everything that is proposed of a source.

Belongs here: the order of the steps. Does not belong here: any step.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

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
    existing = existing_in(environment, source)
    declared = _declared(environment.sources / source / "defs.yaml")
    names = tuple(table["export_table"] for table in declared.get("tables", ()))
    exports = exports_at(environment, where, replace(wishes, tables=(*wishes.tables, *names) if wishes.tables else ()))
    place = exports.place
    for key, value in (("format", place.format), ("path", place.path), ("database", place.database)):
        if declared and declared.get(key) != value and (key, declared.get(key)) != ("format", f"{value}_full"):
            raise OnboardingError(
                f"{environment.sources / source / 'defs.yaml'}: the source {source} is there with {key} {declared.get(key)}, and this "
                f"export has {value}. Give the new source another name."
            )
    with found(environment, exports) as tables:
        plan = Proposing(source, tables, wishes, existing, ask).plan()
    only = tuple(name for name, table in exports.names.items() if {name, table} & {*wishes.tables})
    return Proposed(plan, place, existing, only, tuple(export.export_id for export in exports.exports))


def _declared(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise OnboardingError(f"{path}: is not readable YAML ({type(error).__name__}). Mend it first.") from error
    return (value or {}).get("attributes") or {} if isinstance(value, dict) else {}
