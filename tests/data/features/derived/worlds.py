"""A shop with a column of every role, and its derived features computed on DuckDB in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import numpy as np
import pyarrow as pa

from platform_assets.data.catalog.catalog import Catalog, Entity, Mart
from platform_assets.data.catalog.column import Column
from platform_assets.data.features.derived.declaration import FeatureDeclaration
from platform_assets.data.features.derived.groups import derived_groups
from platform_assets.data.features.point_in_time import finished, valid_versions
from platform_assets.data.features.windows import AsOfRows, Events

START = datetime(2024, 1, 1, tzinfo=UTC)
INSTANT = pa.timestamp("us", tz="UTC")
ROWS = {
    "visits": pa.schema(
        [("visit_id", pa.int64()), ("who", pa.int64()), ("at", INSTANT), ("spent", pa.float64()),
         ("items", pa.int64()), ("store_id", pa.string()), ("kind", pa.string()), ("tags", pa.list_(pa.string())),
         ("gift", pa.bool_()), ("returned_at", INSTANT), ("status", pa.string()), ("note", pa.string())]
    ),
    "people": pa.schema(
        [("version", pa.string()), ("who", pa.int64()), ("valid_from", INSTANT), ("valid_to", INSTANT),
         ("age", pa.int64()), ("city", pa.string()), ("born", pa.date32())]
    ),
}  # fmt: skip
VISITS = Mart(
    name="visits",
    kind="event",
    entity="shopper",
    key="visit_id",
    entity_key="who",
    event_time="at",
    history=None,
    arrival_lag=timedelta(0),
    columns={
        column.name: column
        for column in (
            Column("visit_id", "bigint"),
            Column("who", "bigint"),
            Column("at", "timestamptz"),
            Column("spent", "double", "measure"),
            Column("items", "bigint", "measure"),
            Column("store_id", "varchar", "identifier"),
            Column("kind", "varchar", "category"),
            Column("tags", "varchar[]", "category"),
            Column("gift", "boolean", "category"),
            Column("returned_at", "timestamptz", "time"),
            Column("status", "varchar", "category", changes=True),
            Column("note", "varchar"),
        )
    },
    descriptions={},
    description="",
    sources=(("shop", "visits"),),
)
PEOPLE = replace(
    VISITS,
    name="people",
    kind="entity",
    key="version",
    event_time=None,
    history="scd2",
    columns={
        column.name: column
        for column in (
            Column("version", "varchar"),
            Column("who", "bigint"),
            Column("valid_from", "timestamptz"),
            Column("valid_to", "timestamptz"),
            Column("age", "bigint", "measure"),
            Column("city", "varchar", "category", personal=True),
            Column("born", "date", "time"),
        )
    },
)
CATALOG = Catalog(
    {"shopper": Entity("shopper", "people", "who", "UTC", "visits")}, {"people": PEOPLE, "visits": VISITS}
)
EVERYTHING = {
    "visits": {
        "admit": ["returned_at"],
        "categories": {"kind": {"values": ["a", "b"]}, "tags": {"values": ["x", "y"]}},
    },
    "people": {"admit": ["city"], "categories": {"city": {"values": ["Bonn", "Köln"]}}},
}
SPINE = pa.schema([("who", pa.int64()), ("as_of", INSTANT)])
Row = Mapping[str, Any]


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def visit(who: int, at: float, **values: Any) -> dict[str, Any]:
    """A visit of a person on a day; what is not named is the same of all."""
    given: dict[str, Any] = {
        "visit_id": 0,
        "who": who,
        "at": day(at),
        "spent": 10.0,
        "items": 1,
        "store_id": "s",
        "kind": "a",
        "tags": ["x"],
        "gift": False,
        "returned_at": None,
        "status": "sent",
        "note": None,
    }
    return {**given, **values}


def person(who: int, since: float, until: float | None, **values: Any) -> dict[str, Any]:
    """A version of a person."""
    given = {"version": f"{who}-{since}", "who": who, "age": 30, "city": "Bonn", "born": START.date()}
    return {**given, "valid_from": day(since), "valid_to": None if until is None else day(until), **values}


def said(**features: Any) -> FeatureDeclaration:
    return FeatureDeclaration.model_validate({"entity": "shopper", "features": features or EVERYTHING})


class Shop:
    """One engine and one declaration for many worlds: statements are made once.

    Args:
        single: the as-of instant that all rows share; None: each row has its own.
    """

    def __init__(
        self,
        declaration: FeatureDeclaration | None = None,
        *,
        single: datetime | None = None,
        lag: timedelta = timedelta(0),
        catalog: Catalog = CATALOG,
    ) -> None:
        engine = ibis.duckdb.connect()
        self._connection = engine.con
        self._connection.execute("set timezone='UTC'; set threads=1")
        for name, schema in ROWS.items():
            self._write(name, schema.empty_table())
        self._write("spine", SPINE.empty_table())
        spine = AsOfRows(engine.table("spine"), "who", single)
        marts = {
            "visits": Events(engine.table("visits"), "who", "at", lag).before(
                single or datetime.max.replace(tzinfo=UTC)
            ),
            "people": valid_versions(engine.table("people"), "who", lag, spine),
        }
        self.groups = derived_groups(catalog, "shopper", declaration or said())
        self._statements = [
            engine.compile(finished(group.build(marts, spine), "who", list(group.features))) for group in self.groups
        ]

    def features(
        self, rows: Mapping[str, Sequence[Row]], asked: Sequence[tuple[int, datetime]]
    ) -> dict[tuple[int, datetime], dict[str, Any]]:
        """(who, as-of) → every derived feature."""
        for name, schema in ROWS.items():
            self._write(name, pa.Table.from_pylist(list(rows.get(name, ())), schema))
        self._write("spine", pa.Table.from_pylist([{"who": who, "as_of": at} for who, at in asked], SPINE))
        found: dict[tuple[int, datetime], dict[str, Any]] = {}
        for group, statement in zip(self.groups, self._statements, strict=True):
            for who, at, *values in self._connection.execute(statement).fetchall():
                found.setdefault((who, at), {}).update(zip(group.features, values, strict=True))
        return found

    def columns(self, tables: Mapping[str, pa.Table], asked: pa.Table) -> dict[str, Any]:
        """Feature → its values (an array, missing ones NaN) in the order of people."""
        for name, table in {**tables, "spine": asked}.items():
            self._write(name, table)
        found: dict[str, Any] = {}
        for group, statement in zip(self.groups, self._statements, strict=True):
            result = self._connection.execute(statement).fetchnumpy()
            found |= {name: np.ma.filled(result[name].astype("float64"), np.nan) for name in group.features}
        return found

    def _write(self, name: str, table: pa.Table) -> None:
        self._connection.register("arrived", table)
        self._connection.execute(f"create or replace table {name} as select * from arrived")
