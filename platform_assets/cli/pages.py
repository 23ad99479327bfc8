"""The command that serves pages: reports, model cards and data docs in a browser."""

import os

import click

from platform_assets.cli.surroundings import Explained, environment_here
from platform_assets.environment import DEFAULT_PAGES_PORT


@click.command()
@click.option("--bind", default="127.0.0.1", show_default=True, help="Address to listen at; 0.0.0.0 in a pod.")
@click.option(
    "--port", default=DEFAULT_PAGES_PORT, show_default=True, type=click.IntRange(0, 65535), help="Port to listen at."
)
@click.option("--beside", is_flag=True, help="End when the process that started this one has ended, as `make ui` does.")
def pages(bind: str, port: int, beside: bool) -> None:
    """Serve reports, model cards, data docs and an index of campaigns to browsers, read-only; until it is ended."""
    parent = os.getppid()
    from platform_assets.operations.pages.serving import PagesError, host_of, listening, require_data, serve

    environment = environment_here()
    with Explained(PagesError):
        require_data(environment)
        listener = listening(bind, port)
    click.echo(f"Pages on http://{host_of(bind)}:{listener.getsockname()[1]}/")
    serve(environment, bind, listener, parent if beside else None)
