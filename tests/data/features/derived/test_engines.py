"""DuckDB and BigQuery give the same derived features, row by row, for every kind of group and both kinds of spine."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from platform_assets.data.catalog.pointer import MartStore
from platform_assets.data.engines.bigquery.reading import BigQueryWarehouse
from platform_assets.data.engines.duckdb.reading import DuckDBWarehouse
from platform_assets.data.features.derived.groups import derived_groups
from platform_assets.data.features.derived.leading import grown_others, leading_values
from platform_assets.data.features.spine import Spine
from platform_assets.data.features.tables import compute_features
from tests.data.engines.in_bigquery import publish_in_bigquery
from tests.data.engines.writing import publish_from
from tests.data.features.conftest import each_as_of
from tests.data.features.derived.worlds import CATALOG, EVERYTHING, PEOPLE, ROWS, VISITS, day, person, said, visit
from tests.data.features.test_engines import assert_same
from tests.emulators import namespaces
from tests.emulators.servers import Emulators

LAGGING = replace(
    CATALOG,
    marts={
        "people": PEOPLE,
        "visits": replace(VISITS, arrival_lag=timedelta(days=1), require_partition_filter=True),
    },
)
VISITED = [
    visit(1, 0, visit_id=1, spent=0.1, kind="b", tags=["x", "z"], gift=True, returned_at=day(3)),
    visit(1, 0.4, visit_id=2, spent=19.99, store_id="t", tags=[]),
    visit(1, 12.5, visit_id=3, spent=-3.333333333, kind=None, returned_at=day(60)),
    visit(1, 33, visit_id=4, spent=7.25, items=4, kind="other", tags=["y"]),
    visit(2, 39.5, visit_id=5, spent=1e9),
    visit(3, 38.999999, visit_id=6, items=2**40, tags=["x", "y", "w"]),
    visit(4, 45, visit_id=7),
]
KNOWN = [person(1, 0, 20), person(1, 20, None, age=31, city="Ulm"), person(2, 5, None, city=None), person(3, 50, None)]
SAID = said(
    **EVERYTHING,
).model_copy(update={"at_most": 2000})
TABLES = {
    "visits": pa.Table.from_pylist(VISITED, ROWS["visits"]),
    "people": pa.Table.from_pylist(KNOWN, ROWS["people"]),
}
SPINES = {
    "one as-of for all": Spine.of_population(LAGGING.entity("shopper"), day(40)),
    "own as-of per row": Spine.of_rows(
        LAGGING.entity("shopper"),
        each_as_of("who", [(1, day(13)), (1, day(40)), (2, day(40)), (3, day(61)), (9, day(7))]),
    ),
}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> DuckDBWarehouse:
    folder: Path = tmp_path_factory.mktemp("derived")
    store = MartStore(folder / "marts")
    with duckdb.connect(str(folder / "dbt.duckdb")) as connection:
        connection.execute("set timezone='UTC'; create schema marts")
        for name, rows in TABLES.items():
            connection.register("arrived", rows)
            connection.execute(f"create table marts.{name} as select * from arrived")
    marts = [LAGGING.marts[name] for name in TABLES]
    publish_from(store, folder / "dbt.duckdb", marts, dict.fromkeys(TABLES, day(100)))
    return DuckDBWarehouse(LAGGING, store)


@pytest.fixture(scope="module")
def cloud(
    emulators: Emulators | None, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BigQueryWarehouse]:
    from platform_assets.environment import environment_from_variables

    with namespaces.entered(pytestconfig, emulators) as variables:
        environment = environment_from_variables(variables | {"PLATFORM_DATA": str(tmp_path_factory.mktemp("cloud"))})
        yield publish_in_bigquery(environment, LAGGING, TABLES, day(100))


@pytest.mark.parametrize("shape", SPINES)
def test_derived_features_are_the_same_on_both_engines(
    shape: str, local: DuckDBWarehouse, cloud: BigQueryWarehouse, pytestconfig: pytest.Config
) -> None:
    groups = derived_groups(LAGGING, "shopper", SAID)
    assert len(groups) == 10
    if not pytestconfig.option.deep:
        # Every group with one shape, which the seed decides; with --deep, with both.
        groups = groups[(pytestconfig.option.seed + list(SPINES).index(shape)) % 2 :: 2]
    for group in groups:
        assert_same(compute_features(group, SPINES[shape], local), compute_features(group, SPINES[shape], cloud))


def test_leading_values_are_the_same_on_both_engines(local: DuckDBWarehouse, cloud: BigQueryWarehouse) -> None:
    ours, theirs = (leading_values(one, SAID, day(60).date(), 5, least_people=1) for one in (local, cloud))
    assert ours == theirs
    assert {one.column: one.values for one in ours}["tags"] == ("x", "y", "w", "z")
    kind = {"values": ["a"], "counted_before": "2024-01-05"}
    counted = said(visits={"categories": {"kind": kind}})
    assert grown_others(local, counted) == grown_others(cloud, counted)
