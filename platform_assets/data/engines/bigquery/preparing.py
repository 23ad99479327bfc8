"""What the platform needs in Google Cloud before its first run: the datasets and both buckets.

Belongs here: their names, settings and order, making them, and saying what is missing of them. Does not belong here:
projects, roles and policy tags, which whoever owns the project gives (`deploy/`).
"""

from collections.abc import Callable, Iterator
from functools import partial

from platform_assets.data.engines.bigquery.connection import BigQuery, retrying
from platform_assets.data.engines.bigquery.slices import DAY_MS
from platform_assets.data.engines.engine import Readiness
from platform_assets.environment import Cloud
from platform_assets.foundation.storage import StorageRefused, files_at

DATASETS = {
    "raw": "AWS exports as exported, one beside the other.",
    "staging": "Views that give raw tables names and types; dbt makes them.",
    "build": "Where dbt builds and tests marts before they are published.",
    "marts": "Published versions of marts, and a view of the current one of each.",
    "scratch": "Tables of a step that is running; each goes away after a day.",
    "audiences": "Published audiences, a table a campaign.",
}
# What a step leaves behind when it is killed is gone a day later.
SCRATCH_EXPIRY_MS = DAY_MS


def prepare(bigquery: BigQuery) -> Iterator[Readiness]:
    """Make the datasets and the buckets that are missing, and say of each what was done; safe to repeat."""
    for purpose, description in DATASETS.items():
        name = f"{bigquery.cloud.project}.{bigquery.cloud.dataset(purpose)}"
        make = partial(_dataset, bigquery, name, description, SCRATCH_EXPIRY_MS if purpose == "scratch" else None)
        yield _attempt(f"dataset {name}", "BigQuery User (roles/bigquery.user)", make)
    for bucket in _buckets(bigquery.cloud):
        make = partial(_bucket, bigquery, bucket)
        yield _attempt(f"bucket gs://{bucket}", "Storage Admin (roles/storage.admin)", make)


def look(bigquery: BigQuery) -> Iterator[Readiness]:
    """Say of each dataset and bucket whether it can be reached; of the credentials, when there are none."""
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError

    cloud = bigquery.cloud
    looks: dict[str, Callable[[], object]] = {
        f"dataset {name}": partial(lambda dataset: bigquery.client.get_dataset(dataset, retry=retrying()), name)
        for name in map(cloud.dataset, DATASETS)
    }
    looks |= {
        f"bucket {bucket}": partial(files_at(f"gs://{bucket}").names, "current.json") for bucket in _buckets(cloud)
    }
    for what, reach in looks.items():
        try:
            reach()
        except GoogleAuthError as error:
            yield Readiness("credentials", False, str(error), "run `gcloud auth application-default login`")
            return
        except (FileNotFoundError, GoogleAPICallError, StorageRefused) as error:
            yield Readiness(what, False, str(error), "run `platform-assets prepare`, which says what it may not do")
        else:
            yield Readiness(what, True, "found")
    if len(_buckets(cloud)) == 1:
        yield Readiness(
            "what people may look at",
            True,
            f"lies in gs://{cloud.bucket} among raw exports and audiences, and whoever may read one may read all; unset "
            f"PLATFORM_REPORTS_BUCKET to keep it apart (docs/how-to/run-on-bigquery.md says how to move it)",
        )


def _attempt(what: str, role: str, make: Callable[[], str]) -> Readiness:
    from google.api_core.exceptions import Conflict, Forbidden

    try:
        return Readiness(what, True, make())
    except Forbidden as error:
        reason = error.errors[0].get("message", error.message) if error.errors else error.message
        remedy = f"Ask for the role {role} on the project, or let somebody who has it run this"
        return Readiness(what, False, f"not allowed: {reason.rstrip('.')}. {remedy}.")
    except Conflict:
        return Readiness(
            what,
            False,
            "the name is taken by somebody else's bucket; choose another: PLATFORM_BUCKET or PLATFORM_REPORTS_BUCKET.",
        )
    except _Elsewhere as error:
        return Readiness(what, False, str(error))


class _Elsewhere(Exception):
    """Something has the right name in the wrong location."""


def _dataset(bigquery: BigQuery, name: str, description: str, expiry: int | None) -> str:
    from google.api_core.exceptions import NotFound
    from google.cloud.bigquery import Dataset

    try:
        dataset = bigquery.client.get_dataset(name, retry=retrying())
    except NotFound:
        dataset = Dataset(name)
        dataset.location = bigquery.cloud.location
        dataset.description = description
        dataset.labels = bigquery.labels("platform")
        dataset.default_table_expiration_ms = expiry
        bigquery.client.create_dataset(dataset, exists_ok=True, retry=retrying())
        return "made"
    _require_location(dataset.location, bigquery.cloud)
    if expiry and dataset.default_table_expiration_ms is None:
        dataset.default_table_expiration_ms = expiry
        bigquery.client.update_dataset(dataset, ["default_table_expiration_ms"], retry=retrying())
        return "found, and its tables now go away after a day"
    return "found"


def _buckets(cloud: Cloud) -> list[str]:
    """Those that the platform writes to; one, where somebody named one for both."""
    return list(dict.fromkeys((cloud.bucket, cloud.open_bucket)))


def _bucket(bigquery: BigQuery, name: str) -> str:
    from google.cloud import storage

    cloud = bigquery.cloud
    # With STORAGE_EMULATOR_HOST set it talks to an emulator without credentials.
    client = storage.Client(project=cloud.project)
    existing = client.lookup_bucket(name)
    if existing is not None:
        _require_location(existing.location, cloud)
        return "found"
    bucket = client.bucket(name)
    bucket.labels = bigquery.labels("platform")
    bucket.iam_configuration.uniform_bucket_level_access_enabled = True
    bucket.iam_configuration.public_access_prevention = "enforced"
    client.create_bucket(bucket, location=cloud.location)
    return "made"


def _require_location(location: str, cloud: Cloud) -> None:
    # An emulator puts everything where it likes.
    if location.upper() != cloud.location.upper() and cloud.bigquery_endpoint is None:
        raise _Elsewhere(
            f"found in {location}, but PLATFORM_LOCATION is {cloud.location}: datasets and buckets must lie in one location, "
            f"which cannot be changed. Set PLATFORM_LOCATION={location}, or remove it and prepare again."
        )
