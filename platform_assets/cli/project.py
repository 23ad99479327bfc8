"""Commands for what people write: a project begun, are its files right, what may stand in them, and its dbt project."""

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from platform_assets.cli.surroundings import (
    BAD,
    DOUBTFUL,
    GOOD,
    Explained,
    catalog_of,
    environment_here,
    holdings_of,
    profiles_of,
)

if TYPE_CHECKING:
    from platform_assets.campaigns.declaration.spec import CampaignSpec
    from platform_assets.data.catalog.catalog import Catalog
    from platform_assets.data.features.derived.checking import Checked
    from platform_assets.data.features.holdings import Holdings
    from platform_assets.environment import Environment


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Begin a project of one's own in FOLDER: dbt project, declarations, settings, CI file; overwrites nothing."""
    from platform_assets.data.engines.opening import open_engine
    from platform_assets.data.marts.dbt import DbtError, dbt_program, parse_project
    from platform_assets.environment import local_environment
    from platform_assets.scaffold.project import FolderRefused, begin_project

    with Explained(DbtError, FolderRefused):
        dbt_program()
        project = begin_project(folder)
        # So that everything else works from here on.
        environment = local_environment(project / ".data", project)
        parse_project(open_engine(environment).dbt)
    exports = Path(environment.exports)
    exports.mkdir(parents=True, exist_ok=True)
    click.echo(
        f"{project}\nREADME.md there says where things are. Next: cd {shlex.quote(str(folder))}, copy exports into "
        f"{exports.relative_to(project)}/<source>/, and platform-assets source add <source> --from <source>"
    )


@click.command()
def check() -> None:
    """Check every source, feature and campaign file, and what the published marts say of them; exit 1 when one cannot be honoured."""
    from platform_assets.campaigns.declaration.parsing import FILE_NAME, DeclarationError, is_yaml, read_campaigns
    from platform_assets.components.loading import read_source_files, unread_files
    from platform_assets.data.features.derived.checking import check_defaults
    from platform_assets.operations.automation.off import off_here

    environment = environment_here()
    with Explained(DeclarationError):
        sources = read_source_files(environment.sources)
        features = _features(environment, catalog_of(environment))
        # Campaigns are held against what features there are.
        holdings = None if any(one.error for one in features) else holdings_of(environment)
        campaigns = read_campaigns(environment.campaigns, holdings, profiles_of(environment)) if holdings else []
        features += check_defaults(holdings, {one.entity for one in features}) if holdings else []
        unread = unread_files(environment)
    for folder in (environment.sources, environment.campaigns):
        if not folder.is_dir():
            click.echo(f"{DOUBTFUL} {folder}: is not there; it holds no declarations")
    good = sum(file.error is None for file in sources)
    if good or not sources:
        click.echo(f"{GOOD} {good} sources")
    results = [*(one.error for one in sources), *(one.error for one in features), *(one.error for one in campaigns)]
    errors = [error for error in results if error]
    for source in sources:
        _say_what_is_wrong(source.error)
    for entity in features:
        if entity.error is None:
            click.echo(f"{GOOD} features of {entity.entity}: {entity.columns} columns")
        _say_what_is_wrong(entity.error)
        for doubt in entity.doubts:
            click.echo(f"{DOUBTFUL} features of {entity.entity}: {doubt}")
    if holdings is None:
        click.echo(f"{DOUBTFUL} {environment.campaigns}: no campaign was checked; mend the features first")
    doubts = _doubts(environment, holdings, {file.name: file.spec for file in campaigns if file.spec is not None})
    for campaign in campaigns:
        if campaign.error is None:
            click.echo(f"{GOOD} {campaign.name}")
        _say_what_is_wrong(campaign.error)
        for doubt in doubts.get(campaign.name, ()):
            click.echo(f"{DOUBTFUL} {campaign.name}: {doubt}")
    asked = {file.name: file.spec for file in campaigns if file.spec is not None}
    if off := off_here(asked, {file.name: file.spec for file in sources if file.spec is not None}, environment):
        click.echo(f"schedules {off}")
    loose = [path for path in unread if is_yaml(path) and not any(str(path) in str(error) for error in errors)]
    for path in unread:
        if path in loose or not is_yaml(path):
            place = f"a declaration is <name>/{FILE_NAME}"
            click.echo(f"{BAD if path in loose else DOUBTFUL} {path}: nothing reads it; {place}")
    if errors or loose:
        click.echo(f"{len(errors) + len(loose)} of the files above cannot be honoured", err=True)
        sys.exit(1)


def _say_what_is_wrong(error: Exception | None) -> None:
    for line in str(error or "").splitlines():
        click.echo(f"{BAD} {line}")


def _features(environment: "Environment", catalog: "Catalog") -> "list[Checked]":
    """Feature files; rows are looked at where that costs nothing."""
    from platform_assets.data.engines.opening import open_warehouse
    from platform_assets.data.features.derived.checking import check_features

    warehouse = None if environment.cloud else open_warehouse(environment, catalog, "check")
    return check_features(environment.features, catalog, warehouse)


def _doubts(
    environment: "Environment", holdings: "Holdings | None", campaigns: "Mapping[str, CampaignSpec]"
) -> dict[str, list[str]]:
    """What the published marts say against campaigns, by name. A cloud is asked by `preview` and `doctor`: checks of files
    run where there is none."""
    from platform_assets.campaigns.training_sets.outlook import doubts_of
    from platform_assets.data.catalog.pointer import MartStore

    if environment.cloud is not None or holdings is None:
        return {}
    try:
        published = MartStore(environment.marts).read()
    except ValueError as error:  # a damaged pointer
        click.echo(f"{DOUBTFUL} no dates were checked: {error}")
        return {}
    return {name: doubts_of(spec, holdings, published) for name, spec in campaigns.items()}


@click.command()
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


@click.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Folder of stubs, such as typings, to write platform_assets/readers/__init__.pyi into (default: the terminal).",
)
def stubs(output: Path | None) -> None:
    """Types of the readers of this project's marts (platform_assets.readers), with their columns and meanings, for editors."""
    from platform_assets.readers.stubs import STUB, stub_of

    text = stub_of(catalog_of(environment_here()))
    if output is None:
        click.echo(text, nl=False)
    else:
        file = output / STUB
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        click.echo(str(file))


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def dbt(arguments: tuple[str, ...]) -> None:
    """Run dbt itself, as `platform-assets dbt ls`: with the project, its profile, and the macros and tests of the platform."""
    from platform_assets.data.engines.opening import open_engine
    from platform_assets.data.marts.dbt import DbtError, run_command

    with Explained(DbtError):
        sys.exit(run_command(open_engine(environment_here()).dbt, arguments or ("--help",)))


@click.command()
def manifest() -> None:
    """Parse the dbt project, so that definitions can load."""
    from platform_assets.data.engines.opening import open_engine
    from platform_assets.data.marts.dbt import DbtError, parse_project

    # Whatever the environment: what definitions need of the project is the same on every engine.
    project = open_engine(replace(environment_here(), cloud=None)).dbt
    with Explained(DbtError):
        click.echo(str(parse_project(project)))
