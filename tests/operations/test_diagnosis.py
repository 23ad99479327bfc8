"""What the doctor says of GPUs; the NVML stand-in is the driver, and no GPU is here."""

from dataclasses import replace
from pathlib import Path

import pytest

from platform_assets.data.engines.engine import Readiness
from platform_assets.environment import Environment, local_environment
from platform_assets.operations import diagnosis
from tests.foundation.gpus.nvml_stand_in import built_in
from tests.support.processes import run_python


@pytest.fixture
def local(tmp_path: Path) -> Environment:
    return local_environment(tmp_path)


def told(environment: Environment) -> list[Readiness]:
    return list(diagnosis.gpu_driver(environment))


def test_the_doctor_knows_the_oldest_driver_and_the_gke_setting_where_steps_have_pods(local: Environment) -> None:
    [here] = told(replace(local, executor="kubernetes"))
    assert here.good
    assert "none here" in here.found
    assert "CUDA 13.0, takes 580 or newer" in here.found
    assert "`gpu-driver-version=latest`" in here.found


def test_the_doctor_says_nothing_of_drivers_on_a_machine_without_a_use_for_one(local: Environment) -> None:
    assert told(local) == []


@pytest.mark.programs("gcc")
@pytest.mark.parametrize(("version", "good"), [("535.274.02", False), ("580.65.06", True)])
def test_the_doctor_refuses_a_driver_that_is_too_old(tmp_path: Path, version: str, good: bool) -> None:
    code = """
from pathlib import Path
from platform_assets.environment import local_environment
from platform_assets.operations.diagnosis import gpu_driver
[here] = gpu_driver(local_environment(Path("anywhere")))
print(here.good, here.found, here.remedy)
"""
    driver = {"LD_LIBRARY_PATH": str(built_in(tmp_path)), "NVML_DRIVER": version}
    answer = run_python("-c", code, variables=driver).stdout
    assert answer.startswith(f"{good} Stand-in L4, driver {version} for CUDA up to ")
    assert "replace the driver by 580 or newer" in answer
