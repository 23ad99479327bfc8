"""What a run is stamped with, as a function of its tags and its steps."""

import json
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.foundation.execution.run_tags import foreign_tags, stamp

TODAY = date(2026, 11, 22)


def scope_of(tags: dict[str, str]) -> str:
    return json.loads(tags["dagster-k8s/config"])["container_config"]["env"][-1]["value"]


def test_a_run_of_one_campaign_is_scoped_to_it_and_bears_its_name() -> None:
    stamped = stamp({}, [{"campaign": "winback"}, {"campaign": "winback"}, {}], TODAY)
    assert (scope_of(stamped), stamped["campaign"]) == ("campaign:winback", "winback")


def test_a_run_of_several_campaigns_is_scoped_to_all_of_them() -> None:
    stamped = stamp({}, [{"campaign": "winback"}, {"campaign": "again,winback"}], TODAY)
    assert scope_of(stamped) == "campaign:again,winback"
    assert "campaign" not in stamped


def test_a_step_of_many_campaigns_is_scoped_to_those_asked_for() -> None:
    stamped = stamp({}, [{"campaign": "again,winback,fans"}], TODAY, selected={"winback", "features"})
    assert (scope_of(stamped), stamped["campaign"]) == ("campaign:winback", "winback")


def test_a_run_of_a_pinned_campaign_loads_nothing_that_others_share() -> None:
    stamped = stamp({}, [{"campaign": "winback", "platform/alone": "true"}], TODAY)
    assert (scope_of(stamped), stamped["campaign"]) == ("only:winback", "winback")


def test_a_run_of_no_campaign_loads_none() -> None:
    assert scope_of(stamp({}, [{}], TODAY)) == "shared"


def test_what_somebody_said_about_the_pod_stays() -> None:
    asked = {"container_config": {"env": [{"name": "OWN", "value": "1"}]}, "pod_spec_config": {"node_name": "n"}}
    config = json.loads(stamp({"dagster-k8s/config": json.dumps(asked)}, [{}], TODAY)["dagster-k8s/config"])
    assert config["pod_spec_config"] == {"node_name": "n"}
    assert [entry["name"] for entry in config["container_config"]["env"]] == ["OWN", "PLATFORM_SCOPE"]


def test_the_nearer_the_deadline_the_higher_the_priority() -> None:
    def priority(days: int) -> int:
        deadline = (TODAY + timedelta(days)).isoformat()
        return int(stamp({}, [{"platform/deadline": deadline}], TODAY).get("dagster/priority", "0"))

    assert [priority(days) for days in (-3, 0, 1, 30, 99, 100, 500)] == [2400, 2400, 2376, 1680, 24, 0, 0]


def test_a_priority_that_somebody_set_stays() -> None:
    assert "dagster/priority" not in stamp({"dagster/priority": "7"}, [{"platform/deadline": "2026-11-23"}], TODAY)


def test_a_re_execution_takes_the_priority_of_today_and_not_its_parents_aged_one() -> None:
    parent = stamp({}, [{"platform/deadline": "2026-11-30"}], TODAY)
    again = stamp(parent | {"dagster/priority": "3000"}, [{"platform/deadline": "2026-11-30"}], date(2026, 11, 29))
    assert again["dagster/priority"] == again["platform/base_priority"] == "2376"


TAGS = st.dictionaries(
    st.sampled_from(["campaign", "platform/alone", "platform/deadline", "platform/profile", "other"]),
    st.just("2026-12-01"),
)


@given(tags=TAGS, steps=st.lists(TAGS, max_size=4))
def test_stamping_twice_is_stamping_once(tags: dict[str, str], steps: list[dict[str, str]]) -> None:
    once = tags | stamp(tags, steps, TODAY)
    assert once | stamp(once, steps, TODAY) == once


SCOPE = {"name": "PLATFORM_SCOPE", "value": "all"}
OTHER = {"name": "OTHER", "value": "1"}


@pytest.mark.parametrize(
    ("config", "declared", "admitted"),
    [
        ({"container_config": {"env": [SCOPE]}}, None, True),
        ({"container_config": {"env": [SCOPE], "command": ["sh"]}}, None, False),
        ({"container_config": {"env": [SCOPE, OTHER]}}, None, False),
        ({"container_config": {"env": [SCOPE]}, "pod_spec_config": {}}, None, False),
        ({"container_config": {"env": [SCOPE]}, "merge_behavior": "SHALLOW"}, None, False),
        ({"container_config": {"env": [OTHER, SCOPE]}}, {"container_config": {"env": [OTHER]}}, True),
        ({"container_config": {"env": [SCOPE]}}, {"container_config": {"env": [OTHER]}}, True),
        ({"container_config": {"env": [OTHER]}}, {"container_config": {"command": ["sh"]}}, False),
        ([], None, False),
        (None, None, False),
    ],
)
def test_what_is_said_about_a_runs_pod_is_its_scope_and_what_its_job_says_in_code(
    config: object, declared: object, admitted: bool
) -> None:
    own = {} if declared is None else {"dagster-k8s/config": json.dumps(declared)}
    foreign = foreign_tags({"dagster-k8s/config": json.dumps(config)}, own)
    assert foreign == ([] if admitted else ["dagster-k8s/config"])


@given(tags=TAGS, steps=st.lists(TAGS, max_size=4))
def test_what_was_stamped_is_never_foreign(tags: dict[str, str], steps: list[dict[str, str]]) -> None:
    stamped = stamp(tags, steps, TODAY)
    assert foreign_tags(stamped, {}) == []
