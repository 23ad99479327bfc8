"""A namespace with something in it, for tests about BigQuery itself."""

import pytest

from tests.emulators.clients import Variables, bigquery_client


@pytest.fixture
def variables(cloud_variables: Variables) -> Variables:
    """A namespace with a dataset dev_raw."""
    bigquery_client(cloud_variables).create_dataset("dev_raw")
    return cloud_variables
