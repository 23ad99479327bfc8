"""Commands for what people write: are their files right, what may stand in them, and their dbt project parsed."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import click

from platform_assets.cli.surroundings import BAD, GOOD, Explained, catalog_of, environment_here, profiles_of


@click.command()
def check() -> None:
    """Check every source and campaign file; exit 1 when one cannot be honoured."""
    from platform_assets.campaigns.declaration.parsing import DeclarationError, read_campaigns
    from platform_assets.components.loading import read_sources

    environment = environment_here()
    catalog = catalog_of(environment)
    broken = 0
    try:
        sources = read_sources(environment.sources)
        click.echo(f"{GOOD} {len(sources)} sources")
    except DeclarationError as error:
        broken += 1
        click.echo(f"{BAD} {error}")
    for file in read_campaigns(environment.campaigns, catalog, profiles_of(environment)):
        if file.error is None:
            click.echo(f"{GOOD} {file.name}")
        else:
            broken += 1
            click.echo("\n".join(f"{BAD} {line}" for line in str(file.error).splitlines()))
    if broken:
        click.echo(f"{broken} of the files above cannot be honoured", err=True)
        sys.exit(1)


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
def manifest() -> None:
    """Parse the dbt project, so that definitions can load."""
    from platform_assets.data.engines.opening import open_engine
    from platform_assets.data.marts.dbt import DbtError, parse_project

    # Whatever the environment: what definitions need of the project is the same on every engine.
    project = open_engine(replace(environment_here(), cloud=None)).dbt
    with Explained(DbtError):
        click.echo(str(parse_project(project)))
