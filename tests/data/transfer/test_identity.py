"""Who reads S3: a role that is assumed by Google's token, against stand-ins of both token services."""

import base64
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.transfer import bringing, identity
from platform_assets.foundation.storage import StorageRefused
from tests.data.exports.breaking import FILMS, film, write_films
from tests.data.transfer.s3 import S3
from tests.support.answering import Reply, Request, answering

ROLE = "arn:aws:iam::123456789012:role/reads-exports"
SECRET = "a-secret-that-is-in-no-file"


class Google:
    """The metadata server of a machine of Google's: who asks gets a token that says who it is and whom it is for."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.silent = False

    def reply(self, request: Request) -> Reply:
        asked = urlsplit(request.path)
        if {name.lower(): value for name, value in request.headers.items()}.get("metadata-flavor") != "Google":
            return Reply(403, b"Missing Metadata-Flavor:Google header.")
        headers = {"Metadata-Flavor": "Google", "Content-Type": "text/html"}
        if asked.path.endswith("/identity"):
            if self.silent:
                return Reply(404, b"no service account", headers)
            claims = {
                "iss": "https://accounts.google.com",
                "sub": "108",
                "azp": "108",
                "aud": parse_qs(asked.query)["audience"][0],
                "exp": int(time.time()) + 3600,
            }
            parts: tuple[dict[str, Any], ...] = ({"alg": "RS256", "kid": "k"}, claims, {})
            token = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
            self.tokens.append(token)
            return Reply(200, token.encode(), headers)
        account = {"email": "exports@my-project.iam.gserviceaccount.com", "aliases": ["default"], "scopes": []}
        return Reply(200, json.dumps(account).encode(), headers | {"Content-Type": "application/json"})


class Sts:
    """AWS's token service: credentials for a token of Google's whose audience and subject the role trusts."""

    def __init__(self, google: Google) -> None:
        self.google = google
        self.lifetime = timedelta(hours=1)
        self.trusts = "108"
        self.calls: list[dict[str, str]] = []

    def reply(self, request: Request) -> Reply:
        call = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        self.calls.append(call)
        # It is asked without any key: the token is all there is.
        assert "Authorization" not in request.headers
        assert call["Action"] == "AssumeRoleWithWebIdentity"
        claims = json.loads(base64.urlsafe_b64decode(call["WebIdentityToken"].split(".")[1] + "==="))
        if (claims["sub"], claims["aud"], call["RoleArn"]) != (self.trusts, "sts.amazonaws.com", ROLE):
            return Reply(
                403,
                b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized to perform "
                b"sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>",
                {"Content-Type": "text/xml"},
            )
        until = (datetime.now(UTC) + self.lifetime).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = (
            '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            "<AssumeRoleWithWebIdentityResult><Credentials>"
            f"<AccessKeyId>ASIA{len(self.calls):016d}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>"
            f"<SessionToken>session-{len(self.calls)}</SessionToken><Expiration>{until}</Expiration></Credentials>"
            "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        )
        return Reply(200, body.encode(), {"Content-Type": "text/xml"})


@pytest.fixture
def sts(s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sts]:
    """Both token services, and nothing else by which AWS would know this process."""
    google = Google()
    sts = Sts(google)
    with answering(google.reply) as metadata, answering(sts.reply) as tokens:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "GOOGLE_APPLICATION_CREDENTIALS"):
            monkeypatch.delenv(name, raising=False)
        # What GCE_METADATA_HOST sets, and Google's library reads once, when it is imported.
        monkeypatch.setattr("google.auth.compute_engine._metadata._GCE_METADATA_HOST", urlsplit(metadata).netloc)
        monkeypatch.setenv("GCE_METADATA_IP", urlsplit(metadata).netloc)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", tokens)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        yield sts


def films(s3: S3, role: str | None = ROLE) -> ExportSourceSpec:
    return FILMS.model_copy(update={"origin": f"s3://{s3.bucket}/films", "from_role": role})


def test_a_role_is_assumed_by_google_s_token_and_no_key_is_in_any_file(s3: S3, sts: Sts, tmp_path: Path) -> None:
    signed: list[tuple[str | None, str]] = []
    s3.interfere = lambda request: signed.append(
        (request.headers.get("X-Amz-Security-Token"), request.headers.get("Authorization", ""))
    )
    write_films(tmp_path / "written", map(film, range(50)))
    s3.fill(tmp_path / "written")
    brought = bringing.bring(films(s3), tmp_path / "exports")
    assert brought is not None
    assert brought.bytes_moved > 0
    (call,) = sts.calls
    assert (call["RoleArn"], call["WebIdentityToken"]) == (ROLE, sts.google.tokens[0])
    assert "RoleSessionName" in call
    assert {token for token, _ in signed} == {"session-1"}
    assert all("Credential=ASIA0000000000000001/" in authorization for _, authorization in signed)
    secrets = [SECRET.encode(), b"ASIA00000000", b"session-1", sts.google.tokens[0].encode()]
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or not any(secret in path.read_bytes() for secret in secrets)


def test_credentials_are_asked_for_again_before_they_end(s3: S3, sts: Sts) -> None:
    sts.lifetime = timedelta(minutes=5)
    session = identity.aws_session(ROLE)
    client = session.client("s3")
    for _ in range(2):
        client.list_objects_v2(Bucket=s3.bucket)
    assert len(sts.calls) == len(sts.google.tokens) == 2


def test_a_key_that_lies_about_is_not_used_beside_a_role(
    s3: S3, sts: Sts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIALYINGABOUT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "lying about")
    used: list[str] = []
    s3.interfere = lambda request: used.append(request.headers.get("Authorization", ""))
    bringing.bring(films(s3), tmp_path / "exports")
    assert used
    assert not [authorization for authorization in used if "AKIALYINGABOUT" in authorization]


def test_a_role_that_does_not_trust_the_token_is_told_with_what_its_policy_needs(
    s3: S3, sts: Sts, tmp_path: Path
) -> None:
    sts.trusts = "somebody else"
    with pytest.raises(StorageRefused) as refusal:
        bringing.bring(films(s3), tmp_path / "exports")
    assert f"s3://{s3.bucket}/films/: AWS does not let this process be {ROLE} (" in str(refusal.value)
    assert str(refusal.value).endswith("unique id as `sub` and sts.amazonaws.com as `oaud`.")


def test_a_process_without_a_service_account_is_told_so(s3: S3, sts: Sts, tmp_path: Path) -> None:
    sts.google.silent = True
    with pytest.raises(StorageRefused, match="Google gave this process no token to show to AWS"):
        bringing.bring(films(s3), tmp_path / "exports")


def test_a_process_that_aws_does_not_know_is_told_so(s3: S3, sts: Sts, tmp_path: Path) -> None:
    with pytest.raises(StorageRefused, match=r"this process has no identity at AWS\. Name the role"):
        bringing.bring(films(s3, None), tmp_path / "exports")


def _error(status: int, code: str) -> Reply:
    body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
    return Reply(status, body.encode(), {"Content-Type": "application/xml"})


@pytest.mark.parametrize(
    ("status", "code", "only", "words"),
    [
        (403, "AccessDenied", "list-type", "/films/: not allowed to list ("),
        (403, "AccessDenied", ".gz", ".gz: not allowed to read ("),
        (404, "NoSuchBucket", "list-type", " does not exist. Correct `from` in the source's defs.yaml."),
        (500, "InternalError", ".gz", ".gz: no answer after the client's tries ("),
    ],
)
def test_what_s3_refuses_is_no_absence(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, code: str, only: str, words: str
) -> None:
    monkeypatch.setattr("platform_assets.data.transfer.origin._TRIES", 1)
    write_films(tmp_path / "written", map(film, range(50)))
    s3.fill(tmp_path / "written")
    s3.interfere = lambda request: _error(status, code) if only in request.path else None
    with pytest.raises(StorageRefused) as refusal:
        bringing.bring(films(s3, None), tmp_path / "exports")
    assert words in str(refusal.value)
    s3.interfere = lambda request: None
    brought = bringing.bring(films(s3, None), tmp_path / "exports")
    assert brought is not None
    assert brought.held == ()


def test_where_nothing_can_be_written_nothing_is_read(s3: S3) -> None:
    with pytest.raises(StorageRefused, match="PLATFORM_EXPORTS: abfs://exports is not a place for files"):
        bringing.bring(films(s3, None), "abfs://exports")
    assert s3.reads == []
