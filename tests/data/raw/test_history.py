"""An export beside those before it: what is told, what stops marts, and what must not cry wolf."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.engines.profiles import KeysGone, RowKey
from platform_assets.data.engines.raw_tables import RawTable
from platform_assets.data.exports.export import ExportError
from platform_assets.data.exports.spec import Accepted, Expectations, ExportSourceSpec
from platform_assets.data.raw.comparison.history import Histories, TableHistory
from platform_assets.data.raw.discover import load_source
from tests.data.exports.breaking import AT, FILMS, SHOP, write_films, write_shop
from tests.support.older_code import older_tree
from tests.support.processes import run_python

ORDERS = SHOP.model_copy(update={"tables": SHOP.tables[1:]})
DAYS = [AT + timedelta(days=day) for day in range(5)]


class Counting(FolderTables):
    """Raw tables that count how often keys were compared."""

    compared = 0

    def keys_gone(self, before: RawTable, now: RawTable, key: RowKey) -> KeysGone:
        self.compared += 1
        return super().keys_gone(before, now, key)


class World:
    """A lake, raw tables and comparisons of one source."""

    def __init__(self, folder: Path, spec: ExportSourceSpec) -> None:
        self.folder, self.spec = folder, spec
        self.lake, self.raw = folder / "lake", Counting(folder / "raw")

    def history(self, **changes: Any) -> TableHistory:
        """Loads what lies in the lake, and the history of the source's first table, as declared with `changes`."""
        spec = self.spec.model_copy(update=changes)
        load_source(spec, spec.path, self.lake, self.raw)
        histories = Histories(self.raw, self.raw, {spec.path: spec}, self.folder / "comparisons")
        return histories.of(spec.path, spec.tables[0].name)

    def loaded(self, export: Path) -> Path:
        """The folder of a loaded export."""
        return self.folder / "raw" / self.spec.path / self.spec.tables[0].name / export.name


@pytest.fixture
def shop(tmp_path: Path) -> World:
    return World(tmp_path, ORDERS)


@pytest.fixture
def films(tmp_path: Path) -> World:
    return World(tmp_path, FILMS)


def orders(keys: Sequence[int] = range(60), channel: Sequence[str | None] | None = None) -> pa.Table:
    """An order a day from the first of January on; every third without a channel."""
    channels = [None if key % 3 == 0 else "web" for key in keys] if channel is None else list(channel)
    return pa.table(
        {
            "order_id": pa.array(keys, pa.int64()),
            "ordered_at": pa.array([datetime(2025, 1, 1) + timedelta(days=key) for key in keys], pa.timestamp("us")),
            "channel": pa.array(channels, pa.string()),
        }
    )


def write(world: World, day: int, rows: pa.Table, **options: Any) -> Path:
    return write_shop(world.lake, DAYS[day], {"shop.orders": rows}, **options)


def film(number: int, **attributes: Any) -> dict[str, Any]:
    plan = {"M": {"plan": {"S": "pro"}, "a.b": {"N": "1"}}}
    always = {"film_id": {"N": str(number)}, "title": {"S": "A film"}, "year": {"N": "1990"}, "profile": plan}
    return {name: value for name, value in (always | attributes).items() if value is not None}


def sentences(history: TableHistory) -> list[str]:
    assert history.newest is not None
    return [finding.sentence for finding in history.newest.findings]


def stops(history: TableHistory) -> bool:
    return bool(history.stopping(every_export=False))


def accept(export: Path, table: str = "orders") -> list[Accepted]:
    return [Accepted(export=export.name, table=table, because="The shop has one channel left.")]


def test_a_column_that_an_export_lacks_stops_marts_in_a_sentence_with_a_remedy(shop: World) -> None:
    first, second = write(shop, 0, orders()), write(shop, 1, orders().drop(["channel"]))
    history = shop.history()
    (judged,) = history.stopping(every_export=False)
    assert sentences(history) == [
        f"column channel is not in export {second.name}; in export {first.name} 40 of 60 rows had a value"
    ]
    assert judged.why().startswith("shop.orders: column channel is not in export")
    assert f'add to `accept` in shop/defs.yaml: {{export: "{second.name}", table: orders, because: …}}' in judged.why()
    assert f"delete {shop.loaded(second)}" in judged.why()


def test_a_column_that_lost_its_values_stops_marts_and_one_that_lost_many_is_told(shop: World) -> None:
    write(shop, 0, orders())
    write(shop, 1, orders(channel=["web"] * 20 + [None] * 40))
    history = shop.history()
    assert [(finding.subject, finding.stops) for finding in history.newest.findings] == [("nulls", False)]  # type: ignore[union-attr]
    assert "channel has a value in 20 of 60 rows" in sentences(history)[0]
    write(shop, 2, orders(channel=[None] * 60))
    history = shop.history()
    assert stops(history)
    assert "channel has a value in 0 of 60 rows of export" in sentences(history)[0]


def test_a_lost_part_is_told_by_number_share_part_and_months_and_by_no_key(shop: World) -> None:
    first = write(shop, 0, orders(range(1000, 1060)), parts=4, skip=())
    second = write(shop, 1, orders(range(1000, 1061)), parts=4, skip=())
    min(second.glob("shop/shop.orders/1/part-00002-*")).unlink()
    history = shop.history()
    (judged,) = history.stopping(every_export=False)
    (sentence,) = sentences(history)
    # The parts of the later export hold 16 rows each.
    assert sentence == (
        f"16 of the 60 keys of orders in export {first.name} are not in export {second.name} (26.7%; expected: keys_gone "
        f"0.05); it has 3 parts where {first.name} had 4, and none for 1/part-00002 (15 rows); their ordered_at is from "
        "2027-10 to 2027-11"
    )
    assert not any(str(key) in judged.why() for key in range(1000, 1061))


def test_keys_that_are_people_are_counted_and_never_shown(shop: World) -> None:
    people = [f"person-{number}@example.com" for number in range(40)]
    rows = pa.table({"order_id": pa.array(people), "channel": pa.array(["web"] * 40)})
    write(shop, 0, rows)
    write(shop, 1, rows.slice(20))
    history = shop.history()
    assert "20 of the 40 keys of orders" in sentences(history)[0]
    assert "example.com" not in history.newest.why()  # type: ignore[union-attr]
    assert "example.com" not in (shop.folder / "comparisons" / "shop" / "orders.json").read_text()
    assert "example.com" not in (shop.loaded(shop.lake / "shop" / "snapshot-20260106") / "_profile.json").read_text()


def test_what_stays_away_is_told_by_every_export_and_not_by_the_first_alone(shop: World) -> None:
    first = write(shop, 0, orders())
    for day in (1, 2, 3):
        write(shop, day, orders().drop(["channel"]))
        history = shop.history()
        assert stops(history)
        assert f"in export {first.name} 40 of 60 rows had a value" in sentences(history)[0]


def test_an_accepted_export_is_built_from_and_is_what_later_ones_are_compared_with(shop: World) -> None:
    write(shop, 0, orders())
    dropped = write(shop, 1, orders().drop(["channel"]))
    assert stops(shop.history())
    history = shop.history(accept=accept(dropped))
    assert not stops(history)
    assert history.newest is not None
    assert history.newest.accepted == "The shop has one channel left."
    write(shop, 2, orders().drop(["channel"]))
    history = shop.history(accept=accept(dropped))
    assert sentences(history) == []
    write(shop, 3, orders(range(30)).drop(["channel"]))
    assert stops(shop.history(accept=accept(dropped)))


def test_a_mended_export_is_built_from_and_stops_only_what_reads_every_export(shop: World) -> None:
    write(shop, 0, orders())
    bad = write(shop, 1, orders(range(30)))
    write(shop, 2, orders(range(61)))
    history = shop.history()
    assert not stops(history)
    assert [judged.export.export_id for judged in history.stopping(every_export=True)] == [bad.name]


def test_the_first_export_is_compared_with_nothing_and_an_equal_one_differs_in_nothing(shop: World) -> None:
    write(shop, 0, orders())
    assert shop.history() == TableHistory((), None)
    write(shop, 1, orders(range(62)))
    history = shop.history()
    assert history.newest is not None
    assert (history.newest.findings, history.newest.new_columns) == ((), ())


def test_exports_that_arrive_at_once_or_late_are_compared_in_the_order_of_their_instants(shop: World) -> None:
    write(shop, 0, orders())
    write(shop, 2, orders(range(64)))
    assert not stops(shop.history())
    late = write(shop, 1, orders(range(20)))
    write(shop, 3, orders(range(66)))
    history = shop.history()
    assert not stops(history)
    assert [judged.export.export_id for judged in history.judged if judged.stops] == [late.name]
    assert [len(judged.findings) for judged in history.judged] == [1, 0, 0]


def test_exports_that_were_loaded_before_contents_were_recorded_are_taken_as_they_are(shop: World) -> None:
    old = [write(shop, 0, orders()), write(shop, 1, orders(range(30)).drop(["channel"]))]
    shop.history()
    for export in old:
        (shop.loaded(export) / "_profile.json").unlink()
    assert shop.history() == TableHistory((), None)
    write(shop, 2, orders(range(30)).drop(["channel"]))
    assert sentences(shop.history()) == []
    write(shop, 3, orders(range(30)).drop(["channel", "ordered_at"]))
    history = shop.history()
    assert stops(history)
    assert "column ordered_at is not in export" in sentences(history)[0]


def test_a_new_column_is_told_and_kept(shop: World) -> None:
    write(shop, 0, orders().drop(["channel"]))
    write(shop, 1, orders())
    history = shop.history()
    assert history.newest is not None
    assert (history.newest.findings, history.newest.new_columns) == ((), ("channel",))


def test_a_type_of_another_kind_stops_marts_and_a_wider_one_is_told(shop: World) -> None:
    narrow = orders().append_column("quantity", pa.array([1] * 60, pa.int32()))
    write(shop, 0, narrow)
    write(shop, 1, narrow.set_column(3, "quantity", narrow["quantity"].cast(pa.int64())))
    history = shop.history()
    assert not stops(history)
    assert sentences(history) == [
        "column quantity is BIGINT in export snapshot-20260106, and was INTEGER in export snapshot-20260105"
    ]
    write(shop, 2, narrow.set_column(3, "quantity", narrow["quantity"].cast(pa.string())))
    history = shop.history()
    assert stops(history)
    assert "column quantity is VARCHAR in export snapshot-20260107, and was BIGINT" in sentences(history)[0]


def test_thresholds_are_the_sources_and_over_them_the_tables(shop: World) -> None:
    write(shop, 0, orders())
    write(shop, 1, orders(range(40, 120)))
    assert stops(shop.history())
    assert not stops(shop.history(expectations=Expectations(keys_gone=1)))
    strict = ORDERS.tables[0].model_copy(update={"expectations": Expectations(keys_gone=0.1)})
    assert stops(shop.history(expectations=Expectations(keys_gone=1), tables=[strict]))
    write(shop, 2, orders(range(200, 230)))
    history = shop.history(expectations=Expectations(keys_gone=1))
    assert stops(history)
    assert (
        "has 30 rows of orders, and export snapshot-20260106 had 80 (expected: rows_at_least 0.5)"
        in sentences(history)[0]
    )
    history = shop.history(expectations=Expectations(keys_gone=1, rows_at_least=0.1))
    assert not stops(history)
    write(shop, 3, orders(range(200, 300)))
    history = shop.history(expectations=Expectations(keys_gone=1, rows_at_least=0.1))
    assert not stops(history)
    assert "(expected: rows_at_most 2)" in sentences(history)[0]


def test_a_few_rows_more_or_less_are_nothing(shop: World) -> None:
    write(shop, 0, orders(range(12)))
    write(shop, 1, orders(range(4, 12), channel=[None] * 8))
    assert sentences(shop.history()) == []


def test_a_table_that_lost_all_its_rows_stops_marts(shop: World) -> None:
    write(shop, 0, orders())
    write(shop, 1, orders([]))
    history = shop.history()
    assert stops(history)
    assert "60 of the 60 keys of orders" in sentences(history)[0]


def test_an_attribute_that_some_items_lack_is_normal(films: World) -> None:
    rare = [film(number, rare={"S": "x"} if number < 12 else None) for number in range(300)]
    write_films(films.lake, rare, DAYS[0])
    some = [film(number, title=None if number % 10 == 0 else {"S": "A film"}) for number in range(300)]
    write_films(films.lake, some, DAYS[1])
    assert sentences(films.history()) == []
    assert stops(films.history(expectations=Expectations(filled=0.01)))


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"title": None}, "attribute title has a value in 0 of 30 items of export"),
        ({"title": {"NULL": True}}, "attribute title has a value in 0 of 30 items of export"),
        ({"year": {"S": "1990"}}, "attribute year is of type N in 0 of 30 items of export"),
        ({"profile": {"M": {"a.b": {"N": "1"}}}}, "attribute profile.plan has a value in 0 of 30 items of export"),
        ({"profile": {"M": {"plan": {"S": "x"}}}}, 'attribute profile."a.b" has a value in 0 of 30 items of export'),
    ],
)
def test_an_attribute_that_is_gone_from_all_items_or_of_another_type_stops_marts(
    films: World, attributes: dict[str, Any], told: str
) -> None:
    write_films(films.lake, [film(number) for number in range(30)], DAYS[0])
    write_films(films.lake, [film(number, **attributes) for number in range(30)], DAYS[1])
    history = films.history()
    assert stops(history)
    (sentence,) = sentences(history)
    assert sentence.startswith(told)


def test_an_attribute_of_a_type_that_none_had_is_told_however_rare_it_is(films: World) -> None:
    first = write_films(films.lake, [film(number) for number in range(2000)], DAYS[0])
    one = [film(number, **({"year": {"S": "MCMXC"}} if number == 7 else {})) for number in range(2000)]
    write_films(films.lake, one, DAYS[1])
    history = films.history()
    assert not stops(history)
    (sentence,) = sentences(history)
    assert sentence.startswith("attribute year is of type S in 1 of 2,000 items of export")
    assert sentence.endswith(f"and in none of export {first.name}: what reads it as N reads null")
    write_films(films.lake, one, DAYS[2])
    assert sentences(films.history()) == []


def test_an_attribute_that_many_more_items_lack_is_told(films: World) -> None:
    write_films(films.lake, [film(number) for number in range(30)], DAYS[0])
    half = [film(number, title=None if number % 2 else {"S": "A film"}) for number in range(30)]
    write_films(films.lake, half, DAYS[1])
    history = films.history()
    assert not stops(history)
    assert "attribute title has a value in 15 of 30 items" in sentences(history)[0]


def test_keys_are_compared_once_and_again_when_what_was_found_is_damaged(shop: World) -> None:
    write(shop, 0, orders())
    write(shop, 1, orders(range(30)))
    before = sentences(shop.history())
    assert sentences(shop.history()) == before
    assert shop.raw.compared == 1
    for damaged in (b"", b"{", b'{"format": 1, "gone": 7, "profiles": {}}'):
        (shop.folder / "comparisons" / "shop" / "orders.json").write_bytes(damaged)
        assert sentences(shop.history()) == before
    assert shop.raw.compared == 4


def test_a_damaged_record_of_contents_is_refused_with_the_folder_to_delete(shop: World) -> None:
    write(shop, 0, orders())
    folder = shop.loaded(write(shop, 1, orders()))
    shop.history()
    (folder / "_profile.json").write_text('{"rows": 60}')
    with pytest.raises(ExportError, match=rf"_profile\.json: not a readable record .* Delete {folder} to load"):
        shop.history()


def test_a_table_that_no_source_declares_has_no_history(shop: World) -> None:
    write(shop, 0, orders())
    write(shop, 1, orders(range(3)))
    shop.history()
    assert Histories(shop.raw, shop.raw, {}, shop.folder).of("shop", "orders") == TableHistory((), None)


def test_what_an_export_holds_is_recorded_when_it_is_loaded(shop: World) -> None:
    export = write(shop, 0, orders(), parts=2, skip=())
    shop.history()
    profile = shop.raw.recorded("shop", "orders")[export.name]
    assert (profile.rows, profile.keys) == (60, 60)
    assert profile.files == {"1/part-00000": 30, "1/part-00001": 30}
    columns = {column.name: (column.type, column.source_type, column.filled) for column in profile.columns}
    assert columns == {
        "order_id": ("BIGINT", "bigint", 60),
        "ordered_at": ("TIMESTAMP", "datetime", 60),
        "channel": ("VARCHAR", "text", 40),
    }
    read_now = shop.raw.profile(
        shop.raw.loaded([("shop", "orders")])["shop", "orders"][0], RowKey("aurora_snapshot", ())
    )
    assert [replace(column, source_type="") for column in profile.columns] == list(read_now.columns)


OLDER = """
import sys
from pathlib import Path
from platform_assets.exports.folder_tables import FolderTables
print([export.rows for export in FolderTables(Path(sys.argv[1])).loaded("shop", ["orders"])["orders"]])
"""


def test_older_code_reads_what_is_loaded_today(shop: World, tmp_path: Path) -> None:
    write(shop, 0, orders())
    write(shop, 1, orders().drop(["channel"]))
    shop.history()
    tree = older_tree(tmp_path / "older")
    done = run_python("-c", OLDER, shop.folder / "raw", folder=tree, variables={"PYTHONPATH": str(tree)})
    assert (done.returncode, done.stdout) == (0, "[60, 60]\n"), done.stderr
