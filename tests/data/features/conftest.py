"""Small marts, published as the platform publishes them: copied out of a DuckDB file into Parquet under one pointer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from platform_assets.data.catalog.catalog import Catalog, Entity, History, Kind, Mart
from platform_assets.data.catalog.pointer import MartStore
from platform_assets.data.engines.duckdb.reading import DuckDBWarehouse
from platform_assets.data.features.registry import find_holdings
from platform_assets.environment import REPOSITORY
from platform_assets.foundation.artifacts import ArtifactStore
from tests.data.engines.writing import publish_from
from tests.data.small_catalog import typed

WATERMARK = datetime(1998, 7, 1, tzinfo=UTC)
START = datetime(1997, 6, 1, tzinfo=UTC)
INSTANT = pa.timestamp("us", tz="UTC")

SCHEMAS = {
    "orders": pa.schema(
        [("order_id", pa.int64()), ("customer_id", pa.int64()), ("ordered_at", INSTANT),
         ("quantity", pa.int32()), ("amount", pa.decimal128(38, 9))]
    ),
    "ratings": pa.schema(
        [("rating_id", pa.string()), ("viewer_id", pa.int64()), ("film_id", pa.int64()),
         ("rated_at", INSTANT), ("rating", pa.int64()), ("genres", pa.list_(pa.string())),
         ("released", pa.int64())]
    ),
    "customers": pa.schema([("customer_id", pa.int64()), ("created_at", INSTANT)]),
    "viewers": pa.schema(
        [("viewer_version_id", pa.string()), ("viewer_id", pa.int64()), ("age", pa.int64()),
         ("valid_from", INSTANT), ("valid_to", INSTANT)]
    ),
}  # fmt: skip


def _mart(name: str, kind: Kind, entity: str, key: str, person: str, time: str | None, history: History | None) -> Mart:
    columns = typed({field.name: str(field.type) for field in SCHEMAS[name]})
    return Mart(name, kind, entity, key, person, time, history, timedelta(0), columns, {}, "", (("shop", name),))


CATALOG = Catalog(
    entities={
        "customer": Entity("customer", "customers", "customer_id", "UTC", "orders"),
        "viewer": Entity("viewer", "viewers", "viewer_id", "America/New_York", "ratings"),
    },
    marts={
        "customers": _mart("customers", "entity", "customer", "customer_id", "customer_id", None, "immutable"),
        "orders": _mart("orders", "event", "customer", "order_id", "customer_id", "ordered_at", None),
        "viewers": _mart("viewers", "entity", "viewer", "viewer_version_id", "viewer_id", None, "scd2"),
        "ratings": _mart("ratings", "event", "viewer", "rating_id", "viewer_id", "rated_at", None),
    },
)

HOLDINGS = find_holdings(REPOSITORY, CATALOG)
GROUPS = HOLDINGS.groups


def with_lag(catalog: Catalog, mart: str, lag: timedelta) -> Catalog:
    return replace(catalog, marts={**catalog.marts, mart: replace(catalog.marts[mart], arrival_lag=lag)})


def in_zone(timezone: str) -> Catalog:
    """The catalog with its businesses in this time zone."""
    entities = {name: replace(entity, timezone=timezone) for name, entity in CATALOG.entities.items()}
    return replace(CATALOG, entities=entities)


def publish(
    folder: Path, catalog: Catalog, rows: Mapping[str, Sequence[dict]], watermark: datetime = WATERMARK
) -> DuckDBWarehouse:
    """Publish the given marts (others stay as they were) below `folder`, and open them."""
    store = MartStore(folder / "marts")
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / "dbt.duckdb"
    database.unlink(missing_ok=True)
    with duckdb.connect(str(database)) as connection:
        connection.execute("set timezone='UTC'")
        connection.execute("create schema marts")
        for name, given in rows.items():
            connection.register("given", pa.Table.from_pylist(list(given), SCHEMAS[name]))
            connection.execute(f"create table marts.{name} as select * from given")
    publish_from(store, database, [catalog.marts[name] for name in rows], dict.fromkeys(rows, watermark))
    return DuckDBWarehouse(catalog, store)


def _row(mart: str, *values: object) -> dict:
    return dict(zip(SCHEMAS[mart].names, values, strict=True))


def order(number: int, person: int, day: float, quantity: int = 1, amount: str = "10") -> dict:
    return _row("orders", number, person, START + timedelta(days=day), quantity, Decimal(amount))


def rating(
    number: int,
    person: int,
    day: float,
    stars: int = 4,
    genres: Sequence[str] | None = ("Drama",),
    released: int | None = 1990,
) -> dict:
    words = None if genres is None else list(genres)
    return _row("ratings", f"r{number}", person, number % 7, START + timedelta(days=day), stars, words, released)


def each_as_of(key: str, rows: Sequence[tuple[int | None, datetime | None]]) -> pa.Table:
    """A table of who, by `key`, and as of when."""
    schema = pa.schema([(key, pa.int64()), ("as_of", INSTANT)])
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema)


def viewer_version(person: int, age: int, since: int, until: int | None) -> dict:
    """Of `age` from the day `since` to the day `until`, or for ever."""
    end = None if until is None else START + timedelta(days=until)
    return _row("viewers", f"v{since}", person, age, START + timedelta(days=since), end)


ORDERS = [
    order(1, 1, 0), order(2, 1, 0, 2, "12.5"), order(3, 1, 30), order(4, 1, 95.5, 3, "99.99"),
    order(5, 2, 60), order(6, 3, 99.999), order(7, 3, 100, 1, "5"), order(8, 4, 150),
]  # fmt: skip
RATINGS = [
    rating(1, 1, 0, 5, ("Sci-Fi", "Action")), rating(2, 1, 0, 2, ("Drama",)), rating(3, 1, 40, 4, None, None),
    rating(4, 1, 99, 1, ("Sci-Fi",), 1999), rating(5, 2, 90, 3, (), 1950),
    rating(6, 3, 120, 5, ("War", "Comedy")),
]  # fmt: skip
AS_OF = START + timedelta(days=100)


@dataclass(frozen=True)
class Platform:
    """Published marts and an artifact store below one folder."""

    folder: Path
    catalog: Catalog
    store: ArtifactStore

    def publish(self, watermark: datetime = WATERMARK, **rows: Sequence[dict]) -> DuckDBWarehouse:
        return publish(self.folder, self.catalog, rows, watermark)

    @property
    def warehouse(self) -> DuckDBWarehouse:
        return DuckDBWarehouse(self.catalog, MartStore(self.folder / "marts"))


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    made = Platform(tmp_path, CATALOG, ArtifactStore(tmp_path / "artifacts"))
    made.publish(orders=ORDERS, ratings=RATINGS)
    return made
