"""Commands for one question: answered from exports to report, scored as of a date, and why a step was or would be made.

Each starts Dagster runs in this process, on the instance that the UI shows.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from platform_assets.cli.surroundings import Explained, campaign_of, environment_here, holdings_of
from platform_assets.environment import Environment, Scope, dagster_home, is_dagster_home_set

if TYPE_CHECKING:
    import dagster as dg

    from platform_assets.data.features.holdings import Holdings
    from platform_assets.operations.asking.phases import Terminal
    from platform_assets.operations.asking.standing import Asked

AS_OF = click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="As-of date, as 2024-01-31: what happened before it is known.",
)


@click.command()
@click.argument("campaign")
@AS_OF
def run(campaign: str, as_of: datetime | None) -> None:
    """Do what is stale of a campaign, from marts to report, as Dagster runs; the answer and where the report is.

    Without --as-of, as of the campaign file's score_at.
    """
    environment = _runs_here()
    stated = _stated(as_of, environment)
    holdings = holdings_of(environment)
    asked = _asked(environment, holdings, campaign)
    from platform_assets.operations.asking.phases import bring_up_to_date, turn_of

    with _explained(), _terminal(environment, campaign) as terminal, turn_of(asked):
        day = bring_up_to_date(asked, stated, terminal)
    _show(asked, day)


@click.command()
@click.argument("campaign_or_entity")
@AS_OF
def score(campaign_or_entity: str, as_of: datetime | None) -> None:
    """Score a campaign, or all of an entity, with the models promoted by a date: audiences and reports.

    Without --as-of, as of the latest date that the exports cover. Marts and models stay as they are.
    """
    from platform_assets.operations.asking.phases import answer, turn_of

    environment = _runs_here()
    stated = _stated(as_of, environment)
    holdings = holdings_of(environment)
    names = _campaigns(environment, holdings, campaign_or_entity)
    failed = []
    for name in names:
        asked = _asked(environment, holdings, name)
        try:
            with _explained(), _terminal(environment, name) as terminal, turn_of(asked):
                day = asked.latest(stated)
                answer(asked, day, terminal)
            _show(asked, day)
        except click.ClickException as error:
            if len(names) == 1:
                raise
            # One campaign without a model starves no other's scores.
            click.echo(f"{name}: {error.message}", err=True)
            failed.append(name)
    if failed:
        raise click.ClickException(f"not scored: {', '.join(failed)}")


@click.command()
@click.argument("asset")
def why(asset: str) -> None:
    """Whether an asset's last step found its result or made it, and what had changed; and what a run would do now.

    ASSET as in the UI: <campaign>/training_set, marts/<mart>, features/<entity>/<group>.
    """
    import dagster as dg

    from platform_assets.definitions import build_definitions
    from platform_assets.foundation.documents.sentences import did_you_mean
    from platform_assets.operations.asking.reasons import last_step, would_do

    environment = environment_here()
    known = [key.to_user_string() for key in build_definitions(environment).resolve_all_asset_keys()]
    if asset not in known:
        raise click.ClickException(f"there is no asset {asset}{did_you_mean(asset, known)}")
    with _explained(), _open_instance(_home(environment)) as instance:
        for line in last_step(dg.AssetKey(asset.split("/")), instance):
            click.echo(line)
        campaign = asset.split("/")[0]
        if campaign in _names(environment):
            click.echo(f"now: {would_do(_asked(environment, holdings_of(environment), campaign))}")


def _runs_here() -> Environment:
    environment = environment_here()
    if environment.executor == "kubernetes":
        raise click.ClickException(
            "runs of this deployment are pods (PLATFORM_EXECUTOR=kubernetes), which this command does not start: launch them "
            "from the web UI, or with `kubectl exec deploy/dagster-webserver -- dagster job launch -w "
            "/opt/dagster/home/workspace.yaml -j train_<campaign>`; scores of a date are a partition of score_<entity> there"
        )
    return environment


def _stated(as_of: datetime | None, environment: Environment) -> date | None:
    """The date asked for, which must be one that the platform has."""
    day = as_of.date() if as_of else None
    if day is not None and day < environment.first_date:
        raise click.ClickException(
            f"as of {day}: {environment.first_date} is the first date that can be asked for; PLATFORM_FIRST_DATE sets it"
        )
    return day


def _names(environment: Environment) -> list[str]:
    from platform_assets.campaigns.declaration.parsing import FILE_NAME

    return sorted(path.parent.name for path in environment.campaigns.glob(f"*/{FILE_NAME}"))


def _campaigns(environment: Environment, holdings: "Holdings", word: str) -> list[str]:
    from platform_assets.campaigns.declaration.parsing import read_campaigns
    from platform_assets.cli.surroundings import profiles_of
    from platform_assets.foundation.documents.sentences import did_you_mean

    names = _names(environment)
    if word in names:
        return [word]
    if word not in holdings.catalog.entities:
        known = [*names, *holdings.catalog.entities]
        raise click.ClickException(f"there is no campaign or entity {word}{did_you_mean(word, known)}")
    files = read_campaigns(environment.campaigns, holdings, profiles_of(environment))
    own = [file.name for file in files if file.spec is not None and file.spec.entity == word]
    if not own:
        raise click.ClickException(f"no campaign in {environment.campaigns} is about {word}")
    return own


def _asked(environment: Environment, holdings: "Holdings", name: str) -> "Asked":
    from platform_assets.components.loading import read_source_files
    from platform_assets.data.catalog.catalog import read_manifest
    from platform_assets.data.marts.graph import ProjectGraph
    from platform_assets.operations.asking.standing import Asked

    spec = campaign_of(environment, holdings, name)
    pinned = spec.advanced.code
    if pinned is not None and pinned.commit != environment.commit:
        raise click.ClickException(
            f"{name} is pinned to commit {pinned.commit} (advanced.code), and this is the code of "
            f"{environment.commit or 'no commit that it was told (PLATFORM_COMMIT)'}: ask it with the platform of that commit"
        )
    graph = ProjectGraph.from_manifest(read_manifest(environment.dbt_manifest))
    sources = {file.name: file.spec for file in read_source_files(environment.sources) if file.spec is not None}
    return Asked(name, spec, environment, holdings, graph, sources)


def _explained() -> Explained:
    """Refusals of the steps, and of what they stand on, as sentences."""
    from platform_assets.audiences.scoring.assets import data_errors
    from platform_assets.data.exports.export import ExportError
    from platform_assets.foundation.storage import StorageRefused
    from platform_assets.operations.asking.running import RunCanceled, RunFailed
    from platform_assets.operations.asking.standing import NothingExported

    return Explained(*data_errors(), ExportError, NothingExported, RunCanceled, RunFailed, StorageRefused)


def _home(environment: Environment) -> Path | None:
    """The folder of the Dagster instance; None: DAGSTER_HOME names it."""
    home = dagster_home(environment)
    if home is None and not is_dagster_home_set():
        raise click.ClickException(
            "DAGSTER_HOME does not name the folder in which Dagster keeps its runs, and neither "
            f"{environment.project / 'dagster_home'} nor {environment.data / 'dagster'} holds a dagster.yaml; set it to the UI's, an "
            "absolute path"
        )
    return home


def _open_instance(home: Path | None) -> "dg.DagsterInstance":
    import dagster as dg

    with Explained(dg.DagsterInvariantViolationError):
        return dg.DagsterInstance.get() if home is None else dg.DagsterInstance.from_config(str(home))


@contextmanager
def _terminal(environment: Environment, campaign: str) -> "Iterator[Terminal]":
    """What runs of a campaign are started from; opened when there is one to start, which takes longer than a look."""
    from platform_assets.operations.asking.phases import Terminal

    def load() -> "dg.Definitions":
        from platform_assets.definitions import build_definitions

        return build_definitions(replace(environment, scope=Scope(frozenset({campaign}))))

    home = _home(environment)
    with ExitStack() as stack:
        yield Terminal(load, lambda: stack.enter_context(_open_instance(home)), click.echo)


def _show(asked: "Asked", day: date) -> None:
    from platform_assets.audiences.report.summary import summary_lines

    click.echo(f"\n{asked.name} as of {day}")
    for line in summary_lines(asked.name, day, asked.environment):
        click.echo(line)
