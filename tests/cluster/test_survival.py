"""Pods, nodes and the API server lost at random while a campaign is trained and scored: nobody does anything about it.

How many times: `--kills`. The order of what is lost comes from `--seed`, which the failure message names.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from platform_assets.environment import Environment
from tests.cluster.conftest import FOLDS
from tests.cluster.deployed import ENDED, Deployed, until
from tests.cluster.nodes import Node
from tests.parity.comparing import compare
from tests.support.running import Platform

pytestmark = pytest.mark.slow

FEW = 6
CAMPAIGN, FAMILIES = "repeat_buyers", 2
# Earlier than what the other tests ask for: everything is made anew, and what is promoted here is no champion there. They
# run before these, in order of file: a model promoted for an earlier date is the champion of a later one.
AS_OF = "1998-04-01"
REPLAY: dict[str, Any] = {"ops": {f"{CAMPAIGN}__training_set": {"config": {"score_at": AS_OF}}}}


@dataclass
class Chaos:
    """Loses something that a run needs, and keeps count of it."""

    platform: Deployed
    nodes: dict[str, Node]
    choose: random.Random
    lost: list[str] = field(default_factory=list)

    def strike(self, run: str) -> None:
        """One loss among what is there now; none when the run has no pod."""
        steps = [pod for pod in self.platform.pods(run) if pod.status.phase in ("Pending", "Running")]
        workers = [pod for pod in self.platform.pods(run, "run_worker") if pod.status.phase == "Running"]
        ways: list[tuple[float, Callable[[], str]]] = []
        if steps:
            step = self.choose.choice(steps)
            node = self.nodes.get(step.spec.node_name or "")
            ways += [(3, lambda: self._delete(step, 0)), (2, lambda: self._delete(step, None))]
            if node is not None and node.name != "system-1" and node.running:
                ways += [(2, lambda: self._lose(node)), (1, lambda: self._drain(node))]
        if workers:
            worker = self.choose.choice(workers)
            ways += [(2, lambda: self._delete(worker, 0)), (1, lambda: self._delete(worker, None))]
        if ways:
            weights, actions = zip(*ways, strict=True)
            self.lost.append(self.choose.choices(actions, weights)[0]())

    def _delete(self, pod: Any, grace: int | None) -> str:
        options = [] if grace is None else [f"--grace-period={grace}", "--force"]
        name = pod.metadata.name
        self.platform.delete("pod", name, *options)
        return f"{'told to go' if grace is None else 'killed'}: {name}"

    def _lose(self, node: Node) -> str:
        node.kill(forget=True)
        time.sleep(self.choose.uniform(1, 5))
        node.start(wait=False)
        return f"node lost: {node.name}"

    def _drain(self, node: Node) -> str:
        node.drain()
        node.uncordon()
        return f"node drained: {node.name}"


@pytest.fixture(scope="module")
def undisturbed(alone: Environment) -> Environment:
    """The same campaign trained and scored by one process that nothing happens to."""
    with dg.DagsterInstance.ephemeral() as instance:
        local = Platform.of(alone, instance)
        assert local.run(f"train_{CAMPAIGN}", run_config=REPLAY).success
        assert local.materialize(*_asked(), partition_key=AS_OF).success
    return alone


def _asked() -> list[str]:
    groups = ("order_windows", "order_regularity", "order_value", "order_variety")
    return [
        *(f"features/customer/{group}" for group in groups),
        *(f"{CAMPAIGN}/{step}" for step in ("scores", "audience", "report")),
    ]


def test_a_campaign_outlives_pods_and_nodes_lost_at_random(
    platform: Deployed, nodes: dict[str, Node], undisturbed: Environment, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    option = pytestconfig.option
    wanted = option.kills or (20 if option.deep else FEW)
    chaos = Chaos(platform, nodes, random.Random(option.seed))
    runs = [platform.launch(f"train_{CAMPAIGN}", **REPLAY)]
    _harass(chaos, runs[0], wanted)
    train = _succeeded(platform, runs[0])
    runs.append(platform.launch_assets(_asked(), partition=AS_OF))
    _harass(chaos, runs[1], wanted)
    _succeeded(platform, runs[1])

    told = f"--seed={option.seed}:\n" + "\n".join(chaos.lost)
    begun = len([step for step in platform.starts(train) if "__fold_" in step])
    fitted = sorted(step for step in platform.computed(train) if "__fold_" in step)
    print(
        f"{len(chaos.lost)} losses, {begun} starts of {FAMILIES * FOLDS} folds, {len(fitted)} fitted to the end\n{told}"
    )
    assert len(chaos.lost) == wanted, told
    found = list(compare(undisturbed, platform.environment, [("customer", AS_OF)], [(CAMPAIGN, AS_OF)]))
    assert [table for table in found if table.differing] == [], told
    # None was fitted to the end twice, so none was begun again but for a loss.
    assert fitted == sorted(set(fitted)), told
    platform.cluster.restore_nodes()
    until("nothing is left over", lambda: not platform.left_over(), 90)


def test_a_run_waits_for_an_api_server_that_is_away(
    platform: Deployed, nodes: dict[str, Node], pytestconfig: pytest.Config
) -> None:
    run = platform.launch(
        f"train_{CAMPAIGN}", ops={f"{CAMPAIGN}__training_set": {"config": {"score_at": "1998-03-01"}}}
    )
    until("folds are being fitted", lambda: any("__fold_" in step for step in platform.starts(run)), 240)
    with platform.cluster.without_api_server():
        # dagster-k8s' own client gives up after 15 seconds.
        time.sleep(60 if pytestconfig.option.deep else 25)
    platform.succeeds(run)
    assert len(platform.pods(run, "run_worker")) == 1
    assert sorted(platform.starts(run)) == sorted(set(platform.starts(run)))


def _harass(chaos: Chaos, run: str, wanted: int) -> None:
    """Lose things, a few seconds between two of them, until there were enough or the run has ended."""
    while len(chaos.lost) < wanted and chaos.platform.status(run) not in ENDED:
        time.sleep(chaos.choose.uniform(1, 8))
        chaos.strike(run)


def _succeeded(platform: Deployed, run: str) -> str:
    """The run that succeeded: this one, or the one that Dagster launched for it when it was lost before it began."""
    ended = platform.ends(run, 1200)
    retried = platform.instance.get_run_by_id(run)
    assert retried is not None
    if ended != "SUCCESS" and "dagster/auto_retry_run_id" in retried.tags:
        return _succeeded(platform, retried.tags["dagster/auto_retry_run_id"])
    platform.succeeds(run)
    return run
