"""Commands for a place to run: made, looked at, given pinned versions, and swept."""

import re
import sys
from pathlib import Path

import click

from platform_assets.cli.surroundings import BAD, GOOD, Explained, environment_here, holdings_of, profiles_of


class DigestOfCommit(click.ParamType):
    """COMMIT=sha256:… or COMMIT-cuda=sha256:…, as a pair."""

    name = "COMMIT=sha256:…"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        match = re.fullmatch(r"([0-9a-f]{40}(?:-cuda)?)=(sha256:[0-9a-f]{64})", value)
        if match is None:
            self.fail(
                f"{value}: takes the 40 hex digits of a commit (and -cuda, for its image with CUDA), =, sha256: and 64 hex digits",
                param,
                ctx,
            )
        return match[1], match[2]


@click.command()
def prepare() -> None:
    """Make the datasets and the buckets that the platform needs in Google Cloud; exit 1 when one cannot be made."""
    from platform_assets.data.engines.opening import open_engine

    environment = environment_here()
    places = []
    for place in open_engine(environment).prepare():
        places.append(place)
        click.echo(f"{GOOD if place.good else BAD} {place.what}: {place.found}")
    if not places:
        click.echo(f"PLATFORM_ENV={environment.name}: nothing to prepare; folders are made when they are needed")
    if not all(place.good for place in places):
        sys.exit(1)


@click.command()
def doctor() -> None:
    """Look at everything the platform stands on and say what to do about what is missing; exit 1 when something is."""
    from platform_assets.operations.diagnosis import diagnose

    diagnoses = diagnose(environment_here())
    for diagnosis in diagnoses:
        click.echo(f"{GOOD if diagnosis.good else BAD} {diagnosis.what}: {diagnosis.found}")
        if not diagnosis.good:
            click.echo(f"   {diagnosis.remedy}")
    if not all(diagnosis.good for diagnosis in diagnoses):
        sys.exit(1)


@click.command()
@click.option("--image", required=True, help="The platform's image in the registry, without tag or digest.")
@click.option(
    "--digest",
    "digests",
    multiple=True,
    type=DigestOfCommit(),
    help="Of the image of a commit, or of COMMIT-cuda; for each pinned commit. Without any, images go by their tag, the commit.",
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def pinned(folder: Path, image: str, digests: tuple[tuple[str, str], ...]) -> None:
    """Write into FOLDER the Kustomize component that serves the campaigns pinned to a commit."""
    from platform_assets.campaigns.declaration.parsing import read_campaigns
    from platform_assets.operations.pinned import NoDigestError, pinned_commits, write_component

    environment = environment_here()
    files = read_campaigns(environment.campaigns, holdings_of(environment), profiles_of(environment))
    broken = [str(file.error) for file in files if file.error]
    if broken:
        # One of them may be pinned: without its code location nothing would define it.
        raise click.ClickException("\n".join([*broken, f"nothing was written to {folder}: mend what is wrong first"]))
    commits = pinned_commits({file.name: file.spec for file in files if file.spec})
    with Explained(FileNotFoundError, NoDigestError):
        for path in write_component(folder, commits, image, dict(digests)):
            click.echo(str(path))


@click.command()
@click.option(
    "--credentials",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with <role>/username and <role>/password of each process.",
)
def database(credentials: Path) -> None:
    """As their owner, make or upgrade Dagster's tables in PostgreSQL and give each process's role its rights."""
    from dagster import DagsterInstance, DagsterInvariantViolationError

    from platform_assets.foundation.dagster_internals.core import DagsterHomeNotSetError
    from platform_assets.foundation.dagster_internals.storage import postgres_of
    from platform_assets.operations.database import CredentialsError, give_rights, read_logins

    with Explained(DagsterHomeNotSetError, DagsterInvariantViolationError):
        opened = DagsterInstance.get()
    with opened as instance, Explained(CredentialsError):
        url = postgres_of(instance)
        if url is None:
            raise click.ClickException("storage in dagster.yaml is not PostgreSQL, which alone has roles")
        logins = read_logins(credentials, owner=url.username or "")
        # Opening the instance has made what tables were missing.
        instance.upgrade()
        give_rights(url, logins)
        for role, login in logins.items():
            click.echo(f"{GOOD} {role}: {login.username}")


@click.command()
@click.option("--every", default=15.0, show_default=True, type=click.FloatRange(min=1), help="Seconds between sweeps.")
@click.option("--once", is_flag=True, help="Sweep once and end.")
@click.option("--port", default=9464, show_default=True, help="Port that serves /metrics to Prometheus.")
@click.option("--bind", default="127.0.0.1", show_default=True, help="Address that serves it; 0.0.0.0 in a pod.")
@click.option("--keep-runs", default="90d", show_default=True, help="Age at which finished runs are deleted (h, d, w).")
@click.option("--namespace", help="Where the Jobs of runs are (default: the run launcher's).")
@click.option(
    "--slots", multiple=True, help="GPUs of a pool, as gpu=4: it gets so many slots (default: as it has, or 1)."
)
def janitor(
    every: float, once: bool, port: int, bind: str, keep_runs: str, namespace: str | None, slots: tuple[str, ...]
) -> None:
    """Delete what outlived its run on Kubernetes, free stuck slots, age the queue, delete old runs; for ever."""
    import logging
    from datetime import UTC, datetime

    from dagster import DagsterInstance, DagsterInvariantViolationError

    from platform_assets.foundation.dagster_internals.core import DagsterHomeNotSetError
    from platform_assets.operations.janitor.janitor import janitor_of_this_pod
    from platform_assets.operations.janitor.prometheus import Metrics
    from platform_assets.operations.janitor.retention import age_of
    from platform_assets.operations.janitor.slots import declare_pools, slots_of

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    with Explained(ValueError):
        age = age_of(keep_runs)
    pools = {profile.pool for profile in profiles_of(environment_here()).values() if profile.gpus}
    with Explained(ValueError):
        declared = slots_of(slots, pools)
    with Explained(DagsterHomeNotSetError, DagsterInvariantViolationError):
        opened = DagsterInstance.get()
    with opened as instance:
        with Explained(ValueError):
            sweeper = janitor_of_this_pod(instance, every, age, namespace)
        declare_pools(instance, pools, declared)
        metrics = Metrics(instance, datetime.now(UTC))
        metrics.serve(bind, port)
        sweeper.run(metrics, once)
