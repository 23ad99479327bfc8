"""Definitions of one job, whose run waits for a file that its configuration names, for `test_local_launcher.py`."""

import time
from pathlib import Path

import dagster as dg


@dg.op(config_schema={"file": str})
def wait(context: dg.OpExecutionContext) -> None:
    while not Path(context.op_config["file"]).exists():
        time.sleep(0.1)


@dg.job(executor_def=dg.in_process_executor)
def waits() -> None:
    wait()


defs = dg.Definitions(jobs=[waits])
