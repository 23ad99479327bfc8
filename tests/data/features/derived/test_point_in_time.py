"""Derived features are point in time by construction: nothing from after the as-of instant, nor what is told of it later."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.features.derived.worlds import START, Shop, day, person, visit
from tests.tiers import Examples

AS_OF, LAG = day(40), timedelta(days=2)
HISTORIES = 20
VALUES = {
    "spent": st.sampled_from([0.1, 2.5, 99.99]),
    "items": st.integers(1, 3),
    "store_id": st.sampled_from(["s", "t"]),
    "kind": st.none() | st.sampled_from(["a", "b", "c"]),
    "tags": st.none() | st.lists(st.sampled_from("xyz"), max_size=3, unique=True),
    "gift": st.booleans(),
}
# Half days, so that many events fall exactly on the edge of a window or on the last instant that is known.
past = st.integers(0, 75).map(lambda n: n / 2)
later = st.integers(76, 100).map(lambda n: n / 2)
changes = st.fixed_dictionaries(
    {"status": st.sampled_from(["sent", "returned"]), "returned_at": st.none() | later.map(day), "note": st.text("ab")}
)
histories = st.lists(st.tuples(past, st.fixed_dictionaries(VALUES), changes), min_size=1, max_size=6)
planted = st.lists(st.tuples(later, st.fixed_dictionaries(VALUES)), max_size=4)
worlds = st.lists(st.tuples(histories, planted, later), min_size=HISTORIES, max_size=HISTORIES)
World = Sequence[tuple[list[Any], list[Any], float]]


@pytest.fixture(scope="module", params=["one as-of for all", "own as-of per row"])
def shop(request: pytest.FixtureRequest) -> Shop:
    return Shop(single=AS_OF if request.param == "one as-of for all" else None, lag=LAG)


def both(world: World) -> dict[str, list[dict[str, Any]]]:
    """Person 2n as was known, person 2n + 1 with what came later as well."""
    visits, people = [], []
    for number, (history, plants, moved) in enumerate(world):
        visits += [visit(2 * number, at, **values) for at, values, _ in history]
        visits += [visit(2 * number + 1, at, **values, **changed) for at, values, changed in history]
        visits += [visit(2 * number + 1, at, **values) for at, values in plants]
        people += [person(2 * number, 0, None), person(2 * number + 1, 0, moved)]
        people += [person(2 * number + 1, moved, None, age=99, city="Köln")]
    return {"visits": visits, "people": people}


def test_what_comes_later_moves_nothing(shop: Shop, examples: Examples) -> None:
    # Draws of 20 histories, for each shape of spine: 120 of them, with --deep 400.
    @examples(3, 10)
    @given(worlds)
    def moves_nothing(world: World) -> None:
        found = shop.features(both(world), [(who, AS_OF) for who in range(2 * HISTORIES)])
        for number in range(HISTORIES):
            assert found[2 * number, AS_OF] == found[2 * number + 1, AS_OF]

    moves_nothing()


@pytest.mark.parametrize(
    "known",
    [
        lambda: [visit(1, 1), visit(1, 37.999)],
        lambda: [visit(1, 1, returned_at=day(37.999))],
        lambda: [visit(1, 1, spent=11)],
        lambda: [visit(1, 1, kind="b")],
        lambda: [visit(1, 1.5)],
    ],
)
def test_what_was_known_does_move_them(shop: Shop, known: Callable[[], list[dict[str, Any]]]) -> None:
    people = [person(0, 0, None), person(1, 0, None)]
    found = shop.features({"visits": [visit(0, 1), *known()], "people": people}, [(0, AS_OF), (1, AS_OF)])
    assert found[0, AS_OF] != found[1, AS_OF]


def brute_force(history: Sequence[Any], end: datetime) -> dict[str, float | None]:
    known = [(day(at), values) for at, values, _ in history if day(at) < end]
    expected: dict[str, float | None] = {}
    for name, days in (("7d", 7), ("28d", 28), ("90d", 90), ("all", 10_000)):
        inside = [values for at, values in known if at >= end - timedelta(days=days)]
        expected |= {
            f"visits_count_{name}": len(inside),
            f"visits_spent_sum_{name}": sum(one["spent"] for one in inside),
            f"visits_items_mean_{name}": sum(one["items"] for one in inside) / len(inside) if inside else None,
            f"visits_store_id_distinct_{name}": len({one["store_id"] for one in inside}),
            f"visits_tags_distinct_{name}": len({tag for one in inside for tag in one["tags"] or ()}),
            f"visits_gift_true_share_{name}": _share(inside, lambda one: one["gift"]),
            f"visits_kind_b_share_{name}": _share(inside, lambda one: one["kind"] == "b"),
            f"visits_kind_other_share_{name}": _share(inside, lambda one: one["kind"] == "c"),
            f"visits_tags_x_share_{name}": _share(inside, lambda one: "x" in (one["tags"] or ())),
            f"visits_tags_other_share_{name}": _share(inside, lambda one: "z" in (one["tags"] or ())),
        }
    liked = [values["spent"] for _, values in known if values["kind"] == "a"]
    expected["visits_kind_a_spent_mean"] = sum(liked) / len(liked) if liked else None
    days_met = sorted({(at - START).days for at, _ in known})
    pauses = [after - before for before, after in pairwise(days_met)]
    expected["visits_mean_pause"] = sum(pauses) / len(pauses) if pauses else None
    expected["visits_monday_share"] = sum(at.weekday() == 0 for at, _ in known) / len(known) if known else None
    expected["visits_hour_12_15_share"] = sum(12 <= at.hour < 15 for at, _ in known) / len(known) if known else None
    return expected


def _share(inside: Sequence[dict[str, Any]], holds: Callable[[dict[str, Any]], bool]) -> float | None:
    return sum(map(holds, inside)) / len(inside) if inside else None


def test_features_are_what_counting_by_hand_gives(shop: Shop, examples: Examples) -> None:
    @examples(2, 10)
    @given(st.lists(histories, min_size=HISTORIES, max_size=HISTORIES))
    def are_what_counting_gives(world: list[Any]) -> None:
        agree_with_counting(shop, world)

    are_what_counting_gives()


def agree_with_counting(shop: Shop, world: list[Any]) -> None:
    visits = [visit(who, at, **values) for who, history in enumerate(world) for at, values, _ in history]
    found = shop.features({"visits": visits}, [(who, AS_OF) for who in range(HISTORIES)])
    for who, history in enumerate(world):
        expected = brute_force(history, AS_OF - LAG)
        own = {name: found[who, AS_OF][name] for name in expected}
        assert {name for name, value in own.items() if value is None} == {n for n, v in expected.items() if v is None}
        defined = {name: value for name, value in expected.items() if value is not None}
        assert {name: own[name] for name in defined} == pytest.approx(defined, rel=1e-9)
