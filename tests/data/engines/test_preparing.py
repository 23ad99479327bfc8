"""What `platform-assets prepare` makes, finds, and says when it may not."""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
from click.testing import CliRunner

from platform_assets.cli import main
from platform_assets.data.engines.bigquery.connection import BigQuery
from platform_assets.data.engines.bigquery.preparing import DATASETS, prepare
from platform_assets.data.engines.engine import Readiness
from platform_assets.environment import Cloud, environment_from_variables
from tests.data.engines.in_bigquery import connected
from tests.support.answering import Reply, Request, answering, json_reply

DENIED = "Access Denied: Project kept: User does not have bigquery.datasets.create permission in project kept."


@pytest.fixture
def bigquery(variables: dict[str, str]) -> BigQuery:
    return connected(environment_from_variables(variables))


@pytest.fixture
def denying() -> Iterator[str]:
    """The URL of a server that answers as Google does when a permission is missing."""

    def deny(request: Request) -> Reply:
        absent = request.command == "GET" and "/datasets/" in request.path
        status, message = (404, "Not found") if absent else (403, DENIED)
        return json_reply(status, {"error": {"code": status, "message": message, "errors": [{"message": message}]}})

    with answering(deny) as url:
        yield url


def test_what_is_missing_is_made_with_its_settings_and_found_the_next_time(bigquery: BigQuery) -> None:
    cloud = replace(bigquery.cloud, stage="staging", bucket=f"{bigquery.cloud.bucket}-other")
    bigquery = BigQuery(cloud)
    first, again = list(prepare(bigquery)), list(prepare(bigquery))
    assert [(made.good, made.found) for made in first] == [(True, "made")] * (len(DATASETS) + 2)
    assert [(made.good, made.found) for made in again] == [(True, "found")] * (len(DATASETS) + 2)
    assert [first[0].what, *(made.what for made in first[-2:])] == [
        f"dataset {cloud.project}.staging_raw",
        f"bucket gs://{cloud.bucket}",
        f"bucket gs://{cloud.bucket}-reports",
    ]
    one = replace(cloud, reports_bucket=cloud.bucket)
    assert [made.what for made in prepare(BigQuery(one))][-2:] == [first[-3].what, f"bucket gs://{cloud.bucket}"]
    for purpose, description in DATASETS.items():
        dataset = bigquery.client.get_dataset(cloud.dataset(purpose))
        assert (dataset.location, dataset.description) == (cloud.location, description)
        assert dataset.labels == {"environment": "staging", "source": "platform"}
        assert dataset.default_table_expiration_ms == (24 * 60 * 60 * 1000 if purpose == "scratch" else None)
        bigquery.client.delete_dataset(dataset)


def test_scratch_tables_go_away_even_where_somebody_else_made_the_dataset(bigquery: BigQuery) -> None:
    dataset = bigquery.client.create_dataset(bigquery.cloud.dataset("scratch"))
    scratch = next(made for made in prepare(bigquery) if made.what.endswith("_scratch"))
    assert (scratch.good, scratch.found) == (True, "found, and its tables now go away after a day")
    assert bigquery.client.get_dataset(dataset.reference).default_table_expiration_ms == 24 * 60 * 60 * 1000


def test_a_missing_permission_is_told_with_the_role_to_ask_for(denying: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", denying)
    cloud = Cloud("kept", "kept-audiences-dev", bigquery_endpoint=denying)
    came = list(prepare(BigQuery(cloud)))
    assert len(came) == len(DATASETS) + 2
    assert not any(made.good for made in came)
    assert came[0] == Readiness(
        "dataset kept.dev_raw",
        False,
        f"not allowed: {DENIED} Ask for the role BigQuery User (roles/bigquery.user) on the project, or let somebody who "
        f"has it run this.",
    )
    assert "Storage Admin (roles/storage.admin)" in came[-1].found


def test_the_command_says_what_it_did_and_fails_when_it_could_not(
    denying: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("PLATFORM_")]:
        monkeypatch.delenv(name)
    local = CliRunner().invoke(main, ["prepare"])
    assert (local.exit_code, "nothing to prepare" in local.output) == (0, True)
    for name, value in (
        ("PLATFORM_ENV", "emulated"),
        ("PLATFORM_PROJECT", "keptproject"),
        ("BIGQUERY_EMULATOR_HOST", denying),
        ("STORAGE_EMULATOR_HOST", denying),
        ("PLATFORM_BIGQUERY_STORAGE_HOST", "127.0.0.1:1"),
    ):
        monkeypatch.setenv(name, value)
    denied = CliRunner().invoke(main, ["prepare"])
    assert denied.exit_code == 1
    assert denied.output.count("!! dataset keptproject.dev_") == len(DATASETS)
