"""What `source add` writes builds on DuckDB and on BigQuery, and holds the same rows there."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from platform_assets.components.loading import read_source_files
from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.engines.opening import open_engine
from platform_assets.data.marts.dbt import run_build
from platform_assets.data.raw.discover import load_source
from platform_assets.environment import Environment, environment_from_variables
from samples.exports import copy_exports
from tests.emulators.clients import bigquery_client
from tests.emulators.namespaces import STAGE
from tests.operations.onboarding.conftest import AT, Project
from tests.operations.onboarding.test_proposals import ROWS, grocery
from tests.support.running import variables_of

pytestmark = pytest.mark.slow


def members() -> list[Any]:
    """Items of every kind that is read; some lack an attribute, or hold NULL."""
    items: list[Any] = []
    for number in range(12):
        item: dict[str, Any] = {
            "member_id": {"N": str(number)},
            "plan": {"S": ["pro", "free", ""][number % 3]},
            "balance": {"N": f"{number}.25"},
            "mixed": {"S": "a"} if number % 2 else {"N": "1.50"},
            "profile": {"M": {"city": {"S": "Köln"}, "joined": {"S": "2020-01-01"}, "a.b": {"BOOL": number % 2 == 0}}},
            "tags": {"SS": ["b", "a"]},
            "notes": {"L": [{"S": "second"}, {"S": "first"}]},
            "never": {"NULL": True},
            "joined_at": {"N": str(1_690_000_000_000 + number)},
            "seen_at": {"S": f"2023-05-{number + 1:02}T10:00:00+02:00"},
        }
        if number % 4 == 0:
            del item["tags"], item["plan"]
            item["profile"] = {"NULL": True}
        items.append(item)
    return items


def tables() -> dict[str, pa.Table]:
    """The grocer's, and orders with columns of further types."""
    more: dict[str, pa.Array] = {
        "paid": pa.array([None if n == 2 else n % 2 == 0 for n in range(ROWS)], pa.bool_()),
        "weight": pa.array([n / 4 for n in range(ROWS)], pa.float64()),
        "delivery_day": pa.array([None if n == 3 else f"2023-02-{n % 28 + 1:02}" for n in range(ROWS)]),
        "scanned_at": pa.array([1_690_000_000 + n for n in range(ROWS)], pa.int64()),
        "nothing": pa.array([None] * ROWS, pa.string()),
        "group": pa.array(["x"] * ROWS),
    }
    result = grocery()
    for name, values in more.items():
        result["orders"] = result["orders"].append_column(name, values)
    households = {
        "id": pa.array(range(7), pa.int64()),
        "segment": pa.array(["a", "b", None, "a", "b", "a", "b"]),
        "active": pa.array([True] * 7, pa.bool_()),
    }
    return {**result, "households": pa.table(households)}


def built(environment: Environment, project: Project) -> None:
    engine = open_engine(environment)
    for place in engine.prepare():
        assert place.good, place
    for file in read_source_files(environment.sources):
        assert file.spec is not None, file.error
        loaded = load_source(file.spec, file.name, environment.exports, engine.raw)
        assert not loaded.set_aside
    models = [path.stem for path in project.environment.dbt_project.glob("models/**/*.sql")]
    results = run_build(engine.dbt, models)
    broken = {
        name: result.message for name, result in results.items() if result.status not in ("success", "pass", "warn")
    }
    assert not broken
    warned = {name.split(".")[2] for name, result in results.items() if result.status == "warn"}
    assert warned == {"lines_belong_to_orders"}


def test_both_engines_build_what_is_written_row_by_row_alike(
    project: Project, cloud_variables: dict[str, str], tmp_path: Path
) -> None:
    project.aurora("grocery", tables())
    changed = tables()
    changed["households"] = changed["households"].set_column(1, "segment", pa.array(["b"] * 7))
    project.aurora("grocery", changed, AT + timedelta(days=1))
    project.dynamodb("loyalty", "members", members())
    project.add("grocery", event_times={"orders": "transaction_timestamp"})
    project.add("loyalty")
    built(project.environment, project)
    local = {**variables_of(project.environment), "PLATFORM_DATA": str(tmp_path / "cloud")}
    cloud = environment_from_variables({**cloud_variables, **local})
    copy_exports(Path(str(project.environment.exports)), str(cloud.exports))
    built(cloud, project)
    catalog = Catalog.from_manifest(open_engine(project.environment).dbt.target / "manifest.json")
    assert catalog.entities["household"].population == "orders"
    client = bigquery_client(cloud_variables)
    with duckdb.connect(project.environment.dbt_database, read_only=True) as engine:
        engine.execute("set timezone = 'UTC'")
        for mart in catalog.marts.values():
            names = ", ".join(mart.columns)
            here = [plain(row) for row in engine.execute(f"select {names} from marts.{mart.name}").fetchall()]
            there = client.query_and_wait(f"select {names} from {STAGE}_build.{mart.name}")
            assert sorted(here) == sorted(plain(row.values()) for row in there), mart.name
            assert here


def plain(row: Any) -> tuple[str, ...]:
    """A row as texts that sort, instants in UTC."""
    return tuple(
        value.astimezone(AT.tzinfo).isoformat()
        if isinstance(value, datetime)
        else str(value).rstrip("0")
        if "." in str(value)
        else str(value)
        for value in row
    )
