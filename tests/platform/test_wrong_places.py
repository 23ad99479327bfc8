"""What every command says where something that it stands on is not there: one sentence with the place, and no traceback."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from platform_assets.cli import main
from platform_assets.environment import Environment
from tests.support.running import variables_of
from tests.support.small_exports import write_empty_exports

COMMANDS: dict[str, tuple[str, ...]] = {
    "backtest": ("backtest", "winback"),
    "check": ("check",),
    "doctor": ("doctor",),
    "janitor": ("janitor", "--once"),
    "manifest": ("manifest",),
    "new": ("new", "again", "--like", "winback"),
    "pinned": ("pinned", "--image", "registry.example.com/platform", "kustomize"),
    "prepare": ("prepare",),
    "preview": ("preview", "winback"),
}
NO_MANIFEST = "manifest.json is not there"
# A place that nobody may make a folder in, whoever runs the tests.
UNWRITABLE = "/sys/nowhere"
NO_PROJECT = "PLATFORM_PROJECT is not set; PLATFORM_ENV=gcp needs it"
UNPUBLISHED = "has not been published yet; materialise marts/"
SITUATIONS: list[tuple[str, Mapping[str, str], Mapping[str, str]]] = [
    (
        "no manifest",
        {"PLATFORM_DBT_PROJECT": "{tmp}/nowhere"},
        dict.fromkeys(("backtest", "check", "doctor", "new", "pinned", "preview"), NO_MANIFEST)
        | {"manifest": "{tmp}/nowhere: there is no dbt_project.yml; set PLATFORM_DBT_PROJECT"},
    ),
    (
        "no data folder",
        {"PLATFORM_DATA": "{tmp}/nowhere"},
        dict.fromkeys(("backtest", "preview"), UNPUBLISHED) | {"doctor": "!! marts: none published"},
    ),
    ("a variable that is not set", {"PLATFORM_ENV": "gcp"}, dict.fromkeys(set(COMMANDS), NO_PROJECT)),
    (
        "a data folder that cannot be written",
        {"PLATFORM_DATA": UNWRITABLE},
        {"manifest": f"{UNWRITABLE}: ", "backtest": UNPUBLISHED, "preview": UNPUBLISHED, "doctor": "!! "},
    ),
    (
        "a file for a data folder",
        {"PLATFORM_DATA": "{tmp}/file/data"},
        {"manifest": "{tmp}/file/data/warehouse: Not a directory.", "doctor": "!! data folder: {tmp}/file/data"},
    ),
    (
        "no campaigns",
        {"PLATFORM_CAMPAIGNS_DIR": "{tmp}/nowhere"},
        dict.fromkeys(("backtest", "new", "preview"), "there is no campaign winback in {tmp}/nowhere"),
    ),
    (
        "no DAGSTER_HOME",
        {"DAGSTER_HOME": ""},
        {"janitor": "$DAGSTER_HOME is not set", "doctor": "!! DAGSTER_HOME: not set"},
    ),
    (
        "a DAGSTER_HOME that is not there",
        {"DAGSTER_HOME": "{tmp}/no home"},
        {
            "janitor": '$DAGSTER_HOME "{tmp}/no home" is not a directory or does not exist',
            "doctor": "!! DAGSTER_HOME: {tmp}/no home is not a folder\n   make it: mkdir -p '{tmp}/no home'",
        },
    ),
    (
        "no Kubernetes",
        {"DAGSTER_HOME": "{tmp}", "KUBECONFIG": "{tmp}/nowhere", "HOME": "{tmp}"},
        {"janitor": "there is no Kubernetes to look after, neither a pod's service account nor a kubeconfig"},
    ),
]


def said(environment: Environment, variables: Mapping[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env={**variables_of(environment), **variables})


@pytest.mark.parametrize(
    ("variables", "command", "sentence"),
    [
        pytest.param(variables, command, sentence, id=f"{command}: {situation}")
        for situation, variables, sentences in SITUATIONS
        for command, sentence in sorted(sentences.items())
    ],
)
def test_a_command_says_in_a_sentence_what_is_not_there(
    environment: Environment, tmp_path: Path, variables: Mapping[str, str], command: str, sentence: str
) -> None:
    (tmp_path / "file").touch()
    wrong = {name: value.format(tmp=tmp_path) for name, value in variables.items()}
    refused = said(environment, wrong, *COMMANDS[command])
    assert isinstance(refused.exception, SystemExit), refused.exception
    assert refused.exit_code == 1
    assert sentence.format(tmp=tmp_path) in refused.output
    assert refused.output.startswith("Error: ") or command in ("check", "doctor")


@pytest.mark.parametrize(
    "arguments",
    [("schema", "--output", UNWRITABLE), ("pinned", "--image", "registry.example.com/platform", UNWRITABLE)],
    ids=["schema", "pinned"],
)
def test_a_file_that_cannot_be_written_is_named(environment: Environment, arguments: tuple[str, ...]) -> None:
    refused = said(environment, {}, *arguments)
    assert isinstance(refused.exception, SystemExit), refused.exception
    assert refused.output.startswith(f"Error: {UNWRITABLE}: ")


def test_the_doctor_leaves_it_to_the_sentence_what_is_to_be_done_about_an_export(environment: Environment) -> None:
    write_empty_exports(environment)
    for summary in Path(environment.exports).rglob("manifest-summary.json"):
        summary.write_text(summary.read_text().replace("DYNAMODB_JSON", "ION"))
        for beside in (summary.with_suffix(".md5"), summary.with_suffix(".checksum")):
            beside.unlink(missing_ok=True)
    looked = said(environment, {}, "doctor").output
    assert "or export the table as DynamoDB JSON" in looked
    assert "broken" not in looked


@pytest.mark.slow
def test_a_model_that_reads_one_that_is_not_there_is_told_in_dbt_s_own_words(
    environment: Environment, tmp_path: Path
) -> None:
    project = tmp_path / "dbt_project"
    shutil.copytree(environment.dbt_project, project, ignore=shutil.ignore_patterns("target"))
    model = project / "models" / "marts" / "orders.sql"
    model.write_text(model.read_text().replace("ref('stg_shop__orders')", "ref('stg_shop__ordres')"))
    refused = said(environment, {"PLATFORM_DBT_PROJECT": str(project)}, "manifest")
    assert refused.exit_code == 1
    assert (
        "Model 'model.audience_platform.orders' (models/marts/orders.sql) depends on a node named 'stg_shop__ordres' "
        "which was not found" in refused.stderr
    )
