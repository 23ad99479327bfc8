"""A new project: which folder may become one, what is written, and that nothing of a person's is touched."""

import json
import os
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from platform_assets.campaigns.declaration.spec import json_schema
from platform_assets.cli import main
from platform_assets.data.engines.opening import open_engine
from platform_assets.environment import PACKAGE, REPOSITORY, environment_from_variables, local_environment
from platform_assets.environment.settings import SETTINGS
from platform_assets.scaffold import project as scaffold
from platform_assets.scaffold.project import FolderRefused, begin_project


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return begin_project(tmp_path / "Grocery shop-2")


def test_a_project_holds_what_the_platform_dbt_dagster_git_and_ci_look_for(project: Path) -> None:
    assert set(files_of(project)) == {
        ".github/workflows/ci.yml",
        ".gitignore",
        "README.md",
        "dagster_home/dagster.yaml",
        "dbt_project/dbt_project.yml",
        "dbt_project/models/marts/.gitkeep",
        "dbt_project/models/staging/stg_exports.sql",
        "dbt_project/models/staging/stg_exports.yml",
        "defs/campaign.schema.json",
        "defs/campaigns/.gitkeep",
        "defs/sources/.gitkeep",
        "features/.gitkeep",
        "platform-settings.env",
        "pyproject.toml",
        "requirements.txt",
        "workspace.yaml",
    }
    assert not [path for path, content in files_of(project).items() if b"@NAME@" in content or b"@VERSION@" in content]
    assert yaml.safe_load((project / "dbt_project" / "dbt_project.yml").read_text())["name"] == "grocery_shop_2"
    assert json.loads((project / "defs" / "campaign.schema.json").read_text()) == json_schema()


@pytest.mark.parametrize(
    ("folder", "name"), [("2024", "project_2024"), ("Überraschung", "berraschung"), ("…", "project")]
)
def test_any_folder_s_name_gives_one_that_dbt_takes(folder: str, name: str, tmp_path: Path) -> None:
    text = (begin_project(tmp_path / folder) / "dbt_project" / "dbt_project.yml").read_text()
    assert yaml.safe_load(text)["name"] == name


def test_its_settings_are_those_of_everything_that_runs_in_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project / "dbt_project" / "models")
    environment = environment_from_variables({})
    assert (environment.project, environment.data) == (project, project / ".data")
    assert environment.first_date.isoformat() == "2015-01-01"


def test_every_setting_that_the_template_offers_can_be_honoured(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = project / SETTINGS
    settings.write_text(settings.read_text().replace("#PLATFORM", "PLATFORM"))
    monkeypatch.chdir(project)
    environment = environment_from_variables({})
    assert (environment.timezone, environment.exports) == ("Europe/Berlin", Path("/data/exports"))


def test_what_the_repository_and_a_project_both_hold_is_the_same(project: Path) -> None:
    for here, there in {
        "workspace.yaml": "workspace.yaml",
        "deploy/local/dagster.yaml": "dagster_home/dagster.yaml",
        "dbt_project/models/staging/stg_exports.sql": "dbt_project/models/staging/stg_exports.sql",
    }.items():
        assert (REPOSITORY / here).read_bytes() == (project / there).read_bytes()
    ours, theirs = (
        yaml.safe_load((folder / "dbt_project" / "dbt_project.yml").read_text()) for folder in (REPOSITORY, project)
    )
    for text in ("models", "data_tests"):
        assert ours[text]["audience_platform"] == theirs[text]["grocery_shop_2"]
    different = {"name", "models", "data_tests", "macro-paths", "test-paths"}
    assert {key: ours[key] for key in set(ours) - different} == {key: theirs[key] for key in set(theirs) - different}


@pytest.mark.parametrize("name", ["notes.txt", ".gitignore", ".github"])
def test_a_folder_that_holds_something_stays_as_it_is(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    before = files_of(tmp_path)
    refused = CliRunner().invoke(main, ["init", str(tmp_path)])
    assert refused.exit_code == 1
    assert refused.output == (
        f"Error: {tmp_path}: is not empty, it holds {name}; nothing was written. Name a folder that is not there yet, or an "
        "empty one\n"
    )
    assert files_of(tmp_path) == before


def test_a_clone_without_files_and_with_an_environment_becomes_a_project(tmp_path: Path) -> None:
    for name in (".git", ".venv"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "kept").write_text("mine")
    assert begin_project(tmp_path) == tmp_path
    assert (tmp_path / SETTINGS).is_file()
    assert (tmp_path / ".git" / "kept").read_text() == "mine"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderRefused, match="is a file; name a folder that is not there yet"):
        begin_project(tmp_path / "file")


@pytest.mark.parametrize("there", [False, True])
def test_a_project_that_could_not_be_written_whole_is_not_there_at_all(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, written = tmp_path / "project", Path.write_text

    def disk_full(path: Path, text: str, encoding: str | None = None) -> int:
        if path.name == "workspace.yaml":
            raise OSError(28, "No space left on device", str(path))
        return written(path, text, encoding)

    if there:
        (project / ".git").mkdir(parents=True)
    monkeypatch.setattr(Path, "write_text", disk_full)
    with pytest.raises(OSError, match="No space left"):
        begin_project(project)
    assert os.listdir(tmp_path) == (["project"] if there else [])
    assert not there or os.listdir(project) == [".git"]


def test_dbt_gets_what_was_typed_and_is_led_to_the_project_the_profile_and_the_shared_macros(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "dbt"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\necho "$@"\npwd\necho "$DBT_PROJECT_DIR"\necho "$DBT_PROFILES_DIR"\necho "$PLATFORM_DBT_SHARED"\nexit 3\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program.with_name("python")))
    monkeypatch.chdir(project / "features")
    said = CliRunner().invoke(main, ["dbt", "build", "--select", "orders", "-h"])
    assert said.exit_code == 3, said.output
    assert said.output.splitlines() == [
        "build --select orders -h",
        str(project / "features"),
        str(project / "dbt_project"),
        str(PACKAGE / "dbt"),
        str(PACKAGE / "dbt"),
    ]


def test_a_profile_of_its_own_goes_before_the_shared_one(project: Path) -> None:
    dbt = open_engine(local_environment(project / ".data", project)).dbt
    assert dbt.profiles == PACKAGE / "dbt"
    (dbt.folder / "profiles.yml").touch()
    assert dbt.profiles == dbt.folder


def test_without_dbt_beside_the_platform_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "bin" / "python"))
    refused = CliRunner().invoke(main, ["init", str(tmp_path / "project")])
    assert refused.exit_code == 1
    assert refused.output.startswith(
        f"Error: {tmp_path}/bin/dbt is not there: dbt is not installed with the platform. Install it into the same environment"
    )
    assert not (tmp_path / "project").exists()
    assert scaffold.TEMPLATE.is_dir()


@pytest.mark.parametrize("command", ["backtest x", "check", "dbt ls", "doctor", "janitor --once", "manifest", "new x --like y",
                                     "pinned --image x y", "prepare", "preview x"])  # fmt: skip
def test_a_command_that_needs_a_project_says_how_to_begin_one(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # As it is for a package that lies in no checkout.
    monkeypatch.setattr("platform_assets.environment.reading.REPOSITORY", tmp_path)
    refused = CliRunner().invoke(main, command.split(), env={"PLATFORM_PROJECT_DIR": None})
    assert refused.exit_code == 1
    assert refused.output.startswith(
        f"Error: there is no project here: neither {tmp_path} nor a folder above it holds "
    )
    assert "platform-assets init <folder>" in refused.output
