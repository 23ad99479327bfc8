"""The spine: which people, as of when. Feature tables have one row for each of its rows.

Belongs here: the two kinds of spine and their identity. Does not belong here: features.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

    from platform_assets.data.catalog.catalog import Entity
    from platform_assets.data.engines.reading import Warehouse


class SpineRefused(ValueError):
    """A spine that cannot be worked with; the message says why."""


@dataclass(frozen=True, eq=False)
class Spine:
    """People and as-of instants; make one with `of_population` or `of_rows`.

    Attributes:
        entity: whose people.
        single_as_of: the instant all rows share, or None.
        max_as_of: the latest instant of any row; nothing from then on may be known.
        given: the rows of `of_rows`, sorted; None for a population, which is read from its mart.
    """

    entity: "Entity"
    single_as_of: datetime | None
    max_as_of: datetime
    given: "pa.Table | None" = None
    # A warehouse is one consistent view, so its population need not be read once a group.
    _read: "WeakKeyDictionary[Warehouse, pa.Table]" = field(default_factory=WeakKeyDictionary, repr=False)

    @classmethod
    def of_population(cls, entity: "Entity", as_of: datetime) -> "Spine":
        """Everyone whom the population mart knew at `as_of`."""
        if as_of.tzinfo is None:
            raise SpineRefused(
                f"as_of {as_of.isoformat()} has no time zone; give an instant, such as one of Entity.instant_of()"
            )
        as_of = as_of.astimezone(UTC)
        return cls(entity, as_of, as_of)

    @classmethod
    def of_rows(cls, entity: "Entity", rows: "pa.Table") -> "Spine":
        """The rows of a table with the columns `entity.key` and `as_of` (a timestamp with time zone).

        Raises:
            SpineRefused: a column is absent or of another type, a value is null, a row repeats, or there is
                no row.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        where = f"spine of {entity.name} rows"
        if absent := [name for name in (entity.key, "as_of") if name not in rows.column_names]:
            raise SpineRefused(f"{where}: column {', '.join(absent)} is absent; it needs {entity.key} and as_of")
        pairs = rows.select([entity.key, "as_of"])
        as_of_type = pairs.schema.field("as_of").type
        if not pa.types.is_timestamp(as_of_type) or as_of_type.tz is None:
            raise SpineRefused(f"{where}: as_of is {as_of_type}; it takes a timestamp with time zone")
        if not pairs.num_rows:
            raise SpineRefused(f"{where}: there is no row, so there is nothing to compute")
        if nulls := {name: pairs[name].null_count for name in pairs.column_names if pairs[name].null_count}:
            raise SpineRefused(
                f"{where}: {', '.join(f'{name} is null in {n} rows' for name, n in nulls.items())}; leave them out"
            )
        pairs = pairs.set_column(1, "as_of", pairs["as_of"].cast(pa.timestamp("us", tz="UTC")))
        if repeated := pairs.num_rows - pairs.group_by([entity.key, "as_of"]).aggregate([]).num_rows:
            raise SpineRefused(f"{where}: {repeated} rows repeat another's {entity.key} and as_of; keep each once")
        pairs = pairs.sort_by([(entity.key, "ascending"), ("as_of", "ascending")]).combine_chunks()
        first, last = (bound.as_py() for bound in pc.min_max(pairs["as_of"]).values())
        return cls(entity, first if first == last else None, last, pairs)

    @cached_property
    def content_id(self) -> str:
        """Equal for equal spines in any order of rows, different otherwise."""
        digest = hashlib.sha256(f"{self.entity.name} {self.entity.key}\n".encode())
        if self.given is None:
            digest.update(f"population {self.entity.population} {self.max_as_of.isoformat()}".encode())
            return digest.hexdigest()
        for values in (self.given[self.entity.key], self.given["as_of"].cast("int64")):
            digest.update(f"\n{values.type}\n".encode())
            digest.update("\x1f".join(values.cast("string").to_pylist()).encode())
        return digest.hexdigest()

    @property
    def min_as_of(self) -> datetime:
        """The earliest instant of any row."""
        if self.given is None:
            return self.max_as_of
        import pyarrow.compute as pc

        return pc.min(self.given["as_of"]).as_py()

    @property
    def marts(self) -> tuple[str, ...]:
        """The marts its rows are read from."""
        return (self.entity.population,) if self.given is None else ()

    def rows(self, warehouse: "Warehouse") -> "pa.Table":
        """Its rows, sorted: `entity.key` and `as_of` (microseconds, UTC)."""
        if self.given is not None:
            return self.given
        if warehouse not in self._read:
            self._read[warehouse] = warehouse.to_arrow(self.in_engine(warehouse).order_by(self.entity.key))
        return self._read[warehouse]

    def in_engine(self, warehouse: "Warehouse") -> "ir.Table":
        """The same rows as an expression, unsorted; a population is computed where its events are."""
        if self.given is not None:
            return warehouse.memtable(self.given)
        from platform_assets.data.features.point_in_time import population
        from platform_assets.data.features.windows import Events, instant_literal

        mart = warehouse.catalog.mart(self.entity.population)
        assert mart.entity_key is not None
        assert mart.event_time is not None
        events = Events(warehouse.table(mart.name), mart.entity_key, mart.event_time, mart.arrival_lag)
        people = population(events, self.max_as_of)
        return people.select(**{self.entity.key: people[mart.entity_key]}, as_of=instant_literal(self.max_as_of))
