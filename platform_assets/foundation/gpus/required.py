"""That a step computes on the GPU that its pod holds, or says why it cannot: never on a CPU beside a GPU that is paid for.

Belongs here: the proof (a product of two matrices, on every GPU of the process), what driver the locked CUDA build of torch takes,
and what the driver says of itself. Does not belong here: how busy a GPU is (`use`), and which steps hold one.
"""

import os
from dataclasses import dataclass

# The CUDA that the locked torch is built for (deploy/docker/cuda.lock), and the oldest driver that takes any CUDA of that major
# version: https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
LOCKED_CUDA = "13.0"
OLDEST_DRIVER = 580
GKE_SETTING = (
    "on GKE a node pool with `gpu-driver-version=latest` (`default` was driver 535 in February 2026, and the driver that either "
    "installs depends on the version of GKE)"
)
SIZE = 64


class GpuUnusable(RuntimeError):
    """A step holds a GPU and cannot compute on it; names device, driver and CUDA versions, and what to do."""


@dataclass(frozen=True)
class Driver:
    """What the NVIDIA driver says of itself.

    Attributes:
        version: as 580.65.06; None: there is none here.
        cuda: the newest CUDA that it takes, as 13.0.
        devices: names of the GPUs of this process's pod or machine.
        problem: why it says nothing.
    """

    version: str | None = None
    cuda: str | None = None
    devices: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def too_old(self) -> bool:
        return self.version is not None and int(self.version.partition(".")[0]) < OLDEST_DRIVER

    def __str__(self) -> str:
        devices = ", ".join(self.devices) or "no device"
        if self.version is None:
            return f"{devices}, no driver ({self.problem})"
        return f"{devices}, driver {self.version} for CUDA up to {self.cuda}"


def driver_here() -> Driver:
    """The driver that this process finds."""
    try:
        import pynvml
    except ImportError:
        return Driver(problem="nvidia-ml-py, which asks it, is not installed")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        looked = os.environ.get("LD_LIBRARY_PATH") or "not set"
        return Driver(problem=f"NVML: {error}; LD_LIBRARY_PATH is {looked}")
    try:
        cuda = pynvml.nvmlSystemGetCudaDriverVersion()
        handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        devices = tuple(str(pynvml.nvmlDeviceGetName(handle)) for handle in handles)
        return Driver(str(pynvml.nvmlSystemGetDriverVersion()), f"{cuda // 1000}.{cuda % 1000 // 10}", devices)
    except pynvml.NVMLError as error:
        return Driver(problem=f"NVML: {error}")
    finally:
        pynvml.nvmlShutdown()


def require_gpus(profile: str, count: int) -> None:
    """Computes on `count` GPUs, which the resource profile `profile` gives to this step.

    Raises:
        GpuUnusable: there are fewer, or one does not compute.
    """
    import torch

    why = _why_not(count)
    if why is None:
        return
    driver, built = driver_here(), torch.version.cuda
    build = f"torch {torch.__version__}, {f'built for CUDA {built}' if built else 'built without CUDA'}"
    raise GpuUnusable(
        f"the resource profile {profile} gives this step {count} GPU{'s' * (count > 1)}, and it cannot compute there: {why}. "
        f"Here are {driver}, and {build}. {_remedy(driver, built)}"
    )


def _why_not(count: int) -> str | None:
    """Why no product of matrices comes out right on each of so many GPUs, or None."""
    import torch

    if torch.version.cuda is None:
        return "torch is built without CUDA"
    try:
        torch.cuda.init()
        if torch.cuda.device_count() < count:
            return f"torch finds {torch.cuda.device_count()} devices"
        for index in range(count):
            ones = torch.ones(SIZE, SIZE, device=f"cuda:{index}")
            if float((ones @ ones).sum()) != SIZE**3:
                return f"GPU {index} computes a wrong product"
    # Torch's own: no driver, one that is too old, a device that it has no kernels for.
    except (RuntimeError, AssertionError) as error:
        return str(error).partition("\n")[0].rstrip(".")
    return None


def _remedy(driver: Driver, built: str | None) -> str:
    if built is None:
        return "Run it in the CUDA image: `image: cuda` in the profile, and that image in the registry."
    if driver.version is None:
        return f"Give the node a driver, {OLDEST_DRIVER} or newer: {GKE_SETTING}."
    if driver.too_old:
        return f"CUDA {LOCKED_CUDA} takes driver {OLDEST_DRIVER} or newer: {GKE_SETTING}."
    return "Look at the node: `kubectl describe node`, `nvidia-smi` in a pod there."
