"""One fold in a real container: API server, scheduler, kubelet, containerd and runc, to a Job's success.

Everywhere else in these tests a pod is a process; here it is what it will be. The platform's own image is used when
SMOKE_IMAGE names one in buildah's storage (deploy/docker/build_without_engine.sh builds it); otherwise an image of
empty folders, on which this machine's Python and the repository are mounted read-only. Only the first proves the image;
the mounts of the second are the one thing about it that `restricted` forbids.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from platform_assets.environment import REPOSITORY
from tests.cluster.control_plane import Process
from tests.cluster.kubelet import images, node, smoke
from tests.cluster.kubelet.fold import fitted
from tests.deploy.manifests import PodTemplate
from tests.deploy.pod_security import violations

IMAGE = os.environ.get("SMOKE_IMAGE", "")
SECONDS = 900
LACKING = node.missing()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.kubelet,
    pytest.mark.skipif(bool(LACKING), reason=f"no kubelet can run here: {'; '.join(LACKING)}"),
]


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What the fold's pod wrote to its log."""
    with node.own_folder() as folder:
        image = [IMAGE, str(_exported(folder / "image.tar"))] if IMAGE else [images.EMPTY]
        command = [sys.executable, "-m", "tests.cluster.kubelet.smoke", str(folder), *image]
        trial = Process("smoke", node.isolated(command), folder / "smoke.log")
        try:
            # By what it wrote, not by its code: the leash's own end may hide it.
            trial.process.wait(SECONDS)
            logs = "\n".join(
                f"{path.name}:\n{path.read_text(errors='replace')[-2000:]}" for path in folder.glob("*.log")
            )
            assert (folder / smoke.TOLD).is_file(), logs
            return json.loads((folder / smoke.TOLD).read_text())
        finally:
            trial.stop()


def _exported(archive: Path) -> Path:
    subprocess.run(["buildah", "push", "--quiet", IMAGE, f"docker-archive:{archive}:{IMAGE}"], check=True)
    return archive


@pytest.mark.parametrize(("image", "forbidden"), [("localhost/audience-platform:any", False), (images.EMPTY, True)])
def test_the_pod_is_restricted_but_for_mounts_of_the_machine(image: str, forbidden: bool) -> None:
    template = smoke.job(image)["spec"]["template"]
    found = violations(PodTemplate("fold", template.get("metadata", {}), template["spec"]))
    assert bool(found) == forbidden
    assert all("machine-" in violation or "hostPath" in violation for violation in found), found


def test_a_fold_in_a_container_is_the_fold_fitted_here(told: dict[str, Any], tmp_path: Path) -> None:
    assert {key: told[key] for key in ("content_hash", "auc", "hit")} == fitted(tmp_path)


def test_the_container_runs_as_nobody_and_can_do_nothing_but_compute(told: dict[str, Any]) -> None:
    assert told["user"] == 10001
    assert told["capabilities"] == 0
    assert told["may_gain_privileges"] is False
    assert told["system_calls_filtered"] is True
    assert told["root_is_read_only"] is True


def test_the_code_that_ran_is_that_of_the_image(told: dict[str, Any]) -> None:
    assert told["platform"] == ("/opt/platform/platform_assets" if IMAGE else str(REPOSITORY / "platform_assets"))
