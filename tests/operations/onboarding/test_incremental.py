"""A source added from full and incremental exports: what is written reads both, and its marts know nothing too early."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from platform_assets.data.engines.opening import open_engine
from platform_assets.data.marts.dbt import NodeResult, run_build
from samples.dynamodb_export import change, write_incremental_export
from tests.operations.onboarding.conftest import AT, Project
from tests.operations.onboarding.test_both_engines import load

pytestmark = pytest.mark.slow
DAY = timedelta(days=1)


def member(number: int, tier: str) -> dict[str, Any]:
    return {"member_id": {"N": str(number)}, "tier": {"S": tier}, "visits": {"N": str(number * 3)}}


def purchase(number: int, status: str, hours: float = -40) -> dict[str, Any]:
    bought = int((AT + timedelta(hours=hours)).timestamp())
    return {
        "purchase_id": {"S": f"p{number}"},
        "member_id": {"N": str(number % 5)},
        "bought_at": {"N": str(bought + number)},
        "status": {"S": status},
        "amount": {"N": f"{number}.50"},
    }


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project.empty(tmp_path_factory.mktemp("project"))
    exports = Path(project.environment.exports)
    project.dynamodb("shop", "members", [member(number, "basic") for number in range(5)])
    project.dynamodb("shop", "purchases", [purchase(number, "placed") for number in range(12)])

    def window(table: str, day: int, *lines: dict[str, Any]) -> None:
        write_incremental_export(exports, table, lines, (AT + day * DAY, AT + (day + 1) * DAY), prefix="shop")

    def key(number: int) -> dict[str, Any]:
        return {"purchase_id": {"S": f"p{number}"}}

    at = AT + timedelta(hours=5)
    window("members", 0, change({"member_id": {"N": "1"}}, at, new=member(1, "gold"), old=member(1, "basic")))
    window(
        "purchases",
        0,
        change(key(3), at, new=purchase(3, "returned"), old=purchase(3, "placed")),
        change(key(4), at, old=purchase(4, "placed")),
        change(key(20), at, new=purchase(20, "placed", 4)),
    )
    window("purchases", 1, change(key(20), at + DAY, new=purchase(20, "returned", 4), old=purchase(20, "placed", 4)))
    # No link: what changed on the second day is in no export.
    window("members", 2, change({"member_id": {"N": "2"}}, at + 2 * DAY, new=member(2, "lost")))
    project.add("shop", event_times={"purchases": "bought_at"})
    return project


@pytest.fixture(scope="module")
def results(project: Project) -> dict[str, NodeResult]:
    load(project.environment, ["shop"])
    dbt = open_engine(project.environment).dbt
    return run_build(dbt, [path.stem for path in dbt.folder.glob("models/**/*.sql")])


def rows(project: Project, columns: str, table: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(project.environment.dbt_database), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        return connection.execute(f"select {columns} from {table} order by all").fetchall()


def test_the_key_is_the_one_that_changes_tell(project: Project) -> None:
    text = (project.environment.sources / "shop" / "defs.yaml").read_text()
    assert "format: dynamodb\n" in text
    assert 'name: purchases, export_table: "purchases", key: ["purchase_id"]' in text


def test_what_is_written_builds_and_passes_its_tests(results: dict[str, NodeResult]) -> None:
    broken = {name: result.message for name, result in results.items() if result.status not in ("success", "pass")}
    assert not broken


@pytest.mark.usefixtures("results")
def test_events_are_as_they_were_first_written(project: Project) -> None:
    found = dict(rows(project, "purchase_id, status", "marts.purchases"))
    assert found == {f"p{number}": "placed" for number in [*range(12), 20]}


@pytest.mark.usefixtures("results")
def test_people_have_a_version_from_when_it_was_written(project: Project) -> None:
    found = rows(project, "member_id, tier, valid_from, valid_to", "marts.members")
    changed = AT + timedelta(hours=5)
    others = [(number, "basic", AT, None) for number in (0, 2, 3, 4)]
    assert found == sorted([*others, (1, "basic", AT, changed), (1, "gold", changed, None)], key=lambda row: row[:3])


def test_a_second_run_writes_nothing(project: Project) -> None:
    before = project.files()
    project.add("shop", event_times={"purchases": "bought_at"})
    assert project.files() == before


def test_what_is_no_link_is_told(project: Project) -> None:
    notes = project.propose("shop", event_times={"purchases": "bought_at"}).plan.notes
    assert any(note.startswith("members: incremental export") and "leaves a gap" in note for note in notes)
