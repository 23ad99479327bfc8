"""The command that serves pages: reports, model cards and data docs in a browser."""

import click

from platform_assets.cli.surroundings import Explained, environment_here
from platform_assets.environment import DEFAULT_PAGES_PORT


@click.command()
@click.option("--bind", default="127.0.0.1", show_default=True, help="Address to listen at; 0.0.0.0 in a pod.")
@click.option(
    "--port", default=DEFAULT_PAGES_PORT, show_default=True, type=click.IntRange(0, 65535), help="Port to listen at."
)
@click.option(
    "--beside", type=click.IntRange(1), help="The process that starts this one, by its number; pages end with it."
)
def pages(bind: str, port: int, beside: int | None) -> None:
    """Serve reports, model cards, data docs and an index of campaigns to browsers, read-only; until it is ended."""
    from platform_assets.operations.pages.serving import PagesError, host_of, listening, require_data, serve

    environment = environment_here()
    with Explained(PagesError):
        require_data(environment)
        listener = listening(bind, port)
    click.echo(f"Pages on http://{host_of(bind)}:{listener.getsockname()[1]}/")
    serve(environment, bind, listener, beside)
