"""Exports of a cluster's automated snapshots: `StartExportTask`, whose identifier is unique for good.

Belongs here: the calls and what their parameters and answers mean (botocore's model of RDS, 2014-10-31). Does not belong here: which
snapshots are due (`planning`).

The identifier follows from cluster, snapshot and attempt, so that AWS itself refuses to start an export a second time.
"""

import hashlib
import re
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.requests.calling import Caller
from platform_assets.data.requests.exporter import State
from platform_assets.data.requests.planning import Snapshot, snapshots_due, snapshots_planned
from platform_assets.data.requests.record import Attempt, Request, RequestRefused, Requests, Status, Wanted

_STATUS: Mapping[str, Status] = {"COMPLETE": "COMPLETED", "FAILED": "FAILED", "CANCELED": "FAILED"}
_CLUSTER_PART, _HASH_PART = 20, 12


class SnapshotExports:
    """Exports of the snapshots of a source's cluster."""

    def __init__(self, spec: ExportSourceSpec) -> None:
        assert spec.request is not None
        assert spec.origin is not None
        assert spec.request.cluster is not None
        self._spec, self._request = spec, spec.request
        self._bucket, _, self._prefix = spec.origin.removeprefix("s3://").partition("/")
        self._cluster = spec.request.cluster
        self.name = self._cluster
        self.record = f"{self._request.region}/{self._cluster}"
        self.tables = tuple(table.name for table in spec.tables)
        self._call = Caller(spec, "rds", f"cluster {self._cluster} in {self._request.region}")

    def is_due(self, requests: Requests, now: datetime) -> bool:
        return snapshots_due(requests, self._request.interval, now)

    def prepare(self) -> None:
        _ = self._newest

    def planned(self, requests: Requests, now: datetime) -> Requests:
        return snapshots_planned(
            requests, self._newest, self._request.interval, lambda wanted, number: self._attempt(wanted, number, now)
        )

    def begin(self, request: Request, known: Collection[str]) -> str:
        attempt = request.last
        call = {**attempt.call, "ExportTaskIdentifier": attempt.token}
        # What exists under this identifier is what another process, or this one before it ended, was asked to start.
        self._call("start_export_task", call, {"ExportTaskAlreadyExists"})
        return attempt.token

    def state(self, export: str) -> State:
        answer = self._call("describe_export_tasks", {"ExportTaskIdentifier": export}, {"ExportTaskNotFound"})
        if answer is None:
            return State("LOST", "AWS does not know this export any more")
        (there,) = answer["ExportTasks"]
        status = _STATUS.get(there["Status"], "IN_PROGRESS")
        why = f"{there['Status']}: {there.get('FailureCause') or 'AWS gives no cause'}" if status == "FAILED" else ""
        progress = f"{there.get('PercentProgress', 0)} %" if status == "IN_PROGRESS" else ""
        return State(status, why, there.get("TaskEndTime"), progress)

    @cached_property
    def _newest(self) -> Snapshot:
        """The newest automated snapshot that is whole."""
        found: list[Snapshot] = []
        pages: dict[str, Any] = {"DBClusterIdentifier": self._cluster, "SnapshotType": "automated"}
        while True:
            page = self._call("describe_db_cluster_snapshots", pages)
            assert page is not None
            found += [
                Snapshot(each["DBClusterSnapshotArn"], each["SnapshotCreateTime"], each["Engine"])
                for each in page["DBClusterSnapshots"]
                if each["Status"] == "available"
            ]
            if not page.get("Marker"):
                break
            pages["Marker"] = page["Marker"]
        if not found:
            raise RequestRefused(
                f"{self._call.about}: there is no automated snapshot that could be exported. Correct `region` and `cluster` of "
                "`request` in the source's defs.yaml, or wait for the cluster's first backup."
            )
        return max(found, key=lambda each: (each.at, each.arn))

    def _attempt(self, wanted: Wanted, number: int, now: datetime) -> Attempt:
        assert wanted.snapshot is not None
        call: dict[str, Any] = {
            "SourceArn": wanted.snapshot,
            "S3BucketName": self._bucket,
            "IamRoleArn": self._request.export_role,
            "KmsKeyId": self._request.kms_key,
            "ExportOnly": [self._target(table.export_table) for table in self._spec.tables],
        }
        if self._prefix:
            call["S3Prefix"] = self._prefix
        return Attempt(self._identifier(wanted, number), call, now)

    def _target(self, export_table: str) -> str:
        """A table as `ExportOnly` names it: database.table of MySQL, database.schema.table of PostgreSQL."""
        return export_table if "mysql" in self._newest.engine else f"{self._spec.database}.{export_table}"

    def _identifier(self, wanted: Wanted, number: int) -> str:
        """At most 60 letters, digits and single hyphens that begin with a letter."""
        begin = re.sub("-+", "-", self._cluster.lower())[:_CLUSTER_PART].strip("-")
        digest = hashlib.sha256(f"{self._cluster} {wanted.snapshot} {self._bucket}/{self._prefix} {number}".encode())
        return f"{begin}-{wanted.at:%Y%m%d-%H%M}-{digest.hexdigest()[:_HASH_PART]}"
