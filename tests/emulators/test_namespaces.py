"""Tests share servers and projects without meeting, and take away nothing that is not theirs."""

import pytest

from tests.emulators import namespaces
from tests.emulators.clients import Variables, bigquery_client, rows, storage_client, upload
from tests.emulators.servers import Emulators

pytestmark = pytest.mark.emulator_only


def datasets(variables: Variables) -> list[str]:
    return [dataset.dataset_id for dataset in bigquery_client(variables).list_datasets()]


def test_two_namespaces_share_a_server_and_nothing_else(emulators: Emulators) -> None:
    with namespaces.emulated(emulators) as one, namespaces.emulated(emulators) as other:
        bigquery_client(one).create_dataset("dev_raw")
        assert datasets(one) == ["dev_raw"]
        assert datasets(other) == []


def test_a_namespace_that_was_left_is_closed_and_opens_again_when_asked(emulators: Emulators) -> None:
    with namespaces.emulated(emulators) as left:
        rows(bigquery_client(left), "create schema dev_raw; create table dev_raw.t as select 1 as id")
    with namespaces.emulated(emulators) as here:
        open_projects = {project.project_id for project in bigquery_client(here).list_projects()}
    assert left["PLATFORM_PROJECT"] not in open_projects
    assert rows(bigquery_client(left), "select id from dev_raw.t") == [(1,)]


def test_a_whole_project_is_left_as_it_was_found(cloud_variables: Variables) -> None:
    bigquery, storage = bigquery_client(cloud_variables), storage_client(cloud_variables)
    bigquery.create_dataset("somebody_elses")
    buckets = {bucket.name for bucket in storage.list_buckets()}
    with namespaces.whole_project(bigquery, storage) as lent:
        rows(bigquery, "create schema dev_raw; create table dev_raw.t as select 1 as id")
        upload(cloud_variables | {"PLATFORM_BUCKET": lent["PLATFORM_BUCKET"]}, "folder/file", b"content")
        assert lent["PLATFORM_BUCKET"] not in buckets
    assert datasets(cloud_variables) == ["somebody_elses"]
    assert {bucket.name for bucket in storage.list_buckets()} == buckets


def test_a_project_in_which_the_platform_lives_is_refused_and_nothing_in_it_removed(cloud_variables: Variables) -> None:
    bigquery, storage = bigquery_client(cloud_variables), storage_client(cloud_variables)
    bigquery.create_dataset("dev_marts")
    with (
        pytest.raises(namespaces.NotOurs, match="dev_marts"),
        namespaces.whole_project(bigquery, storage),
    ):
        pytest.fail("lent all the same")
    assert datasets(cloud_variables) == ["dev_marts"]


def test_a_project_in_which_other_tests_run_is_refused(cloud_variables: Variables) -> None:
    bigquery, storage = bigquery_client(cloud_variables), storage_client(cloud_variables)
    with namespaces.whole_project(bigquery, storage):
        with (
            pytest.raises(namespaces.NotOurs, match="other tests are running"),
            namespaces.whole_project(bigquery, storage),
        ):
            pytest.fail("lent twice")
        assert datasets(cloud_variables) == ["platform_tests"]
