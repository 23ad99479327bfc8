"""The platform installed from its wheel, once for all tests that use it so."""

import os
import shutil
import site
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platform_assets.environment import PACKAGE, REPOSITORY

if TYPE_CHECKING:
    from tests.tiers import BuiltOnce

_BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
# As pip writes them for the packages beside the platform.
_SCRIPT = """#!{python}
import sys
from importlib.metadata import entry_points
sys.exit(next(iter(entry_points(group="console_scripts", name="{name}"))).load()())
"""


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel installed in it, beside the packages that this environment has."""

    wheel: Path
    environment: Path

    def run(self, *command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """What became of a command of that environment, which knows nothing of this checkout."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PLATFORM_", "PYTHON"))}
        kept |= {"PATH": f"{self.environment / 'bin'}{os.pathsep}{kept['PATH']}", "DAGSTER_DISABLE_TELEMETRY": "yes"}
        return subprocess.run(command, cwd=folder, env=kept | variables, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def installed(built_once: "BuiltOnce") -> Installed:
    folder = built_once("installed", _install)
    [wheel] = (folder / "wheels").glob("*.whl")
    return Installed(wheel, folder / "environment")


@pytest.fixture(scope="session")
def begun(built_once: "BuiltOnce", installed: Installed) -> Path:
    """A project as `platform-assets init grocery` leaves it, for all to copy and none to change."""

    def begin(folder: Path) -> None:
        done = installed.run("platform-assets", "init", "grocery", folder=folder)
        assert done.returncode == 0, done.stdout + done.stderr

    return built_once("begun", begin) / "grocery"


def _install(folder: Path) -> None:
    sources, wheels, environment = folder / "sources", folder / "wheels", folder / "environment"
    sources.mkdir()
    wheels.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(REPOSITORY / name, sources / name)
    shutil.copytree(PACKAGE, sources / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-c", _BUILD, wheels], cwd=sources, check=True, capture_output=True)
    [wheel] = wheels.glob("*.whl")
    shutil.rmtree(sources)
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    [packages] = (environment / "lib").glob("python*/site-packages")
    # A path alone: what an editable installation there would add is not read.
    (packages / "beside.pth").write_text("\n".join(site.getsitepackages()))
    uv = Path(sys.executable).with_name("uv")
    subprocess.run(
        [uv, "pip", "install", "--offline", "--no-deps", "--python", python, wheel], check=True, capture_output=True
    )
    for name in ("dbt", "dagster"):
        script = environment / "bin" / name
        script.write_text(_SCRIPT.format(python=python, name=name))
        script.chmod(0o755)
