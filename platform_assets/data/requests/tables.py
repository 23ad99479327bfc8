"""Exports of a DynamoDB table: point-in-time recovery, `ExportTableToPointInTime`, and finding what is there already.

Belongs here: the calls and what their parameters and answers mean (botocore's model of DynamoDB, 2012-08-10). Does not belong here: which windows are
due (`planning`).

Identical calls with one client token are one for 8 hours. After that AWS takes such a call for a new one; so what AWS exported
lately is looked through before each call for one of the same token, or of the same window to the same place, whoever asked for it.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from math import ceil, floor
from typing import Any

from platform_assets.data.exports.spec import ExportSourceSpec, ExportTableSpec
from platform_assets.data.requests.calling import Caller, NotNow
from platform_assets.data.requests.exporter import State
from platform_assets.data.requests.planning import Span, tables_due, windows_planned
from platform_assets.data.requests.record import Attempt, Request, RequestRefused, Requests, Status, Wanted

_FULL, _INCREMENTAL = "FULL_EXPORT", "INCREMENTAL_EXPORT"
_STATUS: Mapping[str, Status] = {"IN_PROGRESS": "IN_PROGRESS", "COMPLETED": "COMPLETED", "FAILED": "FAILED"}
# So a model of botocore's begins the names of regions of other partitions.
_PARTITIONS = {"cn": "aws-cn", "us-gov": "aws-us-gov"}


class TableExports:
    """Exports of a table of a source."""

    def __init__(self, spec: ExportSourceSpec, table: ExportTableSpec) -> None:
        assert spec.request is not None
        assert spec.origin is not None
        self._spec, self._request = spec, spec.request
        self._bucket, _, self._prefix = spec.origin.removeprefix("s3://").partition("/")
        region = self._request.region
        partition = next((name for begin, name in _PARTITIONS.items() if region.startswith(f"{begin}-")), "aws")
        self.name, self.tables = table.export_table, (table.name,)
        self.record = f"{region}/{self._request.account}/{table.export_table}"
        self.arn = f"arn:{partition}:dynamodb:{region}:{self._request.account}:table/{table.export_table}"
        self._call = Caller(spec, "dynamodb", self.arn)
        self._described: dict[str, Mapping[str, Any]] = {}

    def is_due(self, requests: Requests, now: datetime) -> bool:
        return tables_due(requests, self._request.interval, now)

    def prepare(self) -> None:
        _ = self._span

    def planned(self, requests: Requests, now: datetime) -> Requests:
        return windows_planned(
            requests, self._span, self._request.interval, lambda wanted, number: self._attempt(wanted, number, now)
        )

    def begin(self, request: Request, known: Collection[str]) -> str:
        attempt = request.last
        for arn in self._exports_since(request.wanted.at, attempt.call["ExportType"]):
            if arn not in known:
                there = self._describe(arn)
                # One that failed under this token is told as failed by the call; later on the call begins another.
                own = there.get("ClientToken") == attempt.token
                if there["ExportStatus"] != "FAILED" and (own or _is_same(there, attempt.call)):
                    return arn
        begun: str = self._asked("export_table_to_point_in_time", {**attempt.call, "ClientToken": attempt.token})[
            "ExportDescription"
        ]["ExportArn"]
        return begun

    def state(self, export: str) -> State:
        answer = self._call("describe_export", {"ExportArn": export}, {"ExportNotFoundException"})
        if answer is None:
            # AWS forgets exports after 90 days.
            return State("LOST", "AWS does not know this export any more")
        there = answer["ExportDescription"]
        reasons = [str(there[key]) for key in ("FailureCode", "FailureMessage") if there.get(key)]
        return State(_STATUS.get(there["ExportStatus"], "IN_PROGRESS"), ": ".join(reasons), there.get("EndTime"))

    @cached_property
    def _span(self) -> Span:
        answer = self._asked("describe_continuous_backups", {"TableName": self.arn})
        recovery = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
        if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
            raise RequestRefused(
                f"{self.arn}: point-in-time recovery is off, and exports are made of it. Turn it on: aws dynamodb "
                f"update-continuous-backups --table-name {self.arn.rpartition('/')[2]} --point-in-time-recovery-specification "
                "PointInTimeRecoveryEnabled=true. What changes until then is in no incremental export, so a new full export "
                "is asked for after it."
            )
        earliest, latest = (recovery.get(f"{end}RestorableDateTime") for end in ("Earliest", "Latest"))
        span = earliest and latest and Span(_second(ceil(earliest.timestamp())), _second(floor(latest.timestamp())))
        if not span or span.earliest > span.latest:
            raise NotNow(f"{self.arn}: point-in-time recovery was turned on just now. The next look asks again.")
        return span

    def _attempt(self, wanted: Wanted, number: int, now: datetime) -> Attempt:
        call: dict[str, Any] = {
            "TableArn": self.arn,
            "S3Bucket": self._bucket,
            "ExportFormat": "DYNAMODB_JSON",
            "ExportType": _INCREMENTAL if wanted.start else _FULL,
        }
        if self._prefix:
            call["S3Prefix"] = self._prefix
        if self._request.kms_key:
            call |= {"S3SseAlgorithm": "KMS", "S3SseKmsKeyId": self._request.kms_key}
        if wanted.start:
            call["IncrementalExportSpecification"] = {
                "ExportFromTime": round(wanted.start.timestamp()),
                "ExportToTime": round(wanted.at.timestamp()),
                "ExportViewType": self._request.view,
            }
        else:
            call["ExportTime"] = round(wanted.at.timestamp())
        token = hashlib.sha256(f"{json.dumps(call, sort_keys=True)} {number}".encode()).hexdigest()[:32]
        return Attempt(token, call, now)

    def _exports_since(self, at: datetime, kind: str) -> Iterator[str]:
        """Names of this table's exports of a kind that were asked for after an instant, newest first.

        Names begin with the milliseconds at which the export was asked for, and are listed in falling order.
        """
        pages: dict[str, Any] = {"TableArn": self.arn, "MaxResults": 25}
        while True:
            page = self._asked("list_exports", pages)
            for each in page.get("ExportSummaries", ()):
                asked_at = each["ExportArn"].rpartition("/")[2].partition("-")[0]
                if asked_at.isdecimal() and int(asked_at) < at.timestamp() * 1000:
                    return
                if each.get("ExportType", _FULL) == kind:
                    yield each["ExportArn"]
            if not page.get("NextToken"):
                return
            pages["NextToken"] = page["NextToken"]

    def _describe(self, arn: str) -> Mapping[str, Any]:
        if arn not in self._described:
            self._described[arn] = self._asked("describe_export", {"ExportArn": arn})["ExportDescription"]
        return self._described[arn]

    def _asked(self, action: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = self._call(action, parameters)
        assert answer is not None
        return answer


def _is_same(there: Mapping[str, Any], call: Mapping[str, Any]) -> bool:
    """Whether an export is what a call would make, and all of it."""
    window, own = there.get("IncrementalExportSpecification") or {}, call.get("IncrementalExportSpecification") or {}
    return (
        not there.get("FilterSpecification")
        and all((there.get(key) or None) == call.get(key) for key in ("S3Bucket", "S3Prefix", "ExportFormat"))
        and window.get("ExportViewType") == own.get("ExportViewType")
        and _seconds(there.get("ExportTime") if not own else None) == call.get("ExportTime")
        and all(_seconds(window.get(key)) == own.get(key) for key in ("ExportFromTime", "ExportToTime"))
    )


def _seconds(at: datetime | None) -> float | None:
    return at.timestamp() if at else None


def _second(since_1970: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=since_1970)
