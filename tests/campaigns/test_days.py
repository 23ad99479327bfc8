"""Conditions on times and dates: a day means that business day, quoted or not, on both engines."""

import operator
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product
from pathlib import Path
from zoneinfo import ZoneInfo

import ibis
import pyarrow as pa
import pytest

from platform_assets.campaigns.training_sets.population import everyone, with_conditions
from platform_assets.data.catalog.pointer import MartStore
from platform_assets.data.conditions.parsing import parse_event_condition, parse_person_condition
from platform_assets.data.conditions.terms import PredicateError
from platform_assets.data.engines.bigquery.reading import BigQueryWarehouse
from platform_assets.data.engines.duckdb.reading import DuckDBWarehouse
from platform_assets.data.engines.reading import Warehouse
from tests.data.engines.in_bigquery import connected, make_datasets
from tests.data.features.conftest import CATALOG, START, in_zone, order, publish
from tests.data.small_catalog import typed
from tests.emulators import namespaces
from tests.emulators.servers import Emulators

ZONE = "America/New_York"
# A day of 23 hours, the day after it, one of 25.
DAYS = [date(2024, 3, 10), date(2024, 3, 11), date(2024, 11, 3)]
SIGNS = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
MIRRORED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
COLUMNS = {"at": "timestamptz", "plainly": "timestamp", "on_day": "date", "word": "varchar"}
EVENTS = replace(CATALOG.marts["orders"], columns=typed(COLUMNS))


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(ZONE)).astimezone(UTC)


INSTANTS = sorted(
    {
        midnight(day + timedelta(days=n)) + timedelta(microseconds=part)
        for day in DAYS
        for n in (0, 1)
        for part in (-1, 0)
    }
)
DAY_OF = [instant.astimezone(ZoneInfo(ZONE)).date() for instant in INSTANTS]
ROWS = pa.table(
    {
        "row": pa.array([*range(len(INSTANTS)), len(INSTANTS)], pa.int64()),
        "at": pa.array([*INSTANTS, None], pa.timestamp("us", "UTC")),
        "plainly": pa.array([*(instant.replace(tzinfo=None) for instant in INSTANTS), None], pa.timestamp("us")),
        "on_day": pa.array([*DAY_OF, None], pa.date32()),
        "word": pa.array(["2024-03-10"] * (len(INSTANTS) + 1)),
    }
)


def expected(days: Sequence[date]) -> dict[str, list[bool]]:
    """Condition → whether it holds of each instant, in plain Python."""
    means = {}
    for column, (sign, compare), (number, day) in product(("at", "plainly", "on_day"), SIGNS.items(), enumerate(days)):
        text = f"{column} {sign} {day}" if number % 2 else f"'{day}' {MIRRORED[sign]} {column}"
        means[text] = [compare(of_row, day) for of_row in DAY_OF]
    for column in ("at", "plainly", "on_day"):
        means[f"{column} between {DAYS[0]} and '{DAYS[1]}'"] = [DAYS[0] <= day <= DAYS[1] for day in DAY_OF]
        means[f"{column} in ({DAYS[0]}, '{DAYS[2]}')"] = [day in (DAYS[0], DAYS[2]) for day in DAY_OF]
        means[f"not ({column} < {DAYS[1]} or {column} is null)"] = [day >= DAYS[1] for day in DAY_OF]
    means["word = '2024-03-10' and at > 2024-03-10"] = [day > DAYS[0] for day in DAY_OF]
    return means


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return DuckDBWarehouse(CATALOG, MartStore(tmp_path_factory.mktemp("marts")))


@pytest.fixture(scope="module")
def there(
    emulators: Emulators | None, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warehouse]:
    from platform_assets.environment import environment_from_variables

    with namespaces.entered(pytestconfig, emulators) as variables:
        environment = environment_from_variables(variables | {"PLATFORM_DATA": str(tmp_path_factory.mktemp("cloud"))})
        bigquery = connected(environment)
        make_datasets(bigquery)
        yield BigQueryWarehouse(CATALOG, MartStore(environment.marts), bigquery)


def assert_days_mean_business_days(warehouse: Warehouse, days: Sequence[date]) -> None:
    rows, means = warehouse.memtable(ROWS), expected(days)
    values = {name: rows[name] for name in COLUMNS}
    conditions = {
        f"holds_{number}": parse_event_condition(text, EVENTS, ZONE).to_ibis(values)
        for number, text in enumerate(means)
    }
    answer = warehouse.to_arrow(rows.select(rows.row, **conditions).order_by("row"))
    for number, (text, holds) in enumerate(means.items()):
        assert answer[f"holds_{number}"].to_pylist()[:-1] == holds, text
        assert not answer[f"holds_{number}"].to_pylist()[-1], f"{text} holds of a row without a value"


def test_a_day_is_that_business_day_whatever_the_column_and_the_spelling(here: Warehouse) -> None:
    assert_days_mean_business_days(here, [*DAYS, *DAYS[1:]])


def test_a_day_is_that_business_day_in_bigquery(there: Warehouse) -> None:
    assert_days_mean_business_days(there, DAYS[:1])


def test_people_are_asked_by_the_business_day_of_their_entity(tmp_path: Path) -> None:
    begins = datetime(1997, 6, 3, 4, tzinfo=UTC)  # midnight in New York
    people = [
        {"customer_id": person, "created_at": begins + timedelta(seconds=late)} for person, late in ((1, -1), (2, 0))
    ]
    held = {}
    for zone in ("UTC", ZONE):
        catalog = in_zone(zone)
        declared = replace(
            catalog.marts["customers"], columns=typed({"customer_id": "bigint", "created_at": "timestamptz"})
        )
        catalog = replace(catalog, marts={**catalog.marts, "customers": declared})
        rows = {"orders": [order(n, n, 0) for n in (1, 2)], "customers": people}
        warehouse = publish(tmp_path / zone.replace("/", "_"), catalog, rows)
        entity, as_of = catalog.entities["customer"], START + timedelta(days=30)
        condition = parse_person_condition("created_at >= 1997-06-03", catalog, "customer")
        asked = with_conditions(warehouse, entity, everyone(warehouse, entity, as_of), as_of, {"asked": condition})
        held[zone] = {row["customer_id"] for row in warehouse.to_arrow(asked).to_pylist() if row["asked"]}
    assert held == {"UTC": {1, 2}, ZONE: {2}}


def test_the_text_of_a_day_reaches_the_engine_as_a_constant_alone() -> None:
    table = ibis.table({"at": "timestamp('UTC', 6)"}, name="events")
    condition = parse_event_condition("at >= '2024-03-10'", EVENTS, ZONE)
    text = str(ibis.to_sql(table.filter(condition.to_ibis({"at": table["at"]})), dialect="duckdb"))
    assert "2024, 3, 10, 5, 0" in text
    assert "'2024" not in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("at > '2024-03-10 12:00'", "write a day as 2024-01-31"),
        ("at > '2024-03-10; drop table x'", "write a day as 2024-01-31"),
        ("at > 2024-03-10 - 1", "is not part of this grammar"),
        ("at + 1 > 2024-03-10", "is not part of this grammar"),
        ("at > 2024-03", "is not part of this grammar"),
        ("2024-03-10 < 2024-03-11", "compares a day with a day"),
        ("at between 2024-03-10 and on_day", "compares a time with a date column"),
        ("word < 2024-03-10", "as a text it takes quotes: '2024-03-10'"),
    ],
)
def test_what_is_no_day_is_refused(text: str, said: str) -> None:
    with pytest.raises(PredicateError) as refused:
        parse_event_condition(text, EVENTS, ZONE)
    assert said in str(refused.value)
