"""Asking DynamoDB for exports: what AWS is asked for, in which order, how often, and what is told."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from platform_assets.data.exports.chain import chain_of
from platform_assets.data.raw.discover import discover
from platform_assets.data.requests.asking import ask
from platform_assets.data.requests.record import HOME, TRIES
from platform_assets.foundation.storage.folder import Folder
from tests.data.exports.histories import EPOCH
from tests.data.requests.aws_server import Aws
from tests.data.requests.conftest import SPEC
from tests.data.requests.looking import DAY, HOUR, MINUTE, RECORD, REQUESTED, glance, refusing, tick, windows
from tests.data.requests.protocols import Refused


def test_over_days_a_full_export_and_windows_that_tile_are_made_and_their_chain_covers_all(
    aws: Aws, exports: Path, bucket: Path
) -> None:
    for _ in range(8 * 5 + 2):
        tick(aws, exports)
        aws.now += 3 * HOUR
        glance(aws, exports)
    assert windows(aws) == [(None, 48), *((24.0 * day, 24.0 * day + 24) for day in range(2, 7))]
    complete = discover(SPEC, "films", bucket).complete
    assert len(complete) == 6
    chain = chain_of(complete)
    assert chain.apart == {}
    assert chain.end == EPOCH + 7 * DAY
    assert len(chain.segments) == 1


def test_while_nothing_is_due_and_nothing_under_way_aws_is_asked_nothing(aws: Aws, exports: Path) -> None:
    tick(aws, exports)
    aws.now += HOUR
    assert "COMPLETED" in glance(aws, exports).sentences[0]
    asked = len(aws.calls)
    for _ in range(3):
        aws.now += 5 * HOUR
        assert tick(aws, exports).sentences == glance(aws, exports).sentences == ()
    assert len(aws.calls) == asked


def test_what_is_waited_for_is_told_and_since_when(aws: Aws, exports: Path) -> None:
    tick(aws, exports)
    aws.now += 5 * MINUTE
    assert glance(aws, exports).sentences == (
        "Films: the full export as of 2026-01-03T00:00:00Z, asked for at 2026-01-03T03:00:00Z, 5 min ago: AWS is at it",
    )


@pytest.mark.parametrize("later", [HOUR, 9 * HOUR, 9 * DAY])
@pytest.mark.parametrize("lost", ["the record of the answer", "all records"])
def test_an_export_whose_answer_was_not_recorded_is_taken_up_even_when_its_token_no_longer_counts(
    aws: Aws, exports: Path, monkeypatch: pytest.MonkeyPatch, later: timedelta, lost: str
) -> None:
    class Killed(BaseException):
        pass

    swaps = []

    def swap(self: Folder, name: str, *arguments: object, **options: object) -> str | None:
        swaps.append(name)
        if len(swaps) == 2:
            raise Killed
        return whole(self, name, *arguments, **options)  # type: ignore[arg-type]

    whole = Folder.swap
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "swap", swap)
        with pytest.raises(Killed):
            tick(aws, exports)
    assert len(aws.exports) == 1
    if lost == "all records":
        (exports / HOME / "asked" / RECORD).unlink()
        # Then nobody knows any more as of when it was asked for, but within the same day it follows again.
        later = min(later, 9 * HOUR)
    aws.now += later
    tick(aws, exports)
    assert windows(aws).count((None, 48)) == 1
    glance(aws, exports)
    assert windows(aws)[1:] == ([(24.0 * day, 24.0 * day + 24) for day in range(2, 11)] if later > DAY else [])


def test_within_eight_hours_the_token_alone_makes_one_export_of_two_whose_records_know_nothing_of_each_other(
    aws: Aws, exports: Path, tmp_path: Path
) -> None:
    aws.lists = False
    for root in (exports, tmp_path / "another"):
        tick(aws, root)
        aws.now += 7 * HOUR
    assert windows(aws) == [(None, 48)]


def test_a_window_that_somebody_asked_for_by_hand_is_not_asked_for_again_unless_it_is_a_part(
    aws: Aws, exports: Path
) -> None:
    tick(aws, exports)
    aws.now += DAY
    call = {
        **aws.exports[0].call,
        "ClientToken": "by hand",
        "ExportType": "INCREMENTAL_EXPORT",
        "IncrementalExportSpecification": {
            "ExportFromTime": (EPOCH + 2 * DAY).timestamp(),
            "ExportToTime": (EPOCH + 3 * DAY).timestamp(),
            "ExportViewType": "NEW_AND_OLD_IMAGES",
        },
    }
    del call["ExportTime"]
    others: list[dict[str, object]] = [
        {"FilterSpecification": {"FilterExpression": "title = :t"}},
        {"S3Prefix": "elsewhere"},
        {"IncrementalExportSpecification": {**call["IncrementalExportSpecification"], "ExportViewType": "NEW_IMAGE"}},
    ]
    for change in others:
        aws._begun(aws.tables["Films"], {**call, **change})
    tick(aws, exports)
    assert aws.calls.count(REQUESTED) == 2
    aws.now += DAY
    call["IncrementalExportSpecification"] = {
        **call["IncrementalExportSpecification"],
        "ExportFromTime": (EPOCH + 3 * DAY).timestamp(),
        "ExportToTime": (EPOCH + 4 * DAY).timestamp(),
    }
    by_hand = aws._begun(aws.tables["Films"], call)
    tick(aws, exports)
    assert aws.calls.count(REQUESTED) == 2
    aws.now += HOUR
    assert glance(aws, exports).requests[-1].last.id == aws._arn(by_hand)


def test_what_aws_fails_at_is_asked_for_again_under_another_token_and_is_in_the_chain(
    aws: Aws, exports: Path, bucket: Path
) -> None:
    aws.failures = [("S3AccessDenied", "no")] * (TRIES - 1)
    for _ in range(2 * TRIES):
        tick(aws, exports)
        aws.now += HOUR
        glance(aws, exports)
    assert windows(aws) == [(None, 48)] * TRIES
    assert len({export.call["ClientToken"] for export in aws.exports}) == TRIES
    (export,) = discover(SPEC, "films", bucket).complete
    assert export.export_id == aws.exports[-1].id


def test_after_the_last_failure_a_person_is_told_and_nothing_is_asked_for_until_the_cause_is_mended(
    aws: Aws, exports: Path
) -> None:
    tick(aws, exports)
    aws.now += HOUR
    glance(aws, exports)
    aws.now += DAY
    aws.failures = [("S3AccessDenied", "Access Denied")] * 99
    for _ in range(TRIES + 4):
        tick(aws, exports)
        aws.now += HOUR
        look = glance(aws, exports)
    assert windows(aws) == [(None, 48)] + [(48, 72)] * TRIES
    marker = exports / HOME / "failed" / RECORD.removesuffix(".json")
    sentence = (
        "Films: AWS failed 3 times at the incremental export from 2026-01-03T00:00:00Z to 2026-01-04T00:00:00Z, at last with "
        "S3AccessDenied: Access Denied. Nothing more is asked for of Films. Mend what AWS names (the bucket, its policy, the key, the "
        f"role), and remove {marker}: then it is asked for again."
    )
    assert look.refusals == tick(aws, exports).refusals == (sentence,)
    marker.unlink()
    aws.failures = []
    aws.now += 2 * DAY
    for _ in range(2):
        tick(aws, exports)
        aws.now += HOUR
        assert glance(aws, exports).refusals == ()
    assert windows(aws)[4:] == [(48, 72), (72, 96), (96, 120)]


def test_a_gap_in_recovery_asks_for_a_full_export_and_windows_go_on_from_there(
    aws: Aws, exports: Path, bucket: Path
) -> None:
    table = aws.tables["Films"]
    for hour in range(0, 24 * 6 + 6, 3):
        if hour == 30:
            table.recovered_from = None
        if hour == 60:
            table.recovered_from = aws.now
        tick(aws, exports)
        aws.now += 3 * HOUR
        glance(aws, exports)
    base = 114 - 1 / 12
    assert windows(aws) == [
        (None, 48),
        (48, 72),
        (None, pytest.approx(base)),
        (pytest.approx(base), 120),
        *((24.0 * day, 24.0 * day + 24) for day in (5, 6, 7)),
    ]
    chain = chain_of(discover(SPEC, "films", bucket).complete)
    assert chain.end == EPOCH + 8 * DAY
    assert [len(segment.windows) for segment in chain.segments] == [1, 4]
    assert chain.apart == {}


def test_while_recovery_is_off_it_is_told_how_to_turn_it_on(aws: Aws, exports: Path) -> None:
    aws.tables["Films"].recovered_from = None
    (refusal,) = tick(aws, exports).refusals
    assert (
        "table/Films: point-in-time recovery is off, and exports are made of it. Turn it on: aws dynamodb " in refusal
    )
    assert "--table-name Films" in refusal
    assert aws.exports == []


def test_a_declaration_that_changed_meanwhile_changes_no_call_that_was_begun(aws: Aws, exports: Path) -> None:
    refusing(aws, "ListExports", "LimitExceededException")
    tick(aws, exports)
    aws.interfere = lambda action, before: None
    elsewhere = SPEC.model_copy(update={"origin": "s3://elsewhere/films"})
    tick(aws, exports, elsewhere)
    aws.now += DAY
    tick(aws, exports, elsewhere)
    assert [export.call["S3Bucket"] for export in aws.exports] == ["exports", "elsewhere"]


def test_another_table_begins_with_a_full_export_whatever_its_raw_table_is_called(
    aws: Aws, exports: Path, make_table: Callable[[str], None]
) -> None:
    make_table("Films2")
    tick(aws, exports)
    aws.now += DAY
    renamed = SPEC.tables[0].model_copy(update={"name": "movies"})
    tick(aws, exports, SPEC.model_copy(update={"tables": [renamed]}))
    assert windows(aws) == [(None, 48), (48, 72)]
    tick(aws, exports, SPEC.model_copy(update={"tables": [renamed.model_copy(update={"export_table": "Films2"})]}))
    assert windows(aws)[2:] == [(None, 72)]


def test_what_aws_refused_is_asked_for_as_it_is_declared_once_it_is_corrected(aws: Aws, exports: Path) -> None:
    refusing(aws, REQUESTED, "ValidationException")
    assert tick(aws, exports).refusals
    corrected = SPEC.model_copy(update={"origin": "s3://exports/movies"})
    assert tick(aws, exports).refusals
    aws.interfere = lambda action, before: None
    assert tick(aws, exports, corrected).refusals == ()
    assert [export.call["S3Prefix"] for export in aws.exports] == ["movies"]
    assert windows(aws) == [(None, 48)]
    aws.now += DAY
    assert "COMPLETED" in glance(aws, exports).sentences[0]
    tick(aws, exports, corrected)
    assert windows(aws) == [(None, 48), (48, 72)]


def test_a_refusal_that_comes_late_takes_back_no_export_that_another_process_began(aws: Aws, exports: Path) -> None:
    def overtaken(action: str, before: bool) -> None:
        if action == REQUESTED and before:
            aws.interfere = lambda action, before: None
            tick(aws, exports)
            raise Refused("AccessDeniedException")

    aws.interfere = overtaken
    assert tick(aws, exports).refusals
    assert len(aws.exports) == 1
    aws.now += HOUR
    assert "COMPLETED" in glance(aws, exports).sentences[0]


def test_a_record_that_cannot_be_read_stops_asking_and_is_left_alone(aws: Aws, exports: Path) -> None:
    tick(aws, exports)
    record = exports / HOME / "asked" / RECORD
    for damaged in (b"", b"{", b'{"format": 2, "requests": []}', b'{"format": 1, "requests": [{}]}'):
        record.write_bytes(damaged)
        for look in (tick, glance):
            (refusal,) = look(aws, exports).refusals
            assert refusal.startswith(f"{record}: the record of what was asked for cannot be read.")
        assert record.read_bytes() == damaged
    assert len(aws.exports) == 1


def test_an_export_that_aws_has_forgotten_is_no_longer_waited_for(aws: Aws, exports: Path) -> None:
    tick(aws, exports)
    aws.now += 91 * DAY
    assert glance(aws, exports).sentences[0].endswith("LOST (AWS does not know this export any more)")
    assert glance(aws, exports).sentences == ()


def test_one_table_that_is_refused_holds_up_no_other(
    aws: Aws, exports: Path, make_table: Callable[[str], None]
) -> None:
    make_table("Viewers")
    tables = [*SPEC.tables, SPEC.tables[0].model_copy(update={"name": "viewers", "export_table": "Viewers"})]
    aws.tables["Films"].recovered_from = None
    films, viewers = ask(SPEC.model_copy(update={"tables": tables}), exports, aws.now)
    assert (len(films.refusals), len(viewers.refusals)) == (1, 0)
    assert [export.call["TableArn"] for export in aws.exports] == [aws.tables["Viewers"].arn]
