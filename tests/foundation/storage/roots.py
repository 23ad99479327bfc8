"""The places every promise about stored files is tested in: a folder and a bucket."""

from pathlib import Path

import pytest

BUCKET = pytest.param("bucket", marks=pytest.mark.bigquery)


def _in_bucket(variables: dict[str, str]) -> str:
    from platform_assets.environment import environment_from_variables

    cloud = environment_from_variables(variables).cloud
    assert cloud is not None
    return cloud.place("stored")


@pytest.fixture(params=["folder", BUCKET])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place of each kind."""
    if request.param == "folder":
        return str(tmp_path / "stored")
    return _in_bucket(request.getfixturevalue("cloud_variables"))


@pytest.fixture
def bucket_root(cloud_variables: dict[str, str]) -> str:
    """An empty place in a bucket."""
    return _in_bucket(cloud_variables)
