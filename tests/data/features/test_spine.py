"""A spine is who and as of when; equal spines are equal whatever the order of their rows."""

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

from platform_assets.data.catalog.business_day import instant_of
from platform_assets.data.features.spine import Spine, SpineRefused
from tests.data.features.conftest import AS_OF, CATALOG, ORDERS, WATERMARK, Platform, each_as_of, publish, with_lag

CUSTOMER = CATALOG.entities["customer"]


def rows(*given: tuple[int | None, datetime | None]) -> pa.Table:
    return each_as_of("customer_id", given)


def test_a_population_is_everyone_with_an_event_strictly_before(platform: Platform) -> None:
    spine = Spine.of_population(CUSTOMER, AS_OF)
    table = spine.rows(platform.warehouse)
    assert table["customer_id"].to_pylist() == [1, 2, 3]
    assert set(table["as_of"].to_pylist()) == {AS_OF}
    tie = Spine.of_population(CUSTOMER, ORDERS[-1]["ordered_at"])
    assert 4 not in tie.rows(platform.warehouse)["customer_id"].to_pylist()


def test_a_population_leaves_out_whose_events_have_not_arrived(platform: Platform) -> None:
    catalog = with_lag(CATALOG, "orders", timedelta(days=1))
    warehouse = publish(platform.folder / "late", catalog, {"orders": ORDERS}, WATERMARK)
    assert Spine.of_population(CUSTOMER, AS_OF).rows(warehouse)["customer_id"].to_pylist() == [1, 2]


def test_the_same_rows_in_another_order_are_the_same_spine() -> None:
    one = Spine.of_rows(CUSTOMER, rows((1, AS_OF), (2, AS_OF), (1, WATERMARK)))
    other = Spine.of_rows(CUSTOMER, rows((1, WATERMARK), (2, AS_OF), (1, AS_OF)))
    assert one.content_id == other.content_id
    assert one.given is not None
    assert one.given.equals(other.given)
    assert (one.single_as_of, one.max_as_of) == (None, WATERMARK)
    fewer = Spine.of_rows(CUSTOMER, rows((1, AS_OF), (2, AS_OF)))
    populations = [Spine.of_population(CUSTOMER, as_of) for as_of in (AS_OF, WATERMARK)]
    assert len({spine.content_id for spine in (one, fewer, *populations)}) == 4


def test_rows_that_share_an_instant_are_seen_as_one_date() -> None:
    assert Spine.of_rows(CUSTOMER, rows((1, AS_OF), (2, AS_OF))).single_as_of == AS_OF


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (rows((1, AS_OF), (1, AS_OF)), "1 rows repeat another's customer_id and as_of"),
        (rows((None, AS_OF)), "customer_id is null in 1 rows"),
        (rows(), "there is no row"),
        (rows((1, AS_OF)).drop_columns(["as_of"]), "column as_of is absent"),
        (pa.table({"customer_id": [1], "as_of": [datetime(1998, 1, 1)]}), "a timestamp with time zone"),
    ],
)
def test_a_spine_that_cannot_be_worked_with_is_refused(table: pa.Table, sentence: str) -> None:
    with pytest.raises(SpineRefused, match=sentence):
        Spine.of_rows(CUSTOMER, table)


def test_an_instant_without_time_zone_is_refused() -> None:
    with pytest.raises(SpineRefused, match="no time zone"):
        Spine.of_population(CUSTOMER, datetime(1998, 1, 1))


def test_a_business_date_begins_at_its_midnight() -> None:
    assert instant_of(date(1998, 1, 1), "UTC") == datetime(1998, 1, 1, tzinfo=UTC)
    assert instant_of(date(1998, 7, 1), "America/New_York") == datetime(1998, 7, 1, 4, tzinfo=UTC)
