"""What `models: auto` tries, and how the budget is shared."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.learning.families.registry import NEEDS, check_parameters
from platform_assets.learning.portfolio import MemberSpec, auto_portfolio, fit_seconds, refit_seconds
from platform_assets.learning.selection import FeatureSelection

any_table = given(
    rows=st.integers(50, 10**7),
    positives=st.integers(1, 10**5),
    tasks=st.booleans(),
    body=st.booleans(),
    past=st.lists(st.sampled_from(["past_a", "past_b", "past_c"]), unique=True),
)


@settings(max_examples=20, deadline=None)
@any_table
def test_every_member_can_be_made_and_named(
    rows: int, positives: int, tasks: bool, body: bool, past: list[str]
) -> None:
    members = auto_portfolio(rows, positives, tasks, body, past)
    for member in members:
        check_parameters(member.family, member.params)
        assert re.fullmatch(r"[a-z0-9_]+", member.name)
        assert member.share > 0
        assert member.needs == NEEDS.get(member.family)
    assert len({member.name for member in members}) == len(members)
    assert {"lightgbm", "logistic", "network"} <= {member.family for member in members}


@any_table
def test_members_that_need_something_come_with_it_and_only_then(
    rows: int, positives: int, tasks: bool, body: bool, past: list[str]
) -> None:
    members = auto_portfolio(rows, positives, tasks, body, past)
    needs = {member.needs for member in members}
    assert ("tasks" in needs, "body" in needs) == (tasks, body)
    blind = [member for member in members if member.excluded]
    assert [(member.family, member.excluded) for member in blind] == ([("lightgbm", tuple(past))] if past else [])
    seeing = [member.params for member in members if member.family == "lightgbm" and not member.excluded]
    assert all(member.params in seeing for member in blind)


@any_table
@pytest.mark.parametrize("refit", [False, True])
def test_all_fits_together_may_spend_the_budget_and_no_more(
    refit: bool, rows: int, positives: int, tasks: bool, body: bool, past: list[str]
) -> None:
    members = auto_portfolio(rows, positives, tasks, body, past)
    total = sum(5 * fit_seconds(120, member, members, 5, refit) for member in members)
    if refit:
        total += sum(refit_seconds(120, member, members, 5) for member in members)
    assert total == pytest.approx(120)


def test_a_share_is_twice_anothers_when_it_says_so() -> None:
    one, two = MemberSpec("one", "lightgbm"), MemberSpec("two", "lightgbm", share=2.0)
    assert fit_seconds(90, one, [one, two], 3) == pytest.approx(10)
    assert fit_seconds(90, two, [one, two], 3) == pytest.approx(20)


def test_columns_a_member_does_not_see_join_those_nobody_sees() -> None:
    common = FeatureSelection("top_gain", k=3, excluded=("a",))
    assert MemberSpec("one", "lightgbm").selection(common) == common
    assert MemberSpec("one", "lightgbm").selection(None) is None
    assert MemberSpec("one", "lightgbm", excluded=("b",)).selection(common) == common.without(["b"])
    assert MemberSpec("one", "lightgbm", excluded=("b",)).selection(None) == FeatureSelection(excluded=("b",))
