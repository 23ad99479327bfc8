"""`platform-assets …`: what Dagster's own command does not do.

Belongs here: reading what people type, calling a room for it, and saying what came of it; a file a group of commands. What
needs more than the environment is imported inside a command, so that `--help` answers at once. Does not belong here: any
work.
"""

import click

from platform_assets.cli.asking import run, score, why
from platform_assets.cli.campaigns import backtest, new, preview
from platform_assets.cli.deployment import database, doctor, janitor, pinned, prepare
from platform_assets.cli.features import features
from platform_assets.cli.pages import pages
from platform_assets.cli.project import check, dbt, init, manifest, schema, stubs
from platform_assets.cli.sources import source
from platform_assets.cli.surroundings import Commands


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Campaign files, their answers, and the state of the platform.

    The exit code is 0 when a command did what was asked, 1 when it refused or failed, or looked at something that is not as it
    should be, and 2 when it cannot be understood as typed; a sentence says what is wrong. Of `dbt` it is dbt's own.
    """


COMMANDS = (
    backtest,
    check,
    database,
    dbt,
    doctor,
    features,
    init,
    janitor,
    manifest,
    new,
    pages,
    pinned,
    prepare,
    preview,
    run,
    schema,
    score,
    source,
    stubs,
    why,
)
for command in COMMANDS:
    main.add_command(command)
