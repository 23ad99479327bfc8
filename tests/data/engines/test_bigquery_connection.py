"""What a query may cost, what is tried again, and what a reader without a policy-tag right is told."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from google.api_core.exceptions import BadRequest, Forbidden, GoogleAPICallError
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.data.engines.bigquery.connection import (
    BigQuery,
    ColumnsDenied,
    QueryTooDear,
    denied_columns,
    literal,
    quoted,
)
from platform_assets.environment import Cloud, Environment
from tests.support.answering import Reply, Request, answering, json_reply

# As BigQuery words it: https://cloud.google.com/bigquery/docs/column-level-security#query_failures
DENIED = (
    "Access Denied: BigQuery BigQuery: User has neither fine-grained reader nor masked get permission to get data protected by "
    'policy tag "people : personal" on columns my-project.dev_marts.viewers__1a.age, my-project.dev_marts.viewers__1a.zip_code.'
)


@contextmanager
def bigquery_saying(*replies: Reply) -> Iterator[tuple[BigQuery, list[Request]]]:
    """The real client, against a server that answers as BigQuery's front end does, the last reply again and again;
    the requests to run a query.
    """
    asked: list[Request] = []

    def reply(request: Request) -> Reply:
        if request.command != "POST":
            return Reply(501)
        asked.append(request)
        return replies[min(len(asked), len(replies)) - 1]

    with answering(reply) as url:
        yield BigQuery(Cloud("my-project", "bucket", bigquery_endpoint=url)), asked


def refusal(status: int, reason: str, message: str) -> Reply:
    error = {"code": status, "message": message, "errors": [{"reason": reason, "message": message}], "status": "ERROR"}
    return json_reply(status, {"error": error})


def test_a_query_that_cannot_read_a_value_does_not_tell_it() -> None:
    said = refusal(400, "invalidQuery", "Bad int64 value: bob@example.com")
    with bigquery_saying(said) as (bigquery, _), pytest.raises(BadRequest) as unread:
        bigquery.run("select cast(email as int64) from viewers", "features/viewer/age")
    told = "".join(traceback.format_exception(unread.value))
    assert "Bad int64 value: …" in told
    assert "bob" not in told


def test_a_reader_without_the_policy_tag_right_is_told_which_columns() -> None:
    with (
        bigquery_saying(refusal(403, "accessDenied", DENIED)) as (bigquery, asked),
        pytest.raises(ColumnsDenied, match=r"viewers__1a\.age, viewers__1a\.zip_code.*Fine-Grained Reader") as denied,
    ):
        bigquery.run("select age, zip_code from viewers", "features/viewer/age")
    assert isinstance(denied.value.__cause__, Forbidden)
    assert len(asked) == 1


def test_another_refusal_is_passed_on_as_it_is() -> None:
    message = "Access Denied: Project my-project: User does not have bigquery.jobs.create permission"
    with (
        bigquery_saying(refusal(403, "accessDenied", message)) as (bigquery, _),
        pytest.raises(Forbidden, match=r"jobs\.create"),
    ):
        bigquery.run("select 1", "x")


@pytest.mark.parametrize(
    ("columns", "found"), [("column p.d.t.a", ["t.a"]), ("columns p.d.t.b, p.d.t.a", ["t.a", "t.b"])]
)
def test_denied_columns_are_read_out_of_the_message(columns: str, found: list[str]) -> None:
    assert denied_columns(f'protected by policy tag "x : y" on {columns}.') == found
    assert denied_columns("Access Denied: Table p:d.t") == []


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_by_itself_is_tried_again(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    again = refusal(status, "backendError", "try again")
    with (
        bigquery_saying(again, again, refusal(400, "invalidQuery", "enough")) as (bigquery, asked),
        pytest.raises(GoogleAPICallError, match="enough"),
    ):
        bigquery.run("select 1", "x")
    assert len(asked) == 3
    assert len(slept) == 2
    assert all(pause >= 0 for pause in slept)


@pytest.mark.parametrize("status", [400, 403, 404, 409])
def test_what_does_not_pass_by_itself_is_not_tried_again(status: int) -> None:
    with (
        bigquery_saying(refusal(status, "invalid", "no")) as (bigquery, asked),
        pytest.raises(GoogleAPICallError),
    ):
        bigquery.run("select 1", "x")
    assert len(asked) == 1


class Estimating(BigQuery):
    """The emulator estimates nothing, so here the estimate is given."""

    estimated = 0

    def estimate(self, sql: str) -> int:
        return self.estimated


def test_a_query_over_the_limit_is_refused_before_it_runs(cloud_environment: Environment) -> None:
    assert cloud_environment.cloud is not None
    bigquery = Estimating(replace(cloud_environment.cloud, max_bytes_billed=1_000))
    bigquery.client.create_dataset(bigquery.cloud.dataset("scratch"))
    bigquery.estimated = 1_001
    with pytest.raises(QueryTooDear, match=r"features/x: .* 1,001 bytes, .* 1,000 \(PLATFORM_MAX_BYTES_BILLED\)"):
        bigquery.ask("select 1 as one", "features/x")
    assert not list(bigquery.client.list_jobs()), "nothing ran"
    bigquery.estimated = 1_000
    answer = bigquery.ask("select 1 as one", "features/x")
    assert (answer.table.to_pylist(), answer.estimated_bytes) == ([{"one": 1}], 1_000)
    job = next(iter(bigquery.client.list_jobs()))
    assert job.maximum_bytes_billed == 1_000
    assert job.labels == {"environment": "dev", "source": "features_x"}


@given(st.text(max_size=30))
def test_any_text_is_a_literal_of_one_line(text: str) -> None:
    import sqlglot

    written = literal(text)
    assert "\n" not in written
    parsed = sqlglot.parse_one(f"select {written}", dialect="bigquery").expressions[0]
    assert parsed.this == text


@pytest.mark.parametrize("name", ["a`b", "a\\b", "a\nb"])
def test_a_name_that_could_end_its_quotes_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name"):
        quoted(name)
