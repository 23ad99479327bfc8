"""Scoring in shards as Dagster runs it: a step a shard, asked for in parts, checked, and retried alone."""

import os
from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

import dagster as dg
import pytest

from platform_assets.audiences.assets import audience_assets
from platform_assets.audiences.scoring.assets import MODEL_CHECK, score_assets
from platform_assets.audiences.scoring.sharding import Plan, plan_scores, shard_recipe
from platform_assets.environment import local_environment
from platform_assets.foundation.artifacts.io_manager import ArtifactRefIOManager
from tests.audiences.conftest import DAILY, assets_of, with_failed_features
from tests.audiences.test_sharding import BOTH, forget, in_one_step, records, unscored
from tests.campaigns.conftest import AGAIN
from tests.campaigns.running import failures_of, materialized, run
from tests.campaigns.worlds import PAST, Campaigns, Workshop, campaign
from tests.data.features.conftest import HOLDINGS

__all__ = ["unscored"]

WITH_UNTRAINED = {**BOTH, "untrained": campaign(description="Nobody ever trained this one")}
FOLDER = "FOLDER_OF_THE_SHARDED_JOB"
SHARDS = 3
SCORES = ['key:"again/scores"', 'key:"silent/scores"']
SHOWN = ("group_name", "description", "kinds", "owners", "parent_keys", "check_keys", "partitions_def")
AT_PAST = {"dagster/partition": PAST.isoformat()}
STEPS = {f"scores_customer.scores_customer__{step}" for step in ("plan", "shard_0", "shard_1", "shard_2", "gather")}


def run_sharded(
    workshop: Workshop, selection: Sequence[str], campaigns: Campaigns = BOTH, shards: int = SHARDS
) -> dg.ExecuteInProcessResult:
    return run(workshop, assets_of(workshop.folder, campaigns, shards), selection, partition=PAST.isoformat())


def job_of(
    folder: Path, campaigns: Campaigns, selection: dg.AssetSelection | Sequence[str], shards: int = SHARDS
) -> dg.JobDefinition:
    definitions = dg.Definitions(
        assets=assets_of(folder, campaigns, shards),
        jobs=[dg.define_asset_job("job", selection=selection)],
        resources={"io_manager": ArtifactRefIOManager(root=str(local_environment(folder).refs))},
        executor=dg.in_process_executor,
    )
    return definitions.resolve_job_def("job")


def succeeded(result: dg.ExecuteInProcessResult | dg.JobExecutionResult) -> set[str | None]:
    return {event.step_key for event in result.all_events if event.is_step_success}


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    assert {made.check_name for made in result.get_asset_check_evaluations()} <= {MODEL_CHECK}
    return {made.asset_key.path[0]: made.passed for made in result.get_asset_check_evaluations()}


def test_shards_are_steps_and_end_in_the_scores_of_one_step(unscored: Workshop) -> None:
    result = run_sharded(unscored, SCORES)
    assert result.success
    assert succeeded(result) == STEPS
    assert checks(result) == {"again": True, "silent": True}
    told = materialized(result)
    assert told["again/scores"]["people"] == 400
    forget(unscored)
    whole = {f"{name}/scores": made.ref.content_hash for name, made in in_one_step(unscored).items()}
    assert {key: made["content_hash"] for key, made in told.items()} == whole


def test_audiences_follow_from_sharded_scores_in_the_same_run(unscored: Workshop) -> None:
    result = run_sharded(unscored, ['key:"again/scores"', 'key:"again/audience"'])
    assert result.success
    assert set(materialized(result)) == {"again/scores", "again/audience"}


def test_of_several_campaigns_only_those_asked_for_are_scored(unscored: Workshop) -> None:
    result = run_sharded(unscored, ['key:"silent/scores"'])
    assert result.success
    assert set(materialized(result)) == {"silent/scores"}
    assert checks(result) == {"silent": True}
    assert not [key for key in records(unscored).values() if key.startswith("again/")]


def test_a_second_run_finds_everything_whatever_the_number_of_shards(unscored: Workshop) -> None:
    run_sharded(unscored, SCORES)
    for shards in (1, SHARDS, 2):
        told = materialized(run_sharded(unscored, SCORES, shards=shards))
        assert {key: made["cache"] for key, made in told.items()} == {"again/scores": "hit", "silent/scores": "hit"}


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, SHARDS])
def test_a_campaign_never_trained_fails_its_check_and_starves_no_other(unscored: Workshop, shards: int) -> None:
    result = run_sharded(unscored, ["*"], WITH_UNTRAINED, shards)
    assert result.success
    assert set(materialized(result)) == {f"{name}/{made}" for name in BOTH for made in ("scores", "audience", "report")}
    assert checks(result) == {"again": True, "silent": True, "untrained": False}


@pytest.mark.parametrize("shards", [1, SHARDS])
def test_a_campaign_never_trained_asked_alone_is_refused_before_any_shard(unscored: Workshop, shards: int) -> None:
    result = run_sharded(unscored, ['key:"untrained/scores"'], WITH_UNTRAINED, shards)
    [said] = failures_of(result)
    assert said.startswith("untrained cannot be scored as of 1998-05-01: it has no promoted model; materialise")
    assert checks(result) == {"untrained": False}
    assert not succeeded(result)


@pytest.mark.parametrize("shards", [1, SHARDS])
def test_a_check_asked_for_alone_scores_nobody(unscored: Workshop, shards: int) -> None:
    selection = dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey(["untrained", "scores"]), MODEL_CHECK))
    job = job_of(unscored.folder, WITH_UNTRAINED, selection, shards)
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(tags=AT_PAST, instance=instance, raise_on_error=False)
    assert result.success
    assert checks(result) == {"untrained": False}
    assert succeeded(result) == ({"scores_customer"} if shards == 1 else {"scores_customer.scores_customer__plan"})
    assert records(unscored) == {}


def test_after_a_failed_feature_audit_no_shard_starts(unscored: Workshop) -> None:
    broken, _ = with_failed_features(unscored)
    result = run_sharded(broken, ['key:"again/scores"'])
    assert "features/customer/order_windows at 1998-05-01 must not be read: its audit failed" in failures_of(result)[0]
    assert not succeeded(result)


def sharded_job() -> dg.JobDefinition:
    """As a process finds it that knows the job by name only."""
    return job_of(Path(os.environ[FOLDER]), BOTH, SCORES)


def test_a_failed_shard_is_run_again_alone(unscored: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(unscored.folder))
    plan = Plan.of(plan_scores(BOTH, SHARDS, unscored.work, PAST))
    fingerprint = shard_recipe("again", plan.campaigns["again"], 1, SHARDS).fingerprint
    # Where the lease of its artifact would be written.
    in_the_way = unscored.folder / "artifacts" / "leases" / f"{fingerprint}.json"
    in_the_way.mkdir(parents=True)
    job = dg.reconstructable(sharded_job)
    with dg.DagsterInstance.ephemeral() as instance:
        with dg.execute_job(job, instance, tags=AT_PAST) as first:
            failed = {event.step_key for event in first.all_events if event.is_step_failure}
            assert failed == {"scores_customer.scores_customer__shard_1"}
            assert succeeded(first) == STEPS - failed - {"scores_customer.scores_customer__gather"}
        in_the_way.rmdir()
        again = dg.ReexecutionOptions.from_failure(first.run_id, instance)
        with dg.execute_job(job, instance, tags=AT_PAST, reexecution_options=again) as second:
            assert second.success
            assert succeeded(second) == failed | {"scores_customer.scores_customer__gather"}
            made = {event.asset_key for event in second.all_events if event.is_step_materialization}
            assert made == {dg.AssetKey([name, "scores"]) for name in BOTH}


def test_profiles_tags_go_on_shards_and_the_other_steps_get_theirs(tmp_path: Path) -> None:
    environment = local_environment(tmp_path, scoring_shards=SHARDS)
    tags = {"shard_tags": {"platform/profile": "highmem"}, "step_tags": {"platform/profile": "cpu"}}
    [sharded] = score_assets(BOTH, environment, HOLDINGS, DAILY, **tags)
    assert isinstance(sharded.node_def, dg.GraphDefinition)
    profiles = {node.name: node.definition.tags["platform/profile"] for node in sharded.node_def.nodes}
    shards = {f"scores_customer__shard_{shard}": "highmem" for shard in range(SHARDS)}
    assert profiles == {"scores_customer__plan": "cpu", **shards, "scores_customer__gather": "cpu"}
    [whole] = score_assets(BOTH, replace(environment, scoring_shards=1), HOLDINGS, DAILY, **tags)
    assert whole.op.tags["platform/profile"] == "cpu"
    for made in audience_assets("again", AGAIN, environment, HOLDINGS, DAILY, step_tags={"campaign": "again"}):
        assert made.op.tags["campaign"] == "again"


def test_sharding_changes_nothing_of_what_people_see_of_the_assets(tmp_path: Path) -> None:
    def seen(shards: int) -> list[tuple]:
        graph = dg.Definitions(assets=assets_of(tmp_path, WITH_UNTRAINED, shards)).resolve_asset_graph()
        shown = attrgetter(*SHOWN)
        return [shown(graph.get(dg.AssetKey([name, "scores"]))) for name in WITH_UNTRAINED]

    assert seen(SHARDS) == seen(1)


def test_more_shards_than_can_be_told_apart_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="PLATFORM_SCORING_SHARDS=128: takes 1 to 127"):
        assets_of(tmp_path, BOTH, 128)
