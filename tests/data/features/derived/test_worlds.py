"""A world a kind of feature: what divides people shows in that kind of column, and in no other."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.data.features.derived.worlds import EVERYTHING, ROWS, SPINE, START, Shop, said

VISITS = 12
AS_OF_DAYS = 300
AS_OF = START + timedelta(days=AS_OF_DAYS)
DAY = 86_400
Draw = np.random.Generator


@dataclass
class World:
    """People of two kinds, alike but for what a world changes.

    Attributes:
        label: whether a person is of the second kind.
        ago: days before the as-of instant, a row a person, a column a visit.
    """

    draw: Draw
    people: int
    label: Any = field(init=False)
    ago: Any = field(init=False)
    values: dict[str, Any] = field(init=False)
    attributes: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        shape = (self.people, VISITS)
        self.label = self.draw.permutation(np.arange(self.people) % 2 == 1)
        self.ago = self.draw.uniform(0.1, 89, shape)
        self.values = {
            "spent": self.draw.lognormal(2, 0.4, shape),
            "items": self.draw.integers(1, 5, shape),
            "store_id": self.draw.choice(["s", "t", "u", "v"], shape),
            "kind": self.draw.choice(["a", "b", "c"], shape),
            "gift": self.draw.random(shape) < 0.3,
            "tag": self.draw.choice(["x", "y", "z"], shape),
            "returned": self.draw.random(shape) < 0.3,
        }
        self.attributes = {
            "age": self.draw.integers(20, 60, self.people),
            "city": self.draw.choice(["Bonn", "Köln", "Ulm"], self.people),
        }

    @property
    def second(self) -> Any:
        """The label beside every visit."""
        return np.repeat(self.label[:, None], VISITS, axis=1)

    def by_label(self, one: Any, other: Any) -> Any:
        return np.where(self.second, one, other)

    def tables(self, first: int) -> dict[str, pa.Table]:
        """Rows of the people, of whom the first has that number."""
        who = first + np.arange(self.people)
        whose = np.repeat(who, VISITS)
        micros = int(START.timestamp()) * 10**6 + ((AS_OF_DAYS - self.ago.ravel()) * DAY * 10**6).astype("int64")
        flat = {name: values.ravel() for name, values in self.values.items()}
        constant = {
            "visit_id": np.arange(whose.size),
            "status": np.full(whose.size, "sent"),
            "note": np.full(whose.size, ""),
        }
        columns = {
            **constant,
            "who": whose,
            "at": pa.array(micros).cast(ROWS["visits"].field("at").type),
            "tags": [[tag] for tag in flat.pop("tag")],
            "returned_at": pa.array(micros + DAY, mask=~flat.pop("returned")).cast(ROWS["visits"].field("at").type),
            **flat,
        }
        persons = {
            "who": who,
            "version": who.astype(str),
            "valid_from": [START] * self.people,
            "valid_to": [None] * self.people,
            "born": [START.date()] * self.people,
            **self.attributes,
        }
        return {
            "visits": pa.table({name: columns[name] for name in ROWS["visits"].names}, schema=ROWS["visits"]),
            "people": pa.table({name: persons[name] for name in ROWS["people"].names}, schema=ROWS["people"]),
        }


def many(world: World) -> None:
    """Every visit is there twice: half of them are moved onto the others."""
    half = VISITS // 2
    for values in (world.ago, *world.values.values()):
        values[:, half:] = values[:, :half]
    far = world.second[:, half:]
    # Those of the first kind make the second one only later.
    world.ago[:, half:] = np.where(far, world.ago[:, half:], -10)


def recent(world: World) -> None:
    world.ago = world.draw.uniform(20, 27, world.ago.shape)
    world.ago[:, 0], world.ago[:, 1] = 27.5, world.by_label(7.5, 13.5)[:, 0] + world.draw.uniform(0, 6, world.people)


def long_known(world: World) -> None:
    world.ago[:, 0] = world.by_label(220, 120)[:, 0] + world.draw.uniform(0, 20, world.people)


def regular(world: World) -> None:
    even = 30 + 5 * np.arange(VISITS) + 0.5
    bunched = 30.5 + np.concatenate([np.arange(VISITS - 3), [35, 45, 55]])
    world.ago = world.by_label(even[None, :], bunched[None, :])


def lately(world: World) -> None:
    world.ago[:, 0], world.ago[:, 1] = 0.5, 88.5
    middle = world.draw.uniform(1, 6.5, (world.people, VISITS - 2))
    world.ago[:, 2:] = np.where(world.second[:, 2:], middle, world.draw.uniform(40, 80, middle.shape))


def high(world: World) -> None:
    world.values["spent"] *= world.by_label(1.5, 1.0)


def extreme(world: World) -> None:
    spent = world.draw.uniform(8, 12, world.ago.shape)
    spent[:, 0] *= world.by_label(6, 1)[:, 0]
    world.values["spent"] = spent * (200 / spent.sum(axis=1, keepdims=True))


def rising(world: World) -> None:
    spent = np.sort(world.values["spent"], axis=1)
    newest_first = np.argsort(np.argsort(world.ago, axis=1), axis=1)
    order = world.by_label(VISITS - 1 - newest_first, newest_first)
    world.values["spent"] = np.take_along_axis(spent, order, axis=1)


def dear_within(world: World) -> None:
    kinds = np.array(["a", "b"] * (VISITS // 2))
    world.values["kind"] = world.draw.permuted(np.tile(kinds, (world.people, 1)), axis=1)
    dear = (world.values["kind"] == "a") == world.second
    world.values["spent"] = np.where(dear, 15, 5) + world.draw.normal(0, 0.5, world.ago.shape)


def at_night(world: World) -> None:
    world.ago = np.floor(world.ago) + world.by_label(0.05, 0.55)


def on_saturdays(world: World) -> None:
    weeks = world.draw.permuted(np.tile(np.arange(VISITS), (world.people, 1)), axis=1)
    day_of_week = (START + timedelta(days=AS_OF_DAYS)).weekday()
    back = {name: (day_of_week - number) % 7 or 7 for name, number in {"saturday": 5, "wednesday": 2}.items()}
    world.ago = weeks * 7 + world.by_label(back["saturday"], back["wednesday"]) - 0.5


def of_stores(world: World) -> None:
    few = world.draw.choice(["s", "t"], world.ago.shape)
    world.values["store_id"] = world.by_label(world.draw.choice(list("stuvwxyz"), world.ago.shape), few)


def mostly(name: str, one: Any, other: Any) -> Callable[[World], None]:
    def change(world: World) -> None:
        often = world.draw.random(world.ago.shape) < 0.7
        world.values[name] = np.where(often, world.by_label(one, other), world.values[name])

    return change


def older(world: World) -> None:
    world.attributes["age"] = world.attributes["age"] // 3 + np.where(world.label, 25, 12)


def of_town(world: World) -> None:
    often = world.draw.random(world.people) < 0.9
    world.attributes["city"] = np.where(often, np.where(world.label, "Bonn", "Ulm"), world.attributes["city"])


SPAN = r"days_since|days_between|pause|count_a_month"
SPANS_OF_TIME = r"_(7|28|90)d|trend"
# Kind → (what divides people, the columns that show it).
KINDS: dict[str, tuple[Callable[[World], None], str]] = {
    "counts": (many, r"_count|_sum_|_spread"),
    "recency": (recent, SPAN),
    "tenure": (long_known, SPAN),
    "regularity": (regular, r"pause|day_share"),
    "windows": (lately, rf"{SPANS_OF_TIME}|pause|visits_days$|day_share"),
    "sums and means": (high, r"spent"),
    "extremes": (extreme, r"spent_(min|max|spread|trend)|spent_(sum|mean)_\d|(true|_a|_b|_x|_y|other)_spent_mean"),
    "trends": (rising, SPANS_OF_TIME),
    "distinct identifiers": (of_stores, r"store_id"),
    "shares of a category": (mostly("kind", "a", "b"), r"kind"),
    "shares of a list": (mostly("tag", "x", "y"), r"tags"),
    "shares of what is true": (mostly("gift", True, False), r"gift"),
    "means within values": (dear_within, rf"kind_(a|b)_spent_mean|{SPANS_OF_TIME}"),
    "hours": (at_night, rf"hour|{SPAN}"),
    "weekdays": (on_saturdays, rf"day_share|{SPAN}"),
    "other instants": (mostly("returned", True, False), r"returned_at"),
    "numbers of people": (older, r"people_age"),
    "categories of people": (of_town, r"people_city"),
}  # fmt: skip


@pytest.fixture(scope="module")
def worlds(pytestconfig: pytest.Config) -> Mapping[str, tuple[World, Mapping[str, Any]]]:
    """Kind → its world and the columns of its people. All worlds are one shop's, whose statements run once."""
    drawn = {kind: World(np.random.default_rng(7), 4000 if pytestconfig.option.deep else 800) for kind in KINDS}
    tables: dict[str, list[pa.Table]] = {name: [] for name in ROWS}
    slices, people = {}, 0
    for kind, world in drawn.items():
        KINDS[kind][0](world)
        for name, table in world.tables(people).items():
            tables[name].append(table)
        slices[kind] = slice(people, people + world.people)
        people += world.people
    asked = pa.table({"who": np.arange(people), "as_of": [AS_OF] * people}, schema=SPINE)
    shop = Shop(said(**EVERYTHING), single=AS_OF)
    columns = shop.columns({name: pa.concat_tables(parts) for name, parts in tables.items()}, asked)
    return {
        kind: (world, {name: values[slices[kind]] for name, values in columns.items()}) for kind, world in drawn.items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_what_divides_people_shows_in_its_kind_of_column_alone(
    kind: str, worlds: Mapping[str, tuple[World, Mapping[str, Any]]]
) -> None:
    world, columns = worlds[kind]
    without = {name: values for name, values in columns.items() if not re.search(KINDS[kind][1], name)}
    assert len(without) < len(columns)
    found, unfound = auc(columns, world.label), auc(without, world.label)
    assert found >= 0.85
    assert unfound <= 0.6


def auc(columns: Mapping[str, Any], label: Any) -> float:
    """Of people whom the model was not trained on: each half by the other's."""
    import lightgbm
    from sklearn.metrics import roc_auc_score

    X, half = np.column_stack(list(columns.values())), np.arange(label.size) < label.size // 2
    parameters = {"objective": "binary", "num_leaves": 7, "verbose": -1, "num_threads": 1, "seed": 1, "max_bin": 31}
    scores = np.empty(label.size)
    for train, test in ((half, ~half), (~half, half)):
        data = lightgbm.Dataset(X[train], label[train].astype(int))
        scores[test] = lightgbm.train(parameters, data, 25).predict(X[test])
    return float(np.mean([roc_auc_score(label[part], scores[part]) for part in (half, ~half)]))
