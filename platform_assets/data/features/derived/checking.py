"""What `platform-assets check` says of the features that a project derives.

Belongs here: files that cannot be honoured, and what of others gives reason to doubt. Does not belong here: printing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.catalog.pointer import MartRefused
from platform_assets.data.features.derived.declaration import FeatureDeclaration, declared, read_feature_files
from platform_assets.data.features.derived.groups import DerivedGroup, derive
from platform_assets.data.features.derived.leading import grown_others
from platform_assets.data.features.holdings import Holdings
from platform_assets.foundation.documents.reading import DeclarationError

if TYPE_CHECKING:
    from platform_assets.data.engines.reading import Warehouse


@dataclass(frozen=True)
class Checked:
    """The features of one entity: how many columns it makes, or the error with it, and what to doubt."""

    entity: str
    columns: int = 0
    error: DeclarationError | None = None
    doubts: list[str] = field(default_factory=list)


def check_features(folder: Path, catalog: Catalog, warehouse: "Warehouse | None") -> list[Checked]:
    """Every feature file; without a warehouse no row is looked at.

    Raises:
        DeclarationError: the folder cannot be listed.
    """
    checked = []
    for file in read_feature_files(folder, catalog):
        if file.declaration is None:
            checked.append(Checked(file.path.stem, error=file.error))
            continue
        one = _checked(catalog, file.declaration)
        doubts = one.doubts
        if warehouse is not None:
            try:
                doubts += grown_others(warehouse, file.declaration)
            except (MartRefused, ValueError) as refused:  # a damaged pointer is the latter
                doubts.append(str(refused))
        checked.append(one)
    return checked


def check_defaults(holdings: Holdings, files: Iterable[str]) -> list[Checked]:
    """Entities whose features are derived without a file: all that are not in `files` and have derived groups."""
    names = [
        name
        for name, groups in holdings.groups.items()
        if name not in files and any(isinstance(group, DerivedGroup) for group in groups.values())
    ]
    return [_checked(holdings.catalog, declared(name)) for name in names]


def _checked(catalog: Catalog, declaration: FeatureDeclaration) -> Checked:
    derivation = derive(catalog, declaration.entity, declaration)
    columns = sum(len(group.features) for group in derivation.groups)
    return Checked(declaration.entity, columns, None, list(derivation.told))
