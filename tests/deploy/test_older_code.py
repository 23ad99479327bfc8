"""Older code runs under the manifests of today: pinned campaigns' pods do, and so does a deployment that was rolled back."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from platform_assets.data.catalog.pointer import MartStore
from platform_assets.data.engines.duckdb.checksums import SUMS
from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.exports.aurora import read_aurora_export
from platform_assets.data.exports.lake import Lake
from platform_assets.environment import REPOSITORY
from platform_assets.foundation.artifacts import ArtifactStore
from tests.data.engines.writing import publish_from
from tests.data.exports.breaking import SHOP, load_one, write_shop
from tests.data.small_catalog import CUSTOMERS, WATERMARKS
from tests.foundation.artifacts.actors import RECIPE, writes
from tests.support.older_code import older_tree
from tests.support.processes import run_python

DEPLOY = REPOSITORY / "deploy"
# In a process of its own: gets what it is told as Dagster does, and tells where each of our modules came from.
IMPORTS = """
import importlib, json, sys
from dagster._serdes import ConfigurableClassData, class_from_code_pointer
for module, name in json.loads(sys.stdin.read()):
    pointer = ConfigurableClassData(module, name or "", "{}")
    class_from_code_pointer(pointer.module_name, name) if name else importlib.import_module(module)
print(json.dumps([module.__file__ for name, module in sys.modules.items() if name.startswith("platform_assets")]))
"""


def named(part: Any) -> Iterator[tuple[str, str]]:
    """(module, class) of everything that a configuration has Dagster import."""
    if isinstance(part, dict):
        if {"module", "class"} <= part.keys():
            yield part["module"], part["class"]
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from named(inner)


@pytest.fixture(scope="module")
def names() -> list[tuple[str, str | None]]:
    """What dagster.yaml, the chart's values, the manifests and the declarations name."""
    classes: set[tuple[str, str | None]] = set()
    # A checkout brings the one of a single machine with it.
    shared = (path for path in DEPLOY.rglob("dagster.yaml") if path.parent != DEPLOY / "local")
    for path in (*shared, *DEPLOY.rglob("values.yaml")):
        classes |= set(named(yaml.safe_load(path.read_text(encoding="utf-8"))))
    manifests = "\n".join(path.read_text(encoding="utf-8") for path in DEPLOY.rglob("*.yaml"))
    modules = set(re.findall(r'--module-name"?, "?([\w.]+)', manifests))
    types = {
        yaml.safe_load(path.read_text(encoding="utf-8"))["type"].rpartition(".")
        for path in REPOSITORY.glob("defs/*/*/defs.yaml")
    }
    assert ("platform_assets.execution.launcher", "PlatformRunLauncher") in classes
    assert modules == {"platform_assets.definitions"}
    return [*sorted(classes), *((module, None) for module in modules), *((module, name) for module, _, name in types)]


@pytest.mark.parametrize("version", ["this", "older"])
def test_what_manifests_and_declarations_name_can_be_imported(
    version: str, names: list[tuple[str, str | None]], tmp_path: Path
) -> None:
    tree = REPOSITORY if version == "this" else older_tree(tmp_path)
    done = run_python("-c", IMPORTS, folder=tree, text=json.dumps(names), variables={"PYTHONPATH": str(tree)})
    assert done.returncode == 0, done.stderr
    files = [Path(file) for file in json.loads(done.stdout) if file]
    assert files
    assert all(file.is_relative_to(tree) for file in files)


@pytest.mark.parametrize(
    ("version", "said"), [("this", "'/credentials' does not exist"), ("older", "this image makes no roles")]
)
def test_after_a_roll_back_the_daemon_starts_with_the_roles_that_are_there(
    version: str, said: str, tmp_path: Path
) -> None:
    tree = REPOSITORY if version == "this" else older_tree(tmp_path / "older")
    [daemon, *_] = yaml.safe_load_all((DEPLOY / "kubernetes" / "base" / "daemon.yaml").read_text(encoding="utf-8"))
    [container] = daemon["spec"]["template"]["spec"]["initContainers"]
    program = tmp_path / "platform-assets"
    program.write_text(f"#!{sys.executable}\nfrom platform_assets.cli import main\nmain()\n")
    program.chmod(0o755)
    variables = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(tree)}
    done = subprocess.run(container["command"], env=variables, capture_output=True, text=True)
    assert done.returncode == (2 if version == "this" else 0)
    assert said in done.stdout + done.stderr


# What today's code writes is read by the names that that commit had for it.
READS = """
import json, sys
from pathlib import Path
from platform_assets.artifacts import ArtifactRef, ArtifactStore
from platform_assets.exports.folder_tables import FolderTables
from platform_assets.warehouse.duckdb_versions import mart_file
from platform_assets.warehouse.published import MartStore

folder, ref = Path(sys.argv[1]), ArtifactRef.from_json(json.loads(sys.argv[2]))
artifact = ArtifactStore(folder / "artifacts").open(ref)
[mart] = MartStore(folder / "marts").read().values()
[raw] = FolderTables(folder / "raw").loaded("shop", ["orders"])["orders"]
print(json.dumps([Path(artifact.path("nested/data.txt")).read_text(), mart_file(folder / "marts", mart).is_file(), raw.rows]))
"""


def test_older_code_reads_artifacts_marts_and_raw_tables_with_their_checksums(tmp_path: Path) -> None:
    artifact = ArtifactStore(tmp_path / "artifacts").get_or_build(RECIPE, writes("one"))
    database, marts = tmp_path / "dbt.duckdb", MartStore(tmp_path / "marts")
    with duckdb.connect(str(database)) as connection:
        connection.execute("create schema marts")
        connection.execute("create table marts.customers as select 1::bigint as customer_id")
    publish_from(marts, database, [CUSTOMERS], WATERMARKS)
    lake = tmp_path / "lake"
    export = read_aurora_export(Lake(lake), SHOP, "shop", write_shop(lake).name)
    load_one(export, "orders", FolderTables(tmp_path / "raw"))
    assert len(list(tmp_path.rglob(SUMS))) == 2

    tree = older_tree(tmp_path / "older")
    arguments = (tmp_path, json.dumps(artifact.ref.to_json()))
    done = run_python("-c", READS, *arguments, folder=tree, variables={"PYTHONPATH": str(tree)})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["one", True, 20]
