"""A feature table is made once for what it depends on, and only an audited one can be read."""

from datetime import datetime, timedelta

import pyarrow.parquet as pq
import pytest

from platform_assets.data.catalog.pointer import MartRefused
from platform_assets.data.features.spine import Spine
from platform_assets.data.features.tables import (
    FILE,
    AsOfNotCovered,
    feature_group_table,
    feature_recipe,
    feature_table,
)
from platform_assets.data.quality import AuditFailed
from platform_assets.foundation.artifacts import Artifact, ArtifactStore
from tests.data.features.conftest import AS_OF, CATALOG, GROUPS, ORDERS, WATERMARK, Platform, order, rating

CUSTOMER = CATALOG.entities["customer"]
WINDOWS = GROUPS["customer"]["order_windows"]
REFUNDED = order(50, 2, 99, amount="-40")


def spine() -> Spine:
    return Spine.of_population(CUSTOMER, AS_OF)


def made(platform: Platform, as_of: datetime = AS_OF) -> Artifact:
    return feature_group_table(WINDOWS, Spine.of_population(CUSTOMER, as_of), platform.warehouse, platform.store)


def fingerprint(platform: Platform) -> str:
    return feature_recipe(WINDOWS, spine(), platform.warehouse).fingerprint


def test_a_table_is_built_once_and_then_found(platform: Platform) -> None:
    first = made(platform)
    again = feature_group_table(WINDOWS, spine(), platform.warehouse, ArtifactStore(str(platform.folder / "artifacts")))
    assert (first.hit, again.hit) == (False, True)
    assert again.ref == first.ref
    assert first.metadata["rows"] == 3
    assert first.metadata["audit"]["passed"]
    assert pq.ParquetFile(first.path(FILE)).metadata.num_rows == 3


def test_later_rows_leave_a_past_table_alone_and_late_rows_remake_it(platform: Platform) -> None:
    before = fingerprint(platform)
    platform.publish(orders=[*ORDERS, order(50, 1, 130)])
    assert fingerprint(platform) == before
    platform.publish(orders=[*ORDERS, order(50, 1, 20)])
    assert fingerprint(platform) != before
    platform.publish(orders=ORDERS, ratings=[rating(1, 9, 3)])
    assert fingerprint(platform) == before


def test_an_as_of_beyond_the_exports_is_refused(platform: Platform) -> None:
    with pytest.raises(
        AsOfNotCovered, match=r"order_windows as of 1998-07-02.*orders cover everything before 1998-07-01"
    ):
        made(platform, WATERMARK + timedelta(days=1))
    assert made(platform, WATERMARK).metadata["rows"] == 4


def test_a_failed_audit_publishes_nothing_and_refuses_whoever_reads_next(platform: Platform) -> None:
    old = made(platform)
    platform.publish(orders=[*ORDERS, REFUNDED])
    stored = sorted((platform.folder / "artifacts").rglob("*.*"))
    for _ in range(2):
        with pytest.raises(AuditFailed, match=r"order_windows: .* on 4 of .* amount_7d .*: .*1 of 3 rows fail"):
            feature_table([WINDOWS], spine(), platform.warehouse, platform.store)
    assert sorted((platform.folder / "artifacts").rglob("*.*")) == stored
    platform.publish(orders=ORDERS)
    assert made(platform).ref == old.ref


def test_a_mart_that_failed_its_tests_is_refused_even_when_the_table_is_stored(platform: Platform) -> None:
    made(platform)
    platform.warehouse.marts.refuse(["orders"], "its last build failed dbt test unique_orders_order_id")
    with pytest.raises(MartRefused, match="unique_orders_order_id"):
        made(platform)


def test_groups_join_side_by_side_with_the_hash_of_each(platform: Platform) -> None:
    joined = feature_table(GROUPS["customer"].values(), spine(), platform.warehouse, platform.store)
    names = [name for group in GROUPS["customer"].values() for name in group.features]
    assert joined.table.column_names == ["customer_id", "as_of", *names]
    assert list(joined.content_hashes) == list(GROUPS["customer"])
    assert joined.table.num_rows == 3
    with pytest.raises(ValueError, match="no feature group of customer was asked for"):
        feature_table([], spine(), platform.warehouse, platform.store)
    with pytest.raises(ValueError, match="describes viewer, the spine holds customer"):
        feature_table(GROUPS["viewer"].values(), spine(), platform.warehouse, platform.store)


def test_a_groups_code_is_its_file_and_the_windows_it_uses(platform: Platform) -> None:
    code = feature_recipe(WINDOWS, spine(), platform.warehouse).code
    assert [name for name in code if name.startswith(("platform_assets", "project_features"))] == [
        "platform_assets.data.features.group",
        "platform_assets.data.features.point_in_time",
        "platform_assets.data.features.windows",
        "project_features.customer_order_windows",
    ]
    assert "ibis-framework" in code
