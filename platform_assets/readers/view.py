"""What is published in an environment, open for reading and nothing else.

Belongs here: finding the project, its catalog and its engine. Does not belong here: which mart, and which rows of it.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from platform_assets.data.catalog.catalog import Catalog, Mart
from platform_assets.environment import Environment, environment_from_variables

if TYPE_CHECKING:
    from platform_assets.data.engines.engine import Engine
    from platform_assets.data.engines.reading import Warehouse

SOURCE = "readers"
# Threads that open at once share one engine, so that their tables join.
_OPENING = Lock()


@dataclass(frozen=True)
class View:
    """The published marts of an environment, as of the first use of `warehouse`."""

    environment: Environment
    warehouse: "Warehouse"

    def timezone_of(self, mart: Mart) -> str:
        """Of business dates of the people the mart is about; of the project where it is about none."""
        if mart.entity is None:
            return self.environment.timezone
        return self.warehouse.catalog.entity(mart.entity).timezone


def view_of(environment: Environment) -> View:
    """What is published in an environment.

    Raises:
        ManifestMissing, CatalogError: the marts are not declared, or not so that it can be worked with.
    """
    with _OPENING:
        return View(environment, _engine(environment).reading(catalog_here(environment), SOURCE))


def view_now() -> View:
    """What is published in the project here.

    Raises:
        EnvironmentVariableError: there is no project here, or a variable holds something unusable.
        As `view_of`.
    """
    return view_of(environment_from_variables())


def catalog_here(environment: Environment) -> Catalog:
    """What marts the project declares; read again when dbt's manifest changes. Raises as `view_of`."""
    path = environment.dbt_manifest
    status = path.stat() if path.is_file() else None
    return _catalog(path, None if status is None else (status.st_ino, status.st_size, status.st_mtime_ns))


@lru_cache(maxsize=1)
def _catalog(path: Path, _state: tuple[int, int, int] | None) -> Catalog:
    return Catalog.from_manifest(path)


@lru_cache(maxsize=8)
def _engine(environment: Environment) -> "Engine":
    # Kept, so that there is one connection, and tables of different calls join.
    from platform_assets.data.engines.opening import open_engine

    return open_engine(environment)
