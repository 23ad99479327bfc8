"""From which columns of marts a group's features are made, out of the expression that computes them.

Belongs here: walking an expression down to the marts, whoever wrote the group. Does not belong here: computing (tables.py), Dagster.
What only decides which rows count is no origin, unless the value itself names it, as a count within a window does.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from platform_assets.data.features.group import FeatureGroup
from platform_assets.data.features.spine import Spine
from platform_assets.data.features.tables import feature_expression

if TYPE_CHECKING:
    from platform_assets.data.engines.reading import Warehouse

MartColumn = tuple[str, str]


def feature_origins(group: FeatureGroup, spine: Spine, warehouse: "Warehouse") -> dict[str, list[MartColumn]]:
    """Feature (and the person's key) → the (mart, column) pairs that it is made from, sorted. Reads no row.

    Raises:
        MartMissing, MartRefused, MartNotUsable: a mart cannot be read.
    """
    names = sorted({*group.marts, *spine.marts})
    keys = {name: warehouse.catalog.mart(name).key for name in names}
    walk = _Walk({warehouse.table(name).op(): name for name in names}, keys)
    made = feature_expression(group, spine, warehouse).op()
    return {column: sorted(walk.column(made, column)) for column in (spine.entity.key, *group.features)}


class _Walk:
    """Looks up where columns come from, each once."""

    def __init__(self, marts: Mapping[Any, str], keys: Mapping[str, str]) -> None:
        self._marts, self._keys = marts, keys
        self._columns: dict[tuple[Any, str], frozenset[MartColumn]] = {}
        self._values: dict[Any, frozenset[MartColumn]] = {}

    def column(self, relation: Any, name: str) -> frozenset[MartColumn]:
        key = (relation, name)
        if key not in self._columns:
            self._columns[key] = frozenset(self._of_column(relation, name))
        return self._columns[key]

    def _of_column(self, relation: Any, name: str) -> Iterator[MartColumn]:
        import ibis.expr.operations as ops

        if relation in self._marts:
            yield self._marts[relation], name
        elif isinstance(relation, ops.Project | ops.JoinChain | ops.Aggregate):
            yield from self._value(relation.values[name])
        else:
            for below in relation.__children__:
                if isinstance(below, ops.Relation) and name in below.schema:
                    yield from self.column(below, name)

    def _value(self, value: Any) -> frozenset[MartColumn]:
        if value not in self._values:
            self._values[value] = frozenset(self._of_value(value))
        return self._values[value]

    def _of_value(self, value: Any) -> Iterator[MartColumn]:
        import ibis.expr.operations as ops

        if isinstance(value, ops.Field):
            yield from self.column(value.rel, value.name)
            return
        if isinstance(value, ops.CountStar | ops.CountDistinctStar):
            yield from self._rows(value.arg)
        for part in value.__children__:
            if not isinstance(part, ops.Relation):
                yield from self._value(part)
            elif isinstance(value, ops.Subquery):
                for name in part.schema:
                    yield from self.column(part, name)

    def _rows(self, relation: Any) -> Iterator[MartColumn]:
        """What tells the rows of a relation apart, where these are counted."""
        import ibis.expr.operations as ops

        if relation in self._marts:
            yield self._marts[relation], self._keys[self._marts[relation]]
            return
        if isinstance(relation, ops.Aggregate | ops.Distinct):
            for name in relation.groups if isinstance(relation, ops.Aggregate) else relation.schema:
                yield from self.column(relation, name)
            return
        below = next((part for part in relation.__children__ if isinstance(part, ops.Relation)), None)
        if below is not None:
            yield from self._rows(below)
