"""Old runs go; what is known of assets, partitions and checks stays."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from platform_assets.operations.janitor.retention import BATCH, age_of, delete_old_runs
from tests.operations.runs import FINISHED, QUEUED, RUNNING, a_run

KEEP = timedelta(days=90)
DAYS = dg.StaticPartitionsDefinition(["monday", "tuesday"])
model_key, scores_key = dg.AssetKey("model"), dg.AssetKey("scores")


@dg.asset(key=model_key)
def model(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    version = context.run.tags["version"]
    return dg.MaterializeResult(data_version=dg.DataVersion(version))


@dg.asset(key=scores_key, partitions_def=DAYS)
def scores(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    if "breaks" in context.run.tags:
        raise dg.Failure("broken", allow_retries=False)
    return dg.MaterializeResult(data_version=dg.DataVersion(context.run.tags["version"]))


@dg.asset_check(asset=model_key)
def model_is_good() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


def make(instance: dg.DagsterInstance, what: list[dg.AssetsDefinition], day: str | None = None, **tags: str) -> str:
    return dg.materialize(what, instance=instance, partition_key=day, tags=tags, raise_on_error=False).run_id


def years_later() -> datetime:
    return datetime.now(UTC) + timedelta(days=1000)


def version_of(instance: dg.DagsterInstance, key: dg.AssetKey, day: str | None = None) -> str | None:
    record = instance.get_latest_data_version_record(key, partition_key=day)
    return None if record is None else (record.event_log_entry.tags or {}).get("dagster/data_version")


def known_of(instance: dg.DagsterInstance) -> object:
    """What the UI and Dagster's own decisions are made of."""
    storage = instance.event_log_storage
    record = instance.get_latest_materialization_event(model_key)
    return (
        version_of(instance, model_key),
        {day: version_of(instance, scores_key, day) for day in DAYS.get_partition_keys()},
        storage.get_materialized_partitions(scores_key),
        storage.get_latest_asset_partition_materialization_attempts_without_materializations(scores_key),
        None if record is None else record.run_id,
        [
            (entry.asset_entry.last_run_id, instance.has_run(entry.asset_entry.last_run_id or ""))
            for entry in instance.get_asset_records([model_key, scores_key])
        ],
    )


def test_what_is_known_of_assets_is_the_same_after_as_before(instance: dg.DagsterInstance) -> None:
    for version in ("1", "2", "3"):
        make(instance, [model], version=version)
        make(instance, [scores], day="monday", version=version)
    make(instance, [scores], day="tuesday", version="2")
    failed = make(instance, [scores], day="tuesday", breaks="yes")
    before = known_of(instance)
    retained = delete_old_runs(instance, KEEP, years_later())
    assert len(retained.deleted) == 4
    assert known_of(instance) == before
    assert version_of(instance, model_key) == "3"
    assert version_of(instance, scores_key, "tuesday") == "2"
    assert failed in retained.kept


def test_a_run_whose_every_word_was_said_anew_is_gone_with_its_events(instance: dg.DagsterInstance) -> None:
    first, second = (make(instance, [model], version=version) for version in "12")
    assert delete_old_runs(instance, KEEP, years_later()).deleted == (first,)
    assert instance.all_logs(first) == []
    assert [record.run_id for record in instance.fetch_materializations(model_key, limit=10).records] == [second]


def test_a_run_is_kept_for_one_partition_that_is_its(instance: dg.DagsterInstance) -> None:
    monday, tuesday = (make(instance, [scores], day=day, version="1") for day in DAYS.get_partition_keys())
    assert delete_old_runs(instance, KEEP, years_later()).deleted == ()
    again = make(instance, [scores], day="monday", version="2")
    assert delete_old_runs(instance, KEEP, years_later()).deleted == (monday,)
    assert instance.has_run(tuesday)
    assert instance.has_run(again)


def test_the_run_behind_the_latest_verdict_of_a_check_is_kept(instance: dg.DagsterInstance) -> None:
    definitions = dg.Definitions(assets=[model], asset_checks=[model_is_good])
    job = definitions.resolve_implicit_global_asset_job_def()
    only_the_check = ["model_model_is_good"]
    first, second = (job.execute_in_process(instance=instance, op_selection=only_the_check).run_id for _ in range(2))
    assert delete_old_runs(instance, KEEP, years_later()).deleted == (first,)
    assert instance.has_run(second)


def test_runs_that_are_young_or_not_finished_are_kept(instance: dg.DagsterInstance) -> None:
    runs = [a_run(instance, status) for status in (QUEUED, RUNNING, *FINISHED)]
    assert delete_old_runs(instance, KEEP, datetime.now(UTC) + timedelta(days=89)).deleted == ()
    retained = delete_old_runs(instance, KEEP, datetime.now(UTC) + timedelta(days=91))
    assert set(retained.deleted) == {run.run_id for run in runs[2:]}


def test_a_run_that_a_live_run_re_executes_is_kept(instance: dg.DagsterInstance) -> None:
    parent = a_run(instance, FINISHED[1])
    a_run(instance, RUNNING, parent=parent)
    assert delete_old_runs(instance, KEEP, years_later()).kept == (parent.run_id,)


def test_batches_reach_every_old_run_past_those_that_are_kept(instance: dg.DagsterInstance) -> None:
    kept = make(instance, [model], version="1")
    runs = {a_run(instance, FINISHED[0]).run_id for _ in range(BATCH + 3)}
    first = delete_old_runs(instance, KEEP, years_later())
    assert len(first.deleted) + len(first.kept) == BATCH
    deleted, after = set(first.deleted), first.resume_after
    assert after is not None
    # More rounds than batches: times may be whole seconds, and what shares a batch's last second comes a round later.
    for _ in range(4):
        retained = delete_old_runs(instance, KEEP, years_later(), after)
        deleted, after = deleted | set(retained.deleted), retained.resume_after
    assert deleted == runs
    assert instance.has_run(kept)


@pytest.mark.parametrize(
    ("text", "age"), [("90d", timedelta(days=90)), ("2w", timedelta(weeks=2)), ("36h", timedelta(hours=36))]
)
def test_an_age_is_a_number_and_a_unit(text: str, age: timedelta) -> None:
    assert age_of(text) == age


@pytest.mark.parametrize("text", ["", "90", "0d", "-1d", "1.5d", "90 d", "3m"])
def test_what_is_no_age_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="such as 90d"):
        age_of(text)
