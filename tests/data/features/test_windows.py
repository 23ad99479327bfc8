"""Windows are exact: both formulations equal a brute-force count, with ties at the edges and arrival lags."""

import statistics
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from platform_assets.data.features.windows import (
    AsOfRows,
    Distinct,
    Events,
    Measure,
    count,
    days_since_first,
    days_since_last,
    largest,
    mean,
    share,
    so_far,
    spread,
    total,
    windows,
)
from tests.data.features.conftest import INSTANT, each_as_of

START = datetime(1998, 1, 1, tzinfo=UTC)
DAYS = (1, 3, None)
MEASURES: dict[str, Measure | Distinct] = {
    "n": count(),
    "big": count(lambda t: t.size >= 2),
    "big_part": share(lambda t: t.size >= 2),
    "money": total("money"),
    "mean": mean("size"),
    "spread": spread("size"),
    "most": largest("size"),
    "kinds": Distinct("size"),
    "tags": Distinct("tags"),
    "big_tags": Distinct("tags", lambda t: t.size >= 2),
    "last": days_since_last("at"),
    "first": days_since_first("at"),
}
EVENT = pa.schema(
    [
        ("who", pa.int64()),
        ("at", INSTANT),
        ("size", pa.int32()),
        ("money", pa.decimal128(38, 9)),
        ("tags", pa.list_(pa.string())),
    ]
)

# Steps of 12 hours around whole-day windows: many events fall exactly on an edge.
half_days = st.integers(0, 14).map(lambda n: START + timedelta(hours=12 * n))
events = st.lists(
    st.tuples(st.integers(1, 3), half_days, st.integers(1, 4), st.sampled_from(["0.01", "7.5", "1E+6"]),
              st.none() | st.lists(st.sampled_from("abc"), max_size=2)),
    max_size=14,
)  # fmt: skip
Row = tuple[int, datetime, int, str, list[str] | None]


@pytest.fixture(scope="module")
def run() -> Callable[..., list[dict[str, Any]]]:
    engine = ibis.duckdb.connect()
    engine.raw_sql("set timezone='UTC'")

    def run(
        given: Sequence[Row], asked: Sequence[tuple[int, datetime]], lag: timedelta, single: datetime | None
    ) -> list[dict]:
        table = pa.Table.from_pylist(
            [
                dict(zip(EVENT.names, (who, at, size, Decimal(money), tags), strict=True))
                for who, at, size, money, tags in given
            ],
            EVENT,
        )
        spine = AsOfRows(ibis.memtable(each_as_of("who", asked)), "who", single)
        found = windows(Events(ibis.memtable(table), "who", "at", lag), spine, DAYS, MEASURES)
        return engine.to_pyarrow(found).to_pylist()

    return run


def brute_force(given: Sequence[Row], who: int, as_of: datetime, lag: timedelta) -> dict[str, float | None]:
    result: dict[str, float | None] = {}
    end = as_of - lag
    for days in DAYS:
        name = "all" if days is None else f"{days}d"
        inside = [
            e for e in given if e[0] == who and e[1] < end and (days is None or e[1] >= end - timedelta(days=days))
        ]
        sizes = [e[2] for e in inside]
        ago = [(as_of - e[1]).total_seconds() / 86_400 for e in inside]
        result |= {
            f"n_{name}": len(inside),
            f"big_{name}": sum(s >= 2 for s in sizes),
            f"big_part_{name}": sum(s >= 2 for s in sizes) / len(sizes) if sizes else None,
            f"money_{name}": float(sum(Decimal(e[3]) for e in inside)),
            f"mean_{name}": sum(sizes) / len(sizes) if sizes else None,
            f"spread_{name}": statistics.stdev(sizes) if len(sizes) > 1 else None,
            f"most_{name}": max(sizes, default=None),
            f"kinds_{name}": len(set(sizes)),
            f"tags_{name}": len({tag for e in inside for tag in e[4] or ()}),
            f"big_tags_{name}": len({tag for e in inside if e[2] >= 2 for tag in e[4] or ()}),
            f"last_{name}": min(ago, default=None),
            f"first_{name}": max(ago, default=None),
        }
    return result


def assert_equal(
    found: Sequence[dict], given: Sequence[Row], asked: Sequence[tuple[int, datetime]], lag: timedelta
) -> None:
    assert sorted((row["who"], row["as_of"]) for row in found) == sorted(asked)
    for row in found:
        expected = brute_force(given, row["who"], row["as_of"], lag)
        undefined = {name for name, value in expected.items() if value is None}
        assert {name for name, value in row.items() if value is None} == undefined
        defined = {name: value for name, value in expected.items() if value is not None}
        assert {name: row[name] for name in defined} == pytest.approx(defined, rel=1e-12)


lags = st.sampled_from([timedelta(0), timedelta(days=2)])
unhurried = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@unhurried
@given(events, half_days, lags)
def test_one_as_of_for_all_equals_brute_force(
    run: Callable[..., list[dict]], given: list[Row], as_of: datetime, lag: timedelta
) -> None:
    asked = [(who, as_of) for who in (1, 2, 3, 4)]
    assert_equal(run(given, asked, lag, as_of), given, asked, lag)


@unhurried
@given(events, st.lists(st.tuples(st.integers(1, 4), half_days), max_size=6, unique=True), lags)
def test_own_as_of_per_row_equals_brute_force(
    run: Callable[..., list[dict]], given: list[Row], asked: list[tuple[int, datetime]], lag: timedelta
) -> None:
    assert_equal(run(given, asked, lag, None), given, asked, lag)


@pytest.mark.parametrize("single", [START + timedelta(days=7), None])
def test_windows_take_their_first_instant_and_not_their_last(
    run: Callable[..., list[dict]], single: datetime | None
) -> None:
    end = START + timedelta(days=7)
    tick = timedelta(microseconds=1)
    given = [(1, at, 1, "1", None) for at in (end, end - tick, end - timedelta(days=1), end - timedelta(days=1) - tick)]
    (row,) = run(given, [(1, end)], timedelta(0), single)
    assert (row["n_1d"], row["n_3d"], row["n_all"]) == (2, 3, 3)


def test_spread_refuses_a_column_whose_sums_would_depend_on_row_order() -> None:
    table = ibis.memtable({"who": [1], "at": [START], "size": [0.5]})
    spine = AsOfRows(ibis.memtable({"who": [1], "as_of": [START]}), "who", START)
    with pytest.raises(TypeError, match="takes an integer column, not float64"):
        so_far(Events(table, "who", "at"), spine, {"spread": spread("size")})


def test_only_windows_of_bounded_length_bound_what_is_read() -> None:
    table = ibis.memtable({"who": [1], "at": [START], "size": [1]})
    spine = AsOfRows(ibis.memtable({"who": [1], "as_of": [START]}), "who", START)
    bounded = ibis.to_sql(windows(Events(table, "who", "at"), spine, (7, 28), {"n": count()}), dialect="duckdb")
    assert "MAKE_TIMESTAMPTZ(1997, 12, 4" in bounded
