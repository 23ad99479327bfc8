"""The platform on Kubernetes: runs launched through its web server, a pod a step, and the audiences of a local run."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from dagster import DagsterEventType

from platform_assets.environment import Environment
from tests.cluster.conftest import AS_OF, SHOP
from tests.cluster.deployed import Deployed
from tests.parity.comparing import compare

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Ran:
    """Both shop campaigns from exports to audiences: the ids of the runs."""

    refresh: str
    train: dict[str, str]
    score: str


@pytest.fixture(scope="module")
def ran(platform: Deployed) -> Ran:
    refresh = platform.launch("refresh_marts")
    platform.succeeds(refresh)
    train = {name: platform.launch(f"train_{name}") for name in SHOP}
    for run in train.values():
        platform.succeeds(run, 1200)
    score = platform.launch("score_customer", partition=AS_OF)
    platform.succeeds(score)
    return Ran(refresh, train, score)


def test_audiences_are_those_of_a_local_run_row_by_row(platform: Deployed, ran: Ran, alone: Environment) -> None:
    audiences = [(name, AS_OF) for name in SHOP]
    found = list(compare(alone, platform.environment, [("customer", AS_OF)], audiences))
    assert [table for table in found if table.differing] == []
    assert all(table.rows for table in found)
