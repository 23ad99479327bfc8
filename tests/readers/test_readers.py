"""Readers: a function a mart, which rows and columns it gives, and what it refuses in words."""

import inspect
import json
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest

from platform_assets import readers
from platform_assets.data.catalog.pointer import MartDamaged, MartMissing, MartRefused
from platform_assets.data.engines.duckdb.reading import DuckDBWarehouse
from platform_assets.environment import REPOSITORY, SETTINGS, EnvironmentVariableError
from platform_assets.readers.refusal import ReadRefused
from tests.readers.worlds import ROWS, SPRING, WATERMARK, World
from tests.support.processes import run_python


def keys_of(table: pa.Table, key: str = "order_id") -> list[Any]:
    return sorted(table[key].to_pylist())


def test_every_declared_mart_has_a_reader_and_a_new_one_gets_its_own_by_being_declared(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {"customers", "films", "orders", "ratings", "viewers"} <= set(dir(readers))
    project = shutil.copytree(world.environment.dbt_project, tmp_path / "dbt")
    manifest = json.loads((project / "target" / "manifest.json").read_text())
    [name, node] = next((name, node) for name, node in manifest["nodes"].items() if node["name"] == "films")
    manifest["nodes"][f"{name}_again"] = node | {"name": "albums", "description": "One row per album."}
    (project / "target" / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setenv("PLATFORM_DBT_PROJECT", str(project))
    assert "albums" in dir(readers)
    assert "One row per album." in str(inspect.getdoc(readers.albums))
    with pytest.raises(MartMissing, match="mart albums has not been published yet; materialise marts/albums"):
        readers.albums()


def test_rows_come_as_an_ibis_table_and_on_request_as_arrow(world: World) -> None:
    from platform_assets.readers import orders

    table = orders()
    assert table.count().to_pyarrow().as_py() == 3
    rows = orders.arrow(since="1998-03-01", columns=["amount", "order_id"])
    assert rows.schema.names == ["amount", "order_id"]
    assert rows.sort_by("order_id").to_pylist() == [
        {"amount": Decimal("5.000000000"), "order_id": 2},
        {"amount": Decimal("7.500000000"), "order_id": 3},
    ]
    spent = table.group_by("customer_id").aggregate(spent=table.amount.sum())
    assert readers.arrow(spent.order_by("customer_id"))["spent"].to_pylist() == [
        Decimal("24.990000001"),
        Decimal("7.500000000"),
    ]


@pytest.mark.parametrize("mart", ROWS)
def test_values_and_types_are_those_that_the_platform_reads(mart: str, world: World) -> None:
    warehouse = DuckDBWarehouse(world.catalog, world.store)
    theirs = warehouse.to_arrow(warehouse.table(mart))
    ours = readers.open_marts()[mart].arrow(columns=theirs.schema.names)
    key = world.catalog.mart(mart).key
    assert ours.schema.equals(theirs.schema)
    expected = theirs if mart != "orders" else theirs.filter(pa.compute.less(theirs["ordered_at"], WATERMARK))
    assert ours.sort_by(key).equals(expected.sort_by(key))


def test_tables_of_different_calls_join_and_so_do_rows_in_memory(world: World) -> None:
    import ibis

    mine = ibis.memtable(pa.table({"order_id": pa.array([1, 3]), "mark": ["a", "b"]}))
    orders = readers.orders()
    joined = orders.inner_join(readers.customers(), "customer_id").inner_join(mine, "order_id")
    assert keys_of(readers.arrow(joined)) == [1, 3]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [1, 2, 3]),
        ({"since": "1998-03-31"}, [2, 3]),
        ({"since": date(1998, 4, 1)}, [3]),
        ({"since": datetime(1998, 4, 1, 2, tzinfo=timezone(timedelta(hours=2)))}, [3]),
        ({"since": "1998-04-01T00:00:00.000001+00:00"}, []),
        ({"since": WATERMARK}, []),
        ({"as_of": "1998-04-01"}, [1, 2]),
        ({"as_of": WATERMARK}, [1, 2, 3]),
        ({"since": "1998-01-06", "as_of": "1998-04-01"}, [2]),
        ({"covers": "1998-07-01"}, [1, 2, 3]),
    ],
    ids=str,
)
def test_events_are_those_from_since_on_that_were_known_as_of_and_lie_before_the_watermark(
    asked: dict[str, Any], expected: list[int], world: World
) -> None:
    assert keys_of(readers.orders.arrow(**asked, columns=["order_id"])) == expected


def test_a_date_is_midnight_where_the_people_are_and_what_may_be_under_way_is_not_known_yet(world: World) -> None:
    from platform_assets.readers.selection import Asked, selected

    warehouse = DuckDBWarehouse(world.catalog, world.store)
    late = replace(world.catalog.mart("orders"), arrival_lag=timedelta(days=1))

    def known(zone: str) -> list[int]:
        return keys_of(warehouse.to_arrow(selected(late, Asked(as_of="1998-04-01"), warehouse, zone)))

    # 1998-03-30T22:00 UTC, and 1998-03-31T04:00 plus a day.
    assert known("Europe/Berlin") == [1]
    assert known("America/New_York") == [1]
    assert keys_of(warehouse.to_arrow(selected(late, Asked(as_of="1998-04-02"), warehouse, "America/New_York"))) == [
        1,
        2,
        3,
    ]
    assert keys_of(warehouse.to_arrow(selected(late, Asked(as_of="1998-04-02"), warehouse, "Europe/Berlin"))) == [1]


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        ("1998-01-01", []),
        ("1998-01-01T00:00:00.000001+00:00", ["7 a", "8 a"]),
        (SPRING, ["7 a", "8 a"]),
        ("1998-04-02", ["7 b"]),
        (None, ["7 a", "7 b", "8 a"]),
    ],
)
def test_of_a_mart_with_history_as_of_gives_the_version_that_features_take(
    as_of: str | None, expected: list[str], world: World
) -> None:
    from platform_assets.data.features.point_in_time import valid_versions
    from platform_assets.data.features.windows import AsOfRows

    rows = readers.viewers.arrow(as_of=as_of)
    assert keys_of(rows, "viewer_version_id") == expected
    if as_of is None:
        return
    warehouse = DuckDBWarehouse(world.catalog, world.store)
    at = datetime.fromisoformat(as_of)
    spine = pa.table(
        {
            "viewer_id": pa.array([7, 8]),
            "as_of": pa.array([at if at.tzinfo else at.replace(tzinfo=UTC)] * 2, pa.timestamp("us", "UTC")),
        }
    )
    taken = valid_versions(
        warehouse.table("viewers"), "viewer_id", timedelta(0), AsOfRows(warehouse.memtable(spine), "viewer_id", None)
    )
    versions = [name for name in warehouse.to_arrow(taken)["viewer_version_id"].to_pylist() if name]
    assert sorted(versions) == expected


def test_personal_columns_come_only_when_they_are_named(world: World) -> None:
    assert readers.viewers().columns == ("viewer_version_id", "viewer_id", "valid_from", "valid_to")
    named = readers.viewers.arrow(as_of="1998-05-01", columns=["viewer_id", "zip_code"])
    assert named.to_pylist() == [{"viewer_id": 7, "zip_code": "10117"}]


def test_what_an_event_holds_as_it_is_today_comes_with_as_of_only_when_it_is_named(world: World) -> None:
    from platform_assets.readers.selection import Asked, selected

    warehouse, orders = DuckDBWarehouse(world.catalog, world.store), world.catalog.mart("orders")
    changing = replace(orders, columns={**orders.columns, "amount": replace(orders.columns["amount"], changes=True)})

    def columns(**asked: Any) -> tuple[str, ...]:
        return selected(changing, Asked(**asked), warehouse, "UTC").columns

    assert "amount" in columns()
    assert columns(as_of="1998-04-01") == ("order_id", "customer_id", "ordered_at", "quantity")
    assert columns(as_of="1998-04-01", columns=["amount"]) == ("amount",)


def test_a_mart_of_personal_columns_alone_asks_for_names(world: World) -> None:
    from platform_assets.readers.selection import Asked, selected

    warehouse, films = DuckDBWarehouse(world.catalog, world.store), world.catalog.mart("films")
    personal = replace(films, columns={name: replace(column, personal=True) for name, column in films.columns.items()})
    with pytest.raises(ReadRefused, match=r"every column describes a person; name those you need, such as columns="):
        selected(personal, Asked(), warehouse, "UTC")


def test_a_reader_says_what_its_columns_mean_and_what_is_published(world: World) -> None:
    said = str(inspect.getdoc(readers.viewers))
    assert "    zip_code (varchar, personal: only when named): Postal code." in said
    assert readers.orders.watermark == WATERMARK
    assert readers.orders.published.rows == 5
    assert repr(readers.orders) == "<reader of mart orders>"


def test_threads_read_side_by_side(world: World) -> None:
    def read(number: int) -> int:
        name = [*ROWS][number % len(ROWS)]
        return int(readers.arrow(getattr(readers, name)()).num_rows)

    with ThreadPoolExecutor(8) as threads:
        counts = list(threads.map(read, range(80)))
    assert counts == [2, 3, 3, 2, 1] * 16


def test_a_call_reads_what_is_published_then_and_an_open_table_stays_what_it_was(world: World) -> None:
    marts, before = readers.open_marts(), readers.orders()
    assert keys_of(marts.orders.arrow()) == [1, 2, 3]
    world.publish({"orders": ROWS["orders"][:1]})
    assert keys_of(readers.orders.arrow()) == [1]
    assert keys_of(before.to_pyarrow()) == [1, 2, 3]
    assert keys_of(marts.orders.arrow()) == [1, 2, 3]
    joined = before.inner_join(readers.orders(), "order_id")
    assert readers.arrow(joined).num_rows == 1


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: readers.orders(columns=["amout"]), "mart orders has no column 'amout'; did you mean 'amount'?"),
        (lambda: readers.orders(columns="amount"), "takes a list of names, such as ['amount']"),
        (lambda: readers.orders(columns=[]), "orders(columns=…): names no column; there are order_id, customer_id"),
        (
            lambda: readers.orders(as_of="1998-07-02"),
            "orders(as_of=…): 1998-07-02T00:00:00+00:00 lies beyond the watermark: the exports behind mart orders cover "
            "everything before 1998-07-01T00:00:00+00:00 only; load a later export",
        ),
        (lambda: readers.orders(since="1999-01-01"), "orders(since=…): 1999-01-01T00:00:00+00:00 lies beyond"),
        (lambda: readers.customers(covers="1998-07-02"), "customers(covers=…): 1998-07-02T00:00:00+00:00 lies beyond"),
        (lambda: readers.customers(since="1998-01-01"), "mart customers holds no events"),
        (lambda: readers.viewers(since="1998-01-01"), "leave it out, or ask for an instant by as_of"),
        (lambda: readers.films(as_of="1998-01-01"), "mart films holds no past"),
        (lambda: readers.orders(since="1998-02-01", as_of="1998-01-01"), "nothing is between them; exchange them"),
        (lambda: readers.orders(since="yesterday"), "'yesterday' is no date; it takes a date such as 1998-01-31"),
        (lambda: readers.orders(since=datetime(1998, 1, 1)), "1998-01-01 00:00:00 has no time zone"),
        (lambda: readers.orders(since=cast(Any, 883612800)), "whose midnight in UTC it is, or an instant"),
        (lambda: readers.orders(since=date.max), "9999-12-31 is no date of this platform; it takes one from year 2"),
        (lambda: readers.orders(as_of="0001-01-01T00:00:00+14:00"), "it takes one from year 2 to 9998"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_mart_does_not_answer_is_refused_in_words(ask: Callable[[], object], said: str, world: World) -> None:
    with pytest.raises(ReadRefused) as refused:
        ask()
    assert said in str(refused.value)


def test_a_refused_mart_says_why_to_new_calls_and_is_read_again_once_it_is_published(world: World) -> None:
    world.store.refuse(["orders"], "its last build failed dbt test x")
    with pytest.raises(MartRefused, match=r"mart orders: its last build failed dbt test x; fix its cause"):
        readers.orders()
    assert readers.customers().count().to_pyarrow().as_py() == 2
    world.publish({"orders": ROWS["orders"]})
    assert keys_of(readers.orders.arrow()) == [1, 2, 3]


def test_a_mart_that_was_never_published_says_what_to_materialise(world: World) -> None:
    (world.environment.data / "marts" / "current.json").unlink()
    with pytest.raises(MartMissing, match="mart orders has not been published yet; materialise marts/orders first"):
        readers.orders()


def test_a_damaged_file_is_refused_by_its_name(world: World) -> None:
    file = world.file_of("orders")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(MartDamaged, match=f"mart orders: {file} is gone or not what was written"):
        readers.orders()


def test_a_column_that_is_declared_but_not_published_yet_is_refused_not_null(world: World) -> None:
    world.publish({"orders": ROWS["orders"]}, without="quantity")
    with pytest.raises(ReadRefused, match="column quantity is declared, but not in the version that is published"):
        readers.orders()
    assert readers.orders.arrow(columns=["order_id"]).num_rows == 3


def test_an_unknown_mart_is_named_with_the_nearest_however_it_is_asked_for(world: World) -> None:
    with pytest.raises(ImportError, match=r"there is no mart 'order'; did you mean 'orders'\?"):
        from platform_assets.readers import order  # noqa: F401
    with pytest.raises(AttributeError, match=r"there is no mart 'order'; did you mean 'orders'\?"):
        readers.order  # noqa: B018
    with pytest.raises(AttributeError, match=r"there is no mart 'order'; did you mean 'orders'\?"):
        readers.open_marts().order  # noqa: B018
    assert not hasattr(readers, "order")
    assert not hasattr(readers, "__wrapped__")


def test_the_offered_names_are_there_beside_the_marts(world: World) -> None:
    from platform_assets.readers import Marts, Reader
    from platform_assets.readers.reader import Reader as DefinedReader

    assert Reader is DefinedReader
    assert isinstance(readers.open_marts(), Marts)
    assert [*readers.open_marts()] == sorted(ROWS)
    assert set(ROWS) <= set(dir(readers.open_marts()))


def test_without_a_project_here_names_can_be_listed_and_a_reader_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLATFORM_PROJECT_DIR", str(tmp_path))
    assert "open_marts" in dir(readers)
    with pytest.raises(EnvironmentVariableError, match=f"takes a folder that holds {SETTINGS}"):
        readers.orders  # noqa: B018


def test_neither_dagster_nor_what_trains_is_imported_and_importing_imports_nothing(world: World) -> None:
    program = """
import sys
import platform_assets.readers
first = set(sys.modules)
from platform_assets.readers import orders
named = set(sys.modules)
orders.arrow()
read = set(sys.modules)
heavy = {"dagster", "dagster_dbt", "dbt", "pandas", "great_expectations", "torch", "lightgbm", "sklearn"}
heavy |= {"google.cloud.bigquery", "google.cloud.storage", "boto3", "fastapi", "kubernetes"}
print(sorted(first & {*heavy, "pydantic", "ibis", "duckdb", "pyarrow"}))
print(sorted(named & {*heavy, "ibis", "duckdb", "pyarrow"}))
print(sorted(read & heavy))
"""
    done = run_python("-c", program)
    assert (done.stdout.splitlines(), done.stderr) == (["[]", "[]", "[]"], "")


def test_the_code_on_the_page_runs(world: World) -> None:
    page = (REPOSITORY / "docs" / "how-to" / "read-marts.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    assert names["rows"].num_rows == 2
    assert names["version"] == world.store.read()["orders"].version
