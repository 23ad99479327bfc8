"""The Data Transfer Service definition covers what is declared, and what lands becomes exports that the platform knows."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml

from platform_assets.environment import REPOSITORY, Environment
from tests.emulators.clients import Variables, bigquery_client, rows

MANAGED = REPOSITORY / "deploy" / "bigquery"
TRANSFERS: list[dict[str, Any]] = json.loads((MANAGED / "transfers.json").read_text())
FORMATS = {"aurora_snapshot": "PARQUET", "dynamodb_full": "JSON"}
EXPORTED_AT = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
LANDED_ON = date(2026, 11, 22)


def test_every_declared_table_has_a_transfer_of_its_format_and_no_other_has() -> None:
    declared = {}
    for path in (REPOSITORY / "defs" / "sources").glob("*/defs.yaml"):
        attributes = yaml.safe_load(path.read_text())["attributes"]
        for table in attributes["tables"]:
            target = f"{path.parent.name}__{table['name']}${{run_date}}"
            declared[target] = FORMATS[attributes["format"]], table["export_table"]
    transferred = {transfer["params"]["destination_table_name_template"]: transfer["params"] for transfer in TRANSFERS}
    assert {target: params["file_format"] for target, params in transferred.items()} == {
        target: file_format for target, (file_format, _) in declared.items()
    }
    for target, (_, export_table) in declared.items():
        assert f"/{export_table}/" in transferred[target]["data_path"]


def test_transfers_have_the_fields_of_googles_transfer_config_and_the_parameters_of_its_s3_source() -> None:
    import googleapiclient

    documents = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
    schemas = json.loads((documents / "bigquerydatatransfer.v1.json").read_text())["schemas"]
    kinds = {"string": str, "boolean": bool, "object": dict}

    def check(given: dict[str, Any], schema: str) -> None:
        for name, value in given.items():
            field = schemas[schema]["properties"][name]
            if "$ref" in field:
                check(value, field["$ref"])
            else:
                assert isinstance(value, kinds[field["type"]]), name
                assert not field.get("readOnly"), name

    for transfer in TRANSFERS:
        check(transfer, "TransferConfig")
        assert transfer["dataSourceId"] == "amazon_s3"
        assert all(isinstance(value, str) for value in transfer["params"].values())
        # https://cloud.google.com/bigquery/docs/s3-transfer, tab "bq"
        assert transfer["params"].keys() <= {
            "data_path",
            "destination_table_name_template",
            "file_format",
            "write_disposition",
            "max_bad_records",
            "access_key_id",
            "secret_access_key",
        }


def test_no_secret_is_written_down() -> None:
    for transfer in TRANSFERS:
        assert transfer["params"]["access_key_id"] == "${AWS_ACCESS_KEY_ID}"
        assert transfer["params"]["secret_access_key"] == "${AWS_SECRET_ACCESS_KEY}"


@pytest.fixture
def landed(cloud_variables: Variables) -> Iterator[Variables]:
    """A namespace in which a transfer has landed two items on one day, and one on the day before."""
    client = bigquery_client(cloud_variables)
    rows(client, "create schema dev_raw; create schema dev_landing")
    rows(client, "create table dev_landing.movies__viewers (Item json) partition by _PARTITIONDATE")
    land(cloud_variables, date(2026, 11, 21), "z")
    land(cloud_variables, LANDED_ON, "a", "b")
    yield cloud_variables
    rows(client, "drop schema dev_landing cascade")


def land(variables: Variables, day: date, *viewers: str) -> None:
    values = ", ".join(f"""(timestamp '{day}', json '{{"viewer_id": {{"S": "{viewer}"}}}}')""" for viewer in viewers)
    rows(
        bigquery_client(variables),
        f"insert into dev_landing.movies__viewers (_PARTITIONTIME, Item) values {values}",
    )


def record(variables: Variables, export_id: str, landed_on: date = LANDED_ON) -> None:
    from google.cloud import bigquery

    names = {"STAGE": "dev", "SOURCE": "movies", "TABLE": "viewers"}
    script = Template((MANAGED / "record_export.sql").read_text()).substitute(names)
    parameters = [
        bigquery.ScalarQueryParameter("export_id", "STRING", export_id),
        bigquery.ScalarQueryParameter("exported_at", "TIMESTAMP", EXPORTED_AT),
        bigquery.ScalarQueryParameter("landed_on", "DATE", landed_on),
    ]
    job_config = bigquery.QueryJobConfig(query_parameters=parameters)
    bigquery_client(variables).query_and_wait(script, job_config=job_config)


def viewers(variables: Variables, export_id: str) -> list[str]:
    found = rows(
        bigquery_client(variables),
        f"select json_value(Item.viewer_id.S) from dev_raw.movies__viewers where _export_id = '{export_id}' order by 1",
    )
    return [viewer for (viewer,) in found]


def test_what_landed_is_an_export_that_the_platform_knows_however_often_it_is_recorded(
    landed: Variables, cloud_environment: Environment
) -> None:
    from platform_assets.data.engines.opening import open_engine

    for _ in range(2):
        record(landed, "01700000000000-aaaa")
        [[known]] = open_engine(cloud_environment).raw.loaded([("movies", "viewers")]).values()
        assert (known.export_id, known.exported_at, known.rows) == ("01700000000000-aaaa", EXPORTED_AT, 2)
        assert viewers(landed, "01700000000000-aaaa") == ["a", "b"]


def test_a_day_on_which_nothing_landed_is_refused(landed: Variables) -> None:
    from google.api_core.exceptions import BadRequest

    with pytest.raises(BadRequest, match="Nothing landed"):
        record(landed, "01700000000000-aaaa", date(2026, 11, 23))
    assert rows(bigquery_client(landed), "select count(*) from dev_raw._exports") == [(0,)]


def test_an_export_that_lands_with_other_rows_under_its_id_is_refused(landed: Variables) -> None:
    from google.api_core.exceptions import BadRequest

    record(landed, "01700000000000-aaaa")
    land(landed, LANDED_ON, "c")
    with pytest.raises(BadRequest, match="recorded with other rows"):
        record(landed, "01700000000000-aaaa")
    assert viewers(landed, "01700000000000-aaaa") == ["a", "b"]
