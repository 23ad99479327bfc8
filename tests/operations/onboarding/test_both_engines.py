"""What `source add` writes builds and passes its tests, whatever the tables look like, and alike on DuckDB and BigQuery.

One project holds a grocer, its loyalty programme and random tables, so that dbt, which takes seconds to start, builds once an
engine.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, example, given

from platform_assets.components.loading import read_source_files
from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.engines.opening import open_engine
from platform_assets.data.marts.dbt import NodeResult, run_build, run_command
from platform_assets.data.raw.discover import load_source
from platform_assets.environment import Environment, environment_from_variables
from platform_assets.operations.onboarding.tables import OnboardingError
from samples.exports import copy_exports
from tests.emulators.clients import bigquery_client
from tests.emulators.namespaces import STAGE
from tests.operations.onboarding.conftest import AT, Project
from tests.operations.onboarding.shapes import KEYED, SHAPES, Shape
from tests.operations.onboarding.test_proposals import ROWS, grocery
from tests.support.running import variables_of
from tests.tiers import Examples

pytestmark = pytest.mark.slow
# Of random tables, about half of which have no key that can be told; a few, and with --deep so many.
FEW, MANY = 2, 60
SOURCES = ("grocery", "loyalty")
GOOD = ("success", "pass", "warn")
DBT_TESTS = ("test_name:not_null", "test_name:unique")


@dataclass(frozen=True)
class Built:
    """The project, what came of each node on DuckDB, and what was said of random tables that were not added."""

    project: Project
    results: Mapping[str, NodeResult]
    added: Collection[str]
    refused: Collection[str]

    @property
    def models(self) -> list[str]:
        """Models of the grocer and its programme."""
        folder = self.project.environment.dbt_project / "models"
        own = (path for source in SOURCES for path in folder.glob(f"*/{source}/*.sql"))
        return ["stg_exports", *(path.stem for path in own)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, examples: Examples) -> Built:
    project = Project.empty(tmp_path_factory.mktemp("project"))
    project.aurora("grocery", tables())
    changed = tables()
    changed["households"] = changed["households"].set_column(1, "segment", pa.array(["b"] * 7))
    project.aurora("grocery", changed, AT + timedelta(days=1))
    project.dynamodb("loyalty", "members", members())
    project.dynamodb("loyalty", "redemptions", redemptions())
    project.add("grocery", event_times={"orders": "transaction_timestamp"})
    project.add("loyalty")
    added, refused = add_random_sources(project, examples)
    load(project.environment, (*SOURCES, *added))
    dbt = open_engine(project.environment).dbt
    results = run_build(dbt, [path.stem for path in dbt.folder.glob("models/**/*.sql")])
    return Built(project, results, added, refused)


def add_random_sources(project: Project, examples: Examples) -> tuple[list[str], list[str]]:
    """Names of those that were added, and the sentences on the others."""
    added: list[str] = []
    refused: list[str] = []

    # Nothing is shrunk: sources add up in one project, which is built once.
    @examples(FEW, MANY, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
    @example(KEYED[0])
    @example(KEYED[1])
    @given(SHAPES)
    def add(shape: Shape) -> None:
        source = f"s{len(added) + len(refused)}"
        if shape.layout == "aurora":
            project.aurora(source, {"things": pa.table(dict(shape.columns))})
        else:
            project.dynamodb(source, "things", shape.items)
        try:
            project.add(source)
            added.append(source)
        except OnboardingError as error:
            refused.append(str(error))

    add()
    return added, refused


def load(environment: Environment, sources: Collection[str]) -> None:
    engine = open_engine(environment)
    for place in engine.prepare():
        assert place.good, place
    for file in read_source_files(environment.sources):
        assert file.spec is not None, file.error
        if file.name in sources:
            assert not load_source(file.spec, file.name, environment.exports, engine.raw).set_aside


def test_random_tables_build_and_pass_their_tests_or_are_refused_in_a_sentence(built: Built) -> None:
    assert len(built.added) >= len(KEYED), built.refused
    assert len(built.added) + len(built.refused) > len(KEYED)
    assert all(sentence.endswith(".") for sentence in built.refused)
    broken = {name: result.message for name, result in built.results.items() if result.status not in GOOD}
    assert not broken


def test_lines_without_their_order_are_counted_by_a_test_that_warns(built: Built) -> None:
    (counted,) = [result for name, result in built.results.items() if "lines_belong_to_orders" in name]
    assert (counted.status, counted.failures) == ("warn", 1)


def test_both_engines_build_what_is_written_row_by_row_alike(
    built: Built, cloud_variables: dict[str, str], tmp_path: Path
) -> None:
    local = {**variables_of(built.project.environment), "PLATFORM_DATA": str(tmp_path)}
    cloud = environment_from_variables({**cloud_variables, **local})
    exports = Path(str(built.project.environment.exports))
    for source in SOURCES:
        copy_exports(exports / source, f"{cloud.exports}/{source}")
    load(cloud, SOURCES)
    # dbt's own tests of the same rows pass where they pass on DuckDB, and take as long as all else.
    selected = ("--indirect-selection", "cautious", "--select", *built.models, "--exclude", *DBT_TESTS)
    assert run_command(open_engine(cloud).dbt, ["build", *selected]) == 0
    catalog = Catalog.from_manifest(open_engine(built.project.environment).dbt.target / "manifest.json")
    assert catalog.entities["household"].population == "orders"
    marts = [mart for mart in catalog.marts.values() if mart.name in built.models]
    assert {mart.name for mart in marts} == {"orders", "lines", "products", "households", "members", "redemptions"}
    client = bigquery_client(cloud_variables)
    with duckdb.connect(built.project.environment.dbt_database, read_only=True) as engine:
        engine.execute("set timezone = 'UTC'")
        for mart in marts:
            names = ", ".join(mart.columns)
            here = engine.execute(f"select {names} from marts.{mart.name}").fetchall()
            there = client.query_and_wait(f"select {names} from {STAGE}_build.{mart.name}")
            assert here
            assert sorted(map(plain, here)) == sorted(plain(row.values()) for row in there), mart.name


def plain(row: Any) -> tuple[str, ...]:
    """A row as texts that sort: instants in UTC, numbers without the zeros that one engine pads with."""
    texts = []
    for value in row:
        text = value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)
        texts.append(text.rstrip("0").rstrip(".") if "." in text else text)
    return tuple(texts)


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


def redemptions() -> list[Any]:
    """What households redeemed on which day, by a key of three."""
    return [
        {
            "household_id": {"N": str(number % 3)},
            "coupon_upc": {"S": f"00{number % 4}"},
            "redeemed_on": {"S": f"2023-03-{number + 1:02}"},
        }
        for number in range(24)
    ]


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
