"""Leaks that are planted are named, and clean tables are left alone."""

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from platform_assets.learning.data_checks.leaks import (
    ID,
    SURVIVOR,
    SUSPICIOUS,
    TARGET,
    EntitiesAcrossFolds,
    Finding,
    find_leaks,
    require_entities_apart,
)
from tests.learning.leak_rates import (
    OVER_TIME,
    PLANTS,
    Planted,
    alarms,
    named,
    refusals,
    simulated,
    simulated_over_time,
)
from tests.tiers import Draw

N = 2000


def people(seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """1,000 people on two dates; recency alone ranks at about .8, and nothing is wrong with it."""
    generator = np.random.default_rng(seed)
    groups = np.tile(np.arange(N // 2) * 3 + 7, 2)
    recency = np.round(generator.exponential(100, N))
    orders = generator.poisson(200 / (recency + 40))
    y = (generator.random(N) < 1 / (1 + np.exp(0.5 + 0.025 * recency - 0.2 * orders))).astype(int)
    frame = pd.DataFrame({"recency": recency, "orders": orders, "cents": np.round(np.exp(generator.normal(9, 1, N)))})
    return frame.astype(float), y, groups


def findings(X: pd.DataFrame, y: np.ndarray, groups: np.ndarray) -> list[Finding]:
    return find_leaks(X, y, groups, list(X.columns), "customer_id")


def test_a_strong_column_is_no_leak() -> None:
    assert findings(*people()) == []


def test_clean_tables_are_seldom_warned_about_and_never_refused() -> None:
    # 6 of 300 have a warning (see leak_rates); 3 of 15 would be a 1-in-300 chance.
    count, spoke = alarms(simulated(seed) for seed in range(1000, 1015))
    assert count == 15
    assert spoke["any"] <= 2
    assert not spoke[TARGET]
    assert not spoke[ID]


def test_values_that_people_keep_from_date_to_date_are_no_evidence(draw: Draw) -> None:
    # Where people are counted once a row, the first four are refused: amounts so far as the label, a first basket as an id.
    seeds = dict.fromkeys((20_039, 20_068, 20_141, 20_157, *draw(OVER_TIME, 3)))
    assert refusals(simulated_over_time(seed) for seed in seeds) == {}


def test_a_label_that_people_keep_is_still_found_by_counting_them() -> None:
    generator = np.random.default_rng(0)
    groups, kept = np.tile(np.arange(300), 3), np.tile(generator.random(300) < 0.1, 3)
    status = generator.integers(0, 3, 900) * 2.0 + kept
    [found] = findings(pd.DataFrame({"status": status, "noise": generator.normal(size=900)}), kept.astype(int), groups)
    assert (found.rule, found.severity, found.column) == (TARGET, "refuse", "status")


def test_numbers_dealt_out_one_each_are_ids_and_amounts_that_happen_to_differ_are_not() -> None:
    X, y, groups = people()
    generator = np.random.default_rng(3)
    number = generator.permutation(N // 2)[pd.factorize(groups)[0]]
    # A branch in the first digits, a running number in the last: distinct, and anything but evenly spread.
    branch = np.asarray([1_000_000, 3_000_000, 9_000_000])[np.minimum(number // 450, 2)]
    basket = np.round(np.exp(generator.normal(14, 1.5, N // 2)))
    assert len(np.unique(basket)) == N // 2
    X = X.assign(account=(branch + 7 * number).astype(float), first_basket=np.tile(basket, 2))
    assert {each.column: (each.rule, each.severity) for each in findings(X, y, groups)} == {
        "account": (ID, "refuse"), "first_basket": (ID, "warn"),
    }  # fmt: skip


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_leak_is_named_for_what_it_is(plant: Planted) -> None:
    assert named(plant, 2) == 2
    assert named(plant, 1, simulated_over_time) == 1


@pytest.mark.parametrize(
    "copy",
    [
        lambda y, g: y,
        lambda y, g: 5.0 - 2.0 * y,
        lambda y, g: np.where(y == 1, g.uniform(10, 20, len(y)), g.uniform(0, 9, len(y))),
        lambda y, g: np.where(y == 1, g.integers(1, 90, len(y)), np.nan),
        lambda y, g: np.where(y == 0, g.integers(1, 90, len(y)), np.nan),
        lambda y, g: g.permutation(10)[g.integers(0, 5, len(y)) * 2 + y],
    ],
    ids=["equal", "recoded", "above a limit", "a date where it happened", "missing where it happened", "a status"],
)
def test_the_label_in_any_disguise_is_refused(copy: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> None:
    X, y, groups = people()
    [found] = findings(X.assign(outcome=copy(y, np.random.default_rng(1))), y, groups)
    assert (found.rule, found.severity, found.column) == (TARGET, "refuse", "outcome")
    assert "decides the label in all 2,000 rows" in found.sentence
    assert "Leave it out" in found.sentence


def test_few_rows_that_agree_by_chance_are_not_called_the_label() -> None:
    X = pd.DataFrame({"flag": [1.0, 1.0, 0.0, 0.0, 0.0, 0.0], "size": [9.0, 8.0, 1.0, 2.0, 3.0, 4.0]})
    assert findings(X, np.asarray([1, 1, 0, 0, 0, 0]), np.arange(6)) == []


def test_ids_are_found_by_name_by_order_by_hash_and_as_text() -> None:
    X, y, groups = people()
    generator = np.random.default_rng(0)
    number = generator.permutation(N // 2)[pd.factorize(groups)[0]]
    ids = X.assign(customer_id=1.0, account=number * 11.0, row_number=np.arange(N, dtype=float))
    ids = ids.assign(hashed=np.round(generator.random(N) * 2**52), mail=[f"m{n}@example.com" for n in number])
    found = findings(ids.assign(city=generator.choice(np.array(["Bern", "Genf", None]), N)), y, groups)
    assert {each.rule for each in found} == {ID}
    assert {each.column: each.severity for each in found} == {
        "customer_id": "refuse", "account": "refuse", "mail": "refuse", "row_number": "warn", "hashed": "warn",
    }  # fmt: skip
    # With a row a person every distinct column is one to one: only the order of the ids gives a key away.
    once = np.arange(N) * 5
    single = findings(X.assign(key=once * 2.0, spent=np.exp(X["cents"] / 5000) + np.arange(N) % 7), y, once)
    assert [(each.column, each.severity) for each in single] == [("key", "refuse")]


def test_what_goes_on_after_the_date_is_suspicious_beside_weak_columns_only() -> None:
    _, y, groups = people()
    after = np.random.default_rng(1).poisson(0.25 + 2.5 * y).astype(float)
    weak = pd.DataFrame({f"noise_{i}": np.random.default_rng(i).normal(size=N) for i in range(5)})
    [found] = [each for each in findings(weak.assign(clicks=after), y, groups) if each.rule == SUSPICIOUS]
    assert (found.severity, found.column) == ("warn", "clicks")
    assert re.search(r"all columns unlike it together reach 0\.[45]", found.sentence)


def test_a_count_that_decides_the_label_is_named_with_its_range() -> None:
    X, y, groups = people()
    count = np.random.default_rng(2).geometric(1 / 50, N).astype(float)
    kept = (count >= 20) | (y == 1)
    [found] = findings(X.assign(ratings=count)[kept], y[kept], groups[kept])
    assert (found.rule, found.severity, found.column) == (SURVIVOR, "warn", "ratings")
    assert '"ratings" at most 19, 100.0% are positive' in found.sentence


def test_large_tables_are_looked_at_by_whole_entities_and_the_same_way_each_time() -> None:
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(30_000), 4)
    y = generator.integers(0, 2, len(groups))
    X = pd.DataFrame({"noise": generator.normal(size=len(groups)), "number": groups * 2.0, "label_again": y * 3.0})
    found = findings(X, y, groups)
    assert {(each.column, each.rule) for each in found} == {("number", ID), ("label_again", TARGET)}
    assert "in all 50,000 rows" in next(each.sentence for each in found if each.rule == TARGET)
    assert findings(X, y, groups) == found


def test_an_entity_in_two_folds_is_refused_by_name() -> None:
    require_entities_apart(["a", "a", "b"], [0, 0, 1])
    with pytest.raises(EntitiesAcrossFolds, match=r"2 entities have rows in more than one fold \(a, c\)"):
        require_entities_apart(["a", "b", "a", "c", "c"], [0, 1, 1, 0, 1])


def test_lengths_and_labels_are_checked() -> None:
    X, y, groups = people()
    with pytest.raises(ValueError, match="2000 rows and 3 columns, for 1999 labels"):
        find_leaks(X, y[1:], groups, list(X.columns), "customer_id")
    with pytest.raises(ValueError, match="both must occur"):
        find_leaks(X, np.zeros(N), groups, list(X.columns), "customer_id")
