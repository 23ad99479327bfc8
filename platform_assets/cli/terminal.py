"""Runs that commands start in this process: on which Dagster instance, of which marts, and how refusals are said.

Belongs here: what several commands that run something need. Does not belong here: what is run (`operations.asking`).
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from platform_assets.cli.surroundings import Explained
from platform_assets.environment import Environment, Scope, dagster_home, is_dagster_home_set

if TYPE_CHECKING:
    import dagster as dg

    from platform_assets.data.features.holdings import Holdings
    from platform_assets.operations.asking.phases import Terminal
    from platform_assets.operations.asking.standing import Upstream


def run_refusals() -> Explained:
    """Refusals of the steps, and of what they stand on, as sentences."""
    from platform_assets.audiences.scoring.assets import data_errors
    from platform_assets.data.exports.export import ExportError
    from platform_assets.foundation.storage import StorageRefused
    from platform_assets.operations.asking.running import RunCanceled, RunFailed
    from platform_assets.operations.asking.standing import NothingExported

    return Explained(*data_errors(), ExportError, NothingExported, RunCanceled, RunFailed, StorageRefused)


def instance_folder(environment: Environment) -> Path | None:
    """The folder of the Dagster instance; None: DAGSTER_HOME names it."""
    home = dagster_home(environment)
    if home is None and not is_dagster_home_set():
        raise click.ClickException(
            "DAGSTER_HOME does not name the folder in which Dagster keeps its runs, and neither "
            f"{environment.project / 'dagster_home'} nor {environment.data / 'dagster'} holds a dagster.yaml; set it to the UI's, an "
            "absolute path"
        )
    return home


def open_instance(home: Path | None) -> "dg.DagsterInstance":
    import dagster as dg

    with Explained(dg.DagsterInvariantViolationError):
        return dg.DagsterInstance.get() if home is None else dg.DagsterInstance.from_config(str(home))


@contextmanager
def terminal_of(environment: Environment, campaigns: frozenset[str]) -> "Iterator[Terminal]":
    """What runs of these campaigns are started from; opened when there is one to start, which takes longer than a look."""
    from platform_assets.operations.asking.phases import Terminal

    def load() -> "dg.Definitions":
        from platform_assets.definitions import build_definitions

        return build_definitions(replace(environment, scope=Scope(campaigns)))

    home = instance_folder(environment)
    with ExitStack() as stack:
        yield Terminal(load, lambda: stack.enter_context(open_instance(home)), click.echo)


def upstream_of(environment: Environment, holdings: "Holdings", reader: str, marts: Sequence[str]) -> "Upstream":
    """Marts that something reads, with what they are made from."""
    from platform_assets.components.loading import read_source_files
    from platform_assets.data.catalog.catalog import read_manifest
    from platform_assets.data.marts.graph import ProjectGraph
    from platform_assets.operations.asking.standing import Upstream

    graph = ProjectGraph.from_manifest(read_manifest(environment.dbt_manifest))
    sources = {file.name: file.spec for file in read_source_files(environment.sources) if file.spec is not None}
    return Upstream(reader, tuple(marts), environment, holdings.catalog, graph, sources)


def publish_missing(environment: Environment, holdings: "Holdings", reader: str, marts: Sequence[str]) -> None:
    """Build and publish the marts that never were, as `run` does; those that were stay as they are.

    Where runs are pods nothing is started, and whoever reads the marts says what is missing.
    """
    from platform_assets.data.catalog.pointer import MartRefused, MartStore
    from platform_assets.operations.asking.phases import refresh_marts

    if environment.executor == "kubernetes":
        return
    with Explained(MartRefused):
        pointer = MartStore(environment.marts).pointer()
    missing = [name for name in marts if name not in pointer.tables and name not in pointer.refused]
    if not missing:
        return
    upstream = upstream_of(environment, holdings, reader, missing)
    with run_refusals(), terminal_of(environment, frozenset()) as terminal:
        refresh_marts(upstream, terminal)
