"""The driver's libraries are found where GKE mounts them, by a process that has the image's and its pod's environment alone.

No GPU is here: the NVML stand-in lies at GKE's path in a mount namespace of the process's own, and nothing tells it where.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from platform_assets.environment import REPOSITORY
from tests.deploy.manifests import PodTemplate, of_kind, overlay
from tests.deploy.test_dockerfile import DOCKERFILE, stages
from tests.foundation.gpus.nvml_stand_in import built_in

pytestmark = pytest.mark.programs("gcc", "kubectl", "unshare")

# https://cloud.google.com/kubernetes-engine/docs/how-to/gpus: libraries and tools of the driver, in every container with a GPU.
GKE_DRIVER = Path("/usr/local/nvidia/lib64")
LOOKS = """
import ctypes
from platform_assets.foundation.gpus.use import gpu_use
with gpu_use() as use:
    pass
print(use.metadata()["gpu"], ctypes.CDLL("libcuda.so.1") is not None)
"""


def image_environment() -> dict[str, str]:
    """What ENV of the image's last stage sets."""
    [arguments] = [arguments for name, arguments in stages(DOCKERFILE)["final"] if name == "ENV"]
    return dict(re.findall(r"(\w+)=(\S*)", arguments))


def pod_environment(pod: PodTemplate) -> dict[str, str]:
    """What a rendered step pod adds or replaces on GKE, but for Secrets."""
    [container] = pod.containers
    variables: dict[str, str] = {}
    for source in container["envFrom"]:
        variables |= of_kind(overlay("gke"), "ConfigMap")[source["configMapRef"]["name"]]["data"]
    return variables | {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What lies over /usr/local in the namespace: the driver's two libraries at GKE's path."""
    over = tmp_path_factory.mktemp("driver")
    libraries = over / GKE_DRIVER.relative_to("/usr/local")
    libraries.mkdir(parents=True)
    built_in(libraries)
    (libraries / "libcuda.so.1").hardlink_to(libraries / "libnvidia-ml.so.1")
    return over


def seen(mounted: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What a process with these variables and no other sees of the driver that is mounted for it."""
    # Read-only layers need no third folder, and nothing of this machine's own /usr/local changes or goes.
    mount = f"mount -t overlay driver -o lowerdir={mounted}:/usr/local /usr/local"
    become_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", *become_root, "--mount", "sh", "-c", f'{mount} && exec env -i "$@"', "sh"]
    named = [f"{name}={value}" for name, value in variables.items()]
    return subprocess.run(
        [*command, *named, sys.executable, "-c", LOOKS], cwd=REPOSITORY, capture_output=True, text=True
    )


@pytest.fixture
def gpu_pod(pods_of_runs: dict[str, PodTemplate]) -> dict[str, str]:
    """The environment of a step pod with a GPU, on GKE."""
    return image_environment() | pod_environment(pods_of_runs["gpu"])


def test_a_step_with_a_gpu_finds_the_driver_where_gke_mounts_it(mounted: Path, gpu_pod: dict[str, str]) -> None:
    result = seen(mounted, gpu_pod)
    assert (result.returncode, result.stdout.strip()) == (0, "Stand-in L4 True"), result.stderr


def test_no_loader_looks_there_by_itself(mounted: Path, gpu_pod: dict[str, str]) -> None:
    result = seen(mounted, {name: value for name, value in gpu_pod.items() if name != "LD_LIBRARY_PATH"})
    assert result.returncode == 1
    assert "libcuda.so.1: cannot open shared object file" in result.stderr
