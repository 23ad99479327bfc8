"""Marts that rest on incremental exports: what they cover, when they are built, and what of it Dagster shows."""

import json
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from platform_assets.data.catalog.catalog import Catalog, read_manifest
from platform_assets.data.engines.opening import open_engine
from platform_assets.data.marts.build import Transform, build
from platform_assets.data.marts.dbt import parse_project
from platform_assets.data.marts.graph import ProjectGraph
from platform_assets.data.marts.opening import open_transform
from platform_assets.data.raw.assets import export_assets
from platform_assets.data.raw.discover import load_source
from platform_assets.environment import Environment, local_environment
from samples.dynamodb_export import change, export_id, write_dynamodb_export, write_incremental_export
from tests.data.changes.worlds import SPEC, write_project
from tests.data.exports.histories import at

MART = """
-- The first written values of an event.
select id, value as status, valid_from as known_from
from {{ ref('stg_both_versions') }}
qualify valid_from = min(valid_from) over (partition by id)
"""
VERSIONS = "{{ merged_versions(ref('stg_both_versions'), 'id', ['value']) }}"


def item(key: str, status: str) -> dict[str, dict[str, str]]:
    return {"history": {"N": "1"}, "id": {"S": key}, "value": {"S": status}}


def keys(key: str) -> dict[str, dict[str, str]]:
    return {"history": {"N": "1"}, "id": {"S": key}}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("events")
    project = write_project(folder / "project")
    marts = project / "models" / "marts"
    marts.mkdir()
    (marts / "events.sql").write_text(MART)
    (marts / "stages.sql").write_text(VERSIONS)
    meta = {"config": {"meta": {"platform": {"role": "none"}}}}
    instants = [{"name": name, "data_type": "timestamptz", **meta} for name in ("valid_from", "valid_to")]
    texts = [{"name": name, "data_type": "varchar", **meta} for name in ("id", "value", "status")]
    text = {column["name"]: column for column in texts}
    known = {"name": "known_from", "data_type": "timestamptz", **meta}

    def declared(kind: dict[str, str]) -> dict[str, object]:
        return {"labels": {}, "meta": {"platform": kind}}

    models = [
        {
            "name": "events",
            "config": declared({"kind": "dimension", "key": "id", "history": "immutable"}),
            "columns": [text["id"], text["status"], known],
        },
        {
            "name": "stages",
            "config": declared({"kind": "dimension", "key": "id", "history": "immutable"}),
            "columns": [text["id"], text["value"], *instants],
        },
    ]
    (marts / "marts.yml").write_text(json.dumps({"version": 2, "models": models}))
    shutil.rmtree(project / "models" / "staging" / "new", ignore_errors=True)
    found = local_environment(folder / "data", dbt_project=project)
    parse_project(open_engine(found).dbt)
    lake = Path(found.exports)
    write_dynamodb_export(lake, "both", export_id("both", at(0)), [item("a", "placed")], at(0), prefix="histories")
    return found


def load(environment: Environment) -> None:
    load_source(SPEC, "histories", environment.exports, open_engine(environment).raw)


def transform_of(environment: Environment) -> Transform:
    manifest = read_manifest(environment.dbt_manifest)
    return open_transform(environment, ProjectGraph.from_manifest(manifest), Catalog.from_nodes(manifest))


def rows(environment: Environment, mart: str) -> list[tuple[str, str, datetime]]:
    with duckdb.connect(str(environment.dbt_database), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        return connection.execute(f"select * from marts.{mart} order by all").fetchall()
