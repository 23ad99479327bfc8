"""Fixtures of the tests of requests: an account of AWS that this process asks."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from platform_assets.data.exports.spec import ExportSourceSpec, RequestSpec
from tests.data.exports.breaking import FILMS, SHOP
from tests.data.exports.histories import EPOCH, History, Write
from tests.data.requests.aws_server import ACCOUNT, REGION, Aws, InFolder, Table, serving, variables

ROLE = "arn:aws:iam::123456789012:role/writes-exports"
SPEC: ExportSourceSpec = FILMS.model_copy(
    update={"origin": "s3://exports/films", "request": RequestSpec(region=REGION, account=ACCOUNT)}
)
SHOP_SPEC: ExportSourceSpec = SHOP.model_copy(
    update={
        "origin": "s3://exports/shop",
        "request": RequestSpec(region=REGION, cluster="shop", export_role=ROLE, kms_key="alias/exports"),
    }
)
# A film that comes, changes and goes again, and one a day.
WRITES = History(
    tuple(
        sorted(
            [Write(1, "1", "a"), Write(60, "1", "b"), Write(100, "1", None)]
            + [Write(24 * day + 5.5, str(10 + day), f"day {day}") for day in range(30)],
            key=lambda write: write.hour,
        )
    )
)


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """A folder in the place of the bucket `exports`."""
    return tmp_path / "bucket"


@pytest.fixture
def aws(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """At three o'clock of the third day."""
    account = Aws(InFolder(bucket), EPOCH + timedelta(days=2, hours=3))
    account.tables["Films"] = Table("Films", WRITES)
    with serving(account) as url:
        for name, value in variables(url).items():
            monkeypatch.setenv(name, value)
        yield account


@pytest.fixture
def make_table(aws: Aws) -> Callable[[str], None]:
    """Makes another table with the same history."""

    def make(name: str) -> None:
        aws.tables[name] = Table(name, WRITES)

    return make


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    return tmp_path / "exports"
