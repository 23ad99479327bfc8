"""Fixtures of the transfer tests."""

from collections.abc import Iterator

import pytest

from tests.data.transfer.s3 import NOBODYS_KEY, S3, bucket_at, serving_s3


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    with serving_s3() as endpoint:
        yield endpoint


@pytest.fixture
def s3(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """A bucket that the platform finds in this process and those that it starts."""
    with bucket_at(s3_endpoint) as (bucket, url):
        for name, value in {**NOBODYS_KEY, "AWS_ENDPOINT_URL_S3": url, "AWS_EC2_METADATA_DISABLED": "true"}.items():
            monkeypatch.setenv(name, value)
        yield bucket
