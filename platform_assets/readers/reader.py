"""A reader: one mart as a function.

Belongs here: what people call; what it takes to answer is imported by the first call. Does not belong here: which rows come of it (`selection`), and what is published (`view`).
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

    from platform_assets.data.catalog.catalog import Mart
    from platform_assets.data.catalog.column import Column
    from platform_assets.data.catalog.pointer import PublishedTable
    from platform_assets.readers.instants import Moment
    from platform_assets.readers.view import View


class Reader:
    """One mart, as it is published when it is called.

    Called with nothing it gives all rows that the exports cover, in all columns but those that describe a person.

    Args of a call:
        since: events from this instant on.
        as_of: what was known at this instant: events before it, less the mart's arrival lag; of a mart with history the version
            valid just before it, a row a person. Features are made of the same rows.
        covers: refuse unless the exports cover everything before this instant.
        columns: names of columns, in the order wanted. Personal ones are given when they are named, and only then; so are those
            of events that change, such as an order's status, together with `as_of`: they hold what is known today.

    Raises, when called:
        MartMissing, MartRefused, MartDamaged: the mart cannot be read; says why and what to do.
        ReadRefused: it does not answer what was asked, such as a date beyond its watermark or a column that is not there.
    """

    def __init__(self, mart: "Mart", view: "Callable[[], View]") -> None:
        """`view`: what is published, asked for each call."""
        self.name = mart.name
        self.__doc__ = described(mart)
        self._view = view

    def __call__(
        self,
        *,
        since: "Moment | None" = None,
        as_of: "Moment | None" = None,
        covers: "Moment | None" = None,
        columns: Iterable[str] | None = None,
    ) -> "ir.Table":
        """An Ibis table; no row is read before it is run."""
        return self._selected(self._view(), since=since, as_of=as_of, covers=covers, columns=columns)

    def arrow(
        self,
        *,
        since: "Moment | None" = None,
        as_of: "Moment | None" = None,
        covers: "Moment | None" = None,
        columns: Iterable[str] | None = None,
    ) -> "pa.Table":
        """The same rows as an Arrow table.

        Raises:
            QueryFailed: the engine could not; on BigQuery also QueryTooDear and ColumnsDenied.
        """
        view = self._view()
        return view.warehouse.to_arrow(self._selected(view, since=since, as_of=as_of, covers=covers, columns=columns))

    @property
    def published(self) -> "PublishedTable":
        """The version that is read: its name, rows, watermark, first and last event."""
        return self._view().warehouse.published(self.name)

    @property
    def watermark(self) -> datetime:
        """UTC; the exports behind the mart cover everything before this instant."""
        return self.published.watermark

    def __repr__(self) -> str:
        return f"<reader of mart {self.name}>"

    def _selected(self, view: "View", **asked: Any) -> "ir.Table":
        from platform_assets.readers.selection import Asked, selected

        mart = view.warehouse.catalog.mart(self.name)
        return selected(mart, Asked(**asked), view.warehouse, view.timezone_of(mart))


def described(mart: "Mart") -> str:
    """A mart and its columns, for people."""
    return "\n".join([*filter(None, [mart.description]), "", "Columns:", *map("    {}".format, column_lines(mart))])


def column_lines(mart: "Mart") -> list[str]:
    """A line a column: name, type, what it means, and when it has to be named."""
    return [
        f"{column.name} ({column.data_type}{_to_be_named(mart, column)}): {mart.descriptions.get(column.name) or 'not described'}"
        for column in mart.columns.values()
    ]


def _to_be_named(mart: "Mart", column: "Column") -> str:
    if column.personal:
        return ", personal: only when named"
    return ", changes: with as_of only when named" if column.changes and mart.event_time is not None else ""
