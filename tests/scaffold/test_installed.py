"""The platform as its users have it: installed from its wheel, far from any checkout, and led by a project of their own."""

import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest
import yaml

from platform_assets.environment import PACKAGE, local_environment
from tests.readers.worlds import ROWS, World
from tests.scaffold.conftest import Installed

pytestmark = pytest.mark.slow
SOURCE = """
type: platform_assets.components.ExportSource
attributes:
  description: Orders of the shop, from its Aurora MySQL database.
  owner: team:shop
  format: aurora_snapshot
  path: shop
  database: shop
  tables:
    - {name: orders, export_table: shop.orders, key: [order_id]}
"""


@pytest.fixture(scope="module")
def project(begun: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Begun by the installed platform, with a source that has no exports yet."""
    project = shutil.copytree(begun, tmp_path_factory.mktemp("elsewhere") / "grocery")
    source = project / "defs" / "sources" / "shop" / "defs.yaml"
    source.parent.mkdir()
    source.write_text(SOURCE)
    return project


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    files = {path.relative_to(PACKAGE.parent) for path in PACKAGE.rglob("*") if path.is_file()}
    assert held == {path.as_posix() for path in files if "__pycache__" not in path.parts}
    assert not [name for name in held if re.search("defs/.*yaml|winback|scifi|stg_shop", name)]


def test_a_new_project_passes_its_own_ci_although_its_source_has_no_exports(
    installed: Installed, project: Path
) -> None:
    [job] = yaml.safe_load((project / ".github" / "workflows" / "ci.yml").read_text())["jobs"].values()
    [manifest, *lines] = [step["run"] for step in job["steps"] if not step.get("run", "pip ").startswith("pip ")]
    # `init` has done the first, which takes dbt's seconds.
    assert manifest == "platform-assets manifest"
    assert (project / "dbt_project" / "target" / "manifest.json").is_file()
    for line in lines:
        done = installed.run(*line.split(), folder=project, **job["env"])
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def test_a_source_without_exports_stops_nothing(installed: Installed, project: Path) -> None:
    job = ("dagster", "job", "execute", "-m", "platform_assets.definitions", "-j", "refresh_marts")
    done = installed.run(*job, folder=project, DAGSTER_HOME=str(project / "dagster_home"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ASSET_MATERIALIZATION - Materialized value staging stg_exports." in done.stderr


def test_macros_and_generic_tests_are_those_of_the_installed_package(installed: Installed, project: Path) -> None:
    macros = json.loads((project / "dbt_project" / "target" / "manifest.json").read_text())["macros"].values()
    ours = {macro["name"]: Path(macro["original_file_path"]) for macro in macros if macro["package_name"] == "grocery"}
    assert {"generate_schema_name", "loaded_exports", "test_accepted_range"} <= set(ours)
    assert all(path.is_relative_to(installed.environment) for path in ours.values())


def test_everything_is_written_into_the_project(installed: Installed, project: Path) -> None:
    [packages] = (installed.environment / "lib").glob("python*/site-packages")
    assert {
        path.name for path in packages.iterdir() if path.name.startswith((".", "defs", "dbt_project", "features"))
    } == set()
    assert (project / ".data").is_dir()
    assert (project / "dbt_project" / "target" / "manifest.json").is_file()


def test_what_takes_the_repository_s_manifests_says_so(installed: Installed, project: Path) -> None:
    done = installed.run("platform-assets", "pinned", "--image", "registry.example/p/platform", "there", folder=project)
    assert done.returncode == 1
    assert "the manifests do not come with the installed platform. Run this in a checkout" in done.stderr
    assert not (project / "there").exists()


def test_where_no_project_is_a_command_says_how_to_begin_one(installed: Installed, tmp_path: Path) -> None:
    done = installed.run("platform-assets", "check", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: there is no project here: neither {tmp_path} nor a folder above it holds ")


def test_marts_are_read_from_inside_a_project_or_from_elsewhere_by_its_name(
    installed: Installed, project: Path, dbt_project: Path, tmp_path: Path
) -> None:
    read = shutil.copytree(project, tmp_path / "read")
    manifest = read / "dbt_project" / "target" / "manifest.json"
    record, marts = (json.loads(path.read_text()) for path in (manifest, dbt_project / "target" / "manifest.json"))
    record["nodes"] |= {key: node for key, node in marts["nodes"].items() if node["name"] in ROWS}
    manifest.write_text(json.dumps(record))
    World(local_environment(read / ".data", read)).publish(ROWS)
    program = """
import sys
import platform_assets
from platform_assets.readers import orders
print(platform_assets.__file__)
print(orders.arrow(columns=["order_id"])["order_id"].to_pylist(), "dagster" in sys.modules)
"""
    within = read / "notebooks" / "deep"
    within.mkdir(parents=True)
    for folder, variables in ((within, {}), (tmp_path, {"PLATFORM_PROJECT_DIR": str(read)})):
        done = installed.run("python", "-c", program, folder=folder, **variables)
        assert done.returncode == 0, done.stderr
        place, rows = done.stdout.splitlines()
        assert Path(place).is_relative_to(installed.environment)
        assert rows == "[1, 2, 3] False"
    nowhere = installed.run("python", "-c", "from platform_assets.readers import orders", folder=tmp_path)
    assert "there is no project here" in nowhere.stderr
