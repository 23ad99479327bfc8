"""The code of an older commit: what pinned campaigns' pods and a deployment that was rolled back run.

Belongs here: getting that commit's tree. What must hold of it: tests/deploy/test_older_code.py, and tests/cluster/test_versions.py
on the cluster.
"""

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from platform_assets.environment import REPOSITORY

# Of before the package was ordered into wings. It needs no other packages than those that requirements.lock pins.
COMMIT = "73880e5ae1412c6a218288cf240ff51a3b009860"


def older_tree(folder: Path) -> Path:
    """What an image of that commit has of the repository, in `folder`: the package and the dbt project, not parsed yet."""
    command = ["git", "archive", COMMIT, "platform_assets", "dbt_project"]
    archive = subprocess.run(command, cwd=REPOSITORY, capture_output=True)
    if archive.returncode:
        pytest.fail(
            f"commit {COMMIT}, whose code is tested under today's dagster.yaml, is not in the history here; "
            f"get all of it (git fetch --unshallow, or a clone of full depth). git: {archive.stderr.decode().strip()}"
        )
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as tree:
        tree.extractall(folder, filter="data")
    return folder
