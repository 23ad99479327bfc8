"""The attributes of items by type, in how many they are, counted in the same scan as other figures.

Belongs here: that count. Does not belong here: what it is compared with (`raw.drift`).

Every count is exact. Of many items only which attributes there are is learned from some: the first ones and, drawn by a hash of
their place, some 40,000 of all. The rarest attribute that counts (`LEAST_SHARE`) is in some 40 of those, and is looked for when it
is in ten: it escapes once in two hundred million exports.
"""
# ruff: noqa: S608 - statements are composed of columns and paths, each quoted by `quoted` or `text`.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platform_assets.data.engines.duckdb.loading.statements import parquet, text, texts
from platform_assets.data.engines.profiles import ATTRIBUTE_TYPES, DEPTH, Column, attributes, least_items

if TYPE_CHECKING:
    import duckdb

_SAMPLE = 40_000
_HEAD = 4_096
# Larger samples are read once more instead of being kept in memory.
_SAMPLE_BYTES = 64 * 1024**2
# How much rarer than what counts an attribute may be in the sample, and is looked for all the same.
_RARER = 4

Pair = tuple[tuple[str, ...], str]
"""Path and type of an attribute."""


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
    def items(self) -> str:
        """SQL of the items, as column `map`."""
        return f'(select "{self.holding}" as map from {parquet(self.paths)} where "{self.holding}" is not null)'


def count_attributes(
    engine: "duckdb.DuckDBPyConnection",
    staged: StagedItems,
    computed: Mapping[str, str] | None = None,
    asked: Sequence[str] = (),
) -> tuple[tuple[int, ...], tuple[Column, ...]]:
    """The figures that are asked for, and the attributes.

    Args:
        computed: name → SQL of a row.
        asked: SQL of aggregates over these.
    """
    columns = "".join(f", {sql} as {name}" for name, sql in (computed or {}).items())
    source = f"(select *, file_index, file_row_number{columns} from {parquet(staged.paths)})"
    if staged.rows <= _SAMPLE:
        figures = engine.execute(f"select {', '.join(asked)} from {source}").fetchall()[0] if asked else ()
        return figures, attributes(_by_level(engine, staged.items, least_items(staged.rows)))
    first = _by_level(engine, f"(from {staged.items} limit {_HEAD})", least_items(_HEAD))
    pairs = [(tuple(path), kind) for path, kind, _ in first if kind in ATTRIBUTE_TYPES]
    drawn = f'"{staged.holding}" is not null and hash(file_index, file_row_number) % {staged.rows} < {_SAMPLE}'
    kept = _bytes(engine, staged) * _SAMPLE <= _SAMPLE_BYTES * staged.rows
    aggregates = [
        *(f"{sql} as asked_{number}" for number, sql in enumerate(asked)),
        *_counts(pairs),
        f'list("{staged.holding}") filter ({drawn}) as sample' if kept else "null as sample",
    ]
    having = f"(select *, {_having(staged.holding, pairs)} from {source})"
    engine.execute(f"create or replace temp table look as select {', '.join(aggregates)} from {having}")
    row = engine.execute("select * exclude (sample) from look").fetchall()[0]
    figures, counts = row[: len(asked)], dict(zip(pairs, row[len(asked) :], strict=True))
    sample = "(select unnest(sample) as map from look)"
    if not kept:
        sample = f'(select "{staged.holding}" as map from {parquet(staged.paths)} where {drawn})'
    rest = [
        (tuple(path), kind)
        for path, kind, _ in _by_level(engine, sample, max(1, least_items(_SAMPLE) // _RARER))
        if kind in ATTRIBUTE_TYPES and (tuple(path), kind) not in counts
    ]
    engine.execute("drop table look")
    if rest:
        having = f"(select {_having(staged.holding, rest)} from {parquet(staged.paths)})"
        more = engine.execute(f"select {', '.join(_counts(rest))} from {having}").fetchall()[0]
        counts |= zip(rest, more, strict=True)
    least = least_items(staged.rows)
    return figures, attributes((path, kind, count) for (path, kind), count in counts.items() if count >= least)


def _having(holding: str, pairs: Sequence[Pair]) -> str:
    """SQL of which of the attributes an item has: all paths of it are followed in one reading."""
    paths = [
        "/" + "/M/".join(name.replace("~", "~0").replace("/", "~1") for name in path) + f"/{kind}"
        for path, kind in pairs
    ]
    return f'json_exists("{holding}", {texts(paths)}) as having_it' if paths else "null as having_it"


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
        least: how many items have those that are returned.
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
            f"select path, json_keys(value)[1], count(*) from {entries} group by all having count(*) >= {least}"
        ).fetchall()
        counts += level
        if not any(kind == "M" for _, kind, _ in level):
            break
        maps = f"(select value -> '/M' as map, path from {entries} where json_keys(value)[1] = 'M')"
    return counts
