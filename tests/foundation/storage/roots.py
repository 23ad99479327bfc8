"""The places every promise about stored files is tested in: a folder, and a bucket."""

from pathlib import Path

import pytest

BUCKET = pytest.param("bucket", marks=pytest.mark.bigquery)


def _root(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    from platform_assets.environment import environment_from_variables

    if kind == "folder":
        return str(tmp_path / "stored")
    cloud = environment_from_variables(request.getfixturevalue("cloud_variables")).cloud
    assert cloud is not None
    return cloud.place("stored")


@pytest.fixture(params=["folder", BUCKET])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place of each kind."""
    return _root(request.param, request, tmp_path)


@pytest.fixture(params=["folder", BUCKET])
def shared_root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place of each kind that several processes can share."""
    return _root(request.param, request, tmp_path)


@pytest.fixture
def bucket_root(request: pytest.FixtureRequest, tmp_path: Path, cloud_variables: dict[str, str]) -> str:
    """An empty place in a bucket."""
    return _root("bucket", request, tmp_path)
