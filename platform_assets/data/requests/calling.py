"""Calls of AWS, and what its refusals mean: whether to wait for the next look, or for a person.

Belongs here: clients, and errors in sentences. Does not belong here: what is called (`tables`, `snapshots`), and who AWS takes
this process for (`transfer.identity`).
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.requests.record import RequestRefused
from platform_assets.data.transfer.identity import aws_session

# A look has to be over before Dagster takes it for lost, which is after a minute.
_CONNECT_SECONDS, _READ_SECONDS, _TRIES = 5, 10, 2
_LONGEST_REASON = 300
_LATER = {
    "LimitExceededException",
    "ExportConflictException",
    "InternalServerError",
    "InternalFailure",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "SnapshotQuotaExceeded",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
_REMEDIES = {
    "TableNotFoundException": "Correct `region` and `account` of `request`, or `export_table`, in the source's defs.yaml.",
    "PointInTimeRecoveryUnavailableException": "Turn point-in-time recovery of the table on: exports are made of it.",
    "InvalidExportTimeException": "If point-in-time recovery was turned off and on just now, the next look asks for a new full export.",
    "DBClusterNotFoundFault": "Correct `region` and `cluster` of `request` in the source's defs.yaml.",
    "KMSKeyNotAccessibleFault": "Correct `kms_key` of `request` in the source's defs.yaml, and let who asks use the key "
    "(kms:CreateGrant, kms:DescribeKey).",
    "IamRoleNotFound": "Correct `export_role` of `request` in the source's defs.yaml.",
    "IamRoleMissingPermissions": "Let `export_role` write to the bucket, and export.rds.amazonaws.com assume it.",
    "InvalidS3BucketFault": "Correct `from` in the source's defs.yaml, and let `export_role` write there.",
    "InvalidExportOnly": "Correct `database` and `export_table` in the source's defs.yaml.",
    "ExpiredTokenException": "Sign in to AWS again.",
}
_REMEDY = "Correct `request` in the source's defs.yaml."


class NotNow(Exception):
    """AWS does not take the request at the moment; the next look asks again."""


@dataclass(frozen=True)
class Caller:
    """Calls one service as the role that a source names.

    Args:
        service: boto3's name of it.
        about: the table or cluster that is spoken of.
    """

    spec: ExportSourceSpec
    service: str
    about: str

    @property
    def role(self) -> str | None:
        assert self.spec.request is not None
        return self.spec.request.role or self.spec.from_role

    def __call__(
        self, action: str, parameters: Mapping[str, Any], knows: Collection[str] = ()
    ) -> Mapping[str, Any] | None:
        """What AWS answers to an action, by boto3's name of it; None where it answers a code that the caller `knows`.

        Raises:
            NotNow: there is too much else to do at AWS, or no answer.
            RequestRefused: somebody has to do something first.
        """
        from botocore.exceptions import ClientError

        with self._asking(action):
            try:
                answer: Mapping[str, Any] = getattr(self._client, action)(**parameters)
            except ClientError as error:
                if code_of(error) in knows:
                    return None
                raise
        return answer

    @cached_property
    def _client(self) -> Any:
        from botocore.config import Config

        assert self.spec.request is not None
        config = Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": _TRIES},
        )
        return aws_session(self.role).client(self.service, region_name=self.spec.request.region, config=config)

    @contextmanager
    def _asking(self, action: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
            from google.auth.exceptions import GoogleAuthError

            said = " ".join(str(error).split())[:_LONGEST_REASON].rstrip(".")
            if isinstance(error, GoogleAuthError):
                raise RequestRefused(
                    f"{self.about}: Google gave this process no token to show to AWS ({said}). Run it as a service account, or remove "
                    "`role` and `from_role` from the source's defs.yaml."
                ) from error
            if isinstance(error, NoCredentialsError):
                raise RequestRefused(
                    f"{self.about}: this process has no identity at AWS. Name the role that it is to assume in `role` of `request` in "
                    "the source's defs.yaml."
                ) from error
            if isinstance(error, ClientError):
                raise self._meaning(action, error, said) from error
            if isinstance(error, BotoCoreError | OSError):
                raise NotNow(
                    f"{self.about}: no answer of AWS to {action} ({said}). The next look asks again."
                ) from error
            raise

    def _meaning(self, action: str, error: Any, said: str) -> Exception:
        code = code_of(error)
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 500
        if error.operation_name == "AssumeRoleWithWebIdentity":
            return RequestRefused(
                f"{self.about}: AWS does not let this process be {self.role} ({said}). Let the role's trust policy name "
                "accounts.google.com with the service account's unique id as `sub` and sts.amazonaws.com as `oaud`."
            )
        if code in _LATER or status >= 500 or status == 429:
            return NotNow(f"{self.about}: AWS does not take {action} now ({said}). The next look asks again.")
        if code in _DENIED:
            who = self.role or "This process's own identity at AWS"
            right = f"{self.service}:{error.operation_name}"
            return RequestRefused(f"{self.about}: AWS does not allow {action} ({said}). {who} needs the right {right}.")
        return RequestRefused(f"{self.about}: AWS refused {action} ({said}). {_REMEDIES.get(code, _REMEDY)}")


def code_of(error: Any) -> str:
    """AWS's word for what is wrong."""
    code: str = error.response.get("Error", {}).get("Code", "")
    return code
