"""The index: what each campaign came to, with links that are served; and a sentence where there is nothing, or no answer."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from platform_assets.environment import Cloud, Environment, cloud_environment, local_environment
from platform_assets.foundation.storage import files_at
from tests.operations.pages.conftest import DECISION, FIGURES, HEADLINE, HIDDEN, KEY, SERVED, Asked, Serve, fill
from tests.support.bucket_of_folder import BucketOfFolder, bucket_of, refusing
from tests.support.pages import Page


def links(text: str) -> list[str]:
    return [attributes["href"] or "" for tag, attributes in Page(text).tags if tag == "a"]


def test_a_campaign_is_told_by_owner_date_size_headline_and_the_gates_last_word(asked: Asked) -> None:
    said = Page(asked("/").text).text
    for part in (
        "winback",
        "crm@example.com",
        "1998-04-01",
        "2,357 of 23,570",
        HEADLINE,
        "Kept, to score from 1998-04-01",
    ):
        assert part in said
    assert DECISION["reason"] in said


def test_every_link_of_the_index_is_served_and_every_page_is_linked(asked: Asked) -> None:
    led_to = links(asked("/").text)
    assert {asked(link).status for link in led_to} == {200}
    pages = {path for path in SERVED if path.endswith(".html")}
    assert set(led_to) == pages | {"/reports/winback/1998-01-01/report.html"}


def test_what_people_write_into_a_campaign_is_text_on_the_index(asked: Asked) -> None:
    page = asked("/").text
    assert "Who comes &lt;b&gt;back&lt;/b&gt;" in page
    assert KEY not in page
    assert not [tag for tag, _ in Page(page).tags if tag in ("script", "b")]


def test_where_nothing_is_there_yet_the_index_says_where_it_looks(tmp_path: Path, serve_pages: Serve) -> None:
    environment = local_environment(tmp_path)
    answer = serve_pages(environment)("/")
    assert answer.status == 200
    assert f"Nothing is there yet: the first promoted model or report of a campaign appears here. They are looked for in {tmp_path / 'audiences'}" in Page(answer.text).text  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_a_campaign_that_is_only_promoted_or_only_refused_has_its_row(own: Environment, serve_pages: Serve) -> None:
    reports = files_at(own.reports)
    reports.write("promoted_only/model_cards/1998-01-01.html", b"<h1>card</h1>")
    refused = {"outcome": "refused", "reason": "refused_only: nothing is promoted.", "score_at": "1998-01-01"}
    reports.write("refused_only/decision.json", json.dumps(refused).encode())
    said = Page(serve_pages(own)("/").text).text
    assert "promoted_only" in said
    assert "no report yet" in said
    assert "Refused, to score from 1998-01-01 refused_only: nothing is promoted." in said


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"campaign": "winback"}', b'{"campaign": null}', b"1" * 5000])  # fmt: skip
def test_a_damaged_file_beside_a_report_empties_its_row_and_no_other(
    content: bytes, own: Environment, serve_pages: Serve
) -> None:
    reports = files_at(own.reports)
    reports.write("other/1998-01-01/report.html", b"<h1>other</h1>")
    reports.write("other/1998-01-01/figures.json", content)
    reports.write("other/decision.json", content)
    answer = serve_pages(own)("/")
    assert answer.status == 200
    assert HEADLINE in Page(answer.text).text
    assert "/reports/other/1998-01-01/report.html" in links(answer.text)


def test_figures_of_older_code_without_a_headline_are_shown_without_it(own: Environment, serve_pages: Serve) -> None:
    older = {key: value for key, value in FIGURES.items() if key != "headline"}
    files_at(own.reports).write("winback/1998-04-01/figures.json", json.dumps(older).encode())
    said = Page(serve_pages(own)("/").text).text
    assert "2,357 of 23,570" in said
    assert HEADLINE not in said


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[BucketOfFolder]:
    fill(local_environment(tmp_path))
    with bucket_of(tmp_path) as server:
        yield server


@pytest.fixture
def in_bucket(bucket: BucketOfFolder, tmp_path: Path, serve_pages: Serve) -> Asked:
    cloud = Cloud(project="my-project", bucket="of-personal-data", reports_bucket="lake")
    return serve_pages(replace(cloud_environment("emulated", cloud, tmp_path / "unused"), pages_url=None))


def test_a_bucket_is_served_as_a_folder_is(in_bucket: Asked) -> None:
    assert {in_bucket(path).status for path in (*SERVED, *links(in_bucket("/").text))} == {200}
    for shelf, names in HIDDEN.items():
        for name in names:
            assert in_bucket(f"/{shelf}/{name}").status == 404


def test_a_name_that_is_no_page_is_never_asked_of_the_bucket(in_bucket: Asked, bucket: BucketOfFolder) -> None:
    assert in_bucket("/reports/winback/1998-04-01/audience.csv").status == 404
    assert bucket.asked == []


def test_a_bucket_that_does_not_exist_is_told_in_a_sentence(in_bucket: Asked, bucket: BucketOfFolder) -> None:
    bucket.refuses = refusing(404, "list")
    answer = in_bucket("/")
    assert (answer.status, answer.text) == (503, "gs://lake does not exist; create the bucket, or name another one\n")


@pytest.mark.parametrize("status", [403, 503])
def test_a_storage_that_does_not_say_what_is_there_is_told_and_is_no_empty_index(
    in_bucket: Asked, bucket: BucketOfFolder, status: int
) -> None:
    bucket.refuses = refusing(status)
    for path in ("/", next(iter(SERVED))):
        answer = in_bucket(path)
        assert answer.status == 503
        assert "gs://lake/audiences" in answer.text
        assert "Nothing is there yet" not in answer.text
    bucket.refuses = lambda asked, name: None
    assert in_bucket("/").status == 200
