"""Which feature groups there are: those that the project's Python declares, one for each file in its folder `features`, and derived ones.

Belongs here: finding and checking declarations. Does not belong here: computing. Loads with definitions, so the group
files import nothing heavy.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from platform_assets.data.catalog.catalog import Catalog, CatalogError
from platform_assets.data.features.derived.declaration import read_feature_files
from platform_assets.data.features.derived.groups import DerivedGroup
from platform_assets.data.features.derived.joining import GroupsClash, with_derived
from platform_assets.data.features.group import FeatureGroup
from platform_assets.data.features.holdings import Holdings
from platform_assets.data.features.project_modules import FOLDER, ModuleRefused, import_modules
from platform_assets.foundation.documents.reading import DeclarationError

if TYPE_CHECKING:
    from platform_assets.environment import Environment

REQUIRED = "GROUP = FeatureGroup(…, module=__name__)"
_NAME = re.compile(r"[A-Za-z0-9_]+")


class GroupRefused(ValueError):
    """A feature group is declared in a way that cannot be worked with; the message names file and line."""


def read_holdings(environment: "Environment") -> Holdings:
    """The marts and feature groups of an environment.

    Raises:
        ManifestMissing, CatalogError: the dbt project is not parsed yet, or declares something unusable.
        GroupRefused: as `find_holdings`.
    """
    return find_holdings(environment.project, Catalog.from_manifest(environment.dbt_manifest))


def find_holdings(project: Path, catalog: Catalog) -> Holdings:
    """The marts, and by entity the groups that are written in Python and those derived from what marts declare.

    An entity whose feature YAML cannot be honoured has none, which hides no other entity's.

    Raises:
        GroupRefused: a file cannot be imported or has no `GROUP`, one names an entity or a mart that is not there, two
            declare one group or one feature of an entity, or the folder of feature YAML cannot be listed.
    """
    groups = _written_groups(project, catalog)
    try:
        files = read_feature_files(project / FOLDER, catalog)
        declared = {file.declaration.entity: file.declaration for file in files if file.declaration is not None}
        groups = with_derived(catalog, groups, declared)
    except (GroupsClash, DeclarationError) as error:
        raise GroupRefused(str(error)) from error
    broken = {file.path: file.error for file in files if file.error is not None}
    unsure = {path.stem for path in broken}
    usable = {
        entity: dict(sorted(own.items())) for entity, own in sorted(groups.items()) if own and entity not in unsure
    }
    return Holdings(catalog, usable, broken)


def _written_groups(project: Path, catalog: Catalog) -> dict[str, dict[str, FeatureGroup]]:
    groups: dict[str, dict[str, FeatureGroup]] = {}
    first: dict[tuple[str, str], _Declared] = {}
    for declared in _written(project):
        group = declared.group
        _require_known(declared, catalog)
        for what in (f"group {group.name}", *(f"feature {name}" for name in group.features)):
            if (other := first.setdefault((group.entity, what), declared)) is not declared:
                here, there = (one.place_of(what.partition(" ")[2]) for one in (declared, other))
                raise GroupRefused(f"{here}: {what} of {group.entity} is declared at {there} already; rename one")
        groups.setdefault(group.entity, {})[group.name] = group
    return groups


def place_of(group: FeatureGroup, project: Path) -> tuple[Path, int] | None:
    """File and line where a group is declared; None where it follows from its mart alone, which no feature YAML mentions."""
    if not isinstance(group, DerivedGroup):
        file = Path(str(sys.modules[group.module].__file__))
        return file, _line_of(file)
    file, mart = project / FOLDER / f"{group.entity}.yaml", group.marts[0]
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    # A mart is a key of the second level; what is called alike stands deeper.
    named = list(re.finditer(rf"^( +){re.escape(mart)} *:", text, re.MULTILINE))
    first = min(named, key=lambda one: len(one[1]), default=None)
    return (file, text.count("\n", 0, first.start()) + 1) if first else None


@dataclass(frozen=True)
class _Declared:
    """A group and the file that declares it."""

    group: FeatureGroup
    file: Path

    def place_of(self, name: str | None = None) -> str:
        """File and line of `GROUP`, or of the text `name` in the file where there is one."""
        return f"{self.file}:{_line_of(self.file, name)}"


def _written(project: Path) -> Iterator[_Declared]:
    """The groups that a project's Python declares, by file."""
    try:
        modules = import_modules(project)
    except ModuleRefused as error:
        raise GroupRefused(str(error)) from error
    for module in modules:
        assert module.__file__ is not None
        yield _Declared(_group_of(module, Path(module.__file__)), Path(module.__file__))


def _group_of(module: ModuleType, file: Path) -> FeatureGroup:
    if not hasattr(module, "GROUP"):
        raise GroupRefused(
            f"{file}:1: declares no group: write {REQUIRED}; a file that others import has a name that begins with _"
        )
    group, place = module.GROUP, f"{file}:{_line_of(file)}"
    if not isinstance(group, FeatureGroup):
        raise GroupRefused(f"{place}: GROUP is a {type(group).__name__}; write {REQUIRED}")
    if group.module != module.__name__:
        raise GroupRefused(f"{place}: GROUP is declared with module={group.module!r}; write module=__name__")
    if not _NAME.fullmatch(group.name):
        raise GroupRefused(f"{place}: {group.name!r} is not letters, digits and _, as a group's name is")
    return group


def _require_known(declared: _Declared, catalog: Catalog) -> None:
    """Refuse an entity or a mart that the dbt project does not declare."""
    try:
        catalog.entity(declared.group.entity)
    except CatalogError as error:
        raise GroupRefused(f"{declared.place_of(declared.group.entity)}: {error}") from error
    for mart in declared.group.marts:
        try:
            catalog.mart(mart)
        except CatalogError as error:
            raise GroupRefused(f"{declared.place_of(mart)}: {error}") from error


def _line_of(file: Path, text: str | None = None) -> int:
    """The last line that holds a constant `text`, where declarations stand; else the one that assigns `GROUP`, or 1."""
    tree = ast.parse(file.read_bytes())
    named = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value == text]
    if text is not None and named:
        return max(named)
    return next(
        (
            node.lineno
            for node in tree.body
            if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "GROUP" for t in node.targets)
        ),
        1,
    )
