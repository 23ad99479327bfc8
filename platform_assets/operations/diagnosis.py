"""What `platform-assets doctor` looks at: everything the platform stands on, and what to do when it is not there."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from platform_assets.environment import Environment

if TYPE_CHECKING:
    from platform_assets.data.catalog.pointer import PublishedTable

NEEDED_FREE_BYTES = 2 * 1024**3
STEP_LIBRARIES = ("lightgbm", "torch", "great-expectations", "dbt-duckdb", "ibis-framework", "scikit-learn")
CLOUD_LIBRARIES = ("dbt-bigquery", "dagster-gcp", "gcsfs", "google-cloud-bigquery-storage")


@dataclass(frozen=True)
class Diagnosis:
    """One thing looked at: whether it is as it should be, how it is, and what to do otherwise."""

    what: str
    good: bool
    state: str
    remedy: str = ""


def diagnose(environment: Environment) -> list[Diagnosis]:
    """Look at everything once; looks only, changes nothing."""
    return [
        *_places(environment),
        *_libraries(environment),
        _manifest(environment),
        *_in_places(environment),
    ]


def _in_places(environment: Environment) -> list[Diagnosis]:
    """What lies where the environment says; in the cloud, only once the places themselves can be reached."""
    from platform_assets.data.engines.opening import open_engine

    places = [
        Diagnosis(place.what, place.good, place.found, place.remedy) for place in open_engine(environment).places()
    ]
    if not all(place.good for place in places):
        return places
    return [*places, *_exports(environment), *_marts(environment), *_campaigns(environment)]


def _places(environment: Environment) -> Iterator[Diagnosis]:
    folder = _nearest_existing(environment.data)
    writable = os.access(folder, os.W_OK)
    yield Diagnosis(
        "data folder", writable, str(environment.data), "make it writable, or set PLATFORM_DATA to a folder that is"
    )
    free = shutil.disk_usage(folder).free
    yield Diagnosis(
        "free space",
        free >= NEEDED_FREE_BYTES,
        f"{free / 1024**3:.0f} GiB",
        "free at least 2 GiB, or set PLATFORM_DATA to another disk",
    )
    home = os.environ.get("DAGSTER_HOME", "")
    yield Diagnosis(
        "DAGSTER_HOME",
        bool(home) and Path(home).is_dir(),
        home or "not set",
        "set it to a folder, or start with `make ui`, which does",
    )


def _libraries(environment: Environment) -> Iterator[Diagnosis]:
    for name in (*STEP_LIBRARIES, *(CLOUD_LIBRARIES if environment.cloud else ())):
        try:
            yield Diagnosis(name, True, metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Diagnosis(name, False, "not installed", "run `make environment`")


def _manifest(environment: Environment) -> Diagnosis:
    manifest = environment.dbt_manifest
    if not manifest.is_file():
        return Diagnosis("dbt manifest", False, f"{manifest} is not there", "run `make manifest`")
    newest = max(
        path.stat().st_mtime
        for path in environment.dbt_project.rglob("*")
        if path.suffix in (".sql", ".yml") and "target" not in path.parts
    )
    stale = newest > manifest.stat().st_mtime
    return Diagnosis(
        "dbt manifest", not stale, "older than the project" if stale else "as new as the project", "run `make manifest`"
    )


def _exports(environment: Environment) -> Iterator[Diagnosis]:
    from platform_assets.campaigns.declaration.parsing import DeclarationError
    from platform_assets.components.loading import read_sources
    from platform_assets.data.exports.export import ExportError
    from platform_assets.data.raw.discover import discover

    try:
        sources = read_sources(environment.sources)
    except DeclarationError as error:
        yield Diagnosis("sources", False, str(error), "correct the file")
        return
    for name, spec in sources.items():
        try:
            exports = discover(spec, name, environment.exports)
        except ExportError as error:
            yield Diagnosis(f"exports of {name}", False, str(error), "export again, or remove the broken export")
            continue
        newest = exports.complete[-1].exported_at.isoformat() if exports.complete else "none"
        state = f"{len(exports.complete)} complete, newest {newest}; {len(exports.in_progress)} in progress"
        yield Diagnosis(
            f"exports of {name}",
            bool(exports.complete),
            state,
            f"put an export below {environment.exports}/{spec.path}",
        )


def _marts(environment: Environment) -> Iterator[Diagnosis]:
    from platform_assets.data.catalog.pointer import MartStore

    pointer = MartStore(environment.marts).pointer()
    if not pointer.tables:
        yield Diagnosis("marts", False, "none published", "materialise the job refresh_marts")
    for name in sorted({*pointer.tables, *pointer.refused}):
        refused = pointer.refused.get(name)
        yield Diagnosis(
            f"mart {name}",
            refused is None,
            refused or _coverage(pointer.tables[name]),
            f"correct the cause, then materialise marts/{name}",
        )


def _coverage(table: "PublishedTable") -> str:
    return f"{table.rows:,} rows, exports cover everything before {table.watermark.isoformat()}"


def _campaigns(environment: Environment) -> Iterator[Diagnosis]:
    from platform_assets.campaigns.declaration.parsing import read_campaigns
    from platform_assets.campaigns.registry.promoted import PromotedModels
    from platform_assets.data.catalog.catalog import Catalog, CatalogError, ManifestMissing
    from platform_assets.foundation.execution.profiles import ProfileError, read_profiles

    try:
        catalog = Catalog.from_manifest(environment.dbt_manifest)
    except (CatalogError, ManifestMissing) as error:
        yield Diagnosis("campaigns", False, str(error), "correct the model, then run `make manifest`")
        return
    try:
        profiles = read_profiles(environment.profiles)
    except ProfileError as error:
        yield Diagnosis("resource profiles", False, str(error), "correct the file, or unset PLATFORM_PROFILES")
        return
    promoted = PromotedModels(environment.artifacts)
    for file in read_campaigns(environment.campaigns, catalog, profiles):
        good_from = [promotion.score_at for promotion in promoted.all(file.name)]
        state = (
            str(file.error)
            if file.error
            else f"promoted model good from {good_from[-1]}"
            if good_from
            else "no promoted model yet"
        )
        yield Diagnosis(
            f"campaign {file.name}",
            file.error is None,
            state,
            "correct the file; `platform-assets check` shows every mistake",
        )


def _nearest_existing(path: Path) -> Path:
    return next(candidate for candidate in (path, *path.parents) if candidate.exists())
