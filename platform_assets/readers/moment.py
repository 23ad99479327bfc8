"""Marts of one moment, and readers that look at every call what is published.

Belongs here: what people open. Does not belong here: opening it (`view`), and which rows a reader gives (`selection`).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from platform_assets.environment import Environment, environment_from_variables
from platform_assets.readers.reader import Reader
from platform_assets.readers.view import View, catalog_here, view_now, view_of

if TYPE_CHECKING:
    import ibis
    import pyarrow as pa


class Marts:
    """A reader for every mart, all of the versions that were published at one moment: that of the first use."""

    def __init__(self, view: View) -> None:
        self._view = view

    def __getitem__(self, name: str) -> Reader:
        """The reader of a mart.

        Raises:
            CatalogError: there is no such mart; offers the nearest name.
        """
        return Reader(self._view.warehouse.catalog.mart(name), lambda: self._view)

    def __getattr__(self, name: str) -> Reader:
        if name.startswith("_"):
            raise AttributeError(name)
        from platform_assets.data.catalog.declaration import CatalogError

        try:
            return self[name]
        except CatalogError as error:
            raise AttributeError(str(error)) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._view.warehouse.catalog.marts)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self})

    def arrow(self, expression: "ibis.Expr") -> "pa.Table":
        """Run an expression over tables of these readers.

        Raises:
            QueryFailed: the engine could not; on BigQuery also QueryTooDear and ColumnsDenied.
        """
        return self._view.warehouse.to_arrow(expression.as_table())


def open_marts(environment: Environment | None = None) -> Marts:
    """The marts published in an environment (default: of the project here) at one moment: what is read belongs together.

    Raises:
        EnvironmentVariableError: there is no project here, or a variable holds something unusable.
        ManifestMissing, CatalogError: the marts are not declared, or not so that it can be worked with.
    """
    return Marts(view_of(environment or environment_from_variables()))


def arrow(expression: "ibis.Expr") -> "pa.Table":
    """Run an expression over tables of readers, on the engine of the project here; raises as `Marts.arrow`."""
    return open_marts().arrow(expression)


def reader_now(name: str) -> Reader:
    """The reader of a mart that looks at every call what is published.

    Raises:
        CatalogError: there is no such mart; offers the nearest name.
        As `open_marts`.
    """
    return Reader(catalog_here(environment_from_variables()).mart(name), view_now)
