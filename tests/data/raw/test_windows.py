"""A window of changes beside the full export and the windows before it: what is told, what stops marts, what must not cry wolf."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.exports.spec import Accepted
from platform_assets.data.raw.checks import check_results, check_specs
from platform_assets.data.raw.comparison.history import Histories, TableHistory
from platform_assets.data.raw.discover import load_source
from samples.dynamodb_export import change
from tests.data.exports.breaking import FILMS, write_films
from tests.data.exports.histories import at
from tests.data.raw.test_changes import write_changes
from tests.tiers import Draw

Item = dict[str, Any]
CHANGES = "films__changes"


def film(number: int, **attributes: Any) -> Item:
    """A film; every other one is a series, which has episodes."""
    of_kind = {"episodes": {"N": "8"}} if number % 2 else {}
    always = {"film_id": {"N": str(number)}, "title": {"S": "A film"}, "year": {"N": "1990"}}
    return {name: value for name, value in (always | of_kind | attributes).items() if value is not None}


class World:
    """Films: a full export of 100, and windows of changes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lake, self.raw = folder, folder / "lake", FolderTables(folder / "raw")
        self.hour = 0
        self.full(map(film, range(100)))

    def full(self, items: Iterable[Item]) -> Path:
        return write_films(self.lake, list(items), at(self.hour))

    def window(self, items: Iterable[Item], deleted: Iterable[Item] = ()) -> Path:
        """The next window of an hour, in which these items were written."""
        start, self.hour = self.hour, self.hour + 1
        lines = [change({"film_id": one["film_id"]}, at(start), new=one) for one in items]
        lines += [change({"film_id": one["film_id"]}, at(start), old=one) for one in deleted]
        return write_changes(self.lake, start, self.hour, lines, files=1)

    def histories(self, **changes: Any) -> Histories:
        spec = FILMS.model_copy(update=changes)
        load_source(spec, "films", self.lake, self.raw)
        return Histories(self.raw, self.raw, {"films": spec}, self.folder / "comparisons")

    def history(self, **changes: Any) -> TableHistory:
        return self.histories(**changes).of("films", CHANGES)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def told(history: TableHistory) -> list[tuple[str, bool, str]]:
    """Subject, whether it stops, and the sentence, of the newest window."""
    assert history.newest is not None
    return [(finding.subject, finding.stops, finding.sentence) for finding in history.newest.findings]


# What is written in a window after one of forty films, and what is told of it: subject, whether marts stop, words.
Planted = tuple[Callable[[], list[Item]], list[tuple[str, bool, str]]]
PLANTED: Mapping[str, Planted] = {
    "as before": (lambda: [film(n) for n in range(40)], []),
    "one item": (lambda: [film(1)], []),
    # As where the attribute went away: which it is, its source knows. It stops nothing.
    "films of one kind alone": (
        lambda: [film(2 * n) for n in range(40)],
        [("columns", False, "attribute episodes has a value in 0 of 40 items of export {id}")],
    ),
    "series alone": (lambda: [film(2 * n + 1) for n in range(40)], []),
    "another type in one item": (
        lambda: [film(n, year={"S": "MCMXC"} if n == 1 else {"N": "1990"}) for n in range(40)],
        [("types", False, "39 have it of type N, as exports before it have it (S in 1)")],
    ),
    "another type in one kind of items": (
        lambda: [film(n, **({"episodes": {"S": "8"}} if n % 2 else {})) for n in range(40)],
        [("types", True, "of the 20 items of export {id} with attribute episodes, 0 have it of type N")],
    ),
    "another type in all of few items": (
        lambda: [film(n, year={"S": "MCMXC"}) for n in range(9)],
        [("types", False, "of the 9 items of export {id} with attribute year, 0 have it of type N")],
    ),
    "another type in all": (
        lambda: [film(n, year={"S": "MCMXC"}) for n in range(40)],
        [("types", True, "what reads it so reads null in the others")],
    ),
    "NULL in some": (lambda: [film(n, title={"NULL": True} if n < 4 else {"S": "A"}) for n in range(40)], []),
    "gone from many": (
        lambda: [film(n, title=None if n < 15 else {"S": "A"}) for n in range(40)],
        [
            (
                "nulls",
                False,
                "attribute title has a value in 25 of 40 items of export {id}; by those before it 100% have",
            )
        ],
    ),
    "gone from all": (
        lambda: [film(n, title=None) for n in range(40)],
        [("columns", True, "attribute title has a value in 0 of 40 items of export {id}")],
    ),
    "NULL in all": (
        lambda: [film(n, title={"NULL": True}) for n in range(40)],
        [("columns", True, "attribute title has a value in 0 of 40 items of export {id}")],
    ),
    "gone from all of few items": (lambda: [film(n, title=None) for n in range(9)], []),
    "gone from all of one kind": (
        lambda: [film(n, episodes=None) for n in range(40)],
        [
            (
                "columns",
                False,
                "attribute episodes has a value in 0 of 40 items of export {id}; by those before it 50% have",
            )
        ],
    ),
    "nested and of another type": (lambda: [film(n, more={"M": {"a": {"N": "1"}}}) for n in range(40)], []),
}


def test_what_is_planted_in_a_window_is_told(tmp_path: Path, draw: Draw) -> None:
    names = list(PLANTED)
    for planted in (names[number] for number in draw(range(len(names)), 5)):
        items, findings = PLANTED[planted]
        world = World(tmp_path / planted)
        world.window(film(n) for n in range(40))
        window = world.window(items())
        found = told(world.history())
        assert [(subject, stops) for subject, stops, _ in found] == [
            (subject, stops) for subject, stops, _ in findings
        ], planted
        for (_, _, sentence), (_, _, words) in zip(found, findings, strict=True):
            assert words.format(id=window.name) in sentence
            assert "MCMXC" not in sentence


def test_the_first_window_is_of_whatever_kind_of_items_without_a_word(world: World) -> None:
    world.window(film(2 * n) for n in range(40))
    assert told(world.history()) == []


def test_the_first_window_tells_what_all_items_had(world: World) -> None:
    world.window(film(n, title=None, year={"S": "1990"}) for n in range(20))
    assert [(subject, stops) for subject, stops, _ in told(world.history())] == [("types", True), ("columns", True)]


def test_items_that_are_deleted_are_no_items_without_attributes(world: World) -> None:
    world.window([film(n) for n in range(3)], deleted=[film(n) for n in range(3, 60)])
    world.window([], deleted=[film(n) for n in range(60, 90)])
    assert told(world.history()) == []


def test_a_new_attribute_is_told_once_and_kept(world: World) -> None:
    world.window(film(n, stars={"N": "5"}) for n in range(3))
    history = world.history()
    assert (told(history), history.newest.new_columns) == ([], ("stars",))  # type: ignore[union-attr]
    world.window(film(n, stars={"N": "5"}) for n in range(3))
    assert world.history().newest.new_columns == ()  # type: ignore[union-attr]


def test_what_stops_marts_stops_them_until_it_is_accepted_or_a_full_export_begins_anew(world: World) -> None:
    bad = world.window(film(n, year={"S": "1990"}) for n in range(40))
    world.window(film(n) for n in range(50, 60))
    history = world.history()
    for every in (False, True):
        (judged,) = history.stopping(every)
        assert judged.export.export_id == bad.name
    assert f'{{export: "{bad.name}", table: films, because: …}}' in judged.why()
    assert judged.why().startswith("films.films__changes: of the 40 items of export")

    # It is told of the next one too, as what is not accepted is not what the next one is compared with.
    again = world.window(film(n, year={"S": "1990"}) for n in range(40))
    history = world.history()
    assert [one.export.export_id for one in history.stopping(every_export=False)] == [bad.name, again.name]
    accept = [Accepted(export=bad.name, table="films", because="Years are text from now on.")]
    accepted = world.history(accept=accept)
    assert accepted.stopping(every_export=True) == []
    assert [one.accepted for one in accepted.judged] == ["Years are text from now on.", None, None]

    world.full(film(n) for n in range(100))
    world.window(film(n) for n in range(40))
    history = world.history()
    assert history.stopping(every_export=False) == []
    assert [one.export.export_id for one in history.stopping(every_export=True)] == [bad.name, again.name]


def test_windows_that_are_no_links_are_compared_with_nothing(world: World) -> None:
    world.hour = 5
    world.window(film(n, year={"S": "1990"}) for n in range(40))
    assert world.history() == TableHistory((), None)


def test_in_whatever_order_windows_come_the_same_is_told(world: World, tmp_path: Path) -> None:
    other = World(tmp_path / "other")
    windows = [[film(n, year={"S": "1"} if n == 7 else {"N": "1"}) for n in range(20)], [film(n) for n in range(30)]]
    for items in windows:
        world.window(items)
    world.history()
    for hour in (1, 0):
        other.hour = hour
        other.window(windows[hour])
        other.history()
    here, there = world.history(), other.history()
    assert [one.findings for one in here.judged] == [one.findings for one in there.judged]
    assert len(here.judged) == 2


def test_the_checks_of_a_table_tell_of_its_windows_and_of_its_newest_full_export(world: World) -> None:
    world.hour = 1
    world.full(film(n, title=None if n < 40 else {"S": "A"}) for n in range(100))
    window = world.window(film(n, year={"S": "1990"}, stars={"N": "5"}) for n in range(40))
    histories = world.histories()
    key = dg.AssetKey(["raw", "films", "films"])
    wanted = {spec.key for spec in check_specs(key)}
    results = {
        result.check_name: result
        for result in check_results(key, histories.of("films", "films"), wanted, histories.of("films", CHANGES))
    }
    passed = {name: bool(result.passed) for name, result in results.items()}
    assert passed == {
        "no_column_is_lost": True,
        "types_stay": False,
        "rows_and_keys_stay": True,
        "nulls_stay": False,
    }
    types = results["types_stay"]
    assert types.severity == dg.AssetCheckSeverity.ERROR
    assert f"of the 40 items of export {window.name} with attribute year" in str(types.description)
    assert "start a full export, which begins anew" in str(types.description)
    assert "attribute title has a value in 60 of 100 items" in str(results["nulls_stay"].description)
    assert "stars" in str(results["no_column_is_lost"].metadata["new_columns"])
