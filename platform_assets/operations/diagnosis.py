"""What `platform-assets doctor` looks at: everything the platform stands on, and what to do when it is not there."""

import os
import shlex
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from platform_assets.data.engines.engine import Readiness
from platform_assets.environment import PACKAGE, Environment
from platform_assets.foundation.storage import StorageRefused

PARSE = "run `platform-assets manifest`"
NEEDED_FREE_BYTES = 2 * 1024**3
STEP_LIBRARIES = ("lightgbm", "torch", "great-expectations", "dbt-duckdb", "ibis-framework", "scikit-learn")
CLOUD_LIBRARIES = ("dbt-bigquery", "dagster-gcp", "gcsfs", "google-cloud-bigquery-storage")


def diagnose(environment: Environment) -> list[Readiness]:
    """Look at everything once; looks only, changes nothing."""
    return [
        *_places(environment),
        *_libraries(environment),
        *gpu_driver(environment),
        _manifest(environment),
        *_in_places(environment),
    ]


def _in_places(environment: Environment) -> list[Readiness]:
    """What lies where the environment says; in the cloud, only once the places themselves can be reached."""
    from platform_assets.data.engines.opening import open_engine

    places = list(open_engine(environment).places())
    if not all(place.good for place in places):
        return places
    looks = {"exports": _exports, "marts": _marts, "campaigns": _campaigns}
    return [*places, *(one for what, look in looks.items() for one in _as_far_as_told(what, look(environment)))]


def _as_far_as_told(what: str, looks: Iterator[Readiness]) -> Iterator[Readiness]:
    """What was seen until a storage refused to say more, and that."""
    try:
        yield from looks
    except StorageRefused as error:
        yield Readiness(what, False, str(error), "the sentence says which right is missing, or what does not answer")


def _places(environment: Environment) -> Iterator[Readiness]:
    folder = next(path for path in (environment.data, *environment.data.parents) if path.exists())
    writable = folder.is_dir() and os.access(folder, os.W_OK)
    yield Readiness(
        "data folder", writable, str(environment.data), "make it writable, or set PLATFORM_DATA to a folder that is"
    )
    free = shutil.disk_usage(folder).free
    yield Readiness(
        "free space",
        free >= NEEDED_FREE_BYTES,
        f"{free / 1024**3:.0f} GiB",
        "free at least 2 GiB, or set PLATFORM_DATA to another disk",
    )
    home = os.environ.get("DAGSTER_HOME", "")
    if home and not Path(home).is_dir():
        yield Readiness("DAGSTER_HOME", False, f"{home} is not a folder", f"make it: mkdir -p {shlex.quote(home)}")
    else:
        remedy = "set it to a folder: to dagster_home in a project that `init` began; in a checkout, `make ui` sets it"
        yield Readiness("DAGSTER_HOME", bool(home), home or "not set", remedy)


def _libraries(environment: Environment) -> Iterator[Readiness]:
    for name in (*STEP_LIBRARIES, *(CLOUD_LIBRARIES if environment.cloud else ())):
        try:
            yield Readiness(name, True, metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Readiness(
                name,
                False,
                "not installed",
                "install the platform with its dependencies; in a checkout, run `make environment`",
            )


def gpu_driver(environment: Environment) -> Iterator[Readiness]:
    """The driver that steps with a GPU need, and the one that is here; nothing on a machine that has no use for it."""
    from platform_assets.foundation.gpus.required import GKE_SETTING, LOCKED_CUDA, OLDEST_DRIVER, driver_here

    driver = driver_here()
    if driver.version is None and environment.executor != "kubernetes" and environment.cloud is None:
        return
    needed = f"the CUDA image's torch, built for CUDA {LOCKED_CUDA}, takes {OLDEST_DRIVER} or newer: {GKE_SETTING}"
    found = "none here, as anywhere but in a pod with a GPU" if driver.version is None else str(driver)
    yield Readiness(
        "GPU driver", not driver.too_old, f"{found}; {needed}", f"replace the driver by {OLDEST_DRIVER} or newer"
    )


def _manifest(environment: Environment) -> Readiness:
    manifest = environment.dbt_manifest
    if not manifest.is_file():
        return Readiness("dbt manifest", False, f"{manifest} is not there", PARSE)
    newest = max(
        path.stat().st_mtime
        for folder in (environment.dbt_project, PACKAGE / "dbt")
        for path in folder.rglob("*")
        if path.suffix in (".sql", ".yml") and "target" not in path.parts
    )
    stale = newest > manifest.stat().st_mtime
    return Readiness("dbt manifest", not stale, "older than the project" if stale else "as new as the project", PARSE)


def _exports(environment: Environment) -> Iterator[Readiness]:
    from platform_assets.components.loading import read_source_files
    from platform_assets.data.raw.discover import discover
    from platform_assets.data.raw.known import known_exports

    for file in read_source_files(environment.sources):
        name, spec = file.name, file.spec
        if spec is None:
            yield Readiness(f"source {name}", False, str(file.error), "correct the file")
            continue
        exports = discover(spec, name, environment.exports, known_exports(environment, name, spec))
        for aside in exports.set_aside:
            yield Readiness(
                f"export {aside.export_id} of {name}", False, aside.reason, "its source's others are loaded"
            )
        newest = exports.complete[-1].exported_at.isoformat() if exports.complete else "none"
        state = f"{len(exports.complete)} complete, newest {newest}; {len(exports.in_progress)} in progress"
        yield Readiness(
            f"exports of {name}",
            bool(exports.complete),
            state,
            f"put an export below {environment.exports}/{spec.path}",
        )


def _marts(environment: Environment) -> Iterator[Readiness]:
    from platform_assets.data.catalog.pointer import MartDamaged, MartStore
    from platform_assets.data.catalog.standing import Standing

    try:
        pointer = MartStore(environment.marts).pointer()
    except MartDamaged as error:
        yield Readiness("marts", False, str(error), "put back a copy of the file, or remove it and run refresh_marts")
        return
    standing = Standing(environment.marts).all(pointer.tables.values())
    if not pointer.tables:
        yield Readiness("marts", False, "none published", "materialise the job refresh_marts")
    for name in sorted({*pointer.tables, *pointer.refused}):
        refused = pointer.refused.get(name)
        table = pointer.tables.get(name)
        covered = table and f"{table.rows:,} rows, exports cover everything before {table.watermark.isoformat()}"
        if covered and (exports := standing[name]):
            covered += f" ({'; '.join(str(export) for export in exports)})"
        remedy = f"correct the cause, then materialise marts/{name}"
        yield Readiness(f"mart {name}", refused is None, refused or str(covered), remedy)


def _campaigns(environment: Environment) -> Iterator[Readiness]:
    from platform_assets.campaigns.declaration.parsing import read_campaigns
    from platform_assets.campaigns.registry.promoted import PromotedModels, RegistryDamaged
    from platform_assets.components.loading import read_source_files
    from platform_assets.data.catalog.catalog import CatalogError
    from platform_assets.data.features.registry import GroupRefused, read_holdings
    from platform_assets.foundation.execution.profiles import ProfileError, read_profiles
    from platform_assets.operations.automation.off import schedules_here

    if not environment.dbt_manifest.is_file():
        return  # told already, with what to do
    try:
        holdings = read_holdings(environment)
        profiles = read_profiles(environment.profiles)
    except CatalogError as error:
        yield Readiness("campaigns", False, str(error), f"correct the model, then {PARSE}")
        return
    except GroupRefused as error:
        yield Readiness("feature groups", False, str(error), "correct the file")
        return
    except ProfileError as error:
        yield Readiness("resource profiles", False, str(error), "correct the file, or unset PLATFORM_PROFILES")
        return
    for path, wrong in holdings.broken.items():
        yield Readiness(f"features of {path.stem}", False, str(wrong), "correct the file")
    promoted, files = PromotedModels(environment.artifacts), read_campaigns(environment.campaigns, holdings, profiles)
    declared = {file.name: file.spec for file in files if file.spec is not None}
    sources = {file.name: file.spec for file in read_source_files(environment.sources) if file.spec is not None}
    yield Readiness("schedules", True, schedules_here(declared, sources, environment))
    for file in files:
        try:
            good_from = [promotion.score_at for promotion in promoted.all(file.name)]
        except RegistryDamaged as error:
            yield Readiness(f"campaign {file.name}", False, str(error), "put back a copy of the file")
            continue
        state = f"promoted model good from {good_from[-1]}" if good_from else "no promoted model yet"
        yield Readiness(
            f"campaign {file.name}",
            file.error is None,
            str(file.error or state),
            "correct the file; `platform-assets check` shows every mistake",
        )
