"""Every environment variable: what it sets, its default, and how a value that cannot be used is refused."""

from datetime import date
from pathlib import Path

import pytest

from platform_assets.environment import (
    CLOUD_ONLY,
    REPOSITORY,
    VARIABLES,
    Cloud,
    Environment,
    EnvironmentVariableError,
    Limits,
    Scope,
    environment_from_variables,
    local_environment,
)

EXAMPLES: dict[str, tuple[str, str, object]] = {
    "PLATFORM_ENV": ("local", "name", "local"),
    "PLATFORM_PROJECT_DIR": (str(REPOSITORY), "project", REPOSITORY),
    "PLATFORM_DATA": ("/somewhere/data", "data", Path("/somewhere/data")),
    "PLATFORM_EXPORTS": ("/somewhere/exports", "exports", Path("/somewhere/exports")),
    "PLATFORM_TEACHERS": ("/somewhere/teachers", "teachers", Path("/somewhere/teachers")),
    "PLATFORM_CAMPAIGNS_DIR": ("/somewhere/campaigns", "campaigns", Path("/somewhere/campaigns")),
    "PLATFORM_SOURCES_DIR": ("/somewhere/sources", "sources", Path("/somewhere/sources")),
    "PLATFORM_DBT_PROJECT": ("/somewhere/dbt", "dbt_project", Path("/somewhere/dbt")),
    "PLATFORM_TIMEZONE": ("Europe/Berlin", "timezone", "Europe/Berlin"),
    "PLATFORM_FIRST_DATE": ("2024-01-31", "first_date", date(2024, 1, 31)),
    "PLATFORM_SCOPE": ("campaign:winback", "scope", Scope(frozenset({"winback"}))),
    "PLATFORM_EXECUTOR": ("kubernetes", "executor", "kubernetes"),
    "PLATFORM_PROFILES": ("/somewhere/profiles.yaml", "profiles", Path("/somewhere/profiles.yaml")),
    "PLATFORM_SCORING_SHARDS": ("3", "scoring_shards", 3),
    "PLATFORM_COMMIT": ("ab" * 20, "commit", "ab" * 20),
    "PLATFORM_CODE_URL": (
        "https://git.example.com/a/blob/{commit}",
        "code_url",
        "https://git.example.com/a/blob/{commit}",
    ),
    "PLATFORM_RUN_COMMIT": ("cd" * 20, "run_commit", "cd" * 20),
    "PLATFORM_METRICS_PORT": ("9465", "metrics_port", 9465),
    "PLATFORM_TENSORBOARD_URL": ("http://localhost:6006", "tensorboard_url", "http://localhost:6006"),
    "PLATFORM_PAGES_URL": ("https://ui.example.com/pages", "pages_url", "https://ui.example.com/pages"),
    "PLATFORM_STRICT": ("1", "strict", True),
    "PLATFORM_SCHEDULES": ("1", "schedules", True),
    "PLATFORM_MAX_FILE_BYTES": ("1000", "limits", Limits(file_bytes=1000)),
    "PLATFORM_MAX_FILE_ROWS": ("1000", "limits", Limits(file_rows=1000)),
    "PLATFORM_MAX_COLUMNS": ("10", "limits", Limits(columns=10)),
    "PLATFORM_MAX_TEACHER_ROWS": ("1000", "limits", Limits(teacher_rows=1000)),
    "PLATFORM_MAX_TEACHER_BYTES": ("1000", "limits", Limits(teacher_bytes=1000)),
}

UNUSABLE = [
    ("PLATFORM_ENV", "azure", "local, emulated or gcp"),
    ("PLATFORM_TIMEZONE", "Europe/Berlinn", "IANA"),
    ("PLATFORM_TIMEZONE", "../../etc/passwd", "IANA"),
    ("PLATFORM_TIMEZONE", "Europe", "IANA"),
    ("PLATFORM_FIRST_DATE", "31.01.2024", "2024-01-31"),
    ("PLATFORM_FIRST_DATE", "2024-02-30", "2024-01-31"),
    ("PLATFORM_EXECUTOR", "celery", "in_process or kubernetes"),
    ("PLATFORM_SCORING_SHARDS", "0", "whole number above 0"),
    ("PLATFORM_COMMIT", "main", "git rev-parse HEAD"),
    ("PLATFORM_METRICS_PORT", "http", "whole number above 0"),
    ("PLATFORM_TENSORBOARD_URL", "localhost:6006", "such as http://localhost:6006"),
    ("PLATFORM_PAGES_URL", "127.0.0.1:3001", "such as http://127.0.0.1:3001"),
    ("PLATFORM_PAGES_URL", "http://127.0.0.1:3001/?page=", "such as http://127.0.0.1:3001"),
    ("PLATFORM_CODE_URL", "github.com/acme/audiences", "such as https://github.com/acme/audiences/blob/{commit}"),
    ("PLATFORM_CODE_URL", "https://github.com/{owner}/audiences/blob/{commit}", "such as https://"),
    ("PLATFORM_SCOPE", "winback", "campaign:<name>"),
    ("PLATFORM_SCOPE", "campaign:", "campaign:<name>"),
    ("PLATFORM_SCOPE", "entity:customer", "campaign:<name>"),
    ("PLATFORM_STRICT", "yes", "0 or 1"),
    ("PLATFORM_SCHEDULES", "weekly", "0 or 1"),
    ("PLATFORM_STRICT", "true", "0 or 1"),
    ("PLATFORM_MAX_FILE_BYTES", "64 GiB", "a whole number above 0"),
    ("PLATFORM_MAX_TEACHER_ROWS", "0", "a whole number above 0"),
]


IN_CLOUD = {"PLATFORM_ENV": "gcp", "PLATFORM_PROJECT": "my-project"}
EMULATED = {
    "PLATFORM_ENV": "emulated",
    "PLATFORM_PROJECT": "my-project",
    "BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:9050",
    "STORAGE_EMULATOR_HOST": "http://127.0.0.1:4443",
    "PLATFORM_BIGQUERY_STORAGE_HOST": "127.0.0.1:9060",
}
TAG = "projects/p/locations/us/taxonomies/1/policyTags/2"
CLOUD_EXAMPLES: dict[str, tuple[str, str, object]] = {
    "PLATFORM_PROJECT": ("other-project", "project", "other-project"),
    "PLATFORM_STAGE": ("prod", "stage", "prod"),
    "PLATFORM_LOCATION": ("europe-west3", "location", "europe-west3"),
    "PLATFORM_BUCKET": ("our-bucket", "bucket", "our-bucket"),
    "PLATFORM_REPORTS_BUCKET": ("our-reports", "reports_bucket", "our-reports"),
    "PLATFORM_MAX_BYTES_BILLED": ("1000", "max_bytes_billed", 1000),
    "PLATFORM_RAW_EXPIRY_DAYS": ("400", "raw_expiry_days", 400),
    "PLATFORM_POLICY_TAGS": (f"personal={TAG}", "policy_tags", (("personal", TAG),)),
}
UNUSABLE_IN_CLOUD = [
    ("PLATFORM_PROJECT", "No", "my-project"),
    ("PLATFORM_STAGE", "production", "dev, staging or prod"),
    ("PLATFORM_LOCATION", "eu west", "EU"),
    ("PLATFORM_BUCKET", "gs://bucket", "my-bucket"),
    ("PLATFORM_REPORTS_BUCKET", "gs://bucket", "my-bucket-reports"),
    ("PLATFORM_MAX_BYTES_BILLED", "10 GB", "a whole number above 0"),
    ("PLATFORM_MAX_BYTES_BILLED", "0", "a whole number above 0"),
    ("PLATFORM_RAW_EXPIRY_DAYS", "-1", "a whole number above 0"),
]


# Where each place lies: with personal data, or where people may look.
PLACES = {
    **dict.fromkeys(
        ("exports", "teachers", "marts", "artifacts", "audiences", "verdicts", "comparisons", "looks", "refs"), "data"
    ),
    **dict.fromkeys(("reports", "data_docs", "tensorboard"), "open"),
}


def test_every_place_lies_in_the_bucket_of_its_sensitivity() -> None:
    environment = environment_from_variables(IN_CLOUD | {"PLATFORM_BUCKET": "bucket"})
    buckets = {"data": "bucket", "open": "bucket-reports"}
    places = {
        name: str(getattr(environment, name))
        for name in dir(environment)
        if str(getattr(environment, name))[:5] == "gs://"
    }
    assert {name: place.split("/")[2] for name, place in places.items()} == {
        name: buckets[kind] for name, kind in PLACES.items()
    }
    assert len(set(places.values())) == len(places)


def test_one_bucket_for_both_keeps_everything_where_it_was() -> None:
    one = {"PLATFORM_BUCKET": "bucket", "PLATFORM_REPORTS_BUCKET": "bucket"}
    environment = environment_from_variables(IN_CLOUD | one)
    assert environment.reports == environment.audiences == "gs://bucket/audiences"
    assert environment.data_docs == environment.verdicts == "gs://bucket/verdicts"
    assert environment.tensorboard == "gs://bucket/tensorboard"


def test_in_a_folder_reports_lie_beside_their_audiences() -> None:
    environment = environment_from_variables({"PLATFORM_DATA": "/data"})
    assert environment.reports == environment.audiences == Path("/data/audiences")
    assert environment.data_docs == environment.verdicts == Path("/data/verdicts")


def test_pages_have_an_address_where_they_are_served_by_default_and_elsewhere_where_somebody_says_so() -> None:
    name = "winback/1998-01-01/report.html"
    here, cloud = environment_from_variables({}), environment_from_variables(IN_CLOUD)
    assert here.page_url("reports", name) == f"http://127.0.0.1:3001/reports/{name}"
    assert cloud.page_url("reports", name) is None
    said = {"PLATFORM_PAGES_URL": "https://ui.example.com/pages/"}
    for variables in ({}, IN_CLOUD):
        environment = environment_from_variables(variables | said)
        assert environment.page_url("audits", "a/b.html") == "https://ui.example.com/pages/audits/a/b.html"


def test_every_variable_has_an_example_here() -> None:
    assert {*EXAMPLES, *CLOUD_ONLY} == set(VARIABLES)
    assert {*CLOUD_EXAMPLES, "PLATFORM_BIGQUERY_STORAGE_HOST"} == set(CLOUD_ONLY)


@pytest.mark.parametrize("name", CLOUD_EXAMPLES)
def test_a_cloud_variable_sets_its_field_and_no_other(name: str) -> None:
    value, field, expected = CLOUD_EXAMPLES[name]
    plain, given = (
        environment_from_variables(IN_CLOUD).cloud,
        environment_from_variables(IN_CLOUD | {name: value}).cloud,
    )
    assert plain
    assert given
    assert getattr(given, field) == expected
    moved = {"bucket"} if name in ("PLATFORM_PROJECT", "PLATFORM_STAGE") else set()
    assert {other for other in Cloud.__dataclass_fields__ if getattr(plain, other) != getattr(given, other)} <= {
        field,
        *moved,
    }


@pytest.mark.parametrize("name", [*CLOUD_EXAMPLES, "PLATFORM_BIGQUERY_STORAGE_HOST"])
def test_a_cloud_variable_without_a_cloud_is_refused(name: str) -> None:
    with pytest.raises(EnvironmentVariableError, match=f"{name} is set, but means nothing with PLATFORM_ENV=local"):
        environment_from_variables({name: "anything"})


@pytest.mark.parametrize(("name", "value", "taken"), UNUSABLE_IN_CLOUD)
def test_an_unusable_cloud_variable_is_refused_by_name(name: str, value: str, taken: str) -> None:
    with pytest.raises(EnvironmentVariableError) as refused:
        environment_from_variables(IN_CLOUD | {name: value})
    assert str(refused.value).startswith(f"{name}={value}: ")
    assert taken in str(refused.value)


@pytest.mark.parametrize("text", ["personal", "personal=secret", f"Personal={TAG}", f"personal={TAG}/more"])
def test_a_policy_tag_without_class_or_resource_is_refused(text: str) -> None:
    with pytest.raises(EnvironmentVariableError, match=r"PLATFORM_POLICY_TAGS=.*: takes class=projects/"):
        environment_from_variables(IN_CLOUD | {"PLATFORM_POLICY_TAGS": text})


@pytest.mark.parametrize("missing", [name for name in EMULATED if name != "PLATFORM_ENV"])
def test_a_half_set_emulated_environment_is_refused_by_what_is_missing(missing: str) -> None:
    given = {name: value for name, value in EMULATED.items() if name != missing}
    with pytest.raises(EnvironmentVariableError, match=f"{missing} is not set; PLATFORM_ENV=emulated needs it"):
        environment_from_variables(given)


@pytest.mark.parametrize("name", [name for name in EMULATED if name not in IN_CLOUD])
def test_the_real_cloud_refuses_to_be_led_to_an_emulator(name: str) -> None:
    with pytest.raises(EnvironmentVariableError, match=f"{name} is set, but means nothing with PLATFORM_ENV=gcp"):
        environment_from_variables(IN_CLOUD | {name: EMULATED[name]})


@pytest.mark.parametrize(("name", "variables"), [("gcp", IN_CLOUD), ("emulated", EMULATED)])
def test_in_the_cloud_all_that_outlives_a_step_lies_in_the_bucket(name: str, variables: dict[str, str]) -> None:
    environment = environment_from_variables(variables)
    assert environment.name == name
    for place in ("exports", "teachers", "marts", "artifacts", "audiences", "verdicts", "refs"):
        assert str(getattr(environment, place)).startswith("gs://my-project-audiences-dev/"), place


def test_stages_share_no_dataset_and_no_bucket() -> None:
    clouds = [
        environment_from_variables(IN_CLOUD | {"PLATFORM_STAGE": stage}).cloud for stage in ("dev", "staging", "prod")
    ]
    places = [{cloud.bucket, cloud.dataset("raw"), cloud.dataset("marts")} for cloud in clouds if cloud]
    assert len(set().union(*places)) == 9


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_variable_sets_its_field_and_no_other(name: str) -> None:
    value, field, expected = EXAMPLES[name]
    plain, given = environment_from_variables({}), environment_from_variables({name: value})
    assert getattr(given, field) == expected
    moved = {"exports", "teachers"} if name == "PLATFORM_DATA" else set()
    differing = {other for other in Environment.__dataclass_fields__ if getattr(plain, other) != getattr(given, other)}
    assert differing <= {field} | moved


def test_without_variables_everything_lies_in_the_project_that_the_repository_is() -> None:
    environment = environment_from_variables({})
    assert environment == local_environment(REPOSITORY / ".data")
    assert environment.exports == REPOSITORY / ".data" / "lake" / "exports"
    assert environment.campaigns == REPOSITORY / "defs" / "campaigns"
    assert environment.sources == REPOSITORY / "defs" / "sources"
    assert environment.dbt_manifest == REPOSITORY / "dbt_project" / "target" / "manifest.json"
    assert (environment.timezone, environment.scope, environment.strict) == ("UTC", Scope(), False)


def test_what_the_platform_writes_lies_in_the_data_folder() -> None:
    environment = environment_from_variables({"PLATFORM_DATA": "/somewhere"})
    written = ("raw", "marts", "artifacts", "audiences", "verdicts", "refs", "dbt_database")
    places = {name: getattr(environment, name) for name in written}
    assert all(place.is_relative_to("/somewhere") for place in places.values())
    assert len(set(places.values())) == len(written)


@pytest.mark.parametrize("name", VARIABLES)
def test_an_empty_variable_is_as_if_it_were_not_set(name: str) -> None:
    assert environment_from_variables({name: ""}) == environment_from_variables({})


@pytest.mark.parametrize(("name", "value", "taken"), UNUSABLE)
def test_an_unusable_value_is_refused_by_the_name_of_its_variable(name: str, value: str, taken: str) -> None:
    with pytest.raises(EnvironmentVariableError) as refused:
        environment_from_variables({name: value})
    assert str(refused.value).startswith(f"{name}={value}: ")
    assert taken in str(refused.value)


def test_an_unknown_platform_variable_is_refused_with_the_known_ones() -> None:
    with pytest.raises(EnvironmentVariableError) as refused:
        environment_from_variables({"PLATFORM_DATE": "/somewhere", "HOME": "/root"})
    assert str(refused.value).startswith("PLATFORM_DATE is not a variable of this platform")
    assert all(name in str(refused.value) for name in VARIABLES)


def test_paths_are_made_absolute_and_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    environment = environment_from_variables({"PLATFORM_DATA": "here", "PLATFORM_EXPORTS": "~/exports"})
    assert environment.data == tmp_path / "here"
    assert environment.exports == Path("/home/somebody/exports")


def test_the_process_s_own_variables_are_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATFORM_FIRST_DATE", "2001-02-03")
    assert environment_from_variables().first_date == date(2001, 2, 3)


def test_a_scope_admits_its_campaign_alone_and_all_admits_every_one() -> None:
    assert Scope().admits("winback")
    assert Scope(frozenset({"winback"})).admits("winback")
    assert not Scope(frozenset({"winback"})).admits("repeat_buyers")


@pytest.mark.parametrize(
    "text", ["all", "shared", "campaign:winback", "campaign:repeat_buyers,winback", "only:winback"]
)
def test_a_scope_can_be_handed_on_as_it_was_given(text: str) -> None:
    assert environment_from_variables({"PLATFORM_SCOPE": text}).scope.text == text
