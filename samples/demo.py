"""The platform end to end on the sample exports: `python -m samples.demo`, ended by a table that a person reads.

Every step is a Dagster run on the instance of DAGSTER_HOME, so that the web UI shows what was done. Belongs here: the
order of the runs, and the table. Does not belong here: anything a run does.
"""

import argparse
import contextlib
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg

from platform_assets.audiences.report.summary import summary_lines
from platform_assets.definitions import build_definitions
from platform_assets.environment import Environment, environment_from_variables
from samples.exports import write_sample_exports


@dataclass(frozen=True)
class Question:
    """One campaign asked as of one date; `train` is False where the model promoted before is asked again."""

    campaign: str
    entity: str
    as_of: str
    train: bool = True


# The table says what matters; every event is in the web UI.
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

# Each date is asked once, with the settings of the campaign file.
QUESTIONS = (
    Question("repeat_buyers", "customer", "1998-01-01"),
    Question("winback", "customer", "1998-01-01"),
    Question("repeat_buyers", "customer", "1998-04-01"),
    Question("winback", "customer", "1998-04-01", train=False),
    Question("scifi_fans", "viewer", "1998-01-15"),
)


@dataclass(frozen=True)
class Ran:
    """A finished run: its wall seconds, and (asset, partition) → metadata of what it materialised."""

    seconds: float
    metadata: dict[tuple[str, str | None], dict[str, Any]]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m samples.demo", description=__doc__.splitlines()[0])
    parser.parse_args(arguments)
    environment = environment_from_variables()
    started = time.perf_counter()
    write_sample_exports(environment.exports, environment.data / "samples", environment.teachers)
    exported = time.perf_counter()
    print(f"sample exports below {environment.exports} ({exported - started:.1f} s)\n", flush=True)
    with dg.DagsterInstance.get() as instance:
        ran = run_everything(environment, instance)
    print(table(ran, environment))
    print(f"\nthe run took {time.perf_counter() - exported:.0f} s; fits: {fits(ran)}, found in the store: {hits(ran)}")
    print(f"graph, runs and checks: make ui   (data: {environment.data})")


def run_everything(environment: Environment, instance: dg.DagsterInstance) -> dict[str, Ran]:
    """Marts, then every question's training, then the scores of every entity and date; by job and date."""
    definitions = build_definitions(environment)
    ran = {"refresh_marts": _run(definitions, instance, "refresh_marts")}
    for question in QUESTIONS:
        if not question.train:
            continue
        config = {"ops": {f"{question.campaign}__training_set": {"config": {"score_at": question.as_of}}}}
        ran[f"train {question.campaign} {question.as_of}"] = _run(
            definitions, instance, f"train_{question.campaign}", run_config=config
        )
    for entity, as_of in dict.fromkeys((question.entity, question.as_of) for question in QUESTIONS):
        ran[f"score {entity} {as_of}"] = _run(definitions, instance, f"score_{entity}", partition_key=as_of)
    return ran


def _run(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    job: str,
    run_config: dict[str, Any] | None = None,
    **how: Any,
) -> Ran:
    told = f"{job} {how.get('partition_key', '')}"
    print(f"  {told:<44}", end="", flush=True)
    started = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        result = definitions.resolve_job_def(job).execute_in_process(
            instance=instance, raise_on_error=False, run_config={**QUIET, **(run_config or {})}, **how
        )
    seconds = time.perf_counter() - started
    if not result.success:
        failures = [
            event.step_failure_data.user_failure_data or event.step_failure_data.error
            for event in result.get_step_failure_events()
        ]
        raise SystemExit(f"failed\n{job}: " + "\n".join(str(getattr(f, "description", None) or f) for f in failures))
    print(f"{seconds:6.1f} s", flush=True)
    metadata = {}
    for event in result.get_asset_materialization_events():
        made = event.step_materialization_data.materialization
        plain = {key: value.value for key, value in made.metadata.items()}
        metadata[(made.asset_key.to_user_string(), made.partition)] = plain
    for event in result.all_events:
        if event.is_successful_output and "__fold_" in (event.step_key or ""):
            plain = {key: value.value for key, value in event.step_output_data.metadata.items()}
            metadata[(str(event.step_key), None)] = plain
    return Ran(seconds, metadata)


def fits(ran: dict[str, Ran]) -> int:
    """How many folds were fitted rather than found."""
    return sum(m["cache"] == "miss" for run in ran.values() for (key, _), m in run.metadata.items() if "__fold_" in key)


def hits(ran: dict[str, Ran]) -> int:
    """How many steps found their result in the store."""
    return sum(m.get("cache") == "hit" for run in ran.values() for m in run.metadata.values())


def table(ran: dict[str, Ran], environment: Environment) -> str:
    """For each question what a person wants to know, a line each where it is short and two where it is long."""
    lines = []
    for question in QUESTIONS:
        trained = _training_of(question, ran)
        scored = ran[f"score {question.entity} {question.as_of}"]
        lines += [*_block(question, *trained, scored, environment), ""]
    return "\n".join(["", *lines]).rstrip()


def _training_of(question: Question, ran: dict[str, Ran]) -> tuple[str, Ran]:
    """The date and run of the training whose model answers a question: the latest at or before its date."""
    dates = [q.as_of for q in QUESTIONS if q.train and q.campaign == question.campaign and q.as_of <= question.as_of]
    return max(dates), ran[f"train {question.campaign} {max(dates)}"]


def _block(question: Question, trained_at: str, trained: Ran, scored: Ran, environment: Environment) -> list[str]:
    return [
        f"{question.campaign} as of {question.as_of}   (model of {trained_at}, trained in {trained.seconds:.1f} s; "
        f"all campaigns of {question.entity} scored and reported in {scored.seconds:.1f} s)",
        *summary_lines(question.campaign, date.fromisoformat(question.as_of), environment),
    ]


if __name__ == "__main__":
    main()
