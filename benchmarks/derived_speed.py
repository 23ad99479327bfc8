"""Derived features against the best SQL that we can write by hand for the same columns, on the same events, in one run.

    python -m benchmarks.derived_speed --events 10000000 --people 400000

Prints CPU-seconds, wall seconds and the memory of each, and fails when they do not agree or the ratio is above the bound. Does
not belong here: features that models need (`benchmarks/derived_quality.py`).
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from platform_assets.data.catalog.catalog import Catalog, Entity, Mart
from platform_assets.data.catalog.column import Column
from platform_assets.data.features.derived.declaration import declared
from platform_assets.data.features.derived.groups import derived_groups

AS_OF = datetime(2024, 7, 1, tzinfo=UTC)
KINDS = ("a", "b", "c")
BOUND = 1.3
WINDOWS = (("7d", 0), ("28d", 1), ("90d", 2), ("all", 3))
BUYS = Mart(
    name="buys",
    kind="event",
    entity="buyer",
    key="buy_id",
    entity_key="who",
    event_time="bought_at",
    history=None,
    arrival_lag=timedelta(0),
    columns={
        column.name: column
        for column in (
            Column("buy_id", "bigint"),
            Column("who", "bigint"),
            Column("bought_at", "timestamptz"),
            Column("spent", "decimal(18, 2)", "measure"),
            Column("items", "bigint", "measure"),
            Column("kind", "varchar", "category"),
        )
    },
    descriptions={},
    description="",
    sources=(("shop", "buys"),),
)
BUYERS = replace(BUYS, name="buyers", kind="entity", key="who", event_time=None, history="immutable", columns={})
CATALOG = Catalog({"buyer": Entity("buyer", "buyers", "who", "UTC", "buys")}, {"buys": BUYS, "buyers": BUYERS})
GROUPS = ("buys_activity", "buys_values", "buys_by_kind")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--people", type=int, default=400_000)
    parser.add_argument("--memory", default="4GB")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        connection = duckdb.connect(str(Path(folder) / "events.duckdb"))
        connection.execute(f"set timezone='UTC'; set threads=1; set memory_limit='{arguments.memory}'")
        _make(connection, arguments.events, arguments.people)
        derived = _derived(str(Path(folder) / "events.duckdb"), connection)
        columns = sum(len(statement[1]) for statement in derived)
        best: dict[str, tuple[float, float]] = {}
        for _ in range(arguments.rounds):
            for name, work in (
                ("derived", lambda: _run_derived(connection, derived)),
                ("by hand", lambda: _by_hand(connection)),
            ):
                took = _timed(work)
                best[name] = min(best.get(name, took), took)
                print(f"{name}: {took[0]:.2f} CPU-s, {took[1]:.2f} s", flush=True)
        differing = _differing(connection, [name for _, names in derived for name in names])
        ratio = best["derived"][0] / best["by hand"][0]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        print(
            f"{arguments.events} events, {arguments.people} people, {columns} columns, DuckDB {duckdb.__version__}, one thread: "
            f"derived {best['derived'][0]:.2f} CPU-s, by hand {best['by hand'][0]:.2f}, ratio {ratio:.2f} (at most {BOUND}), "
            f"peak {peak:.2f} GiB; columns that differ: {differing or 'none'}"
        )
        return int(ratio > BOUND or bool(differing))


def _make(connection: duckdb.DuckDBPyConnection, events: int, people: int) -> None:
    connection.execute("select setseed(0.5)")
    connection.execute(
        f"create table buys as select range as buy_id, (random() * {people})::bigint as who, "
        "timestamptz '2024-07-01' - to_seconds((random() * random() * 31536000)::bigint + 1) as bought_at, "
        "(random() * 100)::decimal(18, 2) as spent, (random() * 4)::bigint + 1 as items, "
        "chr(97 + (random() * random() * 8)::int) as kind from range({events})".replace("{events}", str(events))
    )
    connection.execute("create table spine as select distinct who, timestamptz '2024-07-01' as as_of from buys")


def _derived(path: str, connection: duckdb.DuckDBPyConnection) -> list[tuple[str, list[str]]]:
    import ibis

    from platform_assets.data.features.point_in_time import finished
    from platform_assets.data.features.windows import AsOfRows, Events

    engine = ibis.duckdb.from_connection(connection)
    spine = AsOfRows(engine.table("spine"), "who", AS_OF)
    marts = {"buys": Events(engine.table("buys"), "who", "bought_at").before(AS_OF)}
    declaration = declared("buyer", {"buys": {"categories": {"kind": {"values": list(KINDS)}}}})
    statements = []
    for group in derived_groups(CATALOG, "buyer", declaration):
        if group.name in GROUPS:
            names = list(group.features)
            statements.append((str(engine.compile(finished(group.build(marts, spine), "who", names))), names))
    return statements


def _run_derived(connection: duckdb.DuckDBPyConnection, statements: list[tuple[str, list[str]]]) -> None:
    for number, (statement, _) in enumerate(statements):
        connection.execute(f"create or replace temp table derived_{number} as {statement}")


def _by_hand(connection: duckdb.DuckDBPyConnection) -> None:
    """Each event once, by person, span and kind; everything else from those cells."""
    connection.execute(f"create or replace temp table by_hand as {_statement()}")


def _statement() -> str:
    number = (
        "case " + " ".join(f"when kind = '{kind}' then {n}" for n, kind in enumerate(KINDS)) + f" else {len(KINDS)} end"
    )
    cells = f"""
        select who, case when bought_at >= timestamptz '2024-06-24' then 0 when bought_at >= timestamptz '2024-06-03' then 1
            when bought_at >= timestamptz '2024-04-02' then 2 else 3 end as span, {number} as part, count(*) as n,
            max(epoch(date_trunc('second', bought_at))::bigint) as last, min(epoch(date_trunc('second', bought_at))::bigint) as first,
            sum(spent) as spent, sum(items) as items, min(spent) as spent_min, max(spent) as spent_max,
            min(items) as items_min, max(items) as items_max,
            sum((spent * 100)::bigint) as spent_once, sum((spent * 100)::bigint * (spent * 100)::bigint) as spent_squared,
            sum(items) as items_once, sum(items * items) as items_squared
        from buys where bought_at < timestamptz '2024-07-01' group by all"""
    inside = {name: f"filter (where span <= {span})" if span < 3 else "" for name, span in WINDOWS}
    wanted = [f"sum(n) {inside[name]} as n_{name}" for name, _ in WINDOWS]
    wanted += ["max(last) as last", "min(first) as first"]
    for measure in ("spent", "items"):
        wanted += [f"sum({measure}) {inside[name]} as {measure}_{name}" for name, _ in WINDOWS]
        wanted += [f"min({measure}_min) as {measure}_min", f"max({measure}_max) as {measure}_max"]
        wanted += [
            f"sum({measure}_once)::double as {measure}_once",
            f"sum({measure}_squared)::double as {measure}_squared",
        ]
    for part in range(len(KINDS) + 1):
        for name, span in WINDOWS:
            wanted.append(f"sum(n) filter (where part = {part} and span <= {span}) as part_{part}_n_{name}")
        wanted += [f"sum({m}) filter (where part = {part}) as part_{part}_{m}" for m in ("spent", "items")]
    now = int(AS_OF.timestamp())
    shown = [f"coalesce(n_{name}, 0)::double as buys_count_{name}" for name, _ in WINDOWS]
    shown += [
        f"({now} - last) / 86400 as buys_days_since_last",
        f"({now} - first) / 86400 as buys_days_since_first",
        "(last - first) / 86400 as buys_days_between",
        f"n_all * 30 / nullif(({now} - first) / 86400, 0) as buys_count_a_month",
        "coalesce(n_28d, 0) * 90 / nullif(coalesce(n_90d, 0) * 28, 0) as buys_count_trend",
    ]
    for measure, scale in (("spent", 100), ("items", 1)):
        shown += [f"coalesce({measure}_{name}, 0)::double as buys_{measure}_sum_{name}" for name, _ in WINDOWS]
        shown += [
            f"{measure}_{name}::double / nullif(n_{name}, 0) as buys_{measure}_mean_{name}" for name, _ in WINDOWS
        ]
        shown += [f"{measure}_{name}::double as buys_{measure}_{name}" for name in ("min", "max")]
        once, squared = f"{measure}_once", f"{measure}_squared"
        shown += [
            f"sqrt(greatest(n_all * {squared} - {once} * {once}, 0) / nullif(n_all::double * (n_all - 1), 0)) / {scale} "
            f"as buys_{measure}_spread",
            f"{measure}_28d::double / nullif(n_28d, 0) - ({measure}_all - coalesce({measure}_28d, 0))::double / "
            f"nullif(n_all - coalesce(n_28d, 0), 0) as buys_{measure}_trend",
        ]
    for part, kind in enumerate((*KINDS, "other")):
        for name, _ in WINDOWS:
            shown.append(
                f"coalesce(part_{part}_n_{name}, 0)::double / nullif(n_{name}, 0) as buys_kind_{kind}_share_{name}"
            )
        for measure in ("spent", "items"):
            shown.append(
                f"part_{part}_{measure}::double / nullif(part_{part}_n_all, 0) as buys_kind_{kind}_{measure}_mean"
            )
    rolled = f"select who, {', '.join(wanted)} from ({cells}) group by who"
    return f"select who, as_of, {', '.join(shown)} from spine left join ({rolled}) using (who) order by who, as_of"


def _differing(connection: duckdb.DuckDBPyConnection, names: list[str]) -> list[str]:
    tables = " join ".join(f"derived_{n}" + (" using (who)" if n else "") for n in range(len(GROUPS)))
    differing = []
    for name in names:
        far = f"abs(ours.{name} - theirs.{name}) > 1e-9 * greatest(1, abs(theirs.{name}))"
        count: Any = connection.execute(
            f"select count(*) from (select * from {tables}) as ours full join by_hand as theirs using (who) "
            f"where {far} or (ours.{name} is null) <> (theirs.{name} is null)"
        ).fetchone()
        if count[0]:
            differing.append(name)
    return differing


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


if __name__ == "__main__":
    sys.exit(main())
