"""`platform-assets …`: what Dagster's own command does not do.

Belongs here: checking, previewing and copying campaign files, the JSON Schema for editors, making what is needed in
Google Cloud, the doctor, and the janitor of a deployed platform. What runs assets is `dagster` itself.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from platform_assets.environment import Environment, EnvironmentVariableError, environment_from_variables

if TYPE_CHECKING:
    from platform_assets.campaigns.declaration.spec import CampaignSpec
    from platform_assets.data.catalog.catalog import Catalog
    from platform_assets.foundation.execution.profiles import Profiles

Result = TypeVar("Result")
GOOD, BAD = click.style("ok", fg="green"), click.style("!!", fg="red")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Campaign files and the state of the platform. Assets are run by `dagster`."""


@main.command()
def check() -> None:
    """Check every source and campaign file; exit 1 when one cannot be honoured."""
    from platform_assets.campaigns.declaration.parsing import DeclarationError, read_campaigns
    from platform_assets.components.loading import read_sources

    environment = _environment()
    catalog = _catalog(environment)
    broken = 0
    try:
        sources = read_sources(environment.sources)
        click.echo(f"{GOOD} {len(sources)} sources")
    except DeclarationError as error:
        broken += 1
        click.echo(f"{BAD} {error}")
    for file in read_campaigns(environment.campaigns, catalog, _profiles(environment)):
        if file.error is None:
            click.echo(f"{GOOD} {file.name}")
        else:
            broken += 1
            click.echo("\n".join(f"{BAD} {line}" for line in str(file.error).splitlines()))
    if broken:
        click.echo(f"{broken} of the files above cannot be honoured", err=True)
        sys.exit(1)


@main.command()
@click.argument("campaign")
def preview(campaign: str) -> None:
    """How many people and positives a campaign has, and how far one column alone gets."""
    from platform_assets.campaigns.registry.opening import open_workspace
    from platform_assets.campaigns.training_sets.calendar import NotCovered
    from platform_assets.campaigns.training_sets.label import ImmatureLabel
    from platform_assets.campaigns.training_sets.preview import preview_campaign, rendered
    from platform_assets.campaigns.training_sets.teacher import TeacherError
    from platform_assets.campaigns.training_sets.training_set import TooFewPositives
    from platform_assets.data.catalog.pointer import MartMissing, MartRefused
    from platform_assets.data.features.tables import AsOfNotCovered
    from platform_assets.data.quality import AuditFailed

    environment = _environment()
    catalog = _catalog(environment)
    spec = _campaign(environment, catalog, campaign)
    try:
        looked = preview_campaign(campaign, spec, open_workspace(environment, catalog, f"preview {campaign}"))
    except (
        AsOfNotCovered, AuditFailed, ImmatureLabel, MartMissing, MartRefused, NotCovered, TeacherError, TooFewPositives,
    ) as error:  # fmt: skip
        raise click.ClickException(str(error)) from error
    click.echo(rendered(looked))


@main.command()
@click.argument("campaign")
@click.option("--dates", default=4, show_default=True, type=click.IntRange(1, 60), help="How many past dates.")
@click.option("--every", type=click.IntRange(1), help="Days between two dates (default: the horizon).")
@click.option("--json", "as_json", is_flag=True, help="Print every figure as JSON, a line a date.")
def backtest(campaign: str, dates: int, every: int | None, as_json: bool) -> None:
    """Train a campaign as of past dates, with what was known then, and measure it on what came true."""
    from datetime import timedelta

    from platform_assets.audiences.report.backtest import backtest as replay
    from platform_assets.audiences.report.backtest import backtest_dates, rendered
    from platform_assets.campaigns.registry.opening import open_workspace
    from platform_assets.campaigns.training_sets.calendar import NotCovered
    from platform_assets.campaigns.training_sets.label import ImmatureLabel
    from platform_assets.campaigns.training_sets.teacher import TeacherError
    from platform_assets.data.catalog.pointer import MartMissing, MartRefused
    from platform_assets.data.quality import AuditFailed

    environment = _environment()
    catalog = _catalog(environment)
    spec = _campaign(environment, catalog, campaign)
    work = open_workspace(environment, catalog, f"backtest {campaign}")
    step = timedelta(days=every) if every else spec.horizon
    try:
        days = backtest_dates(spec, work.warehouse, dates, step)
        replays = []
        for replayed in replay(campaign, spec, work, days, step):
            replays.append(replayed)
            if as_json:
                told = {"as_of": replayed.day.isoformat(), "figures": replayed.figures, "why_not": replayed.why_not}
                click.echo(json.dumps(told))
            else:
                click.echo(f"{replayed.day} done", err=True)
    except (AuditFailed, ImmatureLabel, MartMissing, MartRefused, NotCovered, TeacherError) as error:
        raise click.ClickException(str(error)) from error
    if not as_json:
        click.echo(rendered(campaign, replays))


@main.command()
@click.argument("campaign")
@click.option("--like", required=True, help="The campaign to copy.")
def new(campaign: str, like: str) -> None:
    """Start a campaign as a copy of another: the same as last time, then edit."""
    from platform_assets.campaigns.declaration.parsing import FILE_NAME, read_campaign

    environment = _environment()
    catalog = _catalog(environment)
    _campaign(environment, catalog, like)
    if Path(campaign).name != campaign:
        raise click.ClickException(f"{campaign!r} is not lower-case letters, digits and _, as a campaign's name is")
    target = environment.campaigns / campaign / FILE_NAME
    if target.exists():
        raise click.ClickException(f"{target} exists already; choose another name or edit it")
    text = (environment.campaigns / like / FILE_NAME).read_text(encoding="utf-8")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    copied = read_campaign(target, catalog, _profiles(environment))
    if copied.error is not None:
        target.unlink()
        target.parent.rmdir()
        raise click.ClickException(str(copied.error))
    click.echo(f"{target}\nEdit it, then: platform-assets check && platform-assets preview {campaign}")


@main.command()
@click.option("--output", type=click.Path(path_type=Path), help="File to write (default: the terminal).")
def schema(output: Path | None) -> None:
    """JSON Schema of campaign files, for editors."""
    from platform_assets.campaigns.declaration.spec import json_schema

    text = json.dumps(json_schema(), indent=2) + "\n"
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
        click.echo(str(output))


@main.command()
def manifest() -> None:
    """Parse the dbt project, so that definitions can load."""
    from platform_assets.data.marts.dbt import DbtError, local_project, parse_project

    environment = _environment()
    # Whatever the environment: what definitions need of the project is the same on every engine.
    project = local_project(environment.dbt_project, environment.raw, environment.dbt_database)
    click.echo(str(_told(lambda: parse_project(project), DbtError)))


@main.command()
def prepare() -> None:
    """Make the datasets and the bucket that the platform needs in Google Cloud; exit 1 when one cannot be made."""
    from platform_assets.data.engines.bigquery.connection import BigQuery
    from platform_assets.data.engines.bigquery.preparing import prepare as prepared

    environment = _environment()
    if environment.cloud is None:
        click.echo(f"PLATFORM_ENV={environment.name}: nothing to prepare; folders are made when they are needed")
        return
    complete = True
    for made in prepared(BigQuery(environment.cloud)):
        complete &= made.good
        click.echo(f"{GOOD if made.good else BAD} {made.what}: {made.found}")
    if not complete:
        sys.exit(1)


@main.command()
@click.option("--image", required=True, help="The platform's image in the registry, without a tag.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def pinned(folder: Path, image: str) -> None:
    """Write into FOLDER the Kustomize component that serves the campaigns pinned to a commit."""
    from platform_assets.campaigns.declaration.parsing import read_campaigns
    from platform_assets.operations.pinned import pinned_commits, write_component

    environment = _environment()
    files = read_campaigns(environment.campaigns, _catalog(environment), _profiles(environment))
    broken = [str(file.error) for file in files if file.error]
    if broken:
        # One of them may be pinned: without its code location nothing would define it.
        raise click.ClickException("\n".join([*broken, f"nothing was written to {folder}: mend what is wrong first"]))
    commits = pinned_commits({file.name: file.spec for file in files if file.spec})
    for path in _told(lambda: write_component(folder, commits, image), FileNotFoundError):
        click.echo(str(path))


@main.command()
def doctor() -> None:
    """Look at everything the platform stands on and say what to do about what is missing; exit 1 when something is."""
    from platform_assets.operations.diagnosis import diagnose

    findings = diagnose(_environment())
    for finding in findings:
        click.echo(f"{GOOD if finding.good else BAD} {finding.what}: {finding.found}")
        if not finding.good:
            click.echo(f"   {finding.remedy}")
    if not all(finding.good for finding in findings):
        sys.exit(1)


@main.command()
@click.option("--every", default=15.0, show_default=True, type=click.FloatRange(min=1), help="Seconds between sweeps.")
@click.option("--once", is_flag=True, help="Sweep once and end.")
@click.option("--port", default=9464, show_default=True, help="Port that serves /metrics to Prometheus.")
@click.option("--bind", default="127.0.0.1", show_default=True, help="Address that serves it; 0.0.0.0 in a pod.")
@click.option("--keep-runs", default="90d", show_default=True, help="Age at which finished runs are deleted (h, d, w).")
@click.option("--namespace", help="Where the Jobs of runs are (default: the run launcher's).")
def janitor(every: float, once: bool, port: int, bind: str, keep_runs: str, namespace: str | None) -> None:
    """Delete what outlived its run on Kubernetes, free stuck slots, age the queue, delete old runs; for ever."""
    import logging
    from datetime import UTC, datetime

    from dagster import DagsterInstance

    from platform_assets.operations.janitor.janitor import janitor_of_this_pod
    from platform_assets.operations.janitor.metrics import Metrics
    from platform_assets.operations.janitor.retention import age_of
    from platform_assets.operations.janitor.slots import declare_pools

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    keep = _told(lambda: age_of(keep_runs), ValueError)
    profiles = _profiles(_environment())
    with DagsterInstance.get() as instance:
        declare_pools(instance, {profile.pool for profile in profiles.values() if profile.gpus})
        sweeper = _told(lambda: janitor_of_this_pod(instance, every, keep, namespace), ValueError)
        metrics = Metrics(instance, datetime.now(UTC))
        metrics.serve(bind, port)
        sweeper.run(metrics, once)


def _environment() -> Environment:
    return _told(environment_from_variables, EnvironmentVariableError)


def _catalog(environment: Environment) -> "Catalog":
    from platform_assets.data.catalog.catalog import Catalog, CatalogError, ManifestMissing

    return _told(lambda: Catalog.from_manifest(environment.dbt_manifest), CatalogError, ManifestMissing)


def _profiles(environment: Environment) -> "Profiles":
    from platform_assets.foundation.execution.profiles import ProfileError, read_profiles

    return _told(lambda: read_profiles(environment.profiles), ProfileError)


def _campaign(environment: Environment, catalog: "Catalog", name: str) -> "CampaignSpec":
    from platform_assets.campaigns.declaration.conditions import did_you_mean
    from platform_assets.campaigns.declaration.parsing import FILE_NAME, read_campaign

    path = environment.campaigns / name / FILE_NAME
    if not path.is_file():
        known = [other.parent.name for other in environment.campaigns.glob(f"*/{FILE_NAME}")]
        raise click.ClickException(f"there is no campaign {name} in {environment.campaigns}{did_you_mean(name, known)}")
    file = read_campaign(path, catalog, _profiles(environment))
    if file.spec is None:
        raise click.ClickException(str(file.error))
    return file.spec


def _told(attempt: Callable[[], Result], *expected: type[Exception]) -> Result:
    """The result, or the error's own sentence without a traceback."""
    try:
        return attempt()
    except expected as error:
        raise click.ClickException(str(error)) from error
