"""A place in BigQuery and GCS that belongs to one test: made, and afterwards only that removed.

On the emulators it is a project with a name nobody else uses. A real project cannot be made up, so there it is the
whole project: it must be one kept for tests, and what is found in it is refused instead of deleted.
"""

import contextlib
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

from platform_assets.environment import environment_from_variables
from tests.emulators.clients import bigquery_client, storage_client
from tests.emulators.servers import Emulators

if TYPE_CHECKING:
    from google.cloud import bigquery, storage

STAGE = "dev"
DATASETS = tuple(f"{STAGE}_{purpose}" for purpose in ("raw", "staging", "build", "marts", "scratch", "audiences"))
LOCK = "platform_tests"
EMULATOR_VARIABLES = ("BIGQUERY_EMULATOR_HOST", "PLATFORM_BIGQUERY_STORAGE_HOST", "STORAGE_EMULATOR_HOST")


class NotOurs(Exception):
    """The project holds something these tests did not make."""


def opened(config: pytest.Config, emulators: Emulators | None) -> contextlib.AbstractContextManager[dict[str, str]]:
    """The environment variables of a namespace of the caller's own, on the emulators or in `--google-project`."""
    return emulated(emulators) if emulators else real(config.getoption("--google-project"))


@contextlib.contextmanager
def entered(config: pytest.Config, emulators: Emulators | None) -> Iterator[dict[str, str]]:
    """The same, and this process works in that namespace until the context closes."""
    with opened(config, emulators) as variables, pytest.MonkeyPatch.context() as patch:
        for name in EMULATOR_VARIABLES:
            patch.delenv(name, raising=False)
        for name, value in variables.items():
            patch.setenv(name, value)
        yield variables


@contextlib.contextmanager
def emulated(emulators: Emulators) -> Iterator[dict[str, str]]:
    """The environment variables of a project and a bucket on the emulators that nobody used before."""
    variables = emulators.variables(f"test-{uuid.uuid4().hex[:12]}")
    for bucket in buckets_of(variables):
        storage_client(variables).create_bucket(bucket)
    try:
        yield variables
    finally:
        put_away = f"{emulators.bigquery}/emulator/projects/{variables['PLATFORM_PROJECT']}"
        with urllib.request.urlopen(urllib.request.Request(put_away, method="DELETE")):
            pass


def real(project: str) -> contextlib.AbstractContextManager[dict[str, str]]:
    """The same for a project of Google's, reached by Application Default Credentials: see `whole_project`."""
    variables = {"PLATFORM_ENV": "gcp", "PLATFORM_PROJECT": project}
    return whole_project(bigquery_client(variables), storage_client(variables))


@contextlib.contextmanager
def whole_project(client: "bigquery.Client", storage: "storage.Client") -> Iterator[dict[str, str]]:
    """The whole project of these clients, for one namespace at a time.

    Makes a dataset `platform_tests` as a lock and a bucket of a random name; removes both at the end, with the
    platform's datasets that came into being meanwhile. Raises NotOurs, having removed nothing, when the lock or one of
    the platform's datasets is there already.
    """
    with _locked(client):
        present = sorted({dataset.dataset_id for dataset in client.list_datasets()} & set(DATASETS))
        if present:
            raise NotOurs(
                f"Project {client.project} already holds {', '.join(present)}. The tests work in datasets of these "
                "names and delete them: use a project kept for tests, and remove by hand what an interrupted run left."
            )
        variables = {
            "PLATFORM_ENV": "gcp",
            "PLATFORM_PROJECT": client.project,
            "PLATFORM_BUCKET": f"platform-tests-{uuid.uuid4().hex[:12]}",
        }
        buckets = [storage.create_bucket(name) for name in buckets_of(variables)]
        try:
            yield variables
        finally:
            for dataset in DATASETS:
                client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)
            for bucket in buckets:
                for blob in bucket.list_blobs():
                    blob.delete()
                bucket.delete()


def buckets_of(variables: Mapping[str, str]) -> list[str]:
    """The platform's buckets: of its data, and of what people may look at."""
    cloud = environment_from_variables(variables).cloud
    assert cloud is not None
    return [cloud.bucket, cloud.open_bucket]


@contextlib.contextmanager
def _locked(client: "bigquery.Client") -> Iterator[None]:
    from google.api_core.exceptions import Conflict

    try:
        client.create_dataset(LOCK)
    except Conflict:
        raise NotOurs(
            f"Project {client.project} holds a dataset {LOCK}: other tests are running there, or were interrupted. "
            "Wait for them, or delete it by hand after looking."
        ) from None
    try:
        yield
    finally:
        client.delete_dataset(LOCK)
