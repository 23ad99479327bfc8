"""DynamoDB and RDS as far as exports go: a stand-in that keeps AWS's answers, by AWS's protocols, and writes AWS's layout.

Belongs here: point-in-time recovery, idempotency by token and by identifier, exports in progress, and what is refused, as botocore's
models of both services document it; a clock of its own. Does not belong here: what is expected of who asks.

Exports are written by the writers of `samples`: at once an empty `_started`, and the rest, manifests last, when they end.
"""

import hashlib
import json
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs

import pyarrow as pa

from samples.aurora_export import write_aurora_export
from samples.dynamodb_export import Item, change, write_dynamodb_export, write_incremental_export
from tests.data.exports.histories import EPOCH, History
from tests.data.requests.protocols import Refused, json_answer, json_error, xml, xml_answer, xml_error
from tests.support.answering import Reply, Request, answering

REGION, ACCOUNT = "eu-central-1", "123456789012"
TOKENS_COUNT = timedelta(hours=8)
LISTED = timedelta(days=90)
_PAGE = 25


class Bucket(Protocol):
    """Where exports are written."""

    def put(self, key: str, content: bytes) -> None: ...


class InFolder:
    """A folder in the place of a bucket."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, content: bytes) -> None:
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@dataclass
class Table:
    """A table: what was written, and the instants from which on point-in-time recovery knows it (None: it is off)."""

    name: str
    history: History
    recovered_from: datetime | None = EPOCH

    @property
    def arn(self) -> str:
        return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{self.name}"


@dataclass
class Export:
    """An export or a task: the call, when it began, and what is to become of it."""

    id: str
    call: dict[str, Any]
    began: datetime
    ends: datetime
    failure: tuple[str, str] | None = None
    status: str = "IN_PROGRESS"


@dataclass
class Aws:
    """An account.

    Attributes:
        now: its clock.
        takes: how long an export is in progress.
        failures: how the next exports fail: code and words, in their order.
        lists: whether ListExports tells anything; AWS documents it as a list of completed ones.
        interfere: called with the action before it is done (True) and after (False); may raise Refused.
        calls: the actions that were asked for.
    """

    bucket: Bucket
    now: datetime
    takes: timedelta = timedelta(minutes=10)
    tables: dict[str, Table] = field(default_factory=dict)
    snapshots: list[dict[str, Any]] = field(default_factory=list)
    snapshot_tables: Callable[[str], dict[str, pa.Table]] = lambda arn: {}
    exports: list[Export] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    lists: bool = True
    interfere: Callable[[str, bool], None] = lambda action, before: None
    calls: list[str] = field(default_factory=list)
    _turn: Any = field(default_factory=threading.RLock)

    def reply(self, request: Request) -> Reply:
        target = {name.lower(): value for name, value in request.headers.items()}.get("x-amz-target")
        if target:
            action, parameters = target.partition(".")[2], json.loads(request.body)
            return self._answered(action, parameters, json_error, lambda answer: json_answer(200, answer))
        query = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        action = query.pop("Action")
        return self._answered(action, query, xml_error, lambda answer: xml(200, xml_answer(action, answer)))

    def _answered(
        self, action: str, parameters: dict[str, Any], error: Callable[[Refused], Reply], answer: Callable[[Any], Reply]
    ) -> Reply:
        try:
            self.interfere(action, True)
            with self._turn:
                self.calls.append(action)
                self._pass_time()
                reply = answer(getattr(self, f"_{action}")(parameters))
            self.interfere(action, False)
        except Refused as refused:
            return error(refused)
        return reply

    # DynamoDB

    def _DescribeContinuousBackups(self, asked: dict[str, Any]) -> dict[str, Any]:
        table = self._table(asked["TableName"])
        recovery: dict[str, Any] = {"PointInTimeRecoveryStatus": "DISABLED"}
        if table.recovered_from:
            earliest, latest = self._span(table)
            recovery = {
                "PointInTimeRecoveryStatus": "ENABLED",
                "RecoveryPeriodInDays": 35,
                "EarliestRestorableDateTime": earliest.timestamp(),
                "LatestRestorableDateTime": latest.timestamp(),
            }
        status = {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": recovery}
        return {"ContinuousBackupsDescription": status}

    def _ExportTableToPointInTime(self, asked: dict[str, Any]) -> dict[str, Any]:
        table = self._table(asked["TableArn"])
        for export in self.exports:
            token_counts = self.now - export.began < TOKENS_COUNT
            if token_counts and "ClientToken" in asked and export.call.get("ClientToken") == asked["ClientToken"]:
                if export.call != asked:
                    raise Refused("ExportConflictException", "the token was used with other parameters")
                return {"ExportDescription": self._description(export)}
        if not table.recovered_from:
            raise Refused("PointInTimeRecoveryUnavailableException")
        earliest, latest = self._span(table)
        if asked.get("ExportType", "FULL_EXPORT") == "INCREMENTAL_EXPORT":
            window = asked["IncrementalExportSpecification"]
            start, end = _instant(window["ExportFromTime"]), _instant(window["ExportToTime"])
            if not timedelta(minutes=15) <= end - start <= timedelta(days=1):
                raise Refused("InvalidExportTimeException", "a window is from 15 minutes to 24 hours long")
        else:
            start = end = _instant(asked["ExportTime"])
        if start < earliest or end > latest:
            raise Refused("InvalidExportTimeException", "outside of the point in time recovery window")
        return {"ExportDescription": self._description(self._begun(table, asked))}

    def _DescribeExport(self, asked: dict[str, Any]) -> dict[str, Any]:
        for export in self.exports:
            if self._arn(export) == asked["ExportArn"] and self.now - export.began < LISTED:
                return {"ExportDescription": self._description(export)}
        raise Refused("ExportNotFoundException")

    def _ListExports(self, asked: dict[str, Any]) -> dict[str, Any]:
        begin = int(asked.get("NextToken", 0))
        there = [
            each
            for each in self.exports
            if self.lists and each.call.get("TableArn") == asked["TableArn"] and self.now - each.began < LISTED
        ]
        there.sort(key=self._arn, reverse=True)
        page = there[begin : begin + min(_PAGE, asked.get("MaxResults", _PAGE))]
        summaries = [
            {
                "ExportArn": self._arn(each),
                "ExportStatus": each.status,
                "ExportType": each.call.get("ExportType", "FULL_EXPORT"),
            }
            for each in page
        ]
        more = {"NextToken": str(begin + len(page))} if begin + len(page) < len(there) else {}
        return {"ExportSummaries": summaries, **more}

    def _table(self, arn: str) -> Table:
        for table in self.tables.values():
            if table.arn == arn:
                return table
        raise Refused("TableNotFoundException", f"Table not found: {arn}")

    def _span(self, table: Table) -> tuple[datetime, datetime]:
        assert table.recovered_from is not None
        return max(table.recovered_from, self.now - timedelta(days=35)), self.now - timedelta(minutes=5)

    def _begun(self, table: Table, call: dict[str, Any]) -> Export:
        suffix = hashlib.sha256(f"{len(self.exports)} {call}".encode()).hexdigest()[:8]
        # Two that begin together differ by a millisecond, as they would.
        millis = round(self.now.timestamp() * 1000) + len(self.exports)
        export = Export(f"{millis:014d}-{suffix}", call, self.now, self.now + self.takes)
        export.failure = self.failures.pop(0) if self.failures else None
        self.exports.append(export)
        self.bucket.put("/".join(filter(None, (call.get("S3Prefix"), "AWSDynamoDB", export.id, "_started"))), b"")
        return export

    def _arn(self, export: Export) -> str:
        return f"{export.call['TableArn']}/export/{export.id}"

    def _description(self, export: Export) -> dict[str, Any]:
        call = export.call
        failed = {}
        if export.status == "FAILED" and export.failure:
            failed = {"FailureCode": export.failure[0], "FailureMessage": export.failure[1]}
        return {
            "ExportArn": self._arn(export),
            "ExportStatus": export.status,
            "StartTime": export.began.timestamp(),
            **({"EndTime": export.ends.timestamp()} if export.status != "IN_PROGRESS" else {}),
            "ExportType": "FULL_EXPORT",
            "ExportFormat": "DYNAMODB_JSON",
            **call,
            **failed,
        }

    # RDS

    def _DescribeDBClusterSnapshots(self, asked: dict[str, Any]) -> dict[str, Any]:
        cluster = asked["DBClusterIdentifier"]
        there = [each for each in self.snapshots if each["DBClusterIdentifier"] == cluster]
        if not there:
            raise Refused("DBClusterNotFoundFault", f"DBCluster {cluster} not found.", 404)
        wanted = asked.get("SnapshotType")
        return {"DBClusterSnapshots": [("DBClusterSnapshot", each) for each in there if each["SnapshotType"] == wanted]}

    def _StartExportTask(self, asked: dict[str, Any]) -> dict[str, Any]:
        identifier = asked["ExportTaskIdentifier"]
        if any(each.id == identifier for each in self.exports):
            raise Refused("ExportTaskAlreadyExists", f"an export task {identifier} exists already")
        arns = {each["DBClusterSnapshotArn"]: each for each in self.snapshots}
        if arns[asked["SourceArn"]]["Status"] != "available":
            raise Refused("InvalidExportSourceState")
        assert len(identifier) <= 60
        export = Export(identifier, asked, self.now, self.now + self.takes)
        export.failure = self.failures.pop(0) if self.failures else None
        self.exports.append(export)
        return self._task(export)

    def _DescribeExportTasks(self, asked: dict[str, Any]) -> dict[str, Any]:
        there = [each for each in self.exports if each.id == asked["ExportTaskIdentifier"]]
        if not there:
            raise Refused("ExportTaskNotFound", status=404)
        return {"ExportTasks": [("ExportTask", self._task(each)) for each in there]}

    def _task(self, export: Export) -> dict[str, Any]:
        status = {"COMPLETED": "COMPLETE"}.get(export.status, export.status)
        failed = {"FailureCause": export.failure[1]} if export.status == "FAILED" and export.failure else {}
        return {
            "ExportTaskIdentifier": export.id,
            "SourceArn": export.call["SourceArn"],
            "Status": status,
            "PercentProgress": 40 if status == "IN_PROGRESS" else 100,
            **({"TaskEndTime": export.ends.isoformat()} if status != "IN_PROGRESS" else {}),
            **failed,
        }

    # What AWS does by itself

    def _pass_time(self) -> None:
        for export in self.exports:
            if export.status == "IN_PROGRESS" and self.now >= export.ends:
                export.status = "FAILED" if export.failure else "COMPLETED"
                if export.status == "COMPLETED":
                    self._write(export)

    def _write(self, export: Export) -> None:
        """Put the files of an export there: its manifests after its data."""
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            if "TableArn" in export.call:
                self._write_table(root, export)
            else:
                self._write_snapshot(root / (export.call.get("S3Prefix") or ""), export)
            paths = sorted(path for path in root.rglob("*") if path.is_file())
            for path in sorted(paths, key=lambda path: path.suffix in (".json", ".md5")):
                self.bucket.put(path.relative_to(root).as_posix(), path.read_bytes())

    def _write_table(self, root: Path, export: Export) -> None:
        call, table = export.call, self._table(export.call["TableArn"])
        prefix = call.get("S3Prefix", "")
        if "ExportTime" in call:
            at = _instant(call["ExportTime"])
            items = [item(key, value) for key, value in sorted(table.history.state(_hour(at)).items())]
            write_dynamodb_export(root, table.name, export.id, items, at, prefix=prefix, files=2)
            return
        window = call["IncrementalExportSpecification"]
        start, end = _instant(window["ExportFromTime"]), _instant(window["ExportToTime"])
        images = window["ExportViewType"] == "NEW_AND_OLD_IMAGES"
        lines = [
            change(
                {"film_id": {"N": each.key}},
                EPOCH + timedelta(hours=each.written),
                item(each.key, each.new) if each.new is not None else None,
                item(each.key, each.old) if images and each.old is not None else None,
            )
            for each in table.history.window(_hour(start), _hour(end))
        ]
        options = {"view": window["ExportViewType"], "export_id": export.id, "prefix": prefix}
        write_incremental_export(root, table.name, lines, (start, end), **options)

    def _write_snapshot(self, root: Path, export: Export) -> None:
        arn = export.call["SourceArn"]
        (snapshot,) = (each for each in self.snapshots if each["DBClusterSnapshotArn"] == arn)
        at = datetime.fromisoformat(snapshot["SnapshotCreateTime"])
        only = {value.removeprefix("shop.") for name, value in export.call.items() if name.startswith("ExportOnly")}
        tables = {name: rows for name, rows in self.snapshot_tables(arn).items() if name.removeprefix("shop.") in only}
        write_aurora_export(root, export.id, "shop", tables, at)


def item(key: str, value: str) -> Item:
    return {"film_id": {"N": key}, "title": {"S": value}}


def snapshot(cluster: str, at: datetime, status: str = "available", kind: str = "automated") -> dict[str, Any]:
    """A snapshot of a cluster, as RDS describes it."""
    name = f"rds:{cluster}-{at:%Y-%m-%d-%H-%M}"
    return {
        "DBClusterSnapshotIdentifier": name,
        "DBClusterIdentifier": cluster,
        "SnapshotCreateTime": at.isoformat(),
        "Engine": "aurora-mysql",
        "Status": status,
        "SnapshotType": kind,
        "DBClusterSnapshotArn": f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster-snapshot:{name}",
    }


@contextmanager
def serving(aws: Aws) -> Iterator[str]:
    """The URL at which an account answers, for both services."""
    with answering(aws.reply) as url:
        yield url


def variables(url: str) -> dict[str, str]:
    """The environment variables by which boto3 asks there."""
    return {
        "AWS_ENDPOINT_URL_DYNAMODB": url,
        "AWS_ENDPOINT_URL_RDS": url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _hour(at: datetime) -> float:
    return (at - EPOCH) / timedelta(hours=1)
