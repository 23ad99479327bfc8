"""Component types as `dg` lists and scaffolds them, through the library that it calls."""

import json
import tomllib
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster.components.component_scaffolding import scaffold_object
from dagster.components.core.package_entry import discover_package_objects

from platform_assets.campaigns.declaration.parsing import read_campaigns
from platform_assets.components.loading import read_source_files
from platform_assets.components.platform import platform_of
from platform_assets.environment import REPOSITORY, Environment
from platform_assets.scaffold.project import begin_project

TYPES = {f"platform_assets.components.{name}" for name in ("Campaign", "ExportSource", "SaasSource")}


def settings(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def test_dg_lists_the_component_types_of_the_package_and_of_a_project_that_was_begun(tmp_path: Path) -> None:
    package = settings(REPOSITORY)["project"]["entry-points"]["dagster_dg_cli.registry_modules"]
    project = settings(begin_project(tmp_path / "shop"))["tool"]["dg"]["project"]
    for modules in (list(package.values()), project["registry_modules"]):
        assert {key.to_typename() for key in discover_package_objects(modules)} == TYPES
    assert (tmp_path / "shop" / project["defs_module"] / "campaigns").is_dir()


def scaffold(folder: Path, kind: str, **params: str) -> None:
    scaffold_object(folder, f"platform_assets.components.{kind}", json.dumps(params), "yaml", None)


def test_what_dg_scaffolds_is_a_declaration_that_holds(environment: Environment, tmp_path: Path) -> None:
    who = {"owner": "crm@example.com"}
    scaffold(tmp_path / "campaigns" / "again", "Campaign", **who, entity="customer", event="orders", within="90d")
    tables = {"aurora_snapshot": "shop.orders", "dynamodb": "orders"}
    for name, table in tables.items():
        scaffold(
            tmp_path / "sources" / name, "ExportSource", **who, format=name, path=name, table=table, key="order_id"
        )
    how = {"api_version": "2026-10-28.endive", "key_variable": "STRIPE_API_KEY"}
    scaffold(tmp_path / "sources" / "stripe", "SaasSource", **who, **how, table="customers")
    platform = platform_of(environment)
    [campaign] = read_campaigns(tmp_path / "campaigns", platform.holdings, platform.profiles)
    assert campaign.error is None
    assert campaign.spec is not None
    assert campaign.spec.horizon.days == 90
    sources = read_source_files(tmp_path / "sources")
    assert [str(file.error) for file in sources if file.error] == []
    assert [file.spec.tables[0].name for file in sources if file.spec] == ["orders", "orders", "customers"]


def test_what_a_declaration_cannot_do_without_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="event"):
        scaffold(tmp_path / "again", "Campaign", owner="crm@example.com", entity="customer")
    assert not list(tmp_path.rglob("*.yaml"))


def test_each_component_says_what_it_is() -> None:
    for kind in discover_package_objects(["platform_assets.components"]).values():
        assert isinstance(kind, type)
        assert issubclass(kind, dg.Component)
        assert kind.__doc__
