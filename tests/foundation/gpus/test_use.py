"""GPU use is measured and told, and no GPU, driver or port can end a step.

No GPU is here: `nvml_stand_in.c` stands in for the NVIDIA driver's library, and for that alone. pynvml loads it through the
real interface, by its real name and with the real structures.
"""

import json
import socket
import textwrap
from collections.abc import Callable
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import pytest

from platform_assets.foundation.gpus.use import gpu_use
from tests.foundation.gpus.nvml_stand_in import built_in
from tests.support.processes import free_port, run_python

pytestmark = pytest.mark.programs("gcc")

Measure = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the stand-in of the driver's library."""
    return built_in(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def measure(driver: Path) -> Measure:
    """Runs a block of code under `gpu_use` in a process with the driver; the metadata afterwards."""

    def measured(block: str, options: str = "every=0.02", **variables: str) -> dict[str, Any]:
        code = "import json, time\nfrom platform_assets.foundation.gpus.use import gpu_use\n"
        code += f"with gpu_use({options}) as use:\n{textwrap.indent(block, '    ')}\nprint(json.dumps(use.metadata()))"
        done = run_python("-c", code, variables={"LD_LIBRARY_PATH": str(driver)} | variables)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout.splitlines()[-1]))

    return measured


UNTIL_4_SAMPLES = "while len(use.samples) < 4: time.sleep(0.01)"
UNTIL_A_PROBLEM = "while use.problem is None: time.sleep(0.01)"


def test_use_is_summed_up_over_the_time_of_the_step(measure: Measure) -> None:
    told = measure(UNTIL_4_SAMPLES, options="every=0.2", NVML_USE="0,50,60,90")
    assert told.pop("gpu_seconds") >= 0.6
    assert told == {
        "gpu": "Stand-in L4",
        "gpu_utilization_mean": 0.5,
        "gpu_utilization_p50": 0.5,
        "gpu_utilization_p95": 0.9,
        "gpu_idle_share": 0.25,
        "gpu_memory_peak_bytes": 4 << 30,
        "gpu_memory_total_bytes": 24 << 30,
        "gpu_samples": 4,
        "gpu_power_mean_watts": 72.5,
    }


def test_a_step_shorter_than_the_interval_has_a_sample(measure: Measure) -> None:
    assert measure("pass", options="every=60", NVML_USE="80")["gpu_utilization_mean"] == 0.8


def test_two_gpus_count_both(measure: Measure) -> None:
    told = measure("pass", options="every=60", NVML_USE="100,0", NVML_DEVICES="2")
    assert (told["gpu"], told["gpu_samples"], told["gpu_utilization_mean"]) == ("Stand-in L4, Stand-in L4", 2, 0.5)


@pytest.mark.skipif(find_library("nvidia-ml") is not None, reason="this machine has the driver")
def test_without_a_driver_there_is_no_gpu() -> None:
    with gpu_use() as use:
        pass
    assert use.metadata() == {"gpu": "none"}


@pytest.mark.parametrize("machine", [{"NVML_DEVICES": "0"}, {"NVML_FAILS": "nvmlInit=9"}], ids=["no GPU", "not loaded"])
def test_a_driver_without_a_gpu_is_no_problem(measure: Measure, machine: dict[str, str]) -> None:
    assert measure("pass", **machine) == {"gpu": "none"}


@pytest.mark.parametrize("function", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex"])
def test_a_driver_that_refuses_is_told_and_does_not_end_the_step(measure: Measure, function: str) -> None:
    told = measure("pass", NVML_FAILS=f"{function}=4")
    assert told["gpu"] == "not measured"
    assert "Insufficient Permissions" in told["gpu_problem"]


def test_a_gpu_that_is_lost_midway_leaves_what_was_measured(measure: Measure) -> None:
    told = measure(UNTIL_A_PROBLEM, NVML_USE="40", NVML_FAILS="nvmlDeviceGetUtilizationRates=15@3")
    assert (told["gpu_samples"], told["gpu_utilization_mean"]) == (2, 0.4)
    assert "GPU is lost" in told["gpu_problem"]


def test_a_driver_that_cannot_be_closed_does_not_end_the_step(measure: Measure) -> None:
    assert "cannot be closed" in measure("pass", NVML_FAILS="nvmlShutdown=15")["gpu_problem"]


def test_a_board_that_does_not_tell_its_power_is_measured_without(measure: Measure) -> None:
    told = measure("pass", NVML_USE="40", NVML_FAILS="nvmlDeviceGetPowerUsage=3")
    assert "gpu_power_mean_watts" not in told
    assert "gpu_problem" not in told


def test_prometheus_reads_the_use_while_the_step_works_and_no_longer(measure: Measure) -> None:
    port = free_port()
    options = f"campaign='spring', step='fold_1', port={port}, every=0.02, bind='127.0.0.1'"
    read = f"""
import urllib.request
{UNTIL_4_SAMPLES}
page = urllib.request.urlopen('http://127.0.0.1:{port}/metrics').read().decode()
assert 'platform_gpu_utilization_ratio{{campaign="spring",device="0",step="fold_1"}} 0.4' in page, page
assert 'platform_gpu_memory_total_bytes{{campaign="spring",device="0",step="fold_1"}} 2.5769803776e+10' in page, page
assert 'platform_gpu_power_watts{{campaign="spring",device="0",step="fold_1"}} 72.5' in page, page
"""
    assert "gpu_problem" not in measure(read, options=options, NVML_USE="40")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_port_that_is_taken_is_told_and_does_not_end_the_step(measure: Measure) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = measure(UNTIL_4_SAMPLES, options=f"port={port}, every=0.02, bind='127.0.0.1'")
    assert f"port {port}" in told["gpu_problem"]
    assert told["gpu_samples"] >= 4
