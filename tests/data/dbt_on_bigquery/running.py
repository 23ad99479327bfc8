"""The dbt command on a copy of the project, and what came of each node.

Belongs here: starting dbt and reading its artifacts. Does not belong here: what a test expects.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from platform_assets.environment import PACKAGE, REPOSITORY

_DAY = re.compile(r"timestamp '(\d{4}-\d\d-\d\d) 00:00:00\+00'")
_FOREIGN = ("PLATFORM_", "BIGQUERY_", "STORAGE_", "DBT_")


class DbtFailed(AssertionError):
    """dbt ended otherwise than the test expects; holds its last words."""


@dataclass(frozen=True)
class Node:
    """What came of one node: its status, the message beside it, the SQL it was compiled to, and BigQuery's job."""

    status: str
    message: str
    compiled: str
    job: str | None

    @property
    def days(self) -> list[str]:
        """The days that an event mart's compiled SQL is limited to."""
        return _DAY.findall(self.compiled)


@dataclass(frozen=True)
class Dbt:
    """One dbt project, one set of environment variables, one folder for what dbt writes."""

    project: Path
    target: Path
    variables: Mapping[str, str]

    def __call__(self, *arguments: str, fails: bool = False) -> dict[str, Node]:
        """Runs `dbt …` and returns what came of each node, by its name.

        Raises DbtFailed: it failed, or, with `fails`, did not.
        """
        self.say(*arguments, fails=fails)
        results = json.loads((self.target / "run_results.json").read_text())["results"]
        return {
            _name(result["unique_id"]): Node(
                result["status"],
                result["message"] or "",
                result.get("compiled_code") or "",
                result["adapter_response"].get("job_id"),
            )
            for result in results
        }

    def say(self, *arguments: str, fails: bool = False) -> str:
        """Runs `dbt …` and returns what it printed."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        project = [f"--project-dir={self.project}", f"--profiles-dir={PACKAGE / 'dbt'}"]
        output = [f"--target-path={self.target}", f"--log-path={self.target}"]
        done = subprocess.run(
            [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", *arguments, *project, *output],
            env={**inherited, **self.variables, "PLATFORM_DBT_SHARED": str(PACKAGE / "dbt"), "DO_NOT_TRACK": "1"},
            capture_output=True,
            text=True,
        )
        if (done.returncode != 0) != fails:
            raise DbtFailed(f"dbt {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def artifact(self, name: str) -> dict[str, Any]:
        """One of the files that dbt leaves, such as manifest.json."""
        return json.loads((self.target / name).read_text())

    def elsewhere(self, name: str, **variables: str) -> "Dbt":
        """The same project with other variables, and a folder of its own."""
        return replace(self, target=self.target.with_name(name), variables={**self.variables, **variables})


def _name(unique_id: str) -> str:
    parts = unique_id.split(".")
    return parts[3] if parts[0] == "unit_test" else parts[2]


def copy_of_project(folder: Path) -> Path:
    """A copy of the repository's dbt project to change."""
    return shutil.copytree(REPOSITORY / "dbt_project", folder, ignore=shutil.ignore_patterns("target", "logs"))


def replace_in(path: Path, old: str, new: str) -> None:
    """Replaces one passage of a file, which must be there."""
    text = path.read_text()
    assert old in text, f"{path.name} no longer holds {old!r}"
    path.write_text(text.replace(old, new))
