"""Reading published marts: tables, watermarks, and versions as of an instant."""

import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from platform_assets.data.catalog.catalog import CatalogError
from platform_assets.data.catalog.pointer import MartDamaged, MartRefused, MartStore
from platform_assets.data.engines.duckdb import checksums, versions
from platform_assets.data.engines.duckdb.checksums import SUMS
from platform_assets.data.engines.duckdb.reading import DuckDBWarehouse
from platform_assets.data.engines.duckdb.versions import PART, DuckDBVersions, mart_file
from tests.data.engines.writing import publish_from
from tests.data.small_catalog import CATALOG, CUSTOMERS, FIRST, ORDERS, WATERMARKS, Order

Open = Callable[..., DuckDBWarehouse]
FEBRUARY = datetime(1998, 2, 1, tzinfo=UTC)


@pytest.fixture
def warehouse(marts: MartStore, database: Callable[..., Path]) -> Open:
    """Publishes both marts with these orders and opens them."""

    def open_with(orders: tuple[Order, ...] = FIRST) -> DuckDBWarehouse:
        publish_from(marts, database(orders=orders), [CUSTOMERS, ORDERS], WATERMARKS)
        return DuckDBWarehouse(CATALOG, marts)

    return open_with


def test_a_mart_reads_in_utc_and_sorted_by_event_time(warehouse: Open) -> None:
    opened = warehouse(FIRST[::-1])
    table = opened.to_arrow(opened.table("orders"))
    assert table.schema.field("ordered_at").type.tz == "UTC"
    assert table["order_id"].to_pylist() == [1, 2, 3]


def test_arrow_rows_join_with_marts(warehouse: Open) -> None:
    opened = warehouse()
    spine = opened.memtable(pa.table({"customer_id": pa.array([1, 9], pa.int64())}))
    orders = opened.table("orders")
    joined = spine.left_join(orders, "customer_id").aggregate(n=orders.order_id.count())
    assert opened.to_arrow(joined)["n"].to_pylist() == [2]


def test_one_warehouse_reads_one_set_of_marts_whatever_is_published_meanwhile(
    marts: MartStore, database: Callable[..., Path], warehouse: Open
) -> None:
    opened = warehouse()
    assert opened.published("orders").rows == 3
    publish_from(marts, database(orders=FIRST[:1], customers=(1,)), [CUSTOMERS, ORDERS], WATERMARKS)
    assert opened.to_arrow(opened.table("customers").count()).as_py() == 2
    assert DuckDBWarehouse(CATALOG, marts).published("orders").rows == 1


def test_the_watermark_of_several_marts_is_the_earliest(warehouse: Open) -> None:
    assert warehouse().watermark("orders", "customers") == WATERMARKS["customers"]


def test_a_refused_mart_is_not_read(marts: MartStore, warehouse: Open) -> None:
    opened = warehouse()
    marts.refuse(["orders"], "its last build failed dbt test x")
    with pytest.raises(MartRefused, match="dbt test x"):
        opened.table("orders")


def test_an_unknown_mart_is_named_with_the_nearest(warehouse: Open) -> None:
    with pytest.raises(CatalogError, match=r"no mart 'order'; did you mean 'orders'\?"):
        warehouse().table("order")


@pytest.mark.parametrize(
    "row", [(9, 1, "1998-02-01 00:00:00+00"), (9, 1, "1998-06-01 00:00:00+00")], ids=["same instant", "later"]
)
def test_a_later_row_leaves_the_version_before_an_instant(row: Order, warehouse: Open) -> None:
    before = warehouse().version_before("orders", FEBRUARY)
    assert warehouse((*FIRST, row)).version_before("orders", FEBRUARY) == before


def test_a_late_row_before_the_instant_changes_the_version(warehouse: Open) -> None:
    before = warehouse().version_before("orders", FEBRUARY)
    late = warehouse((*FIRST, (9, 1, "1998-01-31 23:59:59+00")))
    assert late.version_before("orders", FEBRUARY) != before


def test_an_instant_within_a_day_counts_that_day(warehouse: Open) -> None:
    noon = datetime(1998, 2, 1, 12, tzinfo=UTC)
    before = warehouse().version_before("orders", noon)
    morning = warehouse((*FIRST, (9, 1, "1998-02-01 08:00:00+00")))
    assert morning.version_before("orders", noon) != before


def test_an_entity_mart_has_one_version_at_any_instant(warehouse: Open) -> None:
    opened = warehouse()
    assert opened.version_before("customers", FEBRUARY) == opened.published("customers").content_hash


def test_an_instant_without_time_zone_is_refused(warehouse: Open) -> None:
    with pytest.raises(ValueError, match="time zone"):
        warehouse().version_before("orders", datetime(1998, 2, 1))


def flip(file: Path) -> None:
    """Change a byte in the middle of a file, as a disk does: its length stays."""
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 0xFF
    file.write_bytes(content)


def part_of(marts: MartStore, mart: str) -> Path:
    return mart_file(Path(marts.root), marts.read()[mart])


def test_a_mart_with_a_flipped_byte_is_refused_by_its_file_and_healed_by_the_next_build(
    marts: MartStore, warehouse: Open, database: Callable[..., Path]
) -> None:
    before, part = warehouse().published("orders"), part_of(marts, "orders")
    flip(part)
    opened = DuckDBWarehouse(CATALOG, marts)
    assert opened.to_arrow(opened.table("customers").count()).as_py() == 2
    with pytest.raises(MartDamaged, match=rf"mart orders: {part} is .*not what was written; materialise marts/orders"):
        opened.table("orders")
    assert not DuckDBVersions(Path(marts.root), Path()).is_written(before)
    publish_from(marts, database(), [ORDERS], WATERMARKS)
    assert marts.require("orders") == before
    healed = DuckDBWarehouse(CATALOG, marts)
    assert healed.to_arrow(healed.table("orders"))["order_id"].to_pylist() == [1, 2, 3]
    assert not list(Path(marts.root).rglob(".aside*"))


@pytest.mark.parametrize("lost", [PART, SUMS])
def test_a_file_of_a_mart_that_is_gone_or_empty_is_made_good(
    lost: str, marts: MartStore, warehouse: Open, database: Callable[..., Path]
) -> None:
    warehouse()
    folder = part_of(marts, "orders").parent
    (folder / lost).write_bytes(b"")
    with pytest.raises(MartDamaged):
        DuckDBWarehouse(CATALOG, marts).table("orders")
    if lost == PART:
        (folder / PART).unlink()
        with pytest.raises(MartDamaged, match="is gone or"):
            DuckDBWarehouse(CATALOG, marts).table("orders")
    publish_from(marts, database(), [ORDERS], WATERMARKS)
    healed = DuckDBWarehouse(CATALOG, marts)
    assert healed.value(healed.table("orders").count()) == 3


def test_a_version_of_earlier_code_is_read_as_it_is_and_gets_its_checksum_when_it_is_built(
    marts: MartStore, warehouse: Open, database: Callable[..., Path]
) -> None:
    warehouse()
    part = part_of(marts, "orders")
    (part.parent / SUMS).unlink()
    assert DuckDBVersions(Path(marts.root), Path()).is_written(marts.require("orders"))
    flip(part)
    publish_from(marts, database(), [ORDERS], WATERMARKS)
    opened = DuckDBWarehouse(CATALOG, marts)
    assert opened.to_arrow(opened.table("orders"))["order_id"].to_pylist() == [1, 2, 3]
    subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=part.parent, check=True)


@pytest.mark.parametrize("survived", [0, 1])
def test_a_kill_while_a_damaged_version_is_replaced_is_made_good_by_the_next_build(
    survived: int, marts: MartStore, warehouse: Open, database: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the part is replaced, or between it and its checksum: refused until it is built again, not for ever."""
    before, folder = warehouse().published("orders"), part_of(marts, "orders").parent
    (folder / PART).write_bytes(b"damaged")
    # A checksum of other bytes, as a version has that another engine process wrote in another order of pages.
    (folder / SUMS).write_text(f"{'0' * 64}  {PART}\n")
    child = os.fork()
    if child == 0:
        replaced, replace = iter(range(9)), os.replace
        monkeypatch.setattr(
            versions.os, "replace", lambda *two: replace(*two) if next(replaced) < survived else os._exit(9)
        )
        publish_from(marts, database(), [ORDERS], WATERMARKS)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    with pytest.raises(MartDamaged):
        DuckDBWarehouse(CATALOG, marts).table("orders")
    publish_from(marts, database(), [ORDERS], WATERMARKS)
    assert DuckDBVersions(Path(marts.root), Path()).is_written(before)
    assert sorted(path.name for path in folder.parent.rglob("*")) == sorted([before.version, PART, SUMS])


def test_a_version_is_read_for_its_checksum_once_a_process(
    marts: MartStore, warehouse: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse()
    DuckDBWarehouse(CATALOG, marts).table("orders")
    monkeypatch.setattr(checksums.hashlib, "file_digest", lambda *_: pytest.fail("it was read again"))
    DuckDBWarehouse(CATALOG, marts).table("orders")
