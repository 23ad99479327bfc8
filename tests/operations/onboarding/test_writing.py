"""What `source add` writes, and that it overwrites nothing."""

import contextlib
import os
import pty
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from platform_assets.data.exports.export import ExportError
from platform_assets.operations.onboarding.adding import propose
from platform_assets.operations.onboarding.tables import OnboardingError, Question, Wishes
from platform_assets.operations.onboarding.writing.files import changes_of, write
from tests.operations.onboarding.conftest import AT, Project
from tests.operations.onboarding.test_proposals import grocery, two_people
from tests.support.running import variables_of


def test_a_second_run_writes_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.aurora("grocery", grocery())
    arguments = ("grocery", "--from", "grocery", "--yes", "--no-manifest")
    assert project.command(monkeypatch, *arguments).exit_code == 0
    before = project.files()
    again = project.command(monkeypatch, *arguments)
    assert again.exit_code == 0
    assert "all of it is there already; nothing was written" in again.output
    assert project.files() == before


def test_what_a_person_wrote_into_the_yaml_stays(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.aurora("grocery", grocery())
    project.add("grocery")
    marts = project.environment.dbt_project / "models/marts/grocery/_grocery__marts.yml"
    mine = (
        marts.read_text().replace("To fill in. quantity of lines.", "How many.").replace("role: measure", "role: none")
    )
    marts.write_text(mine)
    again = project.command(monkeypatch, "grocery", "--from", "grocery", "--yes", "--no-manifest")
    assert again.exit_code == 0, again.output
    assert marts.read_text() == mine


def test_a_model_that_says_something_else_is_shown_and_refused_and_nothing_is_written(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.aurora("grocery", grocery())
    staged = project.environment.dbt_project / "models/staging/grocery/stg_grocery__orders.sql"
    staged.parent.mkdir(parents=True)
    staged.write_text("select 1 as mine\n")
    before = project.files()
    result = project.command(monkeypatch, "grocery", "--from", "grocery", "--yes", "--no-manifest")
    assert result.exit_code == 1
    assert "-select 1 as mine" in result.output
    assert f"{staged}: is there already and says something else; nothing is overwritten." in result.output
    assert project.files() == before


def test_where_nobody_can_be_asked_the_difference_is_shown_and_nothing_is_written(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.aurora("grocery", grocery())
    before = project.files()
    result = project.command(monkeypatch, "grocery", "--from", "grocery")
    assert result.exit_code == 1
    assert "--- /dev/null" in result.output
    assert "+select" in result.output
    assert "say --yes to take it" in result.output
    assert project.files() == before


def test_a_table_that_comes_later_is_added_and_the_rest_of_every_file_stays(project: Project) -> None:
    first = {name: table for name, table in grocery().items() if name != "products"}
    project.aurora("grocery", first)
    project.add("grocery")
    marts = project.environment.dbt_project / "models/marts/grocery/_grocery__marts.yml"
    marts.write_text(marts.read_text() + "\n# A comment of mine.\nunit_tests: []\n")
    before = project.files()
    project.aurora("grocery", grocery(), AT + timedelta(days=1))
    project.add("grocery", tables=("products",))
    after = project.files()
    changed = {path for path in after if after[path] != before.get(path)}
    names = {"products.sql", "stg_grocery__products.sql", "defs.yaml", "_grocery__marts.yml", "_grocery__sources.yml"}
    assert {Path(path).name for path in changed} == names | {"_grocery__staging.yml"}
    for path in changed & before.keys():
        kept = iter(after[path].splitlines())
        assert all(line in kept for line in before[path].splitlines()), path
    document = yaml.safe_load(after[str(marts)])
    assert [model["name"] for model in document["models"]] == ["orders", "lines", "households", "products"]
    assert document["unit_tests"] == []


def test_a_list_in_brackets_is_refused_instead_of_rewritten(project: Project) -> None:
    project.aurora("grocery", grocery())
    project.add("grocery")
    declared = project.environment.sources / "grocery" / "defs.yaml"
    head, _, _ = declared.read_text().partition("  tables:")
    declared.write_text(head + "  tables: [{name: orders, export_table: app.orders, key: [basket_id]}]\n")
    proposed = project.propose("grocery")
    changes = changes_of(project.environment, proposed.plan, proposed.place, "team:crm")
    with pytest.raises(OnboardingError, match=r"holds no list of one entry a line at attributes\.tables"):
        write(changes)


def test_a_file_that_appears_while_a_person_thinks_is_not_overwritten(project: Project) -> None:
    project.aurora("grocery", grocery())
    proposed = project.propose("grocery")
    changes = changes_of(project.environment, proposed.plan, proposed.place, "team:crm")
    changes[0].path.parent.mkdir(parents=True)
    changes[0].path.write_text("mine")
    with pytest.raises(OnboardingError, match="was changed by somebody else in the meantime"):
        write(changes)
    assert changes[0].path.read_text() == "mine"
    assert not (project.environment.sources / "grocery" / "defs.yaml").exists()


def test_a_model_of_another_source_keeps_its_name(project: Project) -> None:
    other = project.environment.dbt_project / "models/marts/orders.sql"
    other.parent.mkdir()
    other.write_text("select 1 as x")
    project.aurora("grocery", grocery())
    proposed = project.add("grocery")
    assert "grocery_orders" in [mart.name for mart in proposed.plan.marts]
    assert other.read_text() == "select 1 as x"
    assert any("its mart is called grocery_orders" in note for note in proposed.plan.notes)


def test_a_source_is_not_mixed_with_another_of_its_name(project: Project) -> None:
    project.aurora("grocery", grocery())
    project.add("grocery")
    project.aurora("bakery", grocery())
    with pytest.raises(OnboardingError, match="is there with path grocery, and this export has bakery"):
        propose(project.environment, "grocery", "bakery", Wishes(), lambda question: "")


def test_what_is_ambiguous_is_asked(project: Project) -> None:
    project.aurora("app", two_people(ordered_at=1, checked_at=1))
    asked: list[Question] = []

    def last(question: Question) -> str:
        asked.append(question)
        return question.choices[-1]

    (orders, people) = propose(project.environment, "app", "app", Wishes(), last).plan.marts
    assert [question.option for question in asked] == ["--entity", "--event-time orders=<column>"]
    assert (orders.entity, orders.event_time) == ("customer", "checked_at")
    assert people.entity_key == "customer_id"


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("nowhere", "there is no such folder"),
        ("/", "lies outside the exports root"),
        ("gs://other/exports", "lies outside the exports root"),
        ("empty", "is no export and holds none."),
        (".", "lie in the exports root itself"),
    ],
)
def test_what_is_no_export_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch, where: str, sentence: str
) -> None:
    exports = Path(str(project.environment.exports))
    (exports / "empty").mkdir(parents=True)
    if where == ".":
        project.aurora("grocery", grocery())
        (exports / "grocery" / "grocery-20240101").rename(exports / "grocery-20240101")
    result = project.command(monkeypatch, "grocery", "--from", str(exports) if where == "." else where, "--yes")
    assert result.exit_code == 1
    assert sentence in result.output


def test_an_export_that_aws_has_not_finished_and_one_that_is_damaged_are_told(project: Project) -> None:
    project.aurora("grocery", grocery())
    (export,) = (Path(str(project.environment.exports)) / "grocery").iterdir()
    part = next(export.rglob("*.parquet"))
    whole = part.read_bytes()
    part.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ExportError, match="not readable as Parquet"):
        project.propose("grocery")
    part.write_bytes(whole)
    info = export / f"export_info_{export.name}.json"
    info.write_text(info.read_text().replace('"COMPLETE"', '"IN_PROGRESS"'))
    with pytest.raises(OnboardingError, match=r"there is no finished export with tables in it.*IN_PROGRESS"):
        project.propose("grocery")


def test_names_that_a_source_cannot_have_and_owners_that_are_none_are_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.aurora("grocery", grocery())
    assert "is no name for a source" in project.command(monkeypatch, "Grocery", "--from", "grocery", "--yes").output
    nobody = project.command(monkeypatch, "grocery", "--from", "grocery", "--yes", "--owner", "Anna")
    assert "is neither an e-mail address such as crm@example.com nor team: and a name" in nobody.output


def test_a_column_of_bytes_is_left_out_and_no_value_is_ever_told(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pa.table({"thing_id": [1, 2], "photo": [b"secret", b"secret2"], "nick": ["Rumpelstiltskin", "Rapunzel"]})
    project.aurora("app", {"things": table})
    result = project.command(monkeypatch, "app", "--from", "app", "--yes", "--no-manifest")
    assert "things.photo: is binary" in result.output
    assert not [value for value in ("secret", "Rumpelstiltskin", "Rapunzel") if value in result.output]


def test_at_a_terminal_what_is_ambiguous_and_each_role_is_asked(project: Project) -> None:
    project.aurora("app", two_people(ordered_at=1))
    command = ["source", "add", "app", "--from", "app", "--no-manifest"]
    terminal, theirs = pty.openpty()
    os.write(terminal, b"customer\nn\nmeasure\ny\n")
    process = subprocess.Popen(
        [sys.executable, "-c", "from platform_assets.cli import main; main()", *command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, **variables_of(project.environment)},
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # Linux ends a terminal that nobody holds any more with an error
        while piece := os.read(terminal, 65536):
            shown += piece
    os.close(terminal)
    assert process.wait() == 0, shown.decode()
    assert b"Whose features are to be made" in shown
    marts = yaml.safe_load((project.environment.dbt_project / "models/marts/app/_app__marts.yml").read_text())
    (orders, _) = marts["models"]
    assert orders["config"]["meta"]["platform"]["entity"] == "customer"
    columns = {column["name"]: column["config"]["meta"]["platform"]["role"] for column in orders["columns"]}
    assert columns == {"order_id": "none", "customer_id": "none", "account_id": "measure", "ordered_at": "none"}
