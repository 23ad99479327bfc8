"""Choosing: who is in does not depend on anything but scores, exclusions, the rule and a hash."""

import random
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.audiences.audience.choice import (
    HOLDOUT,
    TREAT,
    arm_of,
    audience_size,
    deciles,
    rank_order,
    select_audience,
)
from platform_assets.campaigns.declaration.spec import Audience

AS_OF = datetime(1998, 5, 1, tzinfo=UTC)
KEY = "customer_id"


def rule(**changes: object) -> Audience:
    return Audience.model_validate({"top": "10%"} | changes if "min_score" not in changes else changes)


def scored(scores: list[float], ids: list[int] | None = None) -> pa.Table:
    people = pa.array(range(1, len(scores) + 1) if ids is None else ids, pa.int64())
    as_of = pa.array([AS_OF] * len(scores), pa.timestamp("us", "UTC"))
    return pa.table({KEY: people, "as_of": as_of, "score": pa.array(scores, pa.float64())})


def select(
    scores: list[float],
    refused: list[str | None] | None = None,
    value: float | None = None,
    campaign: str = "again",
    ids: list[int] | None = None,
    **changes: object,
) -> list[dict[str, Any]]:
    refusals = refused or [None] * len(scores)
    return select_audience(campaign, KEY, scored(scores, ids), refusals, rule(**changes), value).to_pylist()


def test_the_best_come_first_and_are_taken_first() -> None:
    rows = select([0.2, 0.9, 0.5, 0.7], top=2)
    assert [row[KEY] for row in rows] == [2, 4, 3, 1]
    assert [row["rank"] for row in rows] == [1, 2, 3, 4]
    assert [row["selected"] for row in rows] == [True, True, False, False]


@pytest.mark.parametrize(
    ("top", "people", "taken"),
    [
        ("10%", 30, 3),
        ("10%", 31, 4),
        ("10%", 1, 1),
        ("33%", 100, 33),
        ("0.1%", 10, 1),
        ("100%", 7, 7),
        (5, 3, 3),
        (5, 9, 5),
        ("7%", 100, 7),
        ("10%", 0, 0),
    ],
)
def test_a_share_is_rounded_up_and_a_number_is_a_ceiling(top: str | int, people: int, taken: int) -> None:
    assert audience_size(rule(top=top), np.linspace(1, 0, people)) == taken


def test_a_minimum_takes_everyone_who_reaches_it() -> None:
    rows = select([0.2, 0.5, 0.50001, 0.49999], min_score=0.5)
    assert {row[KEY] for row in rows if row["selected"]} == {2, 3}


def test_a_share_is_of_the_eligible_and_the_excluded_are_told_why() -> None:
    refused = [None, "excluded: days_since(orders) < 7"] * 10
    rows = select([1 - n / 100 for n in range(20)], refused, top="20%")
    assert [row[KEY] for row in rows if row["selected"]] == [1, 3]
    for row in rows:
        assert row["eligible"] == (row["why_not"] is None)
        assert row["why_not"] == refused[row[KEY] - 1]


def test_without_a_value_the_expected_value_is_empty() -> None:
    assert {row["expected_value"] for row in select([0.2, 0.4])} == {None}
    assert [row["expected_value"] for row in select([0.2, 0.4], value=50)] == [20.0, 10.0]


def test_equal_scores_are_ordered_by_a_hash_and_not_by_who_came_first() -> None:
    order = [row[KEY] for row in select([0.5] * 50)]
    assert order != sorted(order)
    assert sorted(order) == list(range(1, 51))
    assert [row[KEY] for row in select([0.5] * 50)] == order
    assert [row[KEY] for row in select([0.5] * 50, campaign="winback")] != order


def test_the_holdout_is_about_the_share_asked_for_and_the_same_for_a_person_in_every_run() -> None:
    arms = [arm_of("again", person, 0.1) for person in range(20_000)]
    assert arms == [arm_of("again", person, 0.1) for person in range(20_000)]
    assert arms.count(HOLDOUT) / len(arms) == pytest.approx(0.1, abs=0.01)
    assert arms.count(HOLDOUT) + arms.count(TREAT) == len(arms)
    other = [arm_of("winback", person, 0.1) for person in range(20_000)]
    both = sum(a == b == HOLDOUT for a, b in zip(arms, other, strict=True))
    assert both / len(arms) == pytest.approx(0.01, abs=0.004)


def test_a_holdout_that_grows_keeps_whom_it_held() -> None:
    people = range(2000)
    small, large = ({one for one in people if arm_of("again", one, share) == HOLDOUT} for share in (0.05, 0.2))
    assert small < large


def test_no_holdout_treats_everyone_selected() -> None:
    assert {row["arm"] for row in select([n / 100 for n in range(1, 99)], top="50%", holdout="0%")} == {TREAT, None}


def test_nobody_scored_gives_an_empty_audience_of_the_same_columns() -> None:
    empty = select_audience("again", KEY, scored([]), [], rule(), None)
    assert empty.num_rows == 0
    assert empty.schema == select_audience("again", KEY, scored([0.5]), [None], rule(), None).schema


SCORES = st.lists(st.floats(0, 1).map(lambda score: round(score, 2)), min_size=1, max_size=80)
RULES = st.one_of(
    st.integers(1, 100).map(lambda number: {"top": number}),
    st.integers(1, 100).map(lambda percent: {"top": f"{percent}%"}),
    st.floats(0.01, 0.99).map(lambda score: {"min_score": round(score, 2)}),
)


@settings(max_examples=150, deadline=None)
@given(scores=SCORES, data=st.data(), stated=RULES)
def test_what_always_holds_of_a_selection(scores: list[float], data: st.DataObject, stated: dict[str, Any]) -> None:
    refused = data.draw(st.lists(st.sampled_from([None, "excluded: x"]), min_size=len(scores), max_size=len(scores)))
    rows = select(scores, refused, value=2.0, **stated)
    asked = rule(**stated)
    assert sorted(row[KEY] for row in rows) == list(range(1, len(scores) + 1))
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    assert all(a["score"] >= b["score"] and a["decile"] <= b["decile"] for a, b in pairwise(rows))
    assert all(1 <= row["decile"] <= 10 and row["score"] == scores[row[KEY] - 1] for row in rows)
    assert all(row["expected_value"] == row["score"] * 2 for row in rows)

    chosen = [row for row in rows if row["selected"]]
    passed_over = [row for row in rows if row["eligible"] and not row["selected"]]
    assert all(row["eligible"] and row["arm"] in (TREAT, HOLDOUT) for row in chosen)
    assert all(row["arm"] is None for row in rows if not row["selected"])
    assert not chosen or not passed_over or chosen[-1]["rank"] < passed_over[0]["rank"]
    eligible = [row["score"] for row in rows if row["eligible"]]
    assert len(chosen) == audience_size(asked, np.array(eligible))
    if asked.min_score is not None:
        assert chosen == [row for row in rows if row["eligible"] and row["score"] >= asked.min_score]


@settings(max_examples=50, deadline=None)
@given(scores=SCORES, seed=st.randoms(use_true_random=False))
def test_the_order_people_come_in_does_not_matter(scores: list[float], seed: random.Random) -> None:
    ids = list(range(1, len(scores) + 1))
    seed.shuffle(ids)
    mixed = select([scores[i - 1] for i in ids], ids=ids)
    assert mixed == select(scores)


@given(people=st.integers(1, 500))
def test_deciles_are_tenths(people: int) -> None:
    found = deciles(np.arange(1, people + 1))
    counts = np.bincount(found, minlength=11)[1:]
    assert counts.sum() == people
    assert people < 10 or counts.max() - counts.min() <= 1
    assert found[0] == (1 if people >= 10 else found.min())
    assert found[-1] == 10


def test_ranks_put_the_higher_score_first_whatever_the_hash() -> None:
    assert list(rank_order([1, 2, 3], np.array([0.1, 0.3, 0.2]), "again")) == [1, 2, 0]
