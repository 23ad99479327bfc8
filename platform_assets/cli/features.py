"""Commands for features that are derived: counting what their declaration has to name."""

from datetime import datetime

import click

from platform_assets.cli.surroundings import DOUBTFUL, GOOD, Explained, environment_here, holdings_of
from platform_assets.cli.terminal import publish_missing


@click.group()
def features() -> None:
    """Features that are derived from what marts declare (features/<entity>.yaml)."""


@features.command()
@click.argument("entity")
@click.option(
    "--before",
    required=True,
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="Count what was known when this day began: no later than the first date that a campaign is trained as of.",
)
@click.option("--most", default=20, show_default=True, type=click.IntRange(1, 60), help="How many values a category.")
def suggest(entity: str, before: datetime, most: int) -> None:
    """Count the leading values of an entity's categories and write them into its file; the rest is "other".

    Marts that were never published are built first.
    """
    from platform_assets.data.catalog.catalog import CatalogError
    from platform_assets.data.catalog.pointer import MartMissing, MartRefused
    from platform_assets.data.engines.opening import open_warehouse
    from platform_assets.data.features.derived.declaration import declared, marts_of, read_features
    from platform_assets.data.features.derived.groups import derive
    from platform_assets.data.features.derived.leading import leading_values
    from platform_assets.data.features.derived.writing import write_leading
    from platform_assets.foundation.documents.reading import DeclarationError

    environment = environment_here()
    holdings = holdings_of(environment)
    catalog = holdings.catalog
    path = environment.features / f"{entity}.yaml"
    with Explained(CatalogError, DeclarationError):
        marts = marts_of(catalog, catalog.entity(entity))
        declaration = read_features(path, catalog) if path.exists() else declared(entity)
    publish_missing(environment, holdings, f"features suggest {entity}", tuple(marts))
    with Explained(MartMissing, MartRefused, DeclarationError):
        warehouse = open_warehouse(environment, catalog, f"features suggest {entity}")
        found = leading_values(warehouse, declaration, before.date(), most)
        for one in found:
            if one.values:
                shown = f"{len(one.values)} values, {one.covered:.0%} of what was counted"
                click.echo(f"{GOOD} {one.mart}.{one.column}: {shown}")
            else:
                click.echo(
                    f"{DOUBTFUL} {one.mart}.{one.column}: no value is held by enough people before {before.date()}"
                )
        if any(one.values for one in found):
            declaration = write_leading(path, entity, found, before.date(), catalog)
            click.echo(str(path))
        for sentence in derive(catalog, entity, declaration).told:
            click.echo(f"{DOUBTFUL} {sentence}")
