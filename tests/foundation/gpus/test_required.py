"""A step computes on the GPU that its pod holds, or says why not: device, driver, CUDA versions, and what to do.

No GPU and no CUDA build of torch are here. The driver's library is stood in for (`nvml_stand_in.c`); where torch is to pass for a
CUDA build it is told its version, and what it then says of the device is its own.
"""

import json
import re
from ctypes.util import find_library

import pytest
import torch

from platform_assets.environment import REPOSITORY
from platform_assets.foundation.gpus.required import (
    LOCKED_CUDA,
    OLDEST_DRIVER,
    Driver,
    GpuUnusable,
    require_gpus,
)
from tests.foundation.gpus.nvml_stand_in import built_in
from tests.support.processes import run_python

pytestmark = [
    pytest.mark.programs("gcc"),
    pytest.mark.skipif(torch.version.cuda is not None, reason="this torch is a CUDA build: run benchmarks.gpu"),
]
# What each case is, beside a driver that is new enough: variables of the stand-in, and which CUDA torch says it is built for.
CASES: dict[str, tuple[dict[str, str], str | None]] = {
    "torch for CPUs": ({}, None),
    "old driver": ({"NVML_DRIVER": "535.274.02"}, "13.0"),
    "good driver": ({}, "13.0"),
    "driver fails": ({"NVML_FAILS": "nvmlDeviceGetCount=4"}, "13.0"),
}
REFUSES = """
import json, os, sys, torch
from platform_assets.foundation.gpus.required import GpuUnusable, require_gpus
told = {}
for case, (variables, torch.version.cuda) in json.load(sys.stdin).items():
    os.environ |= variables
    try:
        require_gpus("gpu", 1)
    except GpuUnusable as refused:
        told[case] = str(refused)
    for name in variables:
        del os.environ[name]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a step whose profile has a GPU says in each case, in a process that finds the driver's library."""
    driver = built_in(tmp_path_factory.mktemp("driver"))
    done = run_python("-c", REFUSES, text=json.dumps(CASES), variables={"LD_LIBRARY_PATH": str(driver)})
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_a_gpu_that_does_not_compute_is_always_refused_with_the_profile(told: dict[str, str]) -> None:
    assert list(told) == list(CASES)
    begins = "the resource profile gpu gives this step 1 GPU, and it cannot compute there: "
    assert all(sentence.startswith(begins) for sentence in told.values())


def test_torch_for_cpus_is_refused_with_device_driver_and_cuda_versions(told: dict[str, str]) -> None:
    sentence = told["torch for CPUs"]
    assert "torch is built without CUDA." in sentence
    assert "Here are Stand-in L4, driver 580.65.06 for CUDA up to 13.0, " in sentence
    assert f"and torch {torch.__version__}, built without CUDA." in sentence
    assert "`image: cuda`" in sentence


def test_a_driver_too_old_for_the_locked_cuda_is_refused_with_the_setting_that_gives_a_newer_one(
    told: dict[str, str],
) -> None:
    assert "Here are Stand-in L4, driver 535.274.02 for CUDA up to 12.2, " in told["old driver"]
    assert "built for CUDA 13.0. CUDA 13.0 takes driver 580 or newer: " in told["old driver"]
    assert "`gpu-driver-version=latest`" in told["old driver"]


def test_a_gpu_whose_driver_would_do_is_refused_with_torch_s_own_words(told: dict[str, str]) -> None:
    assert "cannot compute there: Torch not compiled with CUDA enabled. " in told["good driver"]
    assert "Look at the node" in told["good driver"]


def test_a_driver_that_fails_midway_is_told(told: dict[str, str]) -> None:
    assert "no device, no driver (NVML: Insufficient Permissions)" in told["driver fails"]


@pytest.mark.skipif(find_library("nvidia-ml") is not None, reason="this machine has the driver")
def test_a_driver_that_is_not_found_is_refused_with_where_it_was_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    with pytest.raises(GpuUnusable, match="1 GPU") as refused:
        require_gpus("gpu", 1)
    assert "Here are no device, no driver (NVML: NVML Shared Library Not Found; LD_LIBRARY_PATH is /nowhere)" in str(
        refused.value
    )
    assert "Give the node a driver, 580 or newer" in str(refused.value)


def test_the_oldest_driver_is_that_of_the_cuda_in_the_lock() -> None:
    lock = (REPOSITORY / "deploy" / "docker" / "cuda.lock").read_text()
    [runtime] = re.findall(r"^nvidia-cuda-runtime==(\d+\.\d+)", lock, re.MULTILINE)
    assert (runtime, OLDEST_DRIVER) == (LOCKED_CUDA, {"12": 525, "13": 580}[runtime.partition(".")[0]])


@pytest.mark.parametrize(
    ("version", "too_old"), [("579.99.99", True), ("580.65.06", False), ("1000.1", False), (None, False)]
)
def test_a_driver_is_too_old_by_its_first_number(version: str | None, too_old: bool) -> None:
    assert Driver(version).too_old == too_old
