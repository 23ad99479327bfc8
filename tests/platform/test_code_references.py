"""Where each asset is written down, as Dagster's pages link it."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster_graphql.cli import execute_query

from platform_assets.definitions import build_definitions
from platform_assets.environment import REPOSITORY, Environment, local_environment
from tests.support.declared import GOOD, write_declaration

COMMIT = "ab" * 20
CAMPAIGN = GOOD + "  advanced:\n    models:\n      lightgbm: {}\n      logistic: {}\n"
FEATURES = """\
entity: viewer
features:
  ratings:
    windows: [28, all]
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, dbt_project: Path) -> Path:
    """A project with one campaign, a broken one, and a feature file beside the demo's groups of another entity."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(dbt_project, folder / "dbt_project")
    shutil.copytree(REPOSITORY / "defs" / "sources", folder / "defs" / "sources")
    write_declaration(folder / "defs" / "campaigns", "again", CAMPAIGN)
    write_declaration(folder / "defs" / "campaigns", "broken", GOOD.replace("90d}", "90x}"))
    (folder / "features").mkdir()
    shutil.copy(REPOSITORY / "features" / "customer_order_value.py", folder / "features")
    (folder / "features" / "viewer.yaml").write_text(FEATURES)
    (folder / "platform-settings.env").touch()
    return folder


@pytest.fixture
def environment(project: Path, tmp_path: Path) -> Environment:
    return local_environment(tmp_path / "data", project)


def places(definitions: dg.Definitions) -> dict[str, str]:
    """Asset → the places that its page links to."""
    graph = definitions.resolve_asset_graph()
    linked = {}
    for key in graph.get_all_asset_keys():
        stated = graph.get(key).metadata.get("dagster/code_references")
        if stated is not None:
            linked[key.to_user_string()] = " ".join(one.source for one in stated.code_references)
    return linked


def line_of(file: Path, text: str) -> int:
    return next(number for number, line in enumerate(file.read_text().splitlines(), 1) if text in line)


def test_every_asset_that_somebody_declared_leads_to_the_line_that_declares_it(environment: Environment) -> None:
    definitions = build_definitions(environment)
    linked = places(definitions)
    campaign, shop = (environment.project / "defs" / path / "defs.yaml" for path in ("campaigns/again", "sources/shop"))
    models = environment.dbt_project / "models"
    expected = {
        "again/training_set": f"{campaign}:6",
        "again/models/lightgbm": f"{campaign}:11",
        "again/models/logistic": f"{campaign}:12",
        "again/ensemble": f"{campaign}:2",
        "again/promoted_model": f"{campaign}:2",
        "again/scores": f"{campaign}:2",
        "again/audience": f"{campaign}:7",
        "again/report": f"{campaign}:2",
        "broken/definition": f"{environment.project}/defs/campaigns/broken/defs.yaml:6",
        "raw/shop/orders": f"{shop}:{line_of(shop, 'name: orders')}",
        "staging/stg_shop__orders": f"{models}/staging/stg_shop__orders.sql {models}/staging/staging.yml",
        "marts/orders": f"{models}/marts/orders.sql {models}/marts/marts.yml",
        "features/customer/order_value": _group_in(environment.project / "features" / "customer_order_value.py"),
        "features/viewer/ratings_activity": f"{environment.project}/features/viewer.yaml:3",
    }
    assert {asset: linked.get(asset) for asset in expected} == expected
    everything = {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}
    assert {asset for asset in everything - linked.keys() if not asset.startswith("bodies/")} == set()


def _group_in(file: Path) -> str:
    return f"{file}:{line_of(file, 'GROUP = FeatureGroup(')}"


def test_a_group_that_follows_from_marts_alone_leads_to_what_these_declare(project: Path, tmp_path: Path) -> None:
    own = local_environment(tmp_path / "data", project)
    bare = shutil.copytree(project, tmp_path / "bare")
    (bare / "features" / "viewer.yaml").unlink()
    linked = places(build_definitions(local_environment(own.data, bare)))
    of_mart = linked["marts/ratings"]
    assert of_mart.endswith("/marts.yml")
    assert linked["features/viewer/ratings_activity"] == of_mart


def test_where_a_repository_is_named_assets_lead_to_their_commit_there(environment: Environment) -> None:
    url = "https://github.com/acme/shop/blob/{commit}/audiences"
    linked = places(build_definitions(replace(environment, code_url=url, commit=COMMIT)))
    there = url.replace("{commit}", COMMIT)
    assert linked["again/training_set"] == f"{there}/defs/campaigns/again/defs.yaml#L6"
    assert linked["marts/orders"].split()[0] == f"{there}/dbt_project/models/marts/orders.sql"
    assert linked["features/viewer/ratings_activity"] == f"{there}/features/viewer.yaml#L3"
    assert [place for places in linked.values() for place in places.split() if not place.startswith(f"{there}/")] == []


def test_a_project_whose_image_is_of_another_commit_than_the_platform_names_its_own(environment: Environment) -> None:
    url = f"https://git.example.com/shop/src/{'cd' * 20}/"
    linked = places(build_definitions(replace(environment, code_url=url, commit=COMMIT)))
    assert linked["again/audience"] == f"{url}defs/campaigns/again/defs.yaml#L7"


def test_a_commit_that_is_not_known_leads_to_the_local_file(environment: Environment) -> None:
    url = "https://github.com/acme/shop/blob/{commit}"
    assert places(build_definitions(replace(environment, code_url=url))) == places(build_definitions(environment))


def test_a_file_outside_of_the_project_has_no_address_in_its_repository(
    environment: Environment, tmp_path: Path
) -> None:
    write_declaration(tmp_path / "elsewhere", "again", CAMPAIGN)
    url = "https://github.com/acme/shop/blob/{commit}"
    elsewhere = replace(environment, campaigns=tmp_path / "elsewhere", code_url=url, commit=COMMIT)
    assert not [asset for asset in places(build_definitions(elsewhere)) if asset.startswith("again/")]


REFERENCES = """
query References($path: [String!]!) {
  assetNodeOrError(assetKey: {path: $path}) {
    ... on AssetNode {
      metadataEntries {
        ... on CodeReferencesMetadataEntry {
          codeReferences {
            ... on LocalFileCodeReference { filePath lineNumber label }
            ... on UrlCodeReference { url label }
          }
        }
      }
    }
  }
}
"""


@pytest.fixture
def served(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkspaceProcessContext]:
    monkeypatch.setenv("PLATFORM_PROJECT_DIR", str(environment.project))
    monkeypatch.setenv("PLATFORM_DATA", str(environment.data))
    target = LoadableTargetOrigin(module_name="platform_assets.definitions", attribute="defs")
    with (
        dg.instance_for_test() as instance,
        WorkspaceProcessContext(
            instance, InProcessWorkspaceLoadTarget(InProcessCodeLocationOrigin(target, location_name="platform"))
        ) as process,
    ):
        yield process


def test_the_page_of_an_asset_shows_file_and_line(served: WorkspaceProcessContext, environment: Environment) -> None:
    def shown(asset: str) -> list[dict[str, Any]]:
        answer = execute_query(served, REFERENCES, {"path": asset.split("/")})
        assert "errors" not in answer, answer["errors"]
        entries = answer["data"]["assetNodeOrError"]["metadataEntries"]
        return [reference for entry in entries for reference in entry.get("codeReferences", ())]

    defs = Path("defs", "campaigns", "again", "defs.yaml")
    assert shown("again/audience") == [
        {"filePath": str(environment.project / defs), "lineNumber": 7, "label": str(defs)}
    ]
    sql = Path("dbt_project", "models", "marts", "orders.sql")
    assert shown("marts/orders")[0] == {
        "filePath": str(environment.project / sql),
        "lineNumber": None,
        "label": str(sql),
    }
