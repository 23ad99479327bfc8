"""The attributes of items by type, in how many they are, counted in the same scan as other figures.

Belongs here: that count. Does not belong here: what it is compared with (`raw.comparison`).

Every count is exact. An attribute counts with all its types, however rare one is: what reads the others reads null there. Of many
items only which attributes there are is learned from some: the first ones and, drawn by a hash of
their place, some 40,000 of all. The rarest attribute that counts (`LEAST_SHARE`) is in some 40 of those, and is looked for when it
is in ten: it escapes once in two hundred million exports. Of very few the engine tells the structure of each, without values: there
planning a query takes longer than running it.
"""
# ruff: noqa: S608 - statements are composed of columns and paths, each quoted by `quoted` or `text`.

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from platform_assets.data.engines.duckdb.loading.statements import parquet, text, texts
from platform_assets.data.engines.profiles import ATTRIBUTE_TYPES, DEPTH, Column, attributes, least_items

if TYPE_CHECKING:
    import duckdb

_VERY_FEW = 256
_SAMPLE = 40_000
_HEAD = 4_096
# Larger samples are read once more instead of being kept in memory.
_SAMPLE_BYTES = 64 * 1024**2
# How much rarer than what counts an attribute may be in the sample, and is looked for all the same.
_RARER = 4

LOOK = "look"
"""The temporary table of one row in which a scan leaves what it counted."""

Pair = tuple[tuple[str, ...], str]
"""Path and type of an attribute, or `_ANY`."""

_ANY = ""
"""Any value, of whatever type."""


@dataclass(frozen=True)
class StagedItems:
    """Rows that were written.

    Attributes:
        paths: of their Parquet files.
        holding: the column of the items; null in rows without one.
    """

    paths: Sequence[str]
    rows: int
    holding: str

    @property
    def source(self) -> str:
        """SQL of the rows, with the place of each."""
        return f"(select *, file_index, file_row_number from {parquet(self.paths)})"

    @property
    def items(self) -> str:
        """SQL of the items, as column `map`."""
        return f'(select "{self.holding}" as map from {self.source} where "{self.holding}" is not null)'

    @property
    def very_few(self) -> bool:
        """Whether the structure of each is asked for."""
        return self.rows <= _VERY_FEW

    @property
    def few(self) -> bool:
        """Whether all are looked at to learn which attributes there are."""
        return self.rows <= _SAMPLE


class AttributeCount:
    """The attributes of many items, counted in a scan that asks for other figures too.

    Attributes:
        having: SQL of a row: which of the attributes that the first items have it has; all paths are followed in one reading.
        aggregates: SQL of what the scan is to leave in `LOOK`, where `having` is column `having_it`.
    """

    def __init__(self, engine: "duckdb.DuckDBPyConnection", staged: StagedItems) -> None:
        self._engine, self._staged = engine, staged
        first = _by_level(engine, f"(from {staged.items} limit {_HEAD})", least_items(_HEAD))
        self._pairs = _pairs(first)
        counted = {(tuple(path), kind): count for path, kind, count in first}
        # What all of the first items have, all may have: then it has no other type.
        self._pairs += [(path, _ANY) for path in _not_everywhere(counted, min(_HEAD, staged.rows))]
        place = f"hash(file_index, file_row_number) % {staged.rows} < {_SAMPLE}"
        self._drawn = f'"{staged.holding}" is not null and {place}'
        self._kept = _bytes(engine, staged) * _SAMPLE <= _SAMPLE_BYTES * staged.rows
        self.having = _having(staged.holding, self._pairs)
        sample = f'list("{staged.holding}") filter ({self._drawn})' if self._kept else "null"
        self.aggregates = [*_counts(self._pairs), f'count("{staged.holding}") as items', f"{sample} as sample"]

    def columns(self) -> tuple[Column, ...]:
        """The attributes, after the scan."""
        counts = dict(zip(self._pairs, self._counted(self._pairs, LOOK), strict=True))
        drawn_items = f"(select unnest(sample) as map from {LOOK})"
        if not self._kept:
            drawn_items = f'(select "{self._staged.holding}" as map from {self._staged.source} where {self._drawn})'
        drawn = _by_level(self._engine, drawn_items, least_items(_SAMPLE) // _RARER)
        counts |= self._looked_for([pair for pair in _pairs(drawn) if pair not in counts])
        (items,) = self._engine.execute(f"select items from {LOOK}").fetchall()[0]
        doubtful = [(path, _ANY) for path in _not_everywhere(counts, items)]
        counts |= self._looked_for([pair for pair in doubtful if pair not in counts])
        typed = _typed(counts)
        more = [path for path, kind in doubtful if counts[path, kind] > typed[path]]
        others = [(path, kind) for path in more for kind in sorted(ATTRIBUTE_TYPES)]
        counts |= self._looked_for([pair for pair in others if pair not in counts])
        least = least_items(self._staged.rows)
        return attributes(
            (path, kind, count)
            for (path, kind), count in counts.items()
            if kind != _ANY and count and counts.get((path, _ANY), typed[path]) >= least
        )

    def _looked_for(self, pairs: Sequence[Pair]) -> dict[Pair, int]:
        """Counts by a scan of their own, if there is anything to look for."""
        if not pairs:
            return {}
        having = _having(self._staged.holding, pairs)
        look = f"(select {', '.join(_counts(pairs))} from (select {having} as having_it from {self._staged.source}))"
        return dict(zip(pairs, self._counted(pairs, look), strict=True))

    def _counted(self, pairs: Sequence[Pair], look: str) -> Sequence[int]:
        columns = ", ".join(f"pair_{number}" for number in range(1, len(pairs) + 1))
        return self._engine.execute(f"select {columns} from {look}").fetchall()[0] if pairs else ()


def _pairs(levels: Iterable[tuple[Sequence[str], str, int]]) -> list[Pair]:
    """The pairs of a look by level."""
    return [(tuple(path), kind) for path, kind, _ in levels if kind in ATTRIBUTE_TYPES]


def _not_everywhere(counts: Mapping[Pair, int], items: int) -> list[tuple[str, ...]]:
    """The attributes that some of the items, or of the maps that they are in, have of no type that was counted."""
    typed = _typed(counts)
    return [path for path in typed if typed[path] < (counts.get((path[:-1], "M"), 0) if len(path) > 1 else items)]


def _typed(counts: Mapping[Pair, int]) -> Counter[tuple[str, ...]]:
    """In how many items an attribute is of a type that was counted."""
    typed = Counter[tuple[str, ...]]()
    for (path, kind), count in counts.items():
        if kind != _ANY:
            typed[path] += count
    return typed


def count_attributes(engine: "duckdb.DuckDBPyConnection", staged: StagedItems) -> tuple[Column, ...]:
    """The attributes, in a scan of their own."""
    if staged.very_few:
        structures = engine.execute(f"select {structures_of('map')} from {staged.items}").fetchall()[0][0]
        return attributes_by_structure(structures or [])
    if staged.few:
        return attributes(_by_level(engine, staged.items, least_items(staged.rows)))
    count = AttributeCount(engine, staged)
    scan(engine, count.aggregates, f"(select *, {count.having} as having_it from {staged.source})")
    return count.columns()


def structures_of(holding: str) -> str:
    """SQL of the list of the structures of items."""
    return f'list(json_structure("{holding}")::varchar)'


def attributes_by_structure(structures: Iterable[str | None]) -> tuple[Column, ...]:
    """The attributes of very few items, by their structures; null where there is no item."""
    counts = Counter(pair for structure in structures if structure for pair in _pairs_of(json.loads(structure), ()))
    return attributes((path, kind, count) for (path, kind), count in counts.items())


def _pairs_of(structure: Any, path: tuple[str, ...]) -> Iterator[Pair]:
    """The attributes of a map; what is no map has none."""
    if not isinstance(structure, dict) or len(path) == DEPTH:
        return
    for name, typed in structure.items():
        for kind, value in typed.items() if isinstance(typed, dict) else ():
            yield (*path, name), kind
            if kind == "M":
                yield from _pairs_of(value, (*path, name))


def scan(engine: "duckdb.DuckDBPyConnection", aggregates: Sequence[str], source: str) -> None:
    """Leaves aggregates over the rows of `source` in `LOOK`."""
    engine.execute(f"create or replace temp table {LOOK} as select {', '.join(aggregates)} from {source}")


def _having(holding: str, pairs: Sequence[Pair]) -> str:
    paths = [
        "/" + "/M/".join(name.replace("~", "~0").replace("/", "~1") for name in path) + (f"/{kind}" if kind else "")
        for path, kind in pairs
    ]
    return f'json_exists("{holding}", {texts(paths)})' if paths else "null"


def _counts(pairs: Sequence[Pair]) -> list[str]:
    return [f"count_if(having_it[{number}]) as pair_{number}" for number in range(1, len(pairs) + 1)]


def _bytes(engine: "duckdb.DuckDBPyConnection", staged: StagedItems) -> int:
    """How many bytes the items have."""
    size = "coalesce(sum(total_uncompressed_size), 0)::bigint"
    footers = f"parquet_metadata({texts(staged.paths)}) where path_in_schema = {text(staged.holding)}"
    return int(engine.execute(f"select {size} from {footers}").fetchall()[0][0])


def _by_level(engine: "duckdb.DuckDBPyConnection", items: str, least: int) -> list[tuple[list[str], str, int]]:
    """Path, type and count of the attributes of items and of maps in them, a level a query; only maps are passed on to the next.

    Args:
        items: SQL of the items, as column `map`.
        least: how many items have the attributes that are returned.
    """
    counts: list[tuple[list[str], str, int]] = []
    maps = f"(select map::json as map, []::varchar[] as path from {items})"
    for _ in range(DEPTH):
        pointer = "'/' || replace(replace(name, '~', '~0'), '/', '~1')"
        entries = (
            f"(select list_append(path, name) as path, map -> ({pointer}) as value "
            f"from (select map, path, unnest(json_keys(map)) as name from {maps}))"
        )
        level = engine.execute(
            f"select path, type, count(*) as items from (select path, json_keys(value)[1] as type from {entries}) "
            f"group by path, type qualify sum(items) over (partition by path) >= {least}"
        ).fetchall()
        counts += level
        if not any(kind == "M" for _, kind, _ in level):
            break
        maps = f"(select value -> '/M' as map, path from {entries} where json_keys(value)[1] = 'M')"
    return counts
