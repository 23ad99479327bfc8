"""From exports to marts, when an export lost something on the way and nothing in it says so."""

from datetime import timedelta
from pathlib import Path

import pytest

from platform_assets.data.catalog.pointer import MartRefused, MartStore
from samples import shop
from tests.support.running import Platform, failures_of, materialized
from tests.support.small_exports import small_shop, write_shop

pytestmark = pytest.mark.slow


def test_lost_parts_reach_no_mart_and_the_marts_of_other_sources_go_on(own_platform: Platform) -> None:
    tables, lake = small_shop(), Path(own_platform.environment.exports)
    before = MartStore(own_platform.environment.marts).read()
    lost = write_shop(lake, tables, shop.UNTIL + timedelta(days=1))
    for table in ("shop.customers", "shop.orders"):
        next(lost.glob(f"shop/{table}/1/part-00002-*")).unlink()
    refreshed = own_platform.materialize(
        "raw/shop/customers", "raw/shop/orders", "staging/stg_shop__orders", "marts/orders", "marts/films"
    )
    assert not refreshed.success
    (sentence,) = failures_of(refreshed).values()
    orders = tables["shop.orders"].num_rows
    part = -(-orders // 4)
    assert (
        f"shop.orders: {part:,} of the {orders:,} keys of orders in export shop-19980701 are not in export" in sentence
    )
    assert f"and none for 1/part-00002 ({part:,} rows); their ordered_at is from 199" in sentence
    assert set(materialized(refreshed)) == {"raw/shop/customers", "raw/shop/orders", "marts/films"}
    marts = MartStore(own_platform.environment.marts)
    assert marts.read() == before
    with pytest.raises(MartRefused, match="keys of orders in export shop-19980701 are not in export shop-19980702"):
        marts.require("orders")
