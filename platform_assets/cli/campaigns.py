"""Commands for one campaign: begun, looked at before it is trained, and tried on the past."""

import json
import os
from pathlib import Path

import click

from platform_assets.cli.surroundings import Explained, campaign_of, environment_here, holdings_of, profiles_of, work_on
from platform_assets.environment import Environment


@click.command()
@click.argument("campaign")
@click.option("--like", help="The campaign to copy (default: none; the file is begun from what the marts declare).")
@click.option("--entity", help="Whom it is about, such as customer (default: the only entity).")
@click.option("--event", help="The mart whose next event is asked for (default: the one that says who is active).")
@click.option("--owner", help="Who answers for it: team:name or an e-mail address (default: as the sources have it).")
def new(campaign: str, like: str | None, entity: str | None, event: str | None, owner: str | None) -> None:
    """Begin a campaign: as a copy of another, the same as last time, or from what the marts declare; then edit."""
    from platform_assets.campaigns.declaration.beginning import NothingToBegin, event_of, text_of
    from platform_assets.campaigns.declaration.parsing import FILE_NAME, read_campaign

    environment = environment_here()
    holdings = holdings_of(environment)
    if like is not None:
        if entity or event or owner:
            raise click.ClickException("--like copies all of a campaign; leave --entity, --event and --owner out")
        campaign_of(environment, holdings, like)
    if Path(campaign).name != campaign:
        raise click.ClickException(f"{campaign!r} is not lower-case letters, digits and _, as a campaign's name is")
    target = environment.campaigns / campaign / FILE_NAME
    if os.path.lexists(target):
        raise click.ClickException(f"{target} exists already; choose another name or edit it")
    there = target.parent.exists()
    with Explained(OSError, NothingToBegin):
        if like is None:
            mart = event_of(holdings.catalog, entity, event)
            text = text_of(owner or _owner_of(environment), mart)
        else:
            text = (environment.campaigns / like / FILE_NAME).read_text(encoding="utf-8")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    made = read_campaign(target, holdings, profiles_of(environment))
    if made.error is not None:
        target.unlink()
        if not there:
            target.parent.rmdir()
        raise click.ClickException(str(made.error))
    click.echo(f"{target}\nEdit it, then: platform-assets check && platform-assets preview {campaign}")


def _owner_of(environment: Environment) -> str:
    """Who answers for all the sources."""
    from platform_assets.components.loading import read_source_files

    owners = {file.spec.owner for file in read_source_files(environment.sources) if file.spec is not None}
    if len(owners) != 1:
        raise click.ClickException("say who answers for it: --owner team:name, or an e-mail address")
    return owners.pop()


@click.command()
@click.argument("campaign")
def preview(campaign: str) -> None:
    """How many people and positives a campaign has, and how far one column alone gets."""
    from platform_assets.campaigns.training_sets.preview import preview_campaign, rendered
    from platform_assets.campaigns.training_sets.refusals import REFUSALS

    spec, work = work_on(campaign, "preview")
    with Explained(*REFUSALS):
        answer = preview_campaign(campaign, spec, work)
    click.echo(rendered(answer))


@click.command()
@click.argument("campaign")
@click.option("--dates", default=4, show_default=True, type=click.IntRange(1, 60), help="How many past dates.")
@click.option("--every", type=click.IntRange(1), help="Days between two dates (default: the horizon).")
@click.option("--json", "as_json", is_flag=True, help="Print every figure as JSON, a line a date.")
def backtest(campaign: str, dates: int, every: int | None, as_json: bool) -> None:
    """Train a campaign as of past dates, with what was known then, and measure it on what came true."""
    from datetime import timedelta

    from platform_assets.audiences.report.backtest import backtest as replay
    from platform_assets.audiences.report.backtest import backtest_dates, rendered
    from platform_assets.campaigns.training_sets.refusals import REFUSALS

    spec, work = work_on(campaign, "backtest")
    step = timedelta(days=every) if every else spec.horizon
    with Explained(*REFUSALS):
        days = backtest_dates(spec, work, dates, step)
        replays = []
        for replayed in replay(campaign, spec, work, days, step):
            replays.append(replayed)
            if as_json:
                line = {"as_of": replayed.day.isoformat(), "figures": replayed.figures, "why_not": replayed.why_not}
                click.echo(json.dumps(line))
            else:
                click.echo(f"{replayed.day} done", err=True)
    if not as_json:
        click.echo(rendered(campaign, replays))
