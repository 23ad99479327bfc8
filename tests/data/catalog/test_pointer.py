"""The pointer: one switch, refusals, and what a killed writer leaves."""

import itertools
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from platform_assets.data.catalog.pointer import POINTER, MartDamaged, MartMissing, MartRefused, MartStore
from platform_assets.data.engines.duckdb.versions import mart_file
from tests.data.engines.writing import publish_from, write_versions
from tests.data.small_catalog import CUSTOMERS, FIRST, ORDERS, WATERMARK, WATERMARKS

LATER = (*FIRST, (4, 2, "1998-06-30 23:59:59+00"))


def test_a_published_mart_reads_back_as_it_was_published(marts: MartStore, database: Callable[..., Path]) -> None:
    tables = publish_from(marts, database(), [CUSTOMERS, ORDERS], WATERMARKS)
    assert marts.read() == {table.name: table for table in tables}
    orders = marts.require("orders")
    assert (orders.rows, orders.watermark) == (3, WATERMARK)
    assert orders.first_event == datetime(1998, 1, 5, 12, tzinfo=UTC)
    assert orders.last_event == datetime(1998, 3, 9, tzinfo=UTC)
    assert list(orders.days) == ["1998-01-05", "1998-03-09"]
    assert mart_file(Path(marts.root), orders).is_file()
    customers = marts.require("customers")
    assert (customers.days, customers.first_event) == ({}, None)


def test_rows_in_another_order_are_the_same_version(marts: MartStore, database: Callable[..., Path]) -> None:
    before = write_versions(marts, database(), [ORDERS], WATERMARKS)
    after = write_versions(marts, database(orders=FIRST[::-1]), [ORDERS], WATERMARKS)
    assert before == after
    assert [path.name for path in (Path(marts.root) / "orders").iterdir()] == [before[0].version]


def test_a_pair_of_duplicates_is_another_version(marts: MartStore, database: Callable[..., Path]) -> None:
    once = write_versions(marts, database(), [ORDERS], WATERMARKS)[0]
    thrice = write_versions(marts, database(orders=(*FIRST, FIRST[0], FIRST[0])), [ORDERS], WATERMARKS)[0]
    assert once.days["1998-01-05"] != thrice.days["1998-01-05"]
    assert once.days["1998-03-09"] == thrice.days["1998-03-09"]
    assert once.content_hash != thrice.content_hash


def test_empty_marts_publish(marts: MartStore, database: Callable[..., Path]) -> None:
    publish_from(marts, database(orders=(), customers=()), [CUSTOMERS, ORDERS], WATERMARKS)
    orders = marts.require("orders")
    assert (orders.rows, orders.days, orders.first_event, orders.last_event) == (0, {}, None, None)
    assert marts.require("customers").rows == 0


def test_a_row_without_event_time_publishes_nothing(marts: MartStore, database: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match=r"mart orders: 1 rows have no ordered_at"):
        publish_from(marts, database(orders=((1, 1, None),)), [ORDERS], WATERMARKS)
    assert marts.read() == {}


def test_a_mart_never_published_is_missing_with_what_to_do(marts: MartStore) -> None:
    with pytest.raises(MartMissing, match="mart orders has not been published yet; materialise marts/orders"):
        marts.require("orders")


def test_a_refused_mart_is_refused_until_it_is_published_again(marts: MartStore, database: Callable[..., Path]) -> None:
    publish_from(marts, database(), [CUSTOMERS, ORDERS], WATERMARKS)
    marts.refuse(["orders"], "its last build failed dbt test unique_orders_order_id")
    with pytest.raises(MartRefused, match=r"mart orders: .*unique_orders_order_id; fix .*materialise marts/orders"):
        MartStore(marts.root).require("orders")
    assert marts.require("customers").rows == 2
    publish_from(marts, database(), [ORDERS], WATERMARKS)
    assert marts.require("orders").rows == 3
    assert marts.refusals() == {}


def test_publishing_one_mart_leaves_the_others(marts: MartStore, database: Callable[..., Path]) -> None:
    publish_from(marts, database(), [CUSTOMERS, ORDERS], WATERMARKS)
    customers = marts.require("customers")
    publish_from(marts, database(orders=LATER), [ORDERS], WATERMARKS)
    assert marts.require("customers") == customers
    assert marts.require("orders").rows == 4


def test_the_folder_of_marts_may_move(marts: MartStore, database: Callable[..., Path]) -> None:
    publish_from(marts, database(), [ORDERS], WATERMARKS)
    moved = Path(marts.root).rename(Path(marts.root).with_name("elsewhere"))
    assert mart_file(moved, MartStore(moved).require("orders")).is_file()


def test_readers_never_see_half_a_switch(marts: MartStore, database: Callable[..., Path]) -> None:
    small = write_versions(marts, database(), [CUSTOMERS, ORDERS], WATERMARKS)
    large = write_versions(marts, database(orders=LATER, customers=(1, 2, 3)), [CUSTOMERS, ORDERS], WATERMARKS)
    pairs = {tuple(sorted(table.version for table in tables)) for tables in (small, large)}
    marts.publish(small)
    seen: set[tuple[str, ...]] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(tuple(sorted(table.version for table in marts.read().values())))

    with ThreadPoolExecutor(max_workers=1) as pool:
        reader = pool.submit(read)
        for switches in itertools.count():
            marts.publish(large)
            marts.publish(small)
            if reader.done() or (switches >= 20 and seen >= pairs):
                break
        done.set()
        reader.result()
    assert seen == pairs


KILLED_BEFORE_THE_SWITCH = """
import os, signal, sys
from pathlib import Path
from platform_assets.data.catalog.pointer import MartStore
from tests.data.engines.writing import write_versions
from tests.data.small_catalog import CUSTOMERS, ORDERS, WATERMARKS

store = MartStore(Path(sys.argv[1]))
write_versions(store, Path(sys.argv[2]), [CUSTOMERS, ORDERS], WATERMARKS)
(store.root / "orders" / ".aside-of-a-killed-writer").mkdir()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_between_writing_and_the_switch_then_rerun_equals_undisturbed(
    marts: MartStore, database: Callable[..., Path], tmp_path: Path
) -> None:
    publish_from(marts, database(), [CUSTOMERS, ORDERS], WATERMARKS)
    before = marts.read()
    file = database(orders=LATER)
    script = [sys.executable, "-c", KILLED_BEFORE_THE_SWITCH, str(marts.root), str(file)]
    killed = subprocess.run(script, cwd=Path(__file__).parents[3], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert marts.read() == before

    publish_from(marts, file, [CUSTOMERS, ORDERS], WATERMARKS)
    undisturbed = MartStore(tmp_path / "undisturbed")
    publish_from(undisturbed, file, [CUSTOMERS, ORDERS], WATERMARKS)
    facts = [
        {name: (t.content_hash, t.rows, t.days) for name, t in store.read().items()} for store in (marts, undisturbed)
    ]
    assert facts[0] == facts[1]
    assert not list(Path(marts.root).rglob(".aside*"))


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 40, b"{", b"[]", b"5", b"{}", b'{"format": 1}', b'{"format": 1, "tables": {"orders": {}}, "refused": {}}',
     b'{"format": 1, "tables": {}, "refused": []}', b"\xff\xfe"],
)  # fmt: skip
def test_a_damaged_pointer_names_its_file_and_what_to_do_and_is_left_alone(
    content: bytes, marts: MartStore, database: Callable[..., Path]
) -> None:
    tables, file = publish_from(marts, database(), [CUSTOMERS, ORDERS], WATERMARKS), Path(marts.root) / POINTER
    before = marts.read()
    file.write_bytes(content)
    asks = (marts.read, lambda: marts.publish(tables), lambda: marts.refuse(["orders"], "x"), marts.refusals)
    for ask in asks:
        with pytest.raises(MartDamaged, match=rf"{file}, which .* is damaged .* run the job refresh_marts"):
            ask()
    assert file.read_bytes() == content
    file.unlink()
    publish_from(marts, database(), [CUSTOMERS, ORDERS], WATERMARKS)
    assert marts.read() == before
