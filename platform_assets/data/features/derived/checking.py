"""What `platform-assets check` says of a project's feature files.

Belongs here: files that cannot be honoured, and what of good ones gives reason to doubt. Does not belong here: printing.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.catalog.pointer import MartRefused
from platform_assets.data.features.derived.declaration import read_feature_files
from platform_assets.data.features.derived.groups import derive
from platform_assets.data.features.derived.leading import grown_others
from platform_assets.foundation.documents.reading import DeclarationError

if TYPE_CHECKING:
    from platform_assets.data.engines.reading import Warehouse


@dataclass(frozen=True)
class Checked:
    """One file: how many columns it makes, or the error with it, and what to doubt."""

    entity: str
    columns: int = 0
    error: DeclarationError | None = None
    doubts: list[str] = field(default_factory=list)


def check_features(folder: Path, catalog: Catalog, warehouse: "Warehouse | None") -> list[Checked]:
    """Every feature file of a project; without a warehouse no row is looked at.

    Raises:
        DeclarationError: the folder cannot be listed.
    """
    checked = []
    for file in read_feature_files(folder, catalog):
        if file.declaration is None:
            checked.append(Checked(file.path.stem, error=file.error))
            continue
        derivation = derive(catalog, file.declaration.entity, file.declaration)
        doubts = list(derivation.told)
        if warehouse is not None:
            try:
                doubts += grown_others(warehouse, file.declaration)
            except (MartRefused, ValueError) as refused:  # a damaged pointer is the latter
                doubts.append(str(refused))
        columns = sum(len(group.features) for group in derivation.groups)
        checked.append(Checked(file.path.stem, columns, None, doubts))
    return checked
