"""What `models: auto` tries, and how the budget is shared."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.learning.families.registry import NEEDS, check_parameters
from platform_assets.learning.portfolio import MemberSpec, auto_portfolio, plan
from platform_assets.learning.selection import ColumnSelection

PAST = st.lists(st.sampled_from(["past_a", "past_b", "past_c"]), unique=True)
SIZES = st.integers(50, 10**7), st.integers(1, 10**5)
any_portfolio = given(members=st.builds(auto_portfolio, *SIZES, st.booleans(), st.booleans(), PAST))


@settings(max_examples=20, deadline=None)
@any_portfolio
def test_every_member_can_be_made_and_named(members: Sequence[MemberSpec]) -> None:
    for member in members:
        check_parameters(member.family, member.params)
        assert re.fullmatch(r"[a-z0-9_]+", member.name)
        assert member.share > 0
        assert member.needs == NEEDS.get(member.family)
    assert len({member.name for member in members}) == len(members)
    assert {"lightgbm", "logistic", "network"} <= {member.family for member in members}


@given(sizes=st.tuples(*SIZES), tasks=st.booleans(), body=st.booleans(), past=PAST)
def test_members_that_need_something_come_with_it_and_only_then(
    sizes: tuple[int, int], tasks: bool, body: bool, past: list[str]
) -> None:
    members = auto_portfolio(*sizes, tasks, body, past)
    needs = {member.needs for member in members}
    assert ("tasks" in needs, "body" in needs) == (tasks, body)
    blind = [member for member in members if member.excluded]
    assert [(member.family, member.excluded) for member in blind] == ([("lightgbm", tuple(past))] if past else [])
    seeing = [member.params for member in members if member.family == "lightgbm" and not member.excluded]
    assert all(member.params in seeing for member in blind)


@any_portfolio
@pytest.mark.parametrize("refit", [False, True])
def test_all_fits_together_may_spend_the_budget_and_no_more(refit: bool, members: Sequence[MemberSpec]) -> None:
    planned = plan(members, 120, 5, refit=refit).values()
    total = sum(5 * one.fit_seconds + (one.refit_seconds if refit else 0) for one in planned)
    assert total == pytest.approx(120)


def test_a_share_is_twice_anothers_when_it_says_so() -> None:
    planned = plan([MemberSpec("one", "lightgbm"), MemberSpec("two", "lightgbm", share=2.0)], 90, 3)
    assert {name: one.fit_seconds for name, one in planned.items()} == pytest.approx({"one": 10, "two": 20})


def test_columns_a_member_does_not_see_join_those_nobody_sees() -> None:
    common = ColumnSelection("top_gain", k=3, excluded=("a",))
    members = [MemberSpec("one", "lightgbm"), MemberSpec("two", "lightgbm", excluded=("b",))]
    for selection, all_but_b in ((common, common.without(["b"])), (None, ColumnSelection(excluded=("b",)))):
        planned = plan(members, 90, 3, selection=selection)
        assert [one.model.selection for one in planned.values()] == [selection, all_but_b]


def test_two_members_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match='two are called "trees"'):
        plan([MemberSpec("trees", "lightgbm"), MemberSpec("trees", "logistic")], 60, 3)
