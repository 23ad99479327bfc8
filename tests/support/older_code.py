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
    """What an image of that commit has of the repository, in `folder`: the package and the dbt project, not parsed yet.

    Skips the test where the history does not reach back to it: in a shallow clone, or in files without a history.
    """
    archive = _git("archive", COMMIT, "platform_assets", "dbt_project")
    if archive.returncode and _git("rev-parse", "--is-shallow-repository").stdout.strip() == b"false":
        pytest.fail(
            f"commit {COMMIT}, whose code is tested under today's dagster.yaml: {archive.stderr.decode().strip()}"
        )
    if archive.returncode:
        pytest.skip(f"commit {COMMIT} is not in the history here; get all of it with: git fetch --unshallow")
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as tree:
        tree.extractall(folder, filter="data")
    return folder


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True)
