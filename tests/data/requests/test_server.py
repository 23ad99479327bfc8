"""The stand-in for AWS, asked by AWS's own client: it answers as AWS documents."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.data.exports.histories import EPOCH
from tests.data.requests.aws_server import REGION, Aws, snapshot

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def dynamodb(aws: Aws) -> Any:
    return boto3.client("dynamodb", region_name=REGION)


def call(aws: Aws, start: timedelta = HOUR, end: timedelta = DAY, **more: Any) -> dict[str, Any]:
    window = {"ExportFromTime": EPOCH + start, "ExportToTime": EPOCH + end, "ExportViewType": "NEW_IMAGE"}
    return {
        "TableArn": aws.tables["Films"].arn,
        "S3Bucket": "exports",
        "S3Prefix": "films",
        "ExportType": "INCREMENTAL_EXPORT",
        "IncrementalExportSpecification": window,
        **more,
    }


def code(asking: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as refusal:
        asking()
    return str(refusal.value.response["Error"]["Code"])


def test_identical_calls_with_one_token_are_one_export_for_eight_hours(aws: Aws, dynamodb: Any) -> None:
    export = dynamodb.export_table_to_point_in_time
    first = export(**call(aws), ClientToken="token")["ExportDescription"]
    aws.now += 7 * HOUR
    assert export(**call(aws), ClientToken="token")["ExportDescription"]["ExportArn"] == first["ExportArn"]
    assert code(lambda: export(**call(aws, end=DAY - HOUR), ClientToken="token")) == "ExportConflictException"
    aws.now += 2 * HOUR
    assert export(**call(aws), ClientToken="token")["ExportDescription"]["ExportArn"] != first["ExportArn"]
    assert len(aws.exports) == 2


@pytest.mark.parametrize(
    ("start", "end"),
    [(HOUR, HOUR + 14 * MINUTE), (HOUR, DAY + 2 * HOUR), (-HOUR, HOUR), (DAY + 20 * HOUR, 2 * DAY + 3 * HOUR)],
)
def test_windows_too_short_too_long_and_outside_of_recovery_are_invalid(
    aws: Aws, dynamodb: Any, start: timedelta, end: timedelta
) -> None:
    asked = call(aws, start, end)
    assert code(lambda: dynamodb.export_table_to_point_in_time(**asked)) == "InvalidExportTimeException"
    assert aws.exports == []


def test_without_recovery_nothing_is_exported(aws: Aws, dynamodb: Any) -> None:
    aws.tables["Films"].recovered_from = None
    answer = dynamodb.describe_continuous_backups(TableName=aws.tables["Films"].arn)["ContinuousBackupsDescription"]
    assert answer["PointInTimeRecoveryDescription"] == {"PointInTimeRecoveryStatus": "DISABLED"}
    refusal = code(lambda: dynamodb.export_table_to_point_in_time(**call(aws)))
    assert refusal == "PointInTimeRecoveryUnavailableException"


def test_manifests_appear_when_an_export_ends_and_a_failed_one_has_none(aws: Aws, dynamodb: Any, bucket: Path) -> None:
    def states() -> list[str]:
        return [
            dynamodb.describe_export(ExportArn=arn)["ExportDescription"]["ExportStatus"]
            for arn in (each["ExportArn"] for each in exports)
        ]

    aws.failures = [("", ""), ("S3AccessDenied", "no")][1:]
    exports = [
        dynamodb.export_table_to_point_in_time(**call(aws, end=end))["ExportDescription"] for end in (DAY, DAY - HOUR)
    ]
    assert states() == ["IN_PROGRESS", "IN_PROGRESS"]
    assert {path.name for path in bucket.rglob("*") if path.is_file()} == {"_started"}
    aws.now += aws.takes
    assert states() == ["FAILED", "COMPLETED"]
    failed = dynamodb.describe_export(ExportArn=exports[0]["ExportArn"])["ExportDescription"]
    assert (failed["FailureCode"], failed["FailureMessage"]) == ("S3AccessDenied", "no")
    assert len(list(bucket.rglob("manifest-summary.json"))) == 1


def test_exports_are_listed_newest_first_in_pages(aws: Aws, dynamodb: Any) -> None:
    for number in range(30):
        aws.now += MINUTE
        dynamodb.export_table_to_point_in_time(**call(aws, HOUR + number * MINUTE))
    first = dynamodb.list_exports(TableArn=aws.tables["Films"].arn)
    rest = dynamodb.list_exports(TableArn=aws.tables["Films"].arn, NextToken=first["NextToken"])
    arns = [each["ExportArn"] for page in (first, rest) for each in page["ExportSummaries"]]
    assert (len(first["ExportSummaries"]), len(arns)) == (25, 30)
    assert arns == sorted(arns, reverse=True)
    assert "NextToken" not in rest


def test_a_task_s_identifier_is_unique_for_good(aws: Aws) -> None:
    rds = boto3.client("rds", region_name=REGION)
    aws.snapshots = [snapshot("shop", EPOCH, kind="manual"), snapshot("shop", EPOCH)]
    (only,) = rds.describe_db_cluster_snapshots(DBClusterIdentifier="shop", SnapshotType="automated")[
        "DBClusterSnapshots"
    ]
    task = {
        "ExportTaskIdentifier": "shop-1",
        "SourceArn": only["DBClusterSnapshotArn"],
        "S3BucketName": "exports",
        "IamRoleArn": "arn:aws:iam::123456789012:role/e",
        "KmsKeyId": "key",
    }
    assert rds.start_export_task(**task)["Status"] == "IN_PROGRESS"
    aws.now += DAY
    with pytest.raises(rds.exceptions.ExportTaskAlreadyExistsFault):
        rds.start_export_task(**task)
    with pytest.raises(rds.exceptions.ExportTaskNotFoundFault):
        rds.describe_export_tasks(ExportTaskIdentifier="shop-2")
    (there,) = rds.describe_export_tasks(ExportTaskIdentifier="shop-1")["ExportTasks"]
    assert there["Status"] == "COMPLETE"
