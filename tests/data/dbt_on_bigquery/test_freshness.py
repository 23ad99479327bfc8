"""Freshness of sources, from the instant of their latest export, on both engines."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.data.dbt_on_bigquery.conftest import Dbt
from tests.data.dbt_on_bigquery.raw_tables import load_export, make_raw_tables
from tests.data.marts.raw import write_export

if TYPE_CHECKING:
    from google.cloud import bigquery

HOURS_SINCE_EXPORT = {
    ("shop", "customers"): 1,
    ("shop", "orders"): 47,
    ("movies", "viewers"): 49,
    ("movies", "films"): 95,
    ("movies", "ratings"): 97,
}
STATUS = {"customers": "pass", "orders": "pass", "viewers": "warn", "films": "warn", "ratings": "error"}


def freshness(dbt: Dbt) -> dict[str, str]:
    dbt.say("source", "freshness", fails=True)
    return {found["unique_id"].split(".")[-1]: found["status"] for found in dbt.artifact("sources.json")["results"]}


def exports() -> list[tuple[str, str, datetime]]:
    now = datetime.now(UTC)
    latest = [(*table, now - timedelta(hours=hours)) for table, hours in HOURS_SINCE_EXPORT.items()]
    return [(*table, datetime(1998, 1, 1, tzinfo=UTC)) for table in HOURS_SINCE_EXPORT] + latest


def test_the_age_of_the_latest_export_decides_on_bigquery(
    client: "bigquery.Client", on_bigquery: Dbt, another_stage: str
) -> None:
    make_raw_tables(client, another_stage)
    for source, table, exported_at in exports():
        load_export(client, another_stage, source, table, [], exported_at)
    assert freshness(on_bigquery.elsewhere("freshness", PLATFORM_STAGE=another_stage)) == STATUS


@pytest.mark.usefixtures("emulators")
def test_the_age_of_the_latest_export_decides_on_duckdb(on_duckdb: Dbt, tmp_path: Path) -> None:
    for source, table, exported_at in exports():
        write_export(tmp_path / "raw", source, table, [], exported_at)
    places = {"PLATFORM_RAW": str(tmp_path / "raw"), "PLATFORM_DBT_DATABASE": str(tmp_path / "dbt.duckdb")}
    assert freshness(on_duckdb.elsewhere("local_freshness", **places)) == STATUS
