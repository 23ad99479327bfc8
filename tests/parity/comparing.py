"""Two platforms that ran the same exports: every mart, feature table and audience of both, row by row.

Belongs here: reading both sides and listing what differs. Does not belong here: running either.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from platform_assets.audiences.audience.publication import folder_of
from platform_assets.data.catalog.business_day import instant_of
from platform_assets.data.engines.opening import open_warehouse
from platform_assets.data.engines.reading import Warehouse
from platform_assets.data.features.registry import read_holdings
from platform_assets.data.features.spine import Spine
from platform_assets.data.features.tables import feature_group_table
from platform_assets.environment import Environment
from platform_assets.foundation.artifacts import ArtifactStore
from platform_assets.foundation.storage import files_at

TOLERANCE = 1e-9
EVER = "0002-01-01"


@dataclass(frozen=True)
class Compared:
    """One table on both sides.

    Attributes:
        differing: rows that only one side has, or that differ in some column by more than 1e-9.
        columns: those in which some row differs.
        identical: whether both sides agree to the last bit.
    """

    table: str
    rows: int
    differing: int
    columns: tuple[str, ...]
    identical: bool


def compare(
    local: Environment, cloud: Environment, dates: Iterable[tuple[str, str]], audiences: Iterable[tuple[str, str]]
) -> Iterator[Compared]:
    """Everything of two environments.

    Args:
        dates: (entity, as-of date) of the feature tables.
        audiences: (campaign, as-of date).
    """
    holdings = read_holdings(local)
    catalog = holdings.catalog
    here, there = open_warehouse(local, catalog), open_warehouse(cloud, catalog)
    for name, mart in catalog.marts.items():
        yield compared(f"marts/{name}", _mart(here, name), _mart(there, name), [mart.key])
    for name, day in dates:
        entity = catalog.entities[name]
        spine = Spine.of_population(entity, instant_of(date.fromisoformat(day), entity.timezone))
        for group in holdings.groups[name].values():
            tables = []
            for environment, warehouse in ((local, here), (cloud, there)):
                artifact = feature_group_table(group, spine, warehouse, ArtifactStore(environment.artifacts))
                assert artifact.hit, f"{group.key} as of {day} was not made by the run"
                tables.append(pq.ParquetFile(artifact.path("features.parquet")).read())
            yield compared(f"{group.key} as of {day}", tables[0], tables[1], [entity.key, "as_of"])
    for campaign, day in audiences:
        left, right = (_audience(environment, campaign, day) for environment in (local, cloud))
        yield compared(f"{campaign}/audience as of {day}", left, right, [left.column_names[0]])


def compared(name: str, left: pa.Table, right: pa.Table, key: list[str]) -> Compared:
    """Row by row, by key; columns of both sides must be the same."""
    assert left.column_names == right.column_names, f"{name}: {left.column_names} and {right.column_names}"
    here, there = (table.sort_by([(column, "ascending") for column in key]).combine_chunks() for table in (left, right))
    if here.num_rows != there.num_rows or not here.select(key).equals(there.select(key).cast(here.select(key).schema)):
        ours, theirs = ({tuple(row.values()) for row in table.select(key).to_pylist()} for table in (here, there))
        differing = len(ours ^ theirs) or here.num_rows
        return Compared(name, max(here.num_rows, there.num_rows), differing, tuple(key), False)
    wrong = np.zeros(here.num_rows, dtype=bool)
    columns, identical = [], True
    for column in here.column_names:
        differs, same = _differs(here[column], there[column])
        identical &= same
        if differs.any():
            columns.append(column)
            wrong |= differs
    return Compared(name, here.num_rows, int(wrong.sum()), tuple(columns), identical)


def _differs(left: pa.ChunkedArray, right: pa.ChunkedArray) -> tuple[np.ndarray, bool]:
    """(which values differ, whether all are the same to the last bit)."""
    if pa.types.is_floating(left.type):
        ours, theirs = (column.to_numpy(zero_copy_only=False) for column in (left, right))
        close = np.isclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
        return ~close, bool(np.array_equal(ours, theirs, equal_nan=True))
    pairs = zip(left.to_pylist(), right.to_pylist(), strict=True)
    differs = np.array([ours != theirs for ours, theirs in pairs], dtype=bool)
    return differs, not differs.any()


def _mart(warehouse: Warehouse, name: str) -> pa.Table:
    table, mart = warehouse.table(name), warehouse.catalog.mart(name)
    if mart.event_time is not None:
        # A large mart refuses to be read without a time span.
        table = table.filter(table[mart.event_time] >= EVER)
    return warehouse.to_arrow(table)


def _audience(environment: Environment, campaign: str, day: str) -> pa.Table:
    stored = files_at(folder_of(environment.audiences, campaign, day)).read("audience.parquet")
    assert stored is not None, f"{campaign} has no audience as of {day}"
    return pq.read_table(pa.BufferReader(stored.content))
