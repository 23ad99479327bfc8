"""A project of one's own: how it is found, and what its settings file may hold."""

from datetime import date
from pathlib import Path

import pytest

from platform_assets.environment import REPOSITORY, EnvironmentVariableError, environment_from_variables
from platform_assets.environment.settings import MAX_BYTES, SETTINGS, find_project


def settings_in(folder: Path, text: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / SETTINGS
    path.write_text(text, encoding="utf-8")
    return path


def test_everything_lies_in_the_nearest_folder_above_that_is_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_in(tmp_path)
    project = settings_in(tmp_path / "inner").parent
    below = project / "defs" / "sources"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    environment = environment_from_variables({})
    assert environment.project == project
    places = (environment.data, environment.exports, environment.campaigns, environment.sources, environment.features)
    assert all(Path(place).is_relative_to(project) for place in (*places, environment.dbt_project))


def test_the_variable_goes_before_the_folder_one_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = settings_in(tmp_path / "here").parent, settings_in(tmp_path / "there").parent
    monkeypatch.chdir(here)
    assert environment_from_variables({"PLATFORM_PROJECT_DIR": str(there)}).project == there
    assert environment_from_variables({"PLATFORM_PROJECT_DIR": "../there"}).project == there


def test_outside_of_any_project_a_checkout_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert environment_from_variables({}).project == REPOSITORY


def test_no_project_is_a_sentence_that_says_how_to_begin_one(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentVariableError) as refused:
        find_project(None, tmp_path, tmp_path / "site-packages")
    assert str(refused.value) == (
        f"there is no project here: neither {tmp_path} nor a folder above it holds platform-settings.env. Go to the project, set "
        "PLATFORM_PROJECT_DIR to its folder, or begin one with `platform-assets init <folder>`"
    )


def test_a_folder_that_is_no_project_is_refused_by_the_variable_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentVariableError, match=f"^PLATFORM_PROJECT_DIR={tmp_path}: takes a folder that holds "):
        environment_from_variables({"PLATFORM_PROJECT_DIR": str(tmp_path)})


def test_settings_count_unless_the_process_says_otherwise_and_their_paths_begin_at_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "# Ours.\n\nPLATFORM_TIMEZONE = Europe/Berlin\nPLATFORM_FIRST_DATE=2024-01-31\nPLATFORM_EXPORTS=../lake\n"
    project = settings_in(tmp_path / "project", f"{text}PLATFORM_STRICT=\n").parent
    (project / "defs").mkdir()
    monkeypatch.chdir(project / "defs")
    environment = environment_from_variables({"PLATFORM_FIRST_DATE": "2020-01-01", "PLATFORM_TIMEZONE": ""})
    assert (environment.timezone, environment.first_date) == ("Europe/Berlin", date(2020, 1, 1))
    assert environment.exports == tmp_path / "lake"
    assert not environment.strict


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("PLATFORM_DATE=x", ":1: PLATFORM_DATE is not a variable of this platform; it knows PLATFORM_PROJECT_DIR, "),
        ("\nDAGSTER_HOME=/home", ":2: DAGSTER_HOME is not a variable of this platform; set it in the shell"),
        ("BIGQUERY_EMULATOR_HOST=http://x", ":1: BIGQUERY_EMULATOR_HOST is not a variable of this platform; set it"),
        ("PLATFORM_PROJECT_DIR=.", ":1: PLATFORM_PROJECT_DIR says where this file is; set it in the shell"),
        ("PLATFORM_STRICT", ":1: a setting is NAME=value; a comment begins with #"),
        ("PLATFORM_STRICT='1'", ":1: PLATFORM_STRICT: write the value without quotes"),
        ("PLATFORM_STRICT=1\nPLATFORM_STRICT=0", ":2: PLATFORM_STRICT is set above already; keep one of the two"),
        ("PLATFORM_STRICT=yes", ":1: PLATFORM_STRICT=yes: takes 0 or 1"),
        ("PLATFORM_BUCKET=bucket", ":1: PLATFORM_BUCKET is set, but means nothing with PLATFORM_ENV=local: "),
        ("#" * (MAX_BYTES + 1), f": is larger than {MAX_BYTES} bytes"),
        ("\udcff", ": cannot be read as text: "),
    ],
)
def test_a_setting_that_cannot_be_honoured_is_refused_by_its_line(
    text: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / SETTINGS
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EnvironmentVariableError) as refused:
        environment_from_variables({})
    assert str(refused.value).startswith(f"{path}{sentence}")
