"""Commands for sources: one is added from its export, and exports are loaded again of which rows were broken."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from platform_assets.cli.surroundings import DOUBTFUL, GOOD, Explained, environment_here

if TYPE_CHECKING:
    from platform_assets.data.exports.spec import ExportSourceSpec
    from platform_assets.environment import Environment
    from platform_assets.operations.onboarding.marts import Mart, Plan
    from platform_assets.operations.onboarding.tables import Question, Wishes


@click.group()
def source() -> None:
    """Sources of data."""


class OfTable(click.ParamType):
    """`table=value`."""

    name = "TABLE=VALUE"

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        table, equals, rest = value.partition("=")
        if not (table and equals and rest):
            self.fail(f"{value}: takes a table, = and a value, as orders=ordered_at", param, ctx)
        return table, rest


@source.command()
@click.argument("name")
@click.option(
    "--from", "where", required=True, help="Folder or gs:// URL of its exports, at or below PLATFORM_EXPORTS."
)
@click.option(
    "--owner", help="Who answers for it: team:name or an e-mail address (default: as dbt_project.yml has it)."
)
@click.option("--table", "tables", multiple=True, help="Write this table alone; may be repeated (default: all).")
@click.option("--database", help="Aurora: the database, where an export holds several.")
@click.option("--entity", help="The kind of people, such as customer.")
@click.option("--entity-key", help="The column that names one of them (default: <entity>_id).")
@click.option("--population", help="The table of events that says who is active.")
@click.option("--timezone", default="UTC", show_default=True, help="IANA time zone of their business dates.")
@click.option("--key", "keys", multiple=True, type=OfTable(), help="lines=order_id,line_no: what identifies a row.")
@click.option(
    "--kind", "kinds", multiple=True, type=OfTable(), help="orders=event: event, entity, dimension or leave_out."
)
@click.option("--event-time", "times", multiple=True, type=OfTable(), help="orders=ordered_at: when an event was.")
@click.option("--history", "histories", multiple=True, type=OfTable(), help="people=immutable: immutable or scd2.")
@click.option("--role", "roles", multiple=True, type=OfTable(), help="orders.week=none: the role of a column.")
@click.option("--yes", is_flag=True, help="Take what is proposed, and write.")
@click.option("--manifest/--no-manifest", default=True, show_default=True, help="Parse the dbt project afterwards.")
def add(name: str, where: str, owner: str | None, yes: bool, manifest: bool, **wished: object) -> None:
    """Write the source NAME from an export of it: what is exported, typed staging models, and marts with tests.

    Shows what it proposes and why, and every difference that it would make; it overwrites nothing. What is ambiguous is
    asked, or refused where nobody can be asked.
    """
    from platform_assets.data.exports.export import ExportError
    from platform_assets.foundation.storage import StorageRefused
    from platform_assets.operations.onboarding.adding import propose
    from platform_assets.operations.onboarding.tables import OnboardingError, refuse
    from platform_assets.operations.onboarding.writing.files import changes_of, write

    environment = environment_here()
    asked = sys.stdin.isatty() and not yes
    with Explained(OnboardingError, ExportError, StorageRefused):
        proposed = propose(environment, name, where, _wishes(wished), _ask if asked else refuse)
    plan = proposed.plan
    _show(plan, proposed.exports)
    if asked and not click.confirm("Take these?", default=True):
        with Explained(OnboardingError):
            plan = _asked_roles(plan)
    owner = _owner(owner or proposed.existing.owner, asked)
    with Explained(OnboardingError):
        changes = changes_of(environment, plan, proposed.place, owner, proposed.only)
    if not changes:
        click.echo(f"{GOOD} {name}: all of it is there already; nothing was written")
        return
    for change in changes:
        click.echo(change.diff())
    if refused := [f"{change.path}: {change.refused}" for change in changes if change.refused]:
        raise click.ClickException("\n".join([*refused, "Nothing was written."]))
    if not yes and not (asked and click.confirm(f"Write these {len(changes)} files?", default=True)):
        raise click.ClickException("Nothing was written. Look at what is proposed, and say --yes to take it.")
    with Explained(OnboardingError):
        for path in write(changes):
            click.echo(f"{GOOD} {path}")
    if manifest:
        _parse(environment)
    click.echo('Say what tables and columns mean where it says "To fill in.".')
    for entity in sorted({mart.entity for mart in plan.marts if mart.kind == "event" and mart.entity}):
        click.echo(
            f"Next: platform-assets features suggest {entity} --before DATE (the first date to be trained as of), then "
            "platform-assets new CAMPAIGN"
        )


@source.command()
@click.argument("name")
@click.argument("tables", nargs=-1)
def replay(name: str, tables: tuple[str, ...]) -> None:
    """Load those exports of the source NAME again of which rows were quarantined, of all its TABLES or of some.

    Run it when the files, or what the source declares, are mended. An export takes the place of what was loaded of it at one
    instant; one that cannot be loaded stays as it was loaded, and is told.
    """
    from platform_assets.data.engines.opening import open_engine
    from platform_assets.data.exports.export import LoadRefused
    from platform_assets.data.raw.replay import replay as replay_exports
    from platform_assets.foundation.storage import StorageRefused

    environment = environment_here()
    spec = _declared(environment, name, tables)
    refused, nothing = list[str](), True
    with Explained(LoadRefused, StorageRefused):
        kept = open_engine(environment).raw
        for one in replay_exports(spec, name, environment.exports, kept, tables or None):
            nothing = False
            if one.now is None:
                refused.append(f"{one.table}, {one.before.export_id}: {one.refused}")
                continue
            left, was = (raw.quarantined.rows if raw.quarantined else 0 for raw in (one.now, one.before))
            mark = DOUBTFUL if left else GOOD
            words = f"{one.now.rows} rows loaded, {left} quarantined ({was} before)"
            click.echo(f"{mark} {one.table}, {one.before.export_id}: {words}")
    if refused:
        raise click.ClickException("\n".join([*refused, "What was loaded of these before stays."]))
    if nothing:
        click.echo(f"{GOOD} {name}: no row of {', '.join(tables) or 'its tables'} is quarantined")
        return
    click.echo("Next: build the marts that read them, with the job refresh_marts")


def _declared(environment: "Environment", name: str, tables: tuple[str, ...]) -> "ExportSourceSpec":
    """The source's declaration; refused where there is none, or one of the tables is not in it."""
    from platform_assets.components.loading import read_source_files
    from platform_assets.foundation.documents.sentences import did_you_mean

    files = {file.name: file for file in read_source_files(environment.sources)}
    if name not in files:
        raise click.ClickException(
            f"there is no source {name} in {environment.sources}{did_you_mean(name, list(files))}"
        )
    spec = files[name].spec
    if spec is None:
        raise click.ClickException(str(files[name].error))
    known = [table.name for table in spec.tables]
    if strangers := [table for table in tables if table not in known]:
        raise click.ClickException(f"source {name} has no table {strangers[0]}{did_you_mean(strangers[0], known)}")
    return spec


def _wishes(wished: dict[str, object]) -> "Wishes":
    from platform_assets.operations.onboarding.tables import OnboardingError, Wishes

    pairs: dict[str, dict[str, str]] = {}
    for option in ("keys", "kinds", "times", "histories", "roles"):
        stated = wished.pop(option)
        assert isinstance(stated, tuple)
        pairs[option] = dict(stated)
    for option, allowed in (
        ("kinds", ("event", "entity", "dimension", "leave_out")),
        ("histories", ("immutable", "scd2")),
    ):
        for table, value in pairs[option].items():
            if value not in allowed:
                raise OnboardingError(f"{table}={value}: takes {', '.join(allowed)}.")
    return Wishes(
        keys={table: tuple(names.split(",")) for table, names in pairs["keys"].items()},
        kinds=pairs["kinds"],
        event_times=pairs["times"],
        histories=pairs["histories"],
        roles=pairs["roles"],
        **wished,  # type: ignore[arg-type]
    )


def _ask(question: "Question") -> str:
    answer: str = click.prompt(question.text, type=click.Choice(question.choices))
    return answer


def _show(plan: "Plan", exports: tuple[str, ...]) -> None:
    click.echo(f"{plan.source}: read whole: {', '.join(exports)}")
    for mart in plan.marts:
        click.echo(f"\n{mart.table.name} ({mart.table.rows} rows) → mart {mart.name}, {_what(mart)}")
        for reason in mart.reasons:
            click.echo(f"  because {reason}")
        for column in mart.columns:
            mark = "  " if column.proposal.certain else DOUBTFUL
            personal = ", personal" if column.proposal.personal else ""
            changing = ", differs between exports" if column.column.changed and mart.history != "scd2" else ""
            words = f"{column.proposal.role:<10} {column.proposal.reason}{personal}{changing}"
            click.echo(f"  {mark} {column.name:<28} {column.column.type:<10} {words}")
    for note in dict.fromkeys(plan.notes):
        click.echo(f"{DOUBTFUL} {note}")


def _what(mart: "Mart") -> str:
    if mart.kind == "event":
        return f"events of {mart.entity}: key {mart.key}, whose {mart.entity_key}, when {mart.event_time}"
    if mart.kind == "entity":
        return f"people: key {mart.key}, {mart.history}"
    return f"things: key {mart.key}, {mart.history}"


def _asked_roles(plan: "Plan") -> "Plan":
    """The plan with the roles that a person names; the rest is changed by options."""
    from platform_assets.operations.onboarding.columns import with_role
    from platform_assets.operations.onboarding.roles import ROLES, TYPES

    marts = []
    for mart in plan.marts:
        columns = []
        for column in mart.columns:
            if column.name not in (mart.key, mart.entity_key, mart.event_time):
                takes = [role for role in ROLES if role == "none" or column.column.type in TYPES[role]]
                role = click.prompt(
                    f"{mart.name}.{column.name} ({column.column.type})",
                    type=click.Choice(takes),
                    default=column.proposal.role,
                )
                if role != column.proposal.role:
                    column = with_role(mart, column, role)
            columns.append(column)
        marts.append(replace(mart, columns=tuple(columns)))
    return replace(plan, marts=tuple(marts))


def _owner(owner: str | None, asked: bool) -> str:
    from pydantic import TypeAdapter, ValidationError

    from platform_assets.foundation.documents.sentences import Owner

    if owner is None and asked:
        owner = click.prompt("Who answers for it (team:name or an e-mail address)")
    if owner is None:
        raise click.ClickException("say who answers for the source: --owner team:name, or an e-mail address")
    try:
        return TypeAdapter[str](Owner).validate_python(owner)
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise click.ClickException(f"--owner: {message}") from error


def _parse(environment: "Environment") -> None:
    from platform_assets.data.catalog.catalog import Catalog, CatalogError
    from platform_assets.data.engines.opening import open_engine
    from platform_assets.data.marts.dbt import DbtError, parse_project

    with Explained(DbtError, CatalogError):
        path = parse_project(open_engine(replace(environment, cloud=None)).dbt)
        Catalog.from_manifest(path)
    click.echo(f"{GOOD} {path}")
