"""DuckDB and BigQuery give the same features, for every group and both kinds of spine; and read no more than they must."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pytest

from platform_assets.data.engines.bigquery.reading import BigQueryWarehouse
from platform_assets.data.engines.duckdb.reading import DuckDBWarehouse
from platform_assets.data.features.group import FeatureGroup
from platform_assets.data.features.point_in_time import finished
from platform_assets.data.features.spine import Spine
from platform_assets.data.features.tables import compute_features
from platform_assets.data.features.windows import AsOfRows, Events, count, total, windows
from tests.data.engines.in_bigquery import publish_in_bigquery
from tests.data.features.conftest import (
    AS_OF,
    CATALOG,
    GROUPS,
    ORDERS,
    RATINGS,
    SCHEMAS,
    START,
    WATERMARK,
    publish,
)
from tests.data.features.test_groups import each_group, own_dates, population
from tests.emulators import namespaces
from tests.emulators.servers import Emulators

ROWS = {"orders": ORDERS, "ratings": RATINGS}
FILTERED = replace(
    CATALOG, marts={name: replace(mart, require_partition_filter=name in ROWS) for name, mart in CATALOG.marts.items()}
)
OWN_DATES = {
    "customer": [(1, AS_OF), (1, START + timedelta(days=31)), (2, AS_OF), (4, START + timedelta(days=200)), (9, AS_OF)],
    "viewer": [(1, AS_OF), (1, START + timedelta(days=41)), (2, AS_OF), (3, START + timedelta(days=121)), (9, AS_OF)],
}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> DuckDBWarehouse:
    return publish(tmp_path_factory.mktemp("marts"), CATALOG, ROWS)


@pytest.fixture(scope="module")
def cloud(
    emulators: Emulators | None, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BigQueryWarehouse]:
    """The same marts in BigQuery, where the event marts refuse a query without a time span."""
    from platform_assets.environment import environment_from_variables

    with namespaces.entered(pytestconfig, emulators) as variables:
        environment = environment_from_variables(variables | {"PLATFORM_DATA": str(tmp_path_factory.mktemp("cloud"))})
        tables = {name: pa.Table.from_pylist(rows, SCHEMAS[name]) for name, rows in ROWS.items()}
        yield publish_in_bigquery(environment, FILTERED, tables, WATERMARK)


def assert_same(ours: pa.Table, theirs: pa.Table) -> None:
    assert ours.schema.equals(theirs.schema)
    assert ours.num_rows == theirs.num_rows
    for name in ours.column_names:
        left, right = ours[name].to_pylist(), theirs[name].to_pylist()
        assert left == pytest.approx(right, abs=1e-9, nan_ok=True) if name not in ("as_of",) else left == right, name


@each_group
def test_a_population_has_the_same_features_on_both_engines(
    group: FeatureGroup, local: DuckDBWarehouse, cloud: BigQueryWarehouse
) -> None:
    spine = population(group)
    assert_same(compute_features(group, spine, local), compute_features(group, spine, cloud))


@each_group
def test_own_dates_have_the_same_features_on_both_engines(
    group: FeatureGroup, local: DuckDBWarehouse, cloud: BigQueryWarehouse
) -> None:
    spine = own_dates(group, OWN_DATES[group.entity])
    assert_same(compute_features(group, spine, local), compute_features(group, spine, cloud))


def test_the_spine_is_the_same_on_both_engines(local: DuckDBWarehouse, cloud: BigQueryWarehouse) -> None:
    group = next(iter(GROUPS["customer"].values()))
    assert population(group).rows(local).equals(population(group).rows(cloud))


def test_a_window_of_one_day_reads_the_partitions_of_that_day_only(cloud: BigQueryWarehouse) -> None:
    spine = Spine.of_population(CATALOG.entities["customer"], AS_OF)
    asked = AsOfRows(spine.in_engine(cloud), "customer_id", spine.single_as_of)
    orders = Events(cloud.table("orders"), "customer_id", "ordered_at")
    # The people come from the spine, which looks at all of the past; the window must not.
    built = windows(orders, asked, (1,), {"orders": count(), "spent": total("amount")})
    sql = cloud.sql(finished(built, "customer_id", ["orders_1d", "spent_1d"]))
    day, before = AS_OF.isoformat(), (AS_OF - timedelta(days=1)).isoformat()
    assert f"`ordered_at` >= TIMESTAMP('{before}')" in sql
    reads = sql.split("`orders__")
    assert len(reads) == 3, "the mart is read once for the people and once for the window"
    assert all(f"`ordered_at` < TIMESTAMP('{day}')" in following for following in reads[1:])
