"""An S3 prefix: what lies there, and its bytes, range by range.

Belongs here: asking S3, and telling its refusals from absences. Does not belong here: who asks (`identity`), and what is
done with the bytes.
"""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from platform_assets.data.transfer.identity import aws_session
from platform_assets.foundation.storage import StorageRefused

_MD5 = re.compile("[0-9a-f]{32}")
_TRIES = 6
_LONGEST_REASON = 300
_SAID_NO = {401, 403}


class Changed(Exception):
    """An object is another one than was listed, or is gone."""


@dataclass(frozen=True)
class S3Object:
    """An object as it was listed.

    Attributes:
        etag: of this content; the MD5 of what was put in one piece and not encrypted with KMS.
    """

    bucket: str
    key: str
    etag: str
    size: int

    @property
    def location(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def identity(self) -> str:
        """What is only equal for the same content under the same key."""
        parts = "\0".join((self.bucket, self.key, self.etag, str(self.size)))
        return f"{hashlib.sha256(parts.encode()).hexdigest()[:32]}-{self.size}"

    @property
    def md5(self) -> str | None:
        """The MD5 (hex) that the ETag is, if it is one."""
        return self.etag if _MD5.fullmatch(self.etag) else None


@dataclass(frozen=True)
class Piece:
    """Bytes of an object.

    Attributes:
        version: of the object they are of; None where the bucket keeps none.
        etag_is_md5: whether S3 says of no key that the object is encrypted with, which makes an ETag something else.
    """

    content: bytes
    version: str | None
    etag_is_md5: bool


class Origin:
    """Objects below `s3://bucket/prefix`.

    Args:
        role: ARN of the role that reads there; None: this process's own identity at AWS.
        connections: how many requests are made at once.

    Attributes:
        bytes_read: of objects, since this was made.

    A refusal, and no answer after the client's tries, are StorageRefused whatever is asked.
    """

    def __init__(self, url: str, role: str | None = None, connections: int = 8) -> None:
        self.url = url.rstrip("/")
        self.bucket, _, prefix = self.url.removeprefix("s3://").partition("/")
        self.prefix = f"{prefix}/" if prefix else ""
        self._role, self._connections = role, connections
        self.bytes_read = 0
        self._counting = threading.Lock()

    def objects(self, below: str = "") -> dict[str, S3Object]:
        """All objects whose keys below the prefix begin so, by those keys: one request for each 1,000."""
        there: dict[str, S3Object] = {}
        begin = self.prefix + below
        with self._asking("list", begin):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=begin):
                for each in page.get("Contents", ()):
                    key = each["Key"]
                    # What ends so is a folder that somebody made in AWS's console.
                    if not key.endswith("/"):
                        entry = S3Object(self.bucket, key, each["ETag"].strip('"'), each["Size"])
                        there[key.removeprefix(self.prefix)] = entry
        return there

    def read(self, each: S3Object, start: int, length: int) -> Piece:
        """Bytes of an object, from `start` on.

        Raises:
            Changed: it is not the one that was listed.
        """
        from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError

        where: dict[str, Any] = {"Bucket": each.bucket, "Key": each.key, "IfMatch": f'"{each.etag}"'}
        if length < each.size:
            where["Range"] = f"bytes={start}-{start + length - 1}"
        with self._asking("read", each.key):
            # The client repeats a request without an answer, but no answer that broke off in its midst.
            for last in (False, False, True):
                try:
                    answer = self._client.get_object(**where)
                    content: bytes = answer["Body"].read()
                    break
                except ClientError as error:
                    if _code(error) in ("NoSuchKey", "PreconditionFailed", "InvalidRange"):
                        raise Changed(
                            f"{each.location} is not what it was when it was listed: replaced, or gone. Try again."
                        ) from error
                    raise
                except (HTTPClientError, IncompleteReadError):
                    if last:
                        raise
        with self._counting:
            self.bytes_read += len(content)
        if len(content) != min(length, each.size):
            raise Changed(f"{each.location} has another size than it was listed with. Try again.")
        encrypted = str(answer.get("ServerSideEncryption", "")).startswith("aws:kms")
        return Piece(content, answer.get("VersionId"), not encrypted and "SSECustomerAlgorithm" not in answer)

    @cached_property
    def _client(self) -> Any:
        from botocore.config import Config

        config = Config(
            max_pool_connections=self._connections, retries={"mode": "standard", "total_max_attempts": _TRIES}
        )
        return aws_session(self._role).client("s3", config=config)

    @contextmanager
    def _asking(self, doing: str, key: str) -> Iterator[None]:
        """While in it, a refusal and no answer are a StorageRefused that names the place, who asked, and what is needed."""
        try:
            yield
        except Exception as error:
            from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
            from google.auth.exceptions import GoogleAuthError

            said = " ".join(str(error).split())[:_LONGEST_REASON].rstrip(".")
            place = f"s3://{self.bucket}/{key}"
            if isinstance(error, GoogleAuthError):
                raise StorageRefused(
                    f"{place}: Google gave this process no token to show to AWS ({said}). Run it as a service account "
                    "(on Kubernetes by Workload Identity), or remove `from_role` from the source's defs.yaml."
                ) from error
            if isinstance(error, ClientError):
                if error.operation_name == "AssumeRoleWithWebIdentity":
                    raise StorageRefused(
                        f"{place}: AWS does not let this process be {self._role} ({said}). Let the role's trust policy name "
                        "accounts.google.com with the service account's unique id as `sub` and sts.amazonaws.com as `oaud`."
                    ) from error
                if _code(error) == "NoSuchBucket":
                    raise StorageRefused(
                        f"s3://{self.bucket} does not exist. Correct `from` in the source's defs.yaml."
                    ) from error
                if _status(error) in _SAID_NO:
                    right = "s3:ListBucket on the bucket" if doing == "list" else "s3:GetObject on its objects"
                    raise StorageRefused(
                        f"{place}: not allowed to {doing} ({said}). What is there is not known. {self._asked_as} needs {right}"
                        ", and kms:Decrypt on the key that the exports are encrypted with."
                    ) from error
                if (_status(error) or 500) >= 500 or _status(error) == 429:
                    raise self._no_answer(place, said) from error
                raise
            if isinstance(error, NoCredentialsError):
                raise StorageRefused(
                    f"{place}: this process has no identity at AWS. Name the role that it is to assume in `from_role` of the "
                    "source's defs.yaml."
                ) from error
            if isinstance(error, BotoCoreError | OSError):
                raise self._no_answer(place, said) from error
            raise

    def _no_answer(self, place: str, said: str) -> StorageRefused:
        return StorageRefused(
            f"{place}: no answer after the client's tries ({said}). What is there is not known. {self._asked_as} asked. Try "
            "again when S3 and the way to it work."
        )

    @property
    def _asked_as(self) -> str:
        return self._role or "This process's own identity at AWS"


def _status(error: Any) -> int | None:
    status: int | None = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status


def _code(error: Any) -> str:
    code: str = error.response.get("Error", {}).get("Code", "")
    return code
