"""An AWS that does not take a request, or does not answer: what waits, and what a person is told."""

from pathlib import Path

import pytest

from tests.data.requests.aws_server import Aws
from tests.data.requests.looking import MINUTE, REQUESTED, refusing, tick, windows


@pytest.mark.parametrize(
    ("action", "code"),
    [
        (REQUESTED, "LimitExceededException"),
        (REQUESTED, "ThrottlingException"),
        (REQUESTED, "ExportConflictException"),
        ("ListExports", "LimitExceededException"),
        ("DescribeContinuousBackups", "ThrottlingException"),
    ],
)
def test_what_aws_does_not_take_now_waits_for_the_next_tick(aws: Aws, exports: Path, action: str, code: str) -> None:
    refusing(aws, action, code)
    look = tick(aws, exports)
    assert look.refusals == ()
    assert f"{code} it says" in look.sentences[0]
    assert look.sentences[0].endswith("The next look asks again.")
    assert aws.exports == []
    aws.interfere = lambda action, before: None
    aws.now += 15 * MINUTE
    tick(aws, exports)
    assert windows(aws) == [(None, 48)]


@pytest.mark.parametrize(
    ("action", "code", "words"),
    [
        ("ListExports", "AccessDeniedException", "needs the right dynamodb:ListExports."),
        (REQUESTED, "AccessDeniedException", "needs the right dynamodb:ExportTableToPointInTime."),
        ("DescribeContinuousBackups", "TableNotFoundException", "Correct `region` and `account` of `request`"),
        (REQUESTED, "PointInTimeRecoveryUnavailableException", "Turn point-in-time recovery of the table on"),
        (REQUESTED, "InvalidExportTimeException", "the next look asks for a new full export"),
        (REQUESTED, "ValidationException", "Correct `request` in the source's defs.yaml."),
    ],
)
def test_what_aws_refuses_is_told_with_what_to_do(aws: Aws, exports: Path, action: str, code: str, words: str) -> None:
    refusing(aws, action, code)
    (refusal,) = tick(aws, exports).refusals
    assert refusal.startswith("arn:aws:dynamodb:eu-central-1:123456789012:table/Films: AWS ")
    assert words in refusal


def test_an_aws_that_does_not_answer_is_asked_again_by_the_next_tick(
    aws: Aws, exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
        look = tick(aws, exports)
    assert look.refusals == ()
    assert "no answer of AWS to describe_continuous_backups (" in look.sentences[0]


def test_a_process_without_an_identity_is_told_where_to_name_one(
    aws: Aws, exports: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    (refusal,) = tick(aws, exports).refusals
    assert "this process has no identity at AWS. Name the role that it is to assume in `role` of `request`" in refusal
