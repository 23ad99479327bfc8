"""The published marts for notebooks and other projects: a function for each, which is there by the mart's being declared.

    from platform_assets.readers import orders
    orders(since="1998-01-01", columns=["customer_id", "amount"])        # an Ibis table
    orders.arrow(since="1998-01-01")                                     # its rows

Belongs here: readers, by name, of what is published; which rows and columns, and what is refused in words; stubs for editors.
Does not belong here: an engine, how marts are made, Dagster. Nothing is written and no lock is taken. A project is found as
everywhere: in the current folder or above it, or by PLATFORM_PROJECT_DIR.

Nothing is imported here: importing takes next to nothing, and a name that is asked for what it needs.
"""

import sys
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from platform_assets.readers.moment import Marts, arrow, open_marts
    from platform_assets.readers.reader import Reader
    from platform_assets.readers.refusal import ReadRefused

# Beside the marts; a mart of such a name, or of a module's here, is `open_marts()["<name>"]`.
OFFERED = {
    "Marts": "moment",
    "Reader": "reader",
    "ReadRefused": "refusal",
    "arrow": "moment",
    "open_marts": "moment",
}


def __getattr__(name: str) -> "Reader":
    if name in OFFERED:
        return cast("Reader", getattr(import_module(f"{__name__}.{OFFERED[name]}"), name))
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from platform_assets.data.catalog.declaration import CatalogError
    from platform_assets.readers.moment import reader_now

    try:
        return reader_now(name)
    except CatalogError as error:
        # `from … import` replaces the words of an AttributeError by its own.
        kind = ImportError if _is_importing(sys._getframe(1)) else AttributeError
        raise kind(str(error)) from error


def __dir__() -> list[str]:
    from platform_assets.data.catalog.declaration import CatalogError
    from platform_assets.environment import EnvironmentVariableError, environment_from_variables
    from platform_assets.readers.view import catalog_here

    try:
        marts = list(catalog_here(environment_from_variables()).marts)
    except (CatalogError, EnvironmentVariableError, FileNotFoundError):
        # Whoever lists names is told nothing; whoever asks for one is told why.
        marts = []
    return sorted({*globals(), *OFFERED, *marts})


def _is_importing(frame: FrameType) -> bool:
    """Whether the frame stands at `from … import <name>`."""
    from dis import opname

    return opname[frame.f_code.co_code[frame.f_lasti]] == "IMPORT_FROM"
