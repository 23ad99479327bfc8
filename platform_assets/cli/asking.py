"""Commands for one question: answered from exports to report, scored as of a date, and why a step was or would be made.

Each starts Dagster runs in this process, on the instance that the UI shows.
"""

from datetime import date, datetime
from typing import TYPE_CHECKING

import click

from platform_assets.cli.surroundings import campaign_of, environment_here, holdings_of
from platform_assets.cli.terminal import instance_folder, open_instance, run_refusals, terminal_of, upstream_of
from platform_assets.environment import Environment

if TYPE_CHECKING:
    from platform_assets.data.features.holdings import Holdings
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

    with run_refusals(), terminal_of(environment, frozenset({campaign})) as terminal, turn_of(asked):
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
            with run_refusals(), terminal_of(environment, frozenset({name})) as terminal, turn_of(asked):
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
    with run_refusals(), open_instance(instance_folder(environment)) as instance:
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
    from platform_assets.operations.asking.standing import Asked

    spec = campaign_of(environment, holdings, name)
    pinned = spec.advanced.code
    if pinned is not None and pinned.commit != environment.commit:
        raise click.ClickException(
            f"{name} is pinned to commit {pinned.commit} (advanced.code), and this is the code of "
            f"{environment.commit or 'no commit that it was told (PLATFORM_COMMIT)'}: ask it with the platform of that commit"
        )
    upstream = upstream_of(environment, holdings, name, ())
    return Asked(name, spec, environment, holdings, upstream.graph, upstream.sources)


def _show(asked: "Asked", day: date) -> None:
    from platform_assets.audiences.report.summary import summary_lines

    click.echo(f"\n{asked.name} as of {day}")
    for line in summary_lines(asked.name, day, asked.environment):
        click.echo(line)
