"""Every environment variable: what it sets, its default, and how a value that cannot be used is refused."""

from datetime import date
from pathlib import Path

import pytest

from platform_assets.environment import (
    PACKAGE,
    REPOSITORY,
    VARIABLES,
    Environment,
    EnvironmentVariableError,
    Scope,
    environment_from_variables,
    local_environment,
)

EXAMPLES: dict[str, tuple[str, str, object]] = {
    "PLATFORM_ENV": ("local", "name", "local"),
    "PLATFORM_DATA": ("/somewhere/data", "data", Path("/somewhere/data")),
    "PLATFORM_EXPORTS": ("/somewhere/exports", "exports", Path("/somewhere/exports")),
    "PLATFORM_TEACHERS": ("/somewhere/teachers", "teachers", Path("/somewhere/teachers")),
    "PLATFORM_CAMPAIGNS_DIR": ("/somewhere/campaigns", "campaigns", Path("/somewhere/campaigns")),
    "PLATFORM_SOURCES_DIR": ("/somewhere/sources", "sources", Path("/somewhere/sources")),
    "PLATFORM_DBT_PROJECT": ("/somewhere/dbt", "dbt_project", Path("/somewhere/dbt")),
    "PLATFORM_TIMEZONE": ("Europe/Berlin", "timezone", "Europe/Berlin"),
    "PLATFORM_FIRST_DATE": ("2024-01-31", "first_date", date(2024, 1, 31)),
    "PLATFORM_SCOPE": ("campaign:winback", "scope", Scope(campaign="winback")),
    "PLATFORM_STRICT": ("1", "strict", True),
}

UNUSABLE = [
    ("PLATFORM_ENV", "gcp", "local"),
    ("PLATFORM_TIMEZONE", "Europe/Berlinn", "IANA"),
    ("PLATFORM_TIMEZONE", "../../etc/passwd", "IANA"),
    ("PLATFORM_TIMEZONE", "Europe", "IANA"),
    ("PLATFORM_FIRST_DATE", "31.01.2024", "2024-01-31"),
    ("PLATFORM_FIRST_DATE", "2024-02-30", "2024-01-31"),
    ("PLATFORM_SCOPE", "winback", "campaign:<name>"),
    ("PLATFORM_SCOPE", "campaign:", "campaign:<name>"),
    ("PLATFORM_SCOPE", "entity:customer", "campaign:<name>"),
    ("PLATFORM_STRICT", "yes", "0 or 1"),
    ("PLATFORM_STRICT", "true", "0 or 1"),
]


def test_every_variable_has_an_example_here() -> None:
    assert set(EXAMPLES) == set(VARIABLES)


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_sets_its_field_and_no_other(name: str) -> None:
    value, field, expected = EXAMPLES[name]
    plain, given = environment_from_variables({}), environment_from_variables({name: value})
    assert getattr(given, field) == expected
    moved = {"exports", "teachers"} if name == "PLATFORM_DATA" else set()
    differing = {other for other in Environment.__dataclass_fields__ if getattr(plain, other) != getattr(given, other)}
    assert differing <= {field} | moved


def test_without_variables_everything_lies_in_the_repository() -> None:
    environment = environment_from_variables({})
    assert environment == local_environment(REPOSITORY / ".data")
    assert environment.exports == REPOSITORY / ".data" / "lake" / "exports"
    assert environment.campaigns == PACKAGE / "defs" / "campaigns"
    assert environment.sources == PACKAGE / "defs" / "sources"
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
    assert Scope("winback").admits("winback")
    assert not Scope("winback").admits("repeat_buyers")
