"""Definitions that launch runs of themselves in every way Dagster knows, for `test_coordinator.py`."""

import dagster as dg

DAYS = dg.StaticPartitionsDefinition(["one", "two"])
# A deadline that has passed is the most urgent of all.
TAGS = {"campaign": "winback", "platform/deadline": "2026-01-01"}


@dg.asset(key_prefix="winback", op_tags=TAGS, partitions_def=DAYS)
def scores() -> None: ...


# `on_missing` and `eager` ask for what changes later; this asks once, at the first tick.
@dg.asset(key_prefix="winback", op_tags=TAGS, automation_condition=dg.AutomationCondition.initial_evaluation())
def wanted() -> None: ...


@dg.asset(key_prefix="winback", op_tags=TAGS)
def due() -> None: ...


@dg.asset(key_prefix="winback", op_tags=TAGS)
def fails_once(context: dg.AssetExecutionContext) -> None:
    if context.run.parent_run_id is None:
        raise ValueError("the first time")


fails = dg.define_asset_job("fails", selection=[fails_once], tags={"dagster/max_retries": "1"})
due_now = dg.define_asset_job("due_now", selection=[due])
days = dg.define_asset_job("days", selection=[scores])
# Tags that a job has in code, one of them about its run's pod.
OWN_TAGS = {"team": "loyalty", "dagster-k8s/config": {"container_config": {"resources": {"limits": {"cpu": "4"}}}}}
sized = dg.define_asset_job("sized", selection=[due], tags=OWN_TAGS)


@dg.schedule(job=due_now, cron_schedule="* * * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
def every_minute() -> dg.RunRequest:
    return dg.RunRequest()


@dg.sensor(job=fails, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def once() -> dg.RunRequest:
    return dg.RunRequest(run_key="once")


defs = dg.Definitions(
    assets=[scores, wanted, due, fails_once],
    jobs=[fails, due_now, days, sized],
    schedules=[every_minute],
    sensors=[
        once,
        dg.AutomationConditionSensorDefinition(
            "automation", target="*", default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=1
        ),
    ],
    executor=dg.in_process_executor,
)
