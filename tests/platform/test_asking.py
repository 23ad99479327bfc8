"""One command a question: `run`, `score` and `why`, on the platform that was asked before."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from platform_assets.cli import main
from platform_assets.environment import Environment
from tests.support.answered import Answered
from tests.support.processes import run_python
from tests.support.running import Platform, failures_of, variables_of

DAY = "1998-04-01"
MAIN = "from platform_assets.cli import main; main()"
Command = Callable[..., Result]


@pytest.fixture(scope="module")
def asked_before(answered: Answered, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A copy of the platform that was asked, as `run` leaves it."""
    folder = shutil.copytree(answered.folder, tmp_path_factory.mktemp("asking") / "copy")
    return replace(answered, folder=folder).environment


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dagster_home")
    (folder / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def command(asked_before: Environment, home: Path) -> Command:
    def typed(*arguments: str, **variables: str) -> Result:
        own = variables_of(asked_before) | {"DAGSTER_HOME": str(home)} | variables
        return CliRunner().invoke(main, list(arguments), env=own, catch_exceptions=False)

    return typed


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home)) as opened:
        yield opened


@pytest.mark.slow
def test_an_unchanged_campaign_starts_no_run_says_why_and_shows_its_answer(
    command: Command, instance: dg.DagsterInstance, asked_before: Environment
) -> None:
    before = instance.get_runs_count()
    ran = command("run", "repeat_buyers", "--as-of", DAY)
    assert ran.exit_code == 0, ran.output
    assert instance.get_runs_count() == before
    assert ran.output.count("nothing to do") == 3, ran.output
    assert f"repeat_buyers as of {DAY}" in ran.output
    report = asked_before.data / "audiences" / "repeat_buyers" / DAY / "report.html"
    assert f"report               {report}" in ran.output


@pytest.mark.slow
def test_what_is_gone_is_made_again_by_a_run_of_the_uis_job_and_no_more(
    command: Command, instance: dg.DagsterInstance, asked_before: Environment
) -> None:
    report = asked_before.data / "audiences" / "repeat_buyers" / DAY / "report.html"
    whole = report.read_bytes()
    report.unlink()
    before = instance.get_runs_count()
    ran = command("score", "repeat_buyers", "--as-of", DAY)
    assert ran.exit_code == 0, ran.output
    assert report.read_bytes() == whole
    (run,) = instance.get_runs(limit=instance.get_runs_count() - before)
    assert (run.job_name, run.status, run.tags["dagster/partition"]) == (
        "score_customer",
        dg.DagsterRunStatus.SUCCESS,
        DAY,
    )
    assert "found   repeat_buyers__report" in ran.output
    assert "found: same code, settings and inputs" in command("why", "repeat_buyers/report").output


@pytest.mark.slow
def test_a_failed_step_ends_the_command_with_its_sentence_and_where_to_look(
    command: Command, asked_before: Environment
) -> None:
    held = asked_before.data / "audiences" / "repeat_buyers" / DAY
    aside = shutil.move(held, held.with_name("aside"))
    held.write_text("a file where the folder belongs", encoding="utf-8")
    try:
        ran = command("score", "repeat_buyers", "--as-of", DAY)
    finally:
        held.unlink()
        shutil.move(aside, held)
    assert ran.exit_code == 1
    assert "FAILED  repeat_buyers__audience" in ran.output
    assert "of score_customer: in Dagster's UI" in ran.output


@pytest.mark.slow
def test_marts_that_are_not_published_are_refreshed_by_the_uis_job_alone(
    command: Command, instance: dg.DagsterInstance, asked_before: Environment
) -> None:
    (Path(asked_before.marts) / "current.json").unlink()
    before = instance.get_runs_count()
    ran = command("run", "repeat_buyers", "--as-of", DAY)
    assert ran.exit_code == 0, ran.output
    assert "marts: another version of" in ran.output
    assert ran.output.count("nothing to do") == 2, ran.output
    (run,) = instance.get_runs(limit=instance.get_runs_count() - before)
    assert (run.job_name, run.status) == ("refresh_marts", dg.DagsterRunStatus.SUCCESS)
    # The other source is no business of this campaign.
    assert run.asset_selection is not None
    assert not {key.path[1] for key in run.asset_selection} & {"movies", "ratings"}


@pytest.mark.slow
def test_interrupting_the_command_cancels_its_run_and_the_next_goes_on(
    command: Command, instance: dg.DagsterInstance, asked_before: Environment, home: Path
) -> None:
    own = os.environ | variables_of(asked_before) | {"DAGSTER_HOME": str(home)}
    typed = [sys.executable, "-c", MAIN, "run", "repeat_buyers", "--as-of", "1998-01-01"]
    with subprocess.Popen(typed, env=own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not (running := instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))):
            assert process.poll() is None
            time.sleep(0.1)
        while process.poll() is None:
            # One that arrives in a callback of C is lost, as for any Python program; a person presses again.
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)
        told = "".join(process.communicate())
    assert process.returncode == 1
    assert "canceled; what its finished steps made is kept" in told, told
    (canceled,) = instance.get_runs(dg.RunsFilter(run_ids=[running[0].run_id]))
    assert (canceled.job_name, canceled.status) == ("train_repeat_buyers", dg.DagsterRunStatus.CANCELED)
    assert command("run", "repeat_buyers", "--as-of", DAY).output.count("nothing to do") == 3


@pytest.mark.slow
def test_two_commands_at_once_start_one_run_and_both_show_the_answer(
    instance: dg.DagsterInstance, asked_before: Environment, home: Path
) -> None:
    report = asked_before.data / "audiences" / "repeat_buyers" / DAY / "report.html"
    report.unlink()
    before = instance.get_runs_count()
    own = os.environ | variables_of(asked_before) | {"DAGSTER_HOME": str(home)}
    typed = [sys.executable, "-c", MAIN, "run", "repeat_buyers", "--as-of", DAY]
    both = [subprocess.Popen(typed, env=own, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert instance.get_runs_count() == before + 1
    assert all(f"report               {report}" in text for text in told)


@pytest.mark.slow
def test_dates_that_the_exports_do_not_cover_are_refused_before_a_run(
    command: Command, instance: dg.DagsterInstance
) -> None:
    before = instance.get_runs_count()
    for typed in (("run", "repeat_buyers"), ("score", "repeat_buyers"), ("score", "customer")):
        ran = command(*typed, "--as-of", "2031-01-01")
        assert ran.exit_code == 1
        assert "is the latest date" in ran.output
    assert instance.get_runs_count() == before


@pytest.mark.slow
def test_a_look_imports_nothing_heavy(asked_before: Environment, home: Path) -> None:
    code = (
        "import sys\nfrom platform_assets.cli import main\n"
        f"main(['run', 'repeat_buyers', '--as-of', '{DAY}'], standalone_mode=False)\n"
        "print([name for name in ('torch', 'lightgbm', 'great_expectations', 'dbt') if name in sys.modules])"
    )
    told = run_python("-c", code, variables=variables_of(asked_before) | {"DAGSTER_HOME": str(home)})
    assert told.stdout.splitlines()[-1:] == ["[]"], told.stdout + told.stderr


def test_what_cannot_be_asked_is_refused_in_a_sentence(environment: Environment, tmp_path: Path) -> None:
    def typed(*arguments: str, **variables: str) -> str:
        own = variables_of(environment) | {"DAGSTER_HOME": str(tmp_path)} | variables
        ran = CliRunner().invoke(main, list(arguments), env=own, catch_exceptions=False)
        assert ran.exit_code == 1, ran.output
        return ran.output

    assert "there is no campaign repeat_buyer in" in typed("run", "repeat_buyer")
    assert 'did you mean "repeat_buyers"?' in typed("run", "repeat_buyer")
    assert 'did you mean "customer"?' in typed("score", "custmer")
    assert "there is no finished export of it" in typed("run", "repeat_buyers")
    assert "has not been published yet" in typed("score", "repeat_buyers")
    assert "runs of this deployment are pods" in typed("run", "repeat_buyers", PLATFORM_EXECUTOR="kubernetes")
    assert 'did you mean "repeat_buyers/report"?' in typed("why", "repeat_buyers/reports")
    assert "1997-01-01 is the first date" in typed("score", "customer", "--as-of", "1996-12-31")
    assert "DAGSTER_HOME does not name" in typed("run", "repeat_buyers", DAGSTER_HOME="")


def test_a_scoring_run_without_a_date_says_how_to_give_one(environment: Environment) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        told = failures_of(Platform.of(environment, instance).run("score_customer"))
    assert told
    assert all("platform-assets score <campaign or entity> [--as-of DATE]" in sentence for sentence in told.values())
