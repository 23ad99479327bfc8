"""Asking RDS for exports of a cluster's automated snapshots."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.raw.discover import discover
from platform_assets.data.requests.asking import Look, ask, await_exports
from platform_assets.data.requests.record import HOME, TRIES
from platform_assets.data.requests.snapshots import SnapshotExports
from tests.data.exports.breaking import shop_tables
from tests.data.exports.histories import EPOCH
from tests.data.requests.aws_server import REGION, Aws, snapshot
from tests.data.requests.conftest import ROLE, SHOP_SPEC
from tests.data.requests.protocols import Refused

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    return tmp_path / "exports"


@pytest.fixture(autouse=True)
def cluster(aws: Aws) -> None:
    """A cluster with a snapshot at two o'clock of each day until now, one of them by hand and one that is not whole."""
    aws.snapshot_tables = lambda arn: {**shop_tables(), "shop.secrets": shop_tables()["shop.customers"]}
    aws.snapshots = [
        *(snapshot("shop", EPOCH + day * DAY + 2 * HOUR) for day in range(3)),
        snapshot("shop", EPOCH + 2 * DAY + 2.5 * HOUR, kind="manual"),
        snapshot("shop", EPOCH + 2 * DAY + 2.7 * HOUR, status="creating"),
    ]


def passed(aws: Aws, exports: Path, hours: int, spec: ExportSourceSpec = SHOP_SPEC) -> list[Look]:
    """What schedule and sensor say, hour by hour; a snapshot is taken each day."""
    looks = []
    for _ in range(hours):
        looks += ask(spec, exports, aws.now)
        aws.now += HOUR
        if aws.now.hour == 2:
            aws.snapshots.append(snapshot("shop", aws.now - timedelta(minutes=aws.now.day % 5)))
        looks += await_exports(spec, exports, aws.now)
    return looks


def days(aws: Aws) -> list[str]:
    """The days of the snapshots that AWS was made to export."""
    return [export.call["SourceArn"].rpartition(":shop-")[2][:10] for export in aws.exports]


def test_the_newest_automated_snapshot_is_exported_whole_and_each_once(aws: Aws, exports: Path, bucket: Path) -> None:
    passed(aws, exports, 50)
    assert days(aws) == ["2026-01-03", "2026-01-04", "2026-01-05"]
    call = aws.exports[0].call
    assert (call["S3BucketName"], call["S3Prefix"], call["KmsKeyId"], call["IamRoleArn"]) == (
        "exports",
        "shop",
        "alias/exports",
        ROLE,
    )
    complete = discover(SHOP_SPEC, "shop", bucket).complete
    assert [export.export_id for export in complete] == [export.id for export in aws.exports]
    # What nobody declares stays at AWS.
    assert all(export.undeclared == () and len(export.tables) == 2 for export in complete)


def test_every_week_is_not_every_day(aws: Aws, exports: Path) -> None:
    assert SHOP_SPEC.request is not None
    weekly = SHOP_SPEC.model_copy(update={"request": SHOP_SPEC.request.model_copy(update={"every": "7d"})})
    passed(aws, exports, 24 * 8, weekly)
    assert days(aws) == ["2026-01-03", "2026-01-10"]


def test_identifiers_are_as_rds_takes_them_and_another_for_each_snapshot_and_attempt(aws: Aws, exports: Path) -> None:
    aws.failures = [("", "no")]
    passed(aws, exports, 30)
    identifiers = [export.id for export in aws.exports]
    assert len(set(identifiers)) == 3
    assert SHOP_SPEC.request is not None
    for name in ("s", "Shop-" * 12 + "x", "a-b-c-d-e-f-g-h-i-j-k"):
        request = SHOP_SPEC.request.model_copy(update={"cluster": name})
        exporter = SnapshotExports(SHOP_SPEC.model_copy(update={"request": request}))
        aws.snapshots.append(snapshot(name, EPOCH))
        exporter.prepare()
        identifiers.append(exporter.planned((), aws.now)[0].last.token)
    for identifier in identifiers:
        assert len(identifier) <= 60
        assert re.fullmatch("[a-z](-?[a-z0-9])*", identifier)


def test_what_exists_under_the_identifier_is_ours(aws: Aws, exports: Path) -> None:
    unheard = [Refused("InternalFailure", "the answer was lost", 500)]

    def lose(action: str, before: bool) -> None:
        if action == "StartExportTask" and not before and unheard:
            raise unheard.pop()

    aws.interfere = lose
    ask(SHOP_SPEC, exports, aws.now)
    assert aws.calls.count("StartExportTask") == 2
    assert len(aws.exports) == 1
    aws.now += HOUR
    (look,) = await_exports(SHOP_SPEC, exports, aws.now)
    assert look.requests[0].last.status == "COMPLETED"


def test_what_fails_is_asked_for_again_and_at_last_told_with_aws_s_cause(aws: Aws, exports: Path) -> None:
    aws.failures = [("", "The KMS key is disabled")] * 9
    looks = passed(aws, exports, 10)
    assert len(aws.exports) == TRIES
    (refusal,) = looks[-1].refusals
    assert "shop: AWS failed 3 times at the export of snapshot shop-2026-01-03-02-00" in refusal
    assert "FAILED: The KMS key is disabled" in refusal
    aws.failures = []
    (exports / HOME / "failed" / "shop" / REGION / "shop").unlink()
    (look,) = passed(aws, exports, 2)[-1:]
    assert (look.requests[-1].last.status, look.refusals) == ("COMPLETED", ())


@pytest.mark.parametrize(
    ("action", "code", "words"),
    [
        ("DescribeDBClusterSnapshots", "DBClusterNotFoundFault", "Correct `region` and `cluster` of `request`"),
        ("DescribeDBClusterSnapshots", "AccessDenied", "needs the right rds:DescribeDBClusterSnapshots."),
        ("StartExportTask", "KMSKeyNotAccessibleFault", "Correct `kms_key` of `request`"),
        ("StartExportTask", "IamRoleMissingPermissions", "Let `export_role` write to the bucket"),
        ("StartExportTask", "InvalidExportOnly", "Correct `database` and `export_table`"),
    ],
)
def test_what_rds_refuses_is_told_with_what_to_do(aws: Aws, exports: Path, action: str, code: str, words: str) -> None:
    def refuse(asked: str, before: bool) -> None:
        if before and asked == action:
            raise Refused(code)

    aws.interfere = refuse
    (look,) = ask(SHOP_SPEC, exports, aws.now)
    (refusal,) = look.refusals
    assert refusal.startswith("cluster shop in eu-central-1: AWS ")
    assert words in refusal


def test_a_corrected_key_reaches_the_export_of_the_same_snapshot(aws: Aws, exports: Path) -> None:
    def refuse(asked: str, before: bool) -> None:
        if before and asked == "StartExportTask":
            raise Refused("KMSKeyNotAccessibleFault")

    aws.interfere = refuse
    ask(SHOP_SPEC, exports, aws.now)
    aws.interfere = lambda action, before: None
    assert SHOP_SPEC.request is not None
    request = SHOP_SPEC.request.model_copy(update={"kms_key": "alias/other"})
    (look,) = ask(SHOP_SPEC.model_copy(update={"request": request}), exports, aws.now)
    assert look.refusals == ()
    assert [export.call["KmsKeyId"] for export in aws.exports] == ["alias/other"]


def test_a_cluster_without_a_snapshot_is_told(aws: Aws, exports: Path) -> None:
    aws.snapshots = [snapshot("shop", EPOCH, kind="manual")]
    (look,) = ask(SHOP_SPEC, exports, aws.now)
    assert "there is no automated snapshot that could be exported." in look.refusals[0]
