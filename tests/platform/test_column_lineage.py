"""Columns as Dagster shows them: from an audience's back to the raw one, over GraphQL as the page asks."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster_graphql.cli import execute_query

from platform_assets.campaigns.declaration.columns import audience_lineage, training_lineage, training_schema
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.data.catalog.catalog import read_manifest
from platform_assets.data.features.registry import read_holdings
from platform_assets.data.marts.graph import ProjectGraph
from platform_assets.data.marts.lineage import Origin, column_origins
from platform_assets.definitions import build_definitions
from platform_assets.environment import Environment
from tests.support.answered import Answered
from tests.support.running import Platform, failures_of

LINEAGE = """
query Lineage($path: [String!]!) {
  assetOrError(assetKey: {path: $path}) {
    ... on Asset {
      assetMaterializations(limit: 1) {
        metadataEntries {
          ... on TableColumnLineageMetadataEntry {
            lineage { columnName columnDeps { assetKey { path } columnName } }
          }
        }
      }
    }
  }
}
"""
Column = tuple[str, str]


def upstream(process: WorkspaceProcessContext, asset: str) -> dict[str, set[Column]]:
    """Column of an asset → the (asset, column) pairs it is made from, as its page shows them; nothing where it was not made."""
    answer = execute_query(process, LINEAGE, {"path": asset.split("/")})
    assert "errors" not in answer, answer["errors"]
    events = answer["data"]["assetOrError"].get("assetMaterializations", [])
    lineage = [one for event in events for entry in event["metadataEntries"] for one in entry.get("lineage", ())]
    return {
        column["columnName"]: {("/".join(dep["assetKey"]["path"]), dep["columnName"]) for dep in column["columnDeps"]}
        for column in lineage
    }


def all_upstream(process: WorkspaceProcessContext, asset: str, column: str) -> Iterator[Column]:
    """Everything that a column is made from, up to the raw tables."""
    waiting, seen = [(asset, column)], set[Column]()
    tables: dict[str, dict[str, set[Column]]] = {}
    while waiting:
        at = waiting.pop()
        if at in seen:
            continue
        seen.add(at)
        yield at
        if not at[0].startswith("raw/"):
            if at[0] not in tables:
                tables[at[0]] = upstream(process, at[0])
            waiting.extend(tables[at[0]].get(at[1], ()))


@pytest.mark.slow
def test_an_audience_s_score_leads_back_to_the_raw_columns(answered: Answered, tmp_path: Path) -> None:
    environment = replace(answered, folder=shutil.copytree(answered.folder, tmp_path / "again")).environment
    day = {"partition_key": "1998-04-01"}
    with dg.instance_for_test() as instance:
        platform = Platform.of(environment, instance)
        marts = platform.materialize("staging/stg_shop__orders", "marts/orders")
        assert marts.success, failures_of(marts)
        asked = {"ops": {"repeat_buyers__training_set": {"config": {"score_at": day["partition_key"]}}}}
        trained = platform.materialize("repeat_buyers/training_set", run_config=asked)
        assert trained.success, failures_of(trained)
        groups = [f"features/customer/order_{name}" for name in ("variety", "windows")]
        scored = platform.materialize(*groups, "repeat_buyers/scores", "repeat_buyers/audience", **day)
        assert scored.success, failures_of(scored)
        with WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as process:
            seen = set(all_upstream(process, "repeat_buyers/audience", "score"))
            person = set(all_upstream(process, "repeat_buyers/audience", "customer_id"))
            label = set(all_upstream(process, "repeat_buyers/training_set", "label"))
            fold = set(all_upstream(process, "repeat_buyers/training_set", "fold"))
    assert {
        ("repeat_buyers/scores", "score"),
        ("features/customer/order_variety", "mean_order_quantity"),
        ("marts/orders", "quantity"),
        ("staging/stg_shop__orders", "quantity"),
        ("raw/shop/orders", "quantity"),
        ("raw/shop/orders", "ordered_at"),
        ("raw/shop/orders", "order_id"),
    } <= seen
    assert {column for column in person if column[0].startswith("raw/")} == {("raw/shop/orders", "customer_id")}
    of_label = {("raw/shop/orders", "order_id"), ("raw/shop/orders", "ordered_at")}
    assert {column for column in label if column[0].startswith("raw/")} == of_label
    assert {column for column in fold if column[0].startswith("raw/")} == {("raw/shop/orders", "customer_id")}


AS_COMPILED = {
    "duckdb": """
        select case when regexp_matches(json_extract_string(Item, '$."age"."N"'), '[^-0-9]') then cast(error('x') as bigint)
        else cast(json_extract_string(Item, '$."age"."N"') as bigint) end as age, _export_id
        from read_parquet('/data/raw/movies/viewers/*/*.parquet', union_by_name=true)
        where _export_id in (select export_id from "dbt"."staging"."stg_exports" where source_name = 'movies')""",
    "bigquery": """
        select cast(json_value(Item, '$."age"."N"') as int64) as age, _export_id
        from `my-project`.`dev_raw`.`movies__viewers`
        where _export_id in (select export_id from `my-project`.`dev_staging`.`stg_exports`)""",
}


@pytest.mark.parametrize("engine", AS_COMPILED)
def test_a_staging_column_is_made_from_the_attribute_of_its_item(environment: Environment, engine: str) -> None:
    graph = ProjectGraph.from_manifest(read_manifest(environment.dbt_manifest))
    origins = column_origins(graph.models["stg_movies__viewers"], graph, AS_COMPILED[engine], engine)
    assert origins == {
        "age": [Origin("viewers", "age", "movies")],
        "_export_id": [Origin("viewers", "_export_id", "movies")],
    }


def test_columns_are_shown_with_the_types_they_have(environment: Environment) -> None:
    graph = build_definitions(environment).resolve_asset_graph()

    def types(asset: str) -> dict[str, str]:
        schema = graph.get(dg.AssetKey(asset.split("/"))).metadata["dagster/column_schema"]
        return {column.name: column.type for column in schema.columns}

    assert types("features/customer/order_windows")["customer_id"] == "bigint"
    assert types("features/viewer/taste")["viewer_id"] == "bigint"
    assert types("repeat_buyers/scores") == {"customer_id": "bigint", "as_of": "timestamp", "score": "double"}
    assert types("repeat_buyers/audience")["selected"] == "boolean"
    trained = types("repeat_buyers/training_set")
    assert list(trained)[:4] == ["customer_id", "as_of", "label", "fold"]
    assert [trained.pop(name) for name in list(trained)[:4]] == ["bigint", "timestamp", "bigint", "bigint"]
    assert set(trained) > {"mean_order_quantity"}
    assert set(trained.values()) == {"double"}


CAMPAIGN: dict[str, Any] = {
    "owner": "crm@example.com",
    "description": "Likely to order",
    "entity": "customer",
    "label": {"event": "orders", "within": "90d", "where": "amount >= 50"},
    "audience": {"top": "10%", "exclude": ["sum(orders.quantity, 90) > 5", "created_at < 1997-02-01"]},
}
ORDERS, CUSTOMERS = dg.AssetKey(["marts", "orders"]), dg.AssetKey(["marts", "customers"])


def made_of(lineage: dg.TableColumnLineage, column: str) -> set[tuple[dg.AssetKey, str]]:
    return {(dep.asset_key, dep.column_name) for dep in lineage.deps_by_column[column]}


def test_a_label_is_made_of_the_columns_of_its_mart_that_its_condition_names(environment: Environment) -> None:
    holdings = read_holdings(environment)
    spec = CampaignSpec.model_validate(CAMPAIGN)
    expected = {(ORDERS, "order_id"), (ORDERS, "ordered_at"), (ORDERS, "amount")}
    assert made_of(training_lineage(spec, holdings), "label") == expected
    silence = {**CAMPAIGN, "label": {"no_event": "orders", "within": "90d"}}
    assert made_of(training_lineage(CampaignSpec.model_validate(silence), holdings), "label") == {
        (ORDERS, "order_id"),
        (ORDERS, "ordered_at"),
    }
    taught = {**CAMPAIGN, "label": {"teacher": "taught.csv", "within": "90d"}}
    assert "label" not in training_lineage(CampaignSpec.model_validate(taught), holdings).deps_by_column


def test_a_past_score_is_made_of_the_features_that_its_model_looks_at(environment: Environment) -> None:
    holdings = read_holdings(environment)
    spec = CampaignSpec.model_validate({**CAMPAIGN, "features": ["order_windows"]})
    past = {"score_other_19980101_abcdef": ("mean_order_quantity",)}
    of_variety = dg.AssetKey(["features", "customer", "order_variety"])
    lineage = training_lineage(spec, holdings, past)
    assert made_of(lineage, "score_other_19980101_abcdef") == {(of_variety, "mean_order_quantity")}
    assert training_schema(spec, holdings, past).columns[-1] == dg.TableColumn("score_other_19980101_abcdef", "double")


def test_who_is_left_out_of_an_audience_is_made_of_what_its_exclusions_look_at(environment: Environment) -> None:
    holdings = read_holdings(environment)
    lineage = audience_lineage("again", CampaignSpec.model_validate(CAMPAIGN), holdings)
    expected = {(ORDERS, "quantity"), (ORDERS, "ordered_at"), (CUSTOMERS, "created_at")}
    assert made_of(lineage, "why_not") == made_of(lineage, "eligible") == expected
    score = (dg.AssetKey(["again", "scores"]), "score")
    assert made_of(lineage, "selected") == made_of(lineage, "arm") == {score, *expected}
    assert made_of(lineage, "rank") == {score}
