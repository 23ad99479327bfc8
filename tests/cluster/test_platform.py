"""The platform on Kubernetes: runs launched through its web server, a pod a step, and the audiences of a local run."""

import itertools
import json
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import datetime
from statistics import median
from typing import Any

import pytest

from platform_assets.environment import Environment
from platform_assets.foundation.storage import files_at
from tests.cluster.conftest import AS_OF, FOLDS, SHOP, Ran
from tests.cluster.deployed import LAUNCH, LOCATION, PAGES, Deployed, repository, until, variables
from tests.parity.comparing import compare
from tests.support.pages import Page

pytestmark = pytest.mark.slow


def fold_pods(platform: Deployed, run: str, campaign: str, family: str) -> list[Any]:
    """The pods of a model's folds, by fold."""
    found = {step_of(pod): pod for pod in platform.pods(run)}
    return [found[f"{campaign}__models__{family}.{campaign}__{family}__fold_{fold}"] for fold in range(FOLDS)]


def step_of(pod: Any) -> str:
    """The key of the step that a pod executes."""
    return variables(pod)["DAGSTER_RUN_STEP_KEY"]


def lasted(pod: Any) -> tuple[datetime, datetime]:
    ended = pod.status.container_statuses[0].state.terminated
    return ended.started_at, ended.finished_at


def test_audiences_are_those_of_a_local_run_row_by_row(platform: Deployed, ran: Ran, alone: Environment) -> None:
    found = list(compare(alone, platform.environment, [("customer", AS_OF)], [(name, AS_OF) for name in SHOP]))
    assert [table for table in found if table.differing] == []
    assert {table.table for table in found} >= {f"{name}/audience as of {AS_OF}" for name in SHOP}


@pytest.mark.parametrize("campaign", SHOP)
def test_every_fold_has_a_pod_of_its_own_on_the_node_and_of_the_image_its_profile_names(
    platform: Deployed, ran: Ran, campaign: str
) -> None:
    pools = {"network": {"gpu-spot-1"}, "lightgbm": {"cpu-spot-1", "cpu-spot-2"}}
    images = {"network": "audience-platform-cuda:test", "lightgbm": "audience-platform:test"}
    names = set()
    for family, nodes in pools.items():
        pods = fold_pods(platform, ran.train[campaign], campaign, family)
        assert {pod.spec.node_name for pod in pods} <= nodes
        assert {pod.spec.containers[0].image for pod in pods} == {images[family]}
        names |= {pod.metadata.name for pod in pods}
    assert len(names) == FOLDS * len(pools)


def test_folds_that_need_the_one_gpu_take_turns_and_so_do_the_campaigns(platform: Deployed, ran: Ran) -> None:
    pods = {campaign: fold_pods(platform, ran.train[campaign], campaign, "network") for campaign in SHOP}
    turns = sorted((*lasted(pod), campaign) for campaign, own in pods.items() for pod in own)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(turns))
    order = [campaign for _, _, campaign in turns]
    first_of = {campaign: order.index(campaign) for campaign in SHOP}
    last_of = {campaign: len(order) - 1 - order[::-1].index(campaign) for campaign in SHOP}
    assert max(first_of.values()) < min(last_of.values()), order


@pytest.mark.parametrize("campaign", SHOP)
def test_a_step_pod_loads_its_campaign_alone_and_may_not_call_kubernetes(
    platform: Deployed, ran: Ran, campaign: str
) -> None:
    pods = platform.pods(ran.train[campaign])
    assert {variables(pod)["PLATFORM_SCOPE"] for pod in pods} == {f"campaign:{campaign}"}
    accounts = {(pod.spec.service_account_name, pod.spec.automount_service_account_token) for pod in pods}
    assert accounts == {("platform-step", False)}
    assert {pod.metadata.labels["platform-assets/campaign"] for pod in pods} == {campaign}


def test_the_bucket_that_people_may_look_at_holds_reports_cards_audits_curves_and_logs_alone(
    platform: Deployed, ran: Ran
) -> None:
    cloud = platform.environment.cloud
    assert cloud is not None
    looked_at = files_at(f"gs://{cloud.open_bucket}").names()
    assert {name.partition("/")[0] for name in looked_at} == {"audiences", "verdicts", "tensorboard", "compute_logs"}
    for name in looked_at:
        assert re.fullmatch(
            r"audiences/\w+/(decision\.json|model_cards/[\d-]+\.(json|html)|[\d-]+/(report\.html|lift\.svg|figures\.json))|verdicts/.+\.html"
            r"|(tensorboard|compute_logs)/.+",
            name,
        )
    hidden = files_at(f"gs://{cloud.bucket}").names("audiences")
    assert {name.rpartition("/")[2] for name in hidden} == {"audience.csv", "audience.parquet"}


def test_the_pod_of_pages_serves_reports_from_the_bucket_and_nothing_else(platform: Deployed, ran: Ran) -> None:
    def asked(path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"{PAGES}{path}", timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    status, index = asked("/")
    assert (status, [name for name in SHOP if name in index]) == (200, list(SHOP))
    led_to = [str(attributes["href"]) for tag, attributes in Page(index).tags if tag == "a"]
    assert {f"/reports/{name}/{AS_OF}/report.html" for name in SHOP} <= set(led_to)
    assert {asked(path)[0] for path in led_to} == {200}
    for file in ("audience.csv", "figures.json"):
        assert asked(f"/reports/{SHOP[0]}/{AS_OF}/{file}")[0] == 404


def test_scoring_shards_have_a_pod_each(platform: Deployed, ran: Ran) -> None:
    shards = [step_of(pod) for pod in platform.pods(ran.score) if "__shard_" in step_of(pod)]
    assert sorted(step.rsplit("_", 1)[1] for step in shards) == ["0", "1"]


def test_the_way_from_launch_to_code_is_told_step_by_step(platform: Deployed, ran: Ran) -> None:
    moments = platform.moments(ran.score)
    steps = [seconds for run in (*ran.train.values(), ran.score) for _, *seconds in platform.step_seconds(run)]
    print("\n".join(f"{seconds:6.1f} s  {what}" for what, seconds in moments))
    middle = [median(column) for column in zip(*steps, strict=True)]
    print(
        f"median of {len(steps)} steps: Job to process {middle[0]:.1f} s, to code {middle[1]:.1f} s, to end {middle[2]:.1f} s"
    )
    assert [seconds for _, seconds in moments] == sorted(seconds for _, seconds in moments)
    assert steps


def test_every_run_is_scoped_however_it_was_launched_and_finds_what_was_made(platform: Deployed, ran: Ran) -> None:
    assets = platform.launch_assets(["repeat_buyers/ensemble"])
    shared = platform.launch_assets(["features/customer/order_windows"], partition=AS_OF)
    backfill = platform.backfill(["winback/audience"], [AS_OF])
    platform.succeeds(assets)
    again = platform.again(assets, "ALL_STEPS")

    def of_backfill() -> Sequence[str]:
        return [run.run_id for run in platform.instance.get_runs() if run.tags.get("dagster/backfill") == backfill]

    (filled,) = until("the back-fill launched its run", of_backfill, 120)
    expected = {
        ran.train["winback"]: "campaign:winback",
        ran.score: "campaign:repeat_buyers,winback",
        assets: "campaign:repeat_buyers",
        again: "campaign:repeat_buyers",
        filled: "campaign:winback",
        shared: "shared",
    }
    for run, scope in expected.items():
        platform.succeeds(run)
        for component in ("run_worker", "step_worker"):
            scopes = {variables(template)["PLATFORM_SCOPE"] for template in platform.templates(run, component)}
            assert scopes == {scope}, component
    for run in (assets, again, filled, shared):
        assert platform.computed(run) == []


def test_a_run_that_would_mount_a_secret_by_its_tags_is_refused_with_a_sentence_and_gets_no_pod(
    platform: Deployed,
) -> None:
    secret = {"name": "STOLEN", "valueFrom": {"secretKeyRef": {"name": "postgres-owner", "key": "password"}}}
    tag = {"key": "dagster-k8s/config", "value": json.dumps({"container_config": {"env": [secret]}})}
    params = {
        "selector": {**repository(LOCATION), "jobName": "refresh_marts"},
        "executionMetadata": {"tags": [tag]},
    }
    told = platform.ask(LAUNCH, params=params)
    assert told["__typename"] == "PythonError"
    assert "is refused for its tag dagster-k8s/config: its value would change the run's pod" in told["message"]
    refused = platform.instance.get_runs(limit=1)[0].run_id
    assert platform.status(refused) == "FAILURE"
    assert platform.pods(refused, "run_worker") == []


def test_cancelling_ends_every_pod_within_its_grace_and_leaves_nothing(platform: Deployed, ran: Ran) -> None:
    config = {"winback__training_set": {"config": {"score_at": "1998-03-01"}}}
    run = platform.launch("train_winback", ops=config)

    def fitting() -> list[Any]:
        pods = [pod for pod in platform.pods(run) if pod.status.phase == "Running" and "__fold_" in step_of(pod)]
        return pods if len(pods) > 1 else []

    fits = until("two folds are being fitted", fitting, 180)
    grace = max(pod.spec.termination_grace_period_seconds for pod in fits)
    platform.cancel(run)

    def alive() -> list[str]:
        pods = platform.pods(run) + platform.pods(run, "run_worker")
        return [pod.metadata.name for pod in pods if pod.status.phase in ("Pending", "Running")]

    until("every pod is gone", lambda: not alive(), grace + 15)
    assert platform.ends(run, 90) == "CANCELED"
    # Run monitoring hands slots back a little after the end.
    until("nothing is left over", lambda: not platform.left_over(), 90)


def test_a_gpu_job_that_outlives_its_run_never_starts(platform: Deployed, ran: Ran, nodes: dict[str, Any]) -> None:
    nodes["gpu-spot-1"].kill()
    # Lost for good: otherwise Dagster launches another run in its place.
    run = platform.launch_assets(["winback/models/network"], tags={"dagster/max_retries": "0"})

    def waiting() -> list[Any]:
        return [pod for pod in platform.pods(run) if pod.status.phase == "Pending" and "__network__" in step_of(pod)]

    (pod,) = until("a fold waits for a GPU", waiting, 240)
    found = platform.instance.get_run_by_id(run)
    assert found is not None
    platform.instance.report_run_failed(found, "as when its pod is lost more often than it is resumed")
    for worker in platform.pods(run, "run_worker"):
        platform.delete("job", worker.metadata.labels["job-name"])
        platform.delete("pod", worker.metadata.name, "--grace-period=0", "--force")
    job = pod.metadata.labels["job-name"]
    until("its Job is gone", lambda: job not in platform.jobs(), 60)
    nodes["gpu-spot-1"].start()
    until("nothing of the run is left", lambda: not platform.left_over(), 240)
    assert [step for step in platform.starts(run) if "__network__" in step] == []
